#include "krige/maxima.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "krige/likelihood.hpp"
#include "krige/parallel.hpp"

namespace krige {
namespace {

// the negative log posterior density of one theta, and its slope
double surprise(ConstMatrix x, const double* y, const double* known, Hyper hyper,
                const Prior& prior, const double* theta, double* slope) {
    const index_t n = x.rows;
    const index_t d = hyper.d;
    std::vector<double> lengthscales(static_cast<std::size_t>(d));
    std::vector<double> noise(static_cast<std::size_t>(2 * n));
    for (index_t i = 0; i < d; ++i) lengthscales[static_cast<std::size_t>(i)] = std::exp(theta[i]);
    hyper.lengthscales = lengthscales.data();
    hyper.variance = std::exp(theta[d]);
    const double learned = std::exp(theta[d + 1]);
    for (index_t i = 0; i < n; ++i) noise[static_cast<std::size_t>(i)] = known[i] + learned;
    double* by_noise = noise.data() + n;
    const double likelihood = log_likelihood(x, y, noise.data(), hyper, slope, by_noise);
    double sum = 0.0;
    for (index_t i = 0; i < n; ++i) sum += by_noise[i];
    slope[d + 1] = sum * learned;
    const double density = add_log_density(prior, d, theta, slope);
    for (index_t i = 0; i < d + 2; ++i) slope[i] = -slope[i];
    return -(likelihood + density);
}

// the penalty of one point x (d), whose slope is added to one that is there
double penalise(const Penalty& penalty, const double* x, double* slope, index_t d) {
    double squared = 0.0;
    for (index_t j = 0; j < d; ++j) {
        const double below = std::max(penalty.lower[j] - x[j], 0.0);
        const double above = std::max(x[j] - penalty.upper[j], 0.0);
        squared += below * below + above * above;
        slope[j] += 2.0 * penalty.strength * (above - below);
    }
    return penalty.strength * squared;
}

}  // namespace

void most_likely(ConstMatrix x, const double* y, const double* known, const Hyper& hyper,
                 const Prior& prior, const Effort& effort, Matrix theta, double* density) {
    const index_t b = theta.rows;
    const Function function = [&](ConstMatrix points, double* value, Matrix slope) {
        parallel_for(points.rows, points.rows * x.rows * x.rows * x.rows, [&](index_t i) {
            value[i] = surprise(x, y, known, hyper, prior, points.row(i), slope.row(i));
        });
    };
    const ConstMatrix lower{prior.lower, b, hyper.d + 2, 0};  // the same box for every start
    const ConstMatrix upper{prior.upper, b, hyper.d + 2, 0};
    descend(function, lower, upper, effort, theta, density);
    for (index_t i = 0; i < b; ++i) density[i] = -density[i];
}

void climb(const Function& score, const Penalty* penalty, ConstMatrix lower, ConstMatrix upper,
           const Effort& effort, Matrix x, double* value) {
    const Function function = [&](ConstMatrix points, double* f, Matrix slope) {
        score(points, f, slope);
        for (index_t i = 0; i < points.rows; ++i) {
            f[i] = -f[i];
            for (index_t j = 0; j < points.cols; ++j) slope(i, j) = -slope(i, j);
            if (penalty != nullptr)
                f[i] += penalise(*penalty, points.row(i), slope.row(i), points.cols);
        }
    };
    descend(function, lower, upper, effort, x, value);
    for (index_t i = 0; i < x.rows; ++i) value[i] = -value[i];
}

void ascend(const Posterior& posterior, const Acquisition& acquisition, const Penalty* penalty,
            ConstMatrix lower, ConstMatrix upper, const Effort& effort, Matrix x, double* value) {
    const Function score = [&](ConstMatrix points, double* f, Matrix slope) {
        posterior.score(points, acquisition, f, slope);
    };
    climb(score, penalty, lower, upper, effort, x, value);
}

}  // namespace krige
