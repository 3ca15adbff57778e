// Registers the verbs.
#pragma once

#include <pybind11/pybind11.h>

namespace krige {

void register_core(pybind11::module_& module);

}  // namespace krige
