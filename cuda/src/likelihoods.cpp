#include "krige_cuda/likelihoods.hpp"

#include <algorithm>
#include <limits>

namespace krige_cuda {
namespace {

constexpr index_t deepest_grid = 65535;     // blocks in its third direction, one for a setting
constexpr index_t largest_of_batch = 2048;  // larger ones fill a GPU alone, by cuSOLVER

bool same_kind(const krige::Metric& a, const krige::Metric& b) {
    return a.family == b.family && a.numeric == b.numeric && a.order == b.order;
}

LikelihoodResults at(const LikelihoodResults& results, index_t first, index_t n, index_t p) {
    return {results.value + first, results.gradient + first * p, results.by_noise + first * n};
}

}  // namespace

Likelihoods::Likelihoods(int device, ConstMatrix x, const double* y)
    : stream_(device), x_(x), n_(counted("x", x.rows)), y_(x.rows, stream_), use_(stream_) {
    to_device(y_.data(), y, x.rows, stream_);
}

void Likelihoods::evaluate(const Settings& settings, const double* noise,
                           const LikelihoodResults& results) {
    const Session session(stream_);
    const auto b = static_cast<index_t>(settings.size());
    const index_t most = n_ > largest_of_batch ? 1 : settings_at_once();
    index_t first = 0;
    while (first < b) {
        index_t last = first + 1;
        const auto& head = settings[static_cast<std::size_t>(first)];
        while (last < b && last - first < most &&
               same_kind(head, settings[static_cast<std::size_t>(last)]))
            ++last;
        const LikelihoodResults part = at(results, first, n_, head.d() + 1);
        if (n_ > largest_of_batch) {
            alone(session, head, noise + first * n_, part);
        } else {
            batch(session, Settings(settings.begin() + first, settings.begin() + last),
                  noise + first * n_, part);
        }
        first = last;
    }
}

index_t Likelihoods::settings_at_once() const {
    const auto one = static_cast<std::size_t>(likelihood_size(n_, static_cast<int>(x_.cols), 1)) *
                     sizeof(double);
    const auto fit = static_cast<index_t>(workspace_limit() / one);
    return std::min(std::max(fit, index_t{1}), deepest_grid);
}

double* Likelihoods::workspace(index_t size) {
    if (workspace_.size() < size) {
        workspace_ = DeviceArray<double>();  // first, so that both need not fit at once
        workspace_ = DeviceArray<double>(size, stream_);
    }
    return workspace_.data();
}

void Likelihoods::batch(const Session& session, const Settings& settings, const double* noise,
                        const LikelihoodResults& results) {
    const auto b = static_cast<index_t>(settings.size());
    const index_t p = settings.front().d() + 1;
    const DeviceMetric metric(settings, stream_);
    const DevicePoints<double> points(x_, metric.view(), stream_);
    DeviceArray<double> variances(b * n_, stream_);
    DeviceArray<double> found(b * (1 + p + n_), stream_);
    DeviceArray<int> failed(b, stream_);
    to_device(variances.data(), noise, variances.size(), stream_);
    LikelihoodTask task{};
    task.x = points.view();
    task.y = y_.data();
    task.noise = variances.data();
    task.value = found.data();
    task.gradient = task.value + b;
    task.by_noise = task.gradient + b * p;
    task.failed = failed.data();
    const index_t size = likelihood_size(n_, static_cast<int>(x_.cols), static_cast<int>(b));
    likelihood(session.id(), metric.view(), task, workspace(size));
    check_launch("likelihood");
    to_host(results.value, task.value, b, stream_);
    to_host(results.gradient, task.gradient, b * p, stream_);
    to_host(results.by_noise, task.by_noise, b * n_, stream_);
    stream_.synchronise();
}

void Likelihoods::alone(const Session& session, const krige::Metric& setting, const double* noise,
                        const LikelihoodResults& results) {
    const index_t stride = padded(n_);
    const index_t d = setting.d();
    const index_t sums = contract_hyper_size(n_, static_cast<int>(d), 1);
    const DeviceMetric metric(setting, stream_);
    const DevicePoints<double> points(x_, metric.view(), stream_);
    // noise or z, alpha, the inverse's diagonal, sums, value
    DeviceArray<double> vectors(index_t{3} * n_ + d + 1, stream_);
    double* z = vectors.data();
    double* alpha = z + n_;
    double* of_inverse = alpha + n_;
    double* by_place = of_inverse + n_;
    double* value = by_place + d;
    double* matrix = workspace(n_ * stride + sums);
    const Matrices<double> l{matrix, stride};
    std::fill_n(results.gradient, d + 1, 0.0);
    std::fill_n(results.by_noise, n_, 0.0);
    results.value[0] = -std::numeric_limits<double>::infinity();
    to_device(z, noise, n_, stream_);
    kernel_lower(session.id(), metric.view(), points.view(), z, n_, 0.0, l);
    check_launch("kernel_lower");
    if (factor_and_wait(session, l, n_) >= 0) return;
    copy_within(z, y_.data(), n_, stream_);
    solve_vector(session, l, n_, z, false);
    likelihood_value(session.id(), l, n_, z, nullptr, false, value);
    check_launch("likelihood_value");
    copy_within(alpha, z, n_, stream_);
    solve_vector(session, l, n_, alpha, true);
    invert_from_factor(session, l, n_);
    contract_hyper(session.id(), metric.view(), points.view(), l, alpha, matrix + n_ * stride,
                   by_place);
    check_launch("contract_hyper");
    diagonal(session.id(), l, n_, of_inverse);
    check_launch("diagonal");
    finish(setting, noise, {of_inverse, alpha, by_place, value}, results);
}

// What is left is n numbers: half the diagonal of (alpha alpha^T - K^-1), and for the variance half
// of tr((alpha alpha^T - K^-1) K) = y^T alpha - n, less the noise's part of K.
void Likelihoods::finish(const krige::Metric& setting, const double* noise, const Solved& solved,
                         const LikelihoodResults& results) {
    const auto n = static_cast<std::size_t>(n_);
    std::vector<double> alpha(n);
    std::vector<double> diagonal(n);
    std::vector<double> y(n);
    std::vector<double> by_place(setting.order.size());
    HostUse use(stream_);
    to_host(results.value, solved.value, 1, stream_);
    to_host(alpha.data(), solved.alpha, n_, stream_);
    to_host(y.data(), y_.data(), n_, stream_);
    to_host(by_place.data(), solved.by_place, setting.d(), stream_);
    to_host(diagonal.data(), solved.diagonal, n_, stream_);
    use.synchronise();
    double by_variance = -static_cast<double>(n_);
    for (std::size_t i = 0; i < n; ++i) {
        const double weight = alpha[i] * alpha[i] - diagonal[i];
        results.by_noise[i] = 0.5 * weight;
        by_variance += y[i] * alpha[i] - weight * noise[i];
    }
    for (std::size_t place = 0; place < by_place.size(); ++place)
        results.gradient[setting.order[place]] = by_place[place];
    results.gradient[setting.d()] = 0.5 * by_variance;
}

}  // namespace krige_cuda
