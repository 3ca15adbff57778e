// What src/ calls at the level in use. Names differ from the public ones, which argument-dependent lookup would find too.
#pragma once

#include "krige/matmul.hpp"
#include "krige/simd.hpp"

// clang-format off
KRIGE_EACH_LEVEL(
    // c += alpha op(a) op(b); `lower`: the lower triangle only; `trapezoid`: op(a)(i, k) is zero for k < i
    void product(double alpha, ConstMatrix a, Op op_a, ConstMatrix b, Op op_b, Matrix c, bool lower, bool trapezoid);
    // a := its lower Cholesky factor; -1 or the failed pivot
    index_t factor(Matrix a);
    // b := l^-1 b or l^-T b; `lower`: b is a lower triangle
    void solve(ConstMatrix l, bool transposed, Matrix b, bool lower);
)
// clang-format on
