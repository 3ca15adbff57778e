#include "levels/entries.hpp"
#include "levels/vector.hpp"

namespace krige::KRIGE_LEVEL {

void product(double alpha, ConstMatrix a, Op op_a, ConstMatrix b, Op op_b, Matrix c, bool lower) {
    const index_t depth = op_a == Op::none ? a.cols : a.rows;
    for (index_t i = 0; i < c.rows; ++i)
        for (index_t j = 0; j < (lower ? i + 1 : c.cols); ++j) {
            double sum = c(i, j);
            for (index_t k = 0; k < depth; ++k)
                sum = scalar_fma(alpha * (op_a == Op::none ? a(i, k) : a(k, i)), op_b == Op::none ? b(k, j) : b(j, k),
                                 sum);
            c(i, j) = sum;
        }
}

}  // namespace krige::KRIGE_LEVEL
