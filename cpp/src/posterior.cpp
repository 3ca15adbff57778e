#include "krige/posterior.hpp"

#include <algorithm>
#include <cmath>

#include "krige/acquisition.hpp"
#include "krige/formulas.hpp"
#include "krige/matmul.hpp"
#include "krige/parallel.hpp"

namespace krige {
namespace {

constexpr index_t round_up(index_t count) noexcept { return (count + 15) / 16 * 16; }

// candidates per block: L^-1 k of a block stays in the second-level cache
index_t block_width(index_t n) noexcept {
    constexpr index_t cache = 64 * 1024;  // doubles
    const index_t width = round_up(cache / std::max<index_t>(n, 1));
    return std::clamp<index_t>(width, 32, 512);
}

}  // namespace

Posterior::Posterior(ConstMatrix x, const double* y, const double* noise, const Hyper& hyper,
                     double jitter)
    : metric_(hyper),
      points_(x, metric_),
      stride_(padded_stride(x.rows)),
      factor_(x.rows * stride_),
      alpha_(x.rows),
      jitter_(jitter) {
    const Matrix l{factor_.data(), count(), count(), stride_};
    kernel_lower(points_, metric_, l);
    for (index_t i = 0; i < count(); ++i) l(i, i) += noise[i] + jitter_;
    failed_pivot_ = cholesky(l);
    if (failed_pivot_ < 0) solve_alpha(y);
}

Posterior::Posterior(const Posterior& base, ConstMatrix x, const double* y, const double* noise)
    : metric_(base.metric_), jitter_(base.jitter_) {
    const index_t n = base.count();
    const index_t k = x.rows;
    const index_t total = n + k;
    stride_ = padded_stride(total);
    factor_ = Buffer(total * stride_);
    alpha_ = Buffer(total);
    const Points added(x, metric_);
    points_.count = total;
    points_.stride = round_up(total);
    points_.values = Buffer(d() * points_.stride);
    for (index_t j = 0; j < d(); ++j) {
        double* out = points_.values.data() + j * points_.stride;
        std::copy(base.points_.place(j), base.points_.place(j) + n, out);
        std::copy(added.place(j), added.place(j) + k, out + n);
        std::fill(out + total, out + points_.stride, 0.0);
    }
    const Matrix l{factor_.data(), total, total, stride_};
    for (index_t i = 0; i < n; ++i)
        std::copy(base.factor().row(i), base.factor().row(i) + i + 1, l.row(i));
    Panel panel;
    panel.value = l.block(n, 0, k, total);
    kernel_panel(added, points_, metric_, panel);
    for (index_t i = 0; i < k; ++i) l(n + i, n + i) += noise[i] + jitter_;
    failed_pivot_ = extend_cholesky(l, n);
    if (failed_pivot_ < 0) solve_alpha(y);
}

void Posterior::solve_alpha(const double* y) {
    const index_t n = count();
    std::copy(y, y + n, alpha_.data());
    const Matrix column{alpha_.data(), n, 1, 1};
    solve_lower(factor(), column);
    double fit = 0.0;
    for (index_t i = 0; i < n; ++i) fit += alpha_[i] * alpha_[i];
    solve_lower_transposed(factor(), column);
    log_likelihood_ =
        -0.5 * fit - 0.5 * log_determinant(factor()) - static_cast<double>(n) * log_sqrt_2pi;
}

void Posterior::predict(ConstMatrix x, double* mean, double* variance) const {
    const index_t n = count();
    const index_t m = x.rows;
    const index_t width = std::min(block_width(n), round_up(m));
    const index_t blocks = m > 0 ? (m + width - 1) / width : 0;
    const auto predict_block = [&](index_t block) {
        const index_t begin = block * width;
        const index_t cols = std::min(width, m - begin);
        const Points candidates(x.block(begin, 0, cols, x.cols), metric_);
        const index_t padded = round_up(cols);
        Buffer scratch((n + 2) * padded);
        const Matrix v{scratch.data(), n, cols, padded};
        double* block_mean = scratch.data() + n * padded;
        double* explained = block_mean + padded;
        std::fill(block_mean, block_mean + 2 * padded, 0.0);
        Panel panel;
        panel.value = v;
        panel.alpha = alpha_.data();
        panel.mean = block_mean;
        kernel_panel(points_, candidates, metric_, panel);
        solve_lower(factor(), v);
        for (index_t i = 0; i < n; ++i) {
            const double* row = v.row(i);
            for (index_t c = 0; c < cols; ++c) explained[c] += row[c] * row[c];
        }
        bool held;
        for (index_t c = 0; c < cols; ++c) {
            mean[begin + c] = block_mean[c];
            variance[begin + c] = posterior_variance(metric_.variance, explained[c], held);
        }
    };
    parallel_for(blocks, predict_block);
}

void Posterior::score(ConstMatrix x, const Acquisition& acquisition, double* value,
                      Matrix gradient) const {
    const index_t m = x.rows;
    if (gradient.data == nullptr) {
        Buffer moments(2 * m);
        predict(x, moments.data(), moments.data() + m);
        acquire(acquisition, m, moments.data(), moments.data() + m, value);
        return;
    }
    const index_t width = std::min<index_t>(64, round_up(m));
    const index_t blocks = m > 0 ? (m + width - 1) / width : 0;
    const auto score_block = [&](index_t block) {
        const index_t begin = block * width;
        const index_t cols = std::min(width, m - begin);
        score_gradient(x.block(begin, 0, cols, x.cols), acquisition, value + begin,
                       gradient.block(begin, 0, cols, x.cols));
    };
    parallel_for(blocks, score_block);
}

void Posterior::score_gradient(ConstMatrix x, const Acquisition& acquisition, double* value,
                               Matrix gradient) const {
    const index_t n = count();
    const index_t m = x.rows;
    const index_t padded = round_up(m);
    const Points candidates(x, metric_);
    Buffer scratch((2 * n + 4 + d()) * padded);
    const Matrix v{scratch.data(), n, padded, padded};
    const Matrix slope = {v.row(n), n, padded, padded};
    double* mean = slope.row(n);
    double* explained = mean + padded;
    double* by_mean = explained + padded;
    double* by_solved = by_mean + padded;
    std::fill(mean, mean + 4 * padded, 0.0);
    Panel panel;
    panel.value = v;
    panel.slope = slope;
    panel.alpha = alpha_.data();
    panel.mean = mean;
    kernel_panel(points_, candidates, metric_, panel);
    solve_lower(factor(), v.block(0, 0, n, m));
    for (index_t i = 0; i < n; ++i) {
        for (index_t c = 0; c < m; ++c) explained[c] += v(i, c) * v(i, c);
    }
    solve_lower_transposed(factor(), v.block(0, 0, n, m));
    for (index_t c = 0; c < m; ++c) {
        bool held;
        const double deviation =
            std::sqrt(posterior_variance(metric_.variance, explained[c], held));
        const AcquisitionPoint point = krige::acquire(acquisition, mean[c], deviation);
        value[c] = point.value;
        by_mean[c] = point.by_mean;
        // d variance = -2 k^T K^-1 dk, d deviation = d variance / (2 deviation)
        by_solved[c] = held ? 0.0 : -point.by_deviation / deviation;
    }
    const Matrix by_place{by_solved + padded, d(), m, padded};
    contract_query(points_, candidates, metric_, {slope, v, alpha_.data(), by_mean, by_solved},
                   by_place);
    for (index_t place = 0; place < d(); ++place) {
        const auto at = static_cast<std::size_t>(place);
        for (index_t c = 0; c < m; ++c) {
            gradient(c, metric_.order[at]) =
                place < metric_.numeric ? -metric_.inverse[at] * by_place(place, c) : 0.0;
        }
    }
}

index_t Posterior::sample(ConstMatrix x, ConstMatrix normals, double jitter, Matrix out) const {
    const index_t n = count();
    const index_t m = x.rows;
    const index_t padded = round_up(m);
    const Points candidates(x, metric_);
    Buffer scratch((n + 1) * padded + m * padded_stride(m));
    const Matrix v{scratch.data(), n, m, padded};
    double* mean = scratch.data() + n * padded;
    std::fill(mean, mean + padded, 0.0);
    Panel panel;
    panel.value = v;
    panel.alpha = alpha_.data();
    panel.mean = mean;
    kernel_panel(points_, candidates, metric_, panel);
    solve_lower(factor(), v);
    const Matrix covariance{mean + padded, m, m, padded_stride(m)};
    kernel_lower(candidates, metric_, covariance);
    rank_update_lower(-1.0, v, Op::transpose, covariance);
    for (index_t c = 0; c < m; ++c) covariance(c, c) += jitter * metric_.variance;
    const index_t failed = cholesky(covariance);
    if (failed >= 0) return failed;
    for (index_t c = 0; c < m; ++c)
        std::fill(covariance.row(c) + c + 1, covariance.row(c) + m, 0.0);
    for (index_t s = 0; s < out.rows; ++s) std::copy(mean, mean + m, out.row(s));
    multiply_add(1.0, normals, Op::none, covariance, Op::transpose, out);
    return -1;
}

}  // namespace krige
