#include "krige/matmul.hpp"

#include "levels/entries.hpp"

namespace krige {

void multiply_add(double alpha, ConstMatrix a, Op op_a, ConstMatrix b, Op op_b, Matrix c) {
    KRIGE_CALL(product)(alpha, a, op_a, b, op_b, c, false);
}

void rank_update_lower(double alpha, ConstMatrix a, Op op_a, Matrix c) {
    KRIGE_CALL(product)(alpha, a, op_a, a, op_a == Op::none ? Op::transpose : Op::none, c, true);
}

}  // namespace krige
