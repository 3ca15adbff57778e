// Registers Hyper, Fitted and the verbs that compute one result.
#pragma once

#include <pybind11/pybind11.h>

namespace krige {

void register_gaussian_process(pybind11::module_& module);

}  // namespace krige
