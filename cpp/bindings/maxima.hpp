// Registers the searches for maxima.
#pragma once

#include <pybind11/pybind11.h>

namespace krige {

void register_maxima(pybind11::module_& module);

}  // namespace krige
