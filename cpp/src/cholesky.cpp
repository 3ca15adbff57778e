#include "krige/cholesky.hpp"

#include <cmath>

#include "krige/buffer.hpp"
#include "krige/matmul.hpp"
#include "levels/entries.hpp"

namespace krige {

index_t cholesky(Matrix a) { return KRIGE_CALL(factor)(a); }

void solve_lower(ConstMatrix l, Matrix b) { KRIGE_CALL(solve)(l, false, b); }

void solve_lower_transposed(ConstMatrix l, Matrix b) { KRIGE_CALL(solve)(l, true, b); }

void inverse_from_cholesky(ConstMatrix l, Matrix out) { KRIGE_CALL(invert)(l, out); }

index_t extend_cholesky(Matrix l, index_t n) {
    const index_t k = l.rows - n;
    Buffer columns(n * k);
    const Matrix rows = l.block(n, 0, k, n);
    const Matrix transposed{columns.data(), n, k, k};
    for (index_t i = 0; i < k; ++i)
        for (index_t j = 0; j < n; ++j) transposed(j, i) = rows(i, j);
    solve_lower(l.block(0, 0, n, n), transposed);
    for (index_t i = 0; i < k; ++i)
        for (index_t j = 0; j < n; ++j) rows(i, j) = transposed(j, i);
    const Matrix corner = l.block(n, n, k, k);
    rank_update_lower(-1.0, rows, Op::none, corner);
    const index_t failed = cholesky(corner);
    return failed < 0 ? failed : n + failed;
}

double log_determinant(ConstMatrix l) noexcept {
    double sum = 0;
    for (index_t i = 0; i < l.rows; ++i) sum += std::log(l(i, i));
    return 2 * sum;
}

}  // namespace krige
