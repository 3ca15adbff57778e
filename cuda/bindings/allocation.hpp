// Registers what decides over device memory.
#pragma once

#include <pybind11/pybind11.h>

namespace krige_cuda {

void register_allocation(pybind11::module_& module);

}  // namespace krige_cuda
