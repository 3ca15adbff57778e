// What src/ calls at the level in use. Names differ from the public ones, which argument-dependent
// lookup would find too.
#pragma once

#include "krige/matmul.hpp"
#include "krige/simd.hpp"

// clang-format off
KRIGE_EACH_LEVEL(
    // c += alpha op(a) op(b); `lower`: the lower triangle only
    void product(double alpha, ConstMatrix a, Op op_a, ConstMatrix b, Op op_b, Matrix c, bool lower);
    // a := its lower Cholesky factor; -1 or the failed pivot
    index_t factor(Matrix a);
    // b := l^-1 b or l^-T b
    void solve(ConstMatrix l, bool transposed, Matrix b);
    // lower triangle of out := (l l^T)^-1
    void invert(ConstMatrix l, Matrix out);
)
// clang-format on
