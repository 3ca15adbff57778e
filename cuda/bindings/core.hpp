// Registers the verbs.
#pragma once

#include <pybind11/pybind11.h>

namespace krige_cuda {

void register_core(pybind11::module_& module);

}  // namespace krige_cuda
