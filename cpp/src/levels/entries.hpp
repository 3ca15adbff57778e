// What src/ calls at the level in use. Names differ from the public ones, which argument-dependent lookup would find too.
#pragma once

#include "krige/matmul.hpp"
#include "krige/simd.hpp"

KRIGE_EACH_LEVEL(
    void product(double alpha, ConstMatrix a, Op op_a, ConstMatrix b, Op op_b, Matrix c, bool lower);
    index_t factor(Matrix a);
    void solve(ConstMatrix l, bool transposed, Matrix b);
    void invert(ConstMatrix l, Matrix out);
)
