#include "levels/entries.hpp"
#include "levels/vector.hpp"

namespace krige::KRIGE_LEVEL {

index_t factor(Matrix a) {
    for (index_t i = 0; i < a.rows; ++i)
        for (index_t j = 0; j <= i; ++j) {
            double sum = a(i, j);
            for (index_t k = 0; k < j; ++k) sum = scalar_fma(-a(i, k), a(j, k), sum);
            if (i != j) {
                a(i, j) = sum / a(j, j);
            } else {
                if (!(sum > 0)) return i;
                a(i, i) = square_root(sum);
            }
        }
    return -1;
}

void solve(ConstMatrix l, bool transposed, Matrix b) {
    const index_t n = l.rows;
    for (index_t j = 0; j < b.cols; ++j)
        for (index_t s = 0; s < n; ++s) {
            const index_t i = transposed ? n - 1 - s : s;
            double sum = b(i, j);
            for (index_t t = 0; t < s; ++t) {
                const index_t k = transposed ? n - 1 - t : t;
                sum = scalar_fma(-(transposed ? l(k, i) : l(i, k)), b(k, j), sum);
            }
            b(i, j) = sum / l(i, i);
        }
}

void invert(ConstMatrix l, Matrix out) {
    const index_t n = l.rows;
    double* w = new double[static_cast<std::size_t>(n * n)]();
    const Matrix identity{w, n, n, n};
    for (index_t i = 0; i < n; ++i) identity(i, i) = 1;
    solve(l, false, identity);
    solve(l, true, identity);
    for (index_t i = 0; i < n; ++i)
        for (index_t j = 0; j <= i; ++j) out(i, j) = identity(i, j);
    delete[] w;
}

}  // namespace krige::KRIGE_LEVEL
