// Scoring candidates: in panels that fit the workspace.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "krige_cuda/fitted.hpp"

namespace krige_cuda {
namespace {

constexpr index_t widest_panel = 16384;  // beyond it nothing is gained
constexpr index_t narrowest_panel = 16;  // taken even where the workspace is too small for it
constexpr index_t rescored = 64;         // of the best screened ones

}  // namespace

index_t Fitted::panel_rows(index_t m, std::size_t value_size) const noexcept {
    const auto row = static_cast<std::size_t>(stride_) * value_size +
                     static_cast<std::size_t>(4 * d() + 8) * sizeof(double);
    const auto fit = static_cast<index_t>(workspace_limit() / row);
    const index_t rows = std::clamp(fit, narrowest_panel, widest_panel);
    const index_t panels = (m + rows - 1) / rows;
    return panels <= 1 ? m : (m + panels - 1) / panels;
}

// k for every candidate, in its row
Matrices<double> Fitted::kernel_rows(const Session& session, const DevicePoints<double>& candidates,
                                     DeviceArray<double>& storage) const {
    const Matrices<double> panel{storage.data(), stride_};
    kernel_panel(session.id(), metric_.view(), candidates.view(), points_.view(), panel);
    check_launch("kernel_panel");
    return panel;
}

// L^-1 k for every candidate, in its row
Matrices<double> Fitted::solved_rows(const Session& session, const DevicePoints<double>& candidates,
                                     DeviceArray<double>& storage) const {
    const Matrices<double> panel = kernel_rows(session, candidates, storage);
    solve_rows(session, factor(), n_, panel, candidates.count(), false);
    return panel;
}

void Fitted::predict(ConstMatrix x, double* mean, double* variance) const {
    if (x.rows == 0) return;
    const Session session(stream_);
    const index_t rows = panel_rows(x.rows, sizeof(double));
    DeviceArray<double> storage(rows * stride_, stream_);
    DeviceArray<double> moments(2 * rows, stream_);
    for (index_t first = 0; first < x.rows; first += rows) {
        const index_t m = std::min(rows, x.rows - first);
        const DevicePoints<double> candidates(x.block(first, 0, m, x.cols), metric_.view(),
                                              stream_);
        const Matrices<const double> panel = variance == nullptr
                                                 ? kernel_rows(session, candidates, storage)
                                                 : solved_rows(session, candidates, storage);
        // the mean is the product of k and alpha, or of L^-1 k and L^-1 y
        const double* with = variance == nullptr ? alpha_.data() : z_.data();
        posterior_moments<double>(session.id(), metric_.view(), panel, candidates.count(), n_, with,
                                  moments.data(), moments.data() + rows);
        check_launch("posterior_moments");
        to_host(mean + first, moments.data(), m, stream_);
        if (variance != nullptr) to_host(variance + first, moments.data() + rows, m, stream_);
    }
    stream_.synchronise();
}

void Fitted::score(ConstMatrix x, const Acquisition& acquisition, double* value,
                   krige::Matrix gradient) const {
    if (x.rows == 0) return;
    const Session session(stream_);
    const index_t rows = panel_rows(x.rows, sizeof(double));
    DeviceArray<double> storage(rows * stride_, stream_);
    for (index_t first = 0; first < x.rows; first += rows) {
        const index_t m = std::min(rows, x.rows - first);
        double* slopes = gradient.data == nullptr ? nullptr : gradient.row(first);
        score_panel(session, x.block(first, 0, m, x.cols), acquisition, storage, value + first,
                    slopes);
    }
    stream_.synchronise();
}

void Fitted::score_panel(const Session& session, ConstMatrix x, const Acquisition& acquisition,
                         DeviceArray<double>& storage, double* value, double* gradient) const {
    const Metric metric = metric_.view();
    const DevicePoints<double> candidates(x, metric, stream_);
    const int m = candidates.count();
    const Matrices<double> panel = solved_rows(session, candidates, storage);
    DeviceArray<double> results(3 * x.rows, stream_);
    double* by_mean = gradient == nullptr ? nullptr : results.data() + m;
    double* by_solved = gradient == nullptr ? nullptr : results.data() + 2 * x.rows;
    posterior_score<double>(session.id(), metric, acquisition, panel, m, n_, z_.data(),
                            results.data(), by_mean, by_solved);
    check_launch("posterior_score");
    to_host(value, results.data(), m, stream_);
    if (gradient == nullptr) return;
    solve_rows(session, factor(), n_, panel, m, true);
    DeviceArray<double> workspace(posterior_gradient_size(m, n_, metric.d), stream_);
    DeviceArray<double> slopes(x.rows * x.cols, stream_);
    posterior_gradient(session.id(), metric, candidates.view(), points_.view(), panel,
                       alpha_.data(), by_mean, by_solved, workspace.data(), slopes.data());
    check_launch("posterior_gradient");
    to_host(gradient, slopes.data(), slopes.size(), stream_);
}

void Fitted::screen_panel(const Session& session, ConstMatrix x, const Acquisition& acquisition,
                          const Narrowed& narrowed, double* value) const {
    const Metric metric = metric_.view();
    const DevicePoints<float> candidates(x, metric, stream_);
    const int m = candidates.count();
    DeviceArray<float> storage(m * stride_, stream_);
    DeviceArray<double> values(m, stream_);
    const Matrices<float> panel{storage.data(), stride_};
    const Points<double> exact = points_.view();
    kernel_panel(session.id(), metric, candidates.view(),
                 Points<float>{const_cast<float*>(narrowed.points.data()), exact.stride, exact.step,
                               exact.count},
                 panel);
    check_launch("kernel_panel");
    solve_rows(session, Matrices<const float>{narrowed.factor.data(), stride_}, n_, panel, m,
               false);
    posterior_score<float>(session.id(), metric, acquisition, panel, m, n_, narrowed.z.data(),
                           values.data(), nullptr, nullptr);
    check_launch("posterior_score");
    to_host(value, values.data(), m, stream_);
}

void Fitted::screen_all(ConstMatrix x, const Acquisition& acquisition, double* value) const {
    const Session session(stream_);
    const Metric metric = metric_.view();
    Narrowed narrowed{DeviceArray<float>(n_ * stride_, stream_), DeviceArray<float>(n_, stream_),
                      krige_cuda::narrowed(points_, metric.d, stream_)};
    narrow_lower(session.id(), factor(), n_, {narrowed.factor.data(), stride_});
    check_launch("narrow_lower");
    narrow(session.id(), z_.data(), n_, narrowed.z.data());
    check_launch("narrow");
    const index_t rows = panel_rows(x.rows, sizeof(float));
    for (index_t first = 0; first < x.rows; first += rows) {
        const index_t m = std::min(rows, x.rows - first);
        screen_panel(session, x.block(first, 0, m, x.cols), acquisition, narrowed, value + first);
    }
    stream_.synchronise();
}

void Fitted::screen(ConstMatrix x, const Acquisition& acquisition, double* value) const {
    const krige::Matrix no_gradient{nullptr, x.rows, x.cols, x.cols};
    const auto is_nan = [](double v) { return std::isnan(v); };
    if (x.rows > rescored) screen_all(x, acquisition, value);
    // single precision may be too little for a factor that double precision has made
    if (x.rows <= rescored || std::any_of(value, value + x.rows, is_nan)) {
        score(x, acquisition, value, no_gradient);
        return;
    }
    std::vector<index_t> order(static_cast<std::size_t>(x.rows));
    std::iota(order.begin(), order.end(), index_t{0});
    std::nth_element(order.begin(), order.begin() + rescored, order.end(),
                     [value](index_t a, index_t b) { return value[a] > value[b]; });
    std::vector<double> rows(static_cast<std::size_t>(rescored * x.cols));
    std::vector<double> exact(static_cast<std::size_t>(rescored));
    for (index_t k = 0; k < rescored; ++k)
        std::copy_n(x.row(order[static_cast<std::size_t>(k)]), x.cols, rows.data() + k * x.cols);
    score({rows.data(), rescored, x.cols, x.cols}, acquisition, exact.data(), no_gradient);
    for (std::size_t k = 0; k < exact.size(); ++k) value[order[k]] = exact[k];
}

}  // namespace krige_cuda
