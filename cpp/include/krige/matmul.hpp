// Packed, register-tiled matrix products. Every element is accumulated in the order of the inner
// index, so that AVX2 and AVX-512 give the same bits.
#pragma once

#include "krige/view.hpp"

namespace krige {

enum class Op { none, transpose };

// c (m, n) += alpha op(a) op(b)
void multiply_add(double alpha, ConstMatrix a, Op op_a, ConstMatrix b, Op op_b, Matrix c);

// lower triangle of c (n, n) += alpha op(a) op(a)^T, op(a) (n, k); the strict upper triangle is not
// touched
void rank_update_lower(double alpha, ConstMatrix a, Op op_a, Matrix c);

}  // namespace krige
