// The prior of the hyperparameters: its slope against differences, and its shift against a search.
#include <vector>

#include "doctest/doctest.h"
#include "krige/prior.hpp"

using krige::index_t;

namespace {

struct Believed {
    Believed(index_t columns, double in_common) : d(columns), shared(in_common) {
        for (index_t i = 0; i < d + 2; ++i) {
            const auto at = static_cast<double>(i);
            mean.push_back(0.3 * at - 0.5);
            deviation.push_back(0.6 + 0.2 * at);
            theta.push_back(0.9 - 0.4 * at);
        }
    }

    double density(const std::vector<double>& at, std::vector<double>& slope) const {
        const krige::Prior prior{mean.data(), deviation.data(), nullptr, nullptr, shared};
        return krige::add_log_density(prior, d, at.data(), slope.data());
    }

    double density(const std::vector<double>& at) const {
        std::vector<double> slope(at.size(), 0.0);
        return density(at, slope);
    }

    index_t d;
    double shared;
    std::vector<double> mean, deviation, theta;
};

}  // namespace

TEST_CASE("the slope is the density's, and is added to one that is there") {
    for (const index_t d : {0, 1, 4}) {
        for (const double shared : {0.0, 0.7}) {
            const Believed b(d, shared);
            std::vector<double> slope(b.theta.size(), 3.0);
            b.density(b.theta, slope);
            for (std::size_t i = 0; i < b.theta.size(); ++i) {
                std::vector<double> above = b.theta, below = b.theta;
                above[i] += 1e-6;
                below[i] -= 1e-6;
                const double difference = (b.density(above) - b.density(below)) / 2e-6;
                CHECK(slope[i] - 3.0 == doctest::Approx(difference).epsilon(1e-6));
            }
        }
    }
}

TEST_CASE("the shift in common is the most probable one") {
    const Believed together(3, 0.7);
    const Believed apart(3, 0.0);
    double best = -1e300;
    for (double shift = -3.0; shift <= 3.0; shift += 1e-3) {
        std::vector<double> moved = apart.theta;
        for (std::size_t i = 0; i < 3; ++i) moved[i] -= shift;
        const double joint = apart.density(moved) - 0.5 * (shift / 0.7) * (shift / 0.7);
        best = joint > best ? joint : best;
    }
    CHECK(together.density(together.theta) == doctest::Approx(best).epsilon(1e-5));
}
