// Registers Hyper, Fitted and the seven verbs.
#pragma once

#include <pybind11/pybind11.h>

namespace krige {

void register_gaussian_process(pybind11::module_& module);

}  // namespace krige
