// Registers cholesky, solve_lower and multiply.
#pragma once

#include <pybind11/pybind11.h>

namespace krige {

void register_linear_algebra(pybind11::module_& module);

}  // namespace krige
