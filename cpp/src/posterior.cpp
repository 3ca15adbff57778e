#include "krige/posterior.hpp"

#include <algorithm>
#include <cmath>

#include "krige/acquisition.hpp"
#include "krige/formulas.hpp"
#include "krige/matmul.hpp"
#include "krige/parallel.hpp"
#include "levels/moments.hpp"

namespace krige {
namespace {

constexpr index_t panel_limit = 1200;  // up to here a panel takes the whole factor in one go
constexpr index_t panel_block = 240;   // candidates per task; a multiple of every panel width
constexpr index_t large_block = 264;

constexpr index_t round_up(index_t count) noexcept { return (count + 15) / 16 * 16; }

}  // namespace

Posterior::Posterior(ConstMatrix x, const double* y, const double* noise, const Hyper& hyper,
                     double jitter)
    : metric_(hyper), points_(x, metric_), jitter_(jitter) {
    allocate(x.rows);
    const Matrix l{factor_.data(), count(), count(), stride_};
    kernel_lower(points_, metric_, l);
    for (index_t i = 0; i < count(); ++i) l(i, i) += noise[i] + jitter_;
    failed_pivot_ = cholesky(l);
    if (failed_pivot_ < 0) solve_alpha(y);
}

Posterior::Posterior(const Posterior& base, ConstMatrix x, const double* y, const double* noise)
    : Posterior(base, Points(x, base.metric_), y, noise) {}

Posterior::Posterior(const Posterior& base, const Points& added, const double* y,
                     const double* noise)
    : metric_(base.metric_), points_(base.points_, added), jitter_(base.jitter_) {
    const index_t n = base.count();
    const index_t k = added.count;
    const index_t total = n + k;
    allocate(total);
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

void Posterior::allocate(index_t n) {
    stride_ = padded_stride(n);
    factor_ = Buffer(n * stride_);
    alpha_ = Buffer(round_up(n));
    reciprocal_ = Buffer(n);
    std::fill(alpha_.data(), alpha_.data() + alpha_.size(), 0.0);
}

void Posterior::solve_alpha(const double* y) {
    const index_t n = count();
    for (index_t i = 0; i < n; ++i) reciprocal_[i] = 1.0 / factor()(i, i);
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
    const bool large = n > panel_limit && x.rows > widest_panel;
    const index_t block = large ? large_block : panel_block;
    const auto task = [&](index_t t) {
        const index_t begin = t * block;
        const ConstMatrix rows = x.block(begin, 0, std::min(block, x.rows - begin), x.cols);
        double* its_variance = variance == nullptr ? nullptr : variance + begin;
        if (large) {
            predict_large_block(rows, mean + begin, its_variance);
        } else {
            predict_block(rows, mean + begin, its_variance);
        }
    };
    parallel_for((x.rows + block - 1) / block, x.rows * n * (n + 3 * d() + 40), task);
}

void Posterior::predict_block(ConstMatrix x, double* mean, double* variance) const {
    const Points candidates(x, metric_);
    const index_t width = KRIGE_CALL(panel_width)();
    Buffer panel(round_up(count()) * width);
    const PosteriorView posterior{view(points_), view(metric_), alpha_.data(), factor(),
                                  reciprocal_.data()};
    double panel_mean[widest_panel];
    double explained[widest_panel];
    for (index_t first = 0; first < x.rows; first += width) {
        const index_t cols = std::min(width, x.rows - first);
        KRIGE_CALL(solve_panel)(posterior, {view(candidates), first, cols, panel.data(), nullptr},
                                panel_mean, explained);
        std::copy(panel_mean, panel_mean + cols, mean + first);
        bool held;
        for (index_t c = 0; c < cols && variance != nullptr; ++c)
            variance[first + c] = posterior_variance(metric_.variance, explained[c], held);
    }
}

// where the factor does not fit the cache: all columns of the block against one part of it after
// the other
void Posterior::predict_large_block(ConstMatrix x, double* mean, double* variance) const {
    const index_t n = count();
    const index_t m = x.rows;
    const Points candidates(x, metric_);
    const index_t padded = round_up(m);
    Buffer scratch((n + 2) * padded);
    const Matrix v{scratch.data(), n, m, padded};
    Panel panel;
    panel.value = v;
    panel.alpha = alpha_.data();
    panel.mean = v.row(n);
    double* explained = v.row(n + 1);
    std::fill(panel.mean, panel.mean + 2 * padded, 0.0);
    kernel_panel(points_, candidates, metric_, panel);
    std::copy(panel.mean, panel.mean + m, mean);
    if (variance == nullptr) return;
    solve_lower(factor(), v);
    for (index_t i = 0; i < n; ++i) {
        const double* row = v.row(i);
        for (index_t c = 0; c < m; ++c) explained[c] += row[c] * row[c];
    }
    bool held;
    for (index_t c = 0; c < m; ++c)
        variance[c] = posterior_variance(metric_.variance, explained[c], held);
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
    constexpr index_t block = 2 * widest_panel;
    const auto task = [&](index_t t) {
        const index_t begin = t * block;
        const index_t rows = std::min(block, m - begin);
        score_block(x.block(begin, 0, rows, x.cols), acquisition, value + begin,
                    gradient.block(begin, 0, rows, x.cols));
    };
    parallel_for((m + block - 1) / block, 2 * m * count() * (count() + 3 * d() + 40), task);
}

void Posterior::score_block(ConstMatrix x, const Acquisition& acquisition, double* value,
                            Matrix gradient) const {
    const Points candidates(x, metric_);
    const index_t width = KRIGE_CALL(panel_width)();
    const index_t size = round_up(count()) * width;
    Buffer scratch(2 * size + (4 + d()) * widest_panel);
    double* mean = scratch.data() + 2 * size;
    double* explained = mean + widest_panel;
    double* by_mean = explained + widest_panel;
    double* by_solved = by_mean + widest_panel;
    double* sums = by_solved + widest_panel;
    std::fill(by_mean, sums + d() * widest_panel, 0.0);
    const PosteriorView posterior{view(points_), view(metric_), alpha_.data(), factor(),
                                  reciprocal_.data()};
    for (index_t first = 0; first < x.rows; first += width) {
        const index_t cols = std::min(width, x.rows - first);
        const CandidatePanel panel{view(candidates), first, cols, scratch.data(),
                                   scratch.data() + size};
        KRIGE_CALL(solve_panel)(posterior, panel, mean, explained);
        for (index_t c = 0; c < cols; ++c) {
            bool held;
            const double deviation =
                std::sqrt(posterior_variance(metric_.variance, explained[c], held));
            const AcquisitionPoint point = krige::acquire(acquisition, mean[c], deviation);
            value[first + c] = point.value;
            by_mean[c] = point.by_mean;
            // d variance = -2 k^T K^-1 dk, d deviation = d variance / (2 deviation)
            by_solved[c] = held ? 0.0 : -point.by_deviation / deviation;
        }
        KRIGE_CALL(panel_gradient)(posterior, panel, by_mean, by_solved, sums);
        for (index_t place = 0; place < d(); ++place) {
            const auto at = static_cast<std::size_t>(place);
            const double scale = place < metric_.numeric ? -metric_.inverse[at] : 0.0;
            for (index_t c = 0; c < cols; ++c)
                gradient(first + c, metric_.order[at]) = scale * sums[place * widest_panel + c];
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
