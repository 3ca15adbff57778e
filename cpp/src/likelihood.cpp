#include "krige/likelihood.hpp"

#include <algorithm>
#include <limits>
#include <vector>

#include "krige/buffer.hpp"
#include "krige/cholesky.hpp"
#include "krige/formulas.hpp"
#include "krige/kernel.hpp"

namespace krige {

double log_likelihood(ConstMatrix x, const double* y, const double* noise, const Hyper& hyper,
                      double* gradient, double* noise_gradient) {
    const index_t n = x.rows;
    const index_t d = hyper.d;
    std::fill(gradient, gradient + d + 1, 0.0);
    std::fill(noise_gradient, noise_gradient + n, 0.0);
    const Metric metric(hyper);
    const Points points(x, metric);
    const index_t stride = padded_stride(n);
    Buffer storage(2 * n * stride);
    const Matrix l{storage.data(), n, n, stride};
    const Matrix inverse{storage.data() + n * stride, n, n, stride};
    kernel_lower(points, metric, l);
    for (index_t i = 0; i < n; ++i) l(i, i) += noise[i];
    if (cholesky(l) >= 0) return -std::numeric_limits<double>::infinity();

    Buffer alpha(n);
    std::copy(y, y + n, alpha.data());
    const Matrix column{alpha.data(), n, 1, 1};
    solve_lower(l, column);
    solve_lower_transposed(l, column);
    inverse_from_cholesky(l, inverse);

    double fit = 0.0;
    for (index_t i = 0; i < n; ++i) fit += y[i] * alpha[i];
    // half the trace of (alpha alpha^T - K^-1) dK, and for the variance tr((alpha alpha^T - K^-1)
    // K) = fit - n
    double by_variance = fit - static_cast<double>(n);
    for (index_t i = 0; i < n; ++i) {
        const double weight = alpha[i] * alpha[i] - inverse(i, i);
        noise_gradient[i] = 0.5 * weight;
        by_variance -= weight * noise[i];
    }
    gradient[d] = 0.5 * by_variance;
    std::vector<double> by_place(static_cast<std::size_t>(d));
    contract_hyper(points, metric, inverse, alpha.data(), by_place.data());
    for (index_t place = 0; place < d; ++place) {
        const auto at = static_cast<std::size_t>(place);
        gradient[metric.order[at]] = by_place[at];
    }
    return -0.5 * fit - 0.5 * log_determinant(l) - static_cast<double>(n) * log_sqrt_2pi;
}

}  // namespace krige
