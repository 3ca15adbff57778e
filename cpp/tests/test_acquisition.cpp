#include <doctest/doctest.h>

#include "krige/acquisition.hpp"
#include "krige/formulas.hpp"
#include "problem.hpp"

using namespace krige;
using namespace krige::tests;

namespace {

// a, Phi(-a) / phi(a), and 1 - a times it; from 120-digit arithmetic
constexpr double exact[][3] = {
    {0.0, 1.2533141373155002512, 1.0},
    {0.001, 1.2523147636393921733, 0.99874768523636060783},
    {0.5, 0.87636445645369234673, 0.56181777177315382664},
    {1.0, 0.65567954241879847154, 0.34432045758120152846},
    {2.0, 0.42136922928805447322, 0.15726154142389105355},
    {3.75, 0.25076111144396502663, 0.059645832085131150137},
    {5.0, 0.19280810471531576488, 0.035959476423421175613},
    {8.0, 0.12313196325793229628, 0.014944293936541629743},
    {13.0, 0.076475761016248502993, 0.0058151067887694610846},
    {20.0, 0.049875925981836783658, 0.0024814803632643268352},
    {30.0, 0.033296419072497213382, 0.0011074278250835985439},
    {38.0, 0.026297602974252964378, 0.0006910869783873536518},
    {100.0, 0.0099990002998501049056, 0.000099970014989509439618},
    {1000.0, 0.000999999000002999985, 9.99997000014999895e-7},
    {1.0e+6, 9.99999999999e-7, 9.99999999997e-13},
    {1.0e+9, 9.99999999999999999e-10, 9.99999999999999997e-19},
};

AcquisitionPoint at(AcquisitionKind kind, double z) {
    return acquire({kind, z, 2.0, 0.0}, 0.0, 1.0);
}

}  // namespace

TEST_CASE("Mills ratio and tail gain") {
    for (const auto& [a, mills, gain] : exact) {
        CHECK(mills_ratio(a) == doctest::Approx(mills).epsilon(2e-15));
        CHECK(tail_gain(a) == doctest::Approx(gain).epsilon(2e-15));
    }
    // against the C library where it does not cancel
    for (double a = 0.0; a < 6.0; a += 0.01) {
        const double density = inverse_sqrt_2pi * std::exp(-0.5 * a * a);
        CHECK(density * mills_ratio(a) ==
              doctest::Approx(0.5 * std::erfc(a / std::sqrt(2.0))).epsilon(1e-14));
    }
}

TEST_CASE("expected improvement and its logarithm in the tail") {
    for (const auto& [a, mills, gain] : exact) {
        const double log_density = -0.5 * a * a - log_sqrt_2pi;
        const double expected = log_density + std::log(gain);
        CHECK(at(AcquisitionKind::logei, -a).value == doctest::Approx(expected).epsilon(1e-14));
        CHECK(at(AcquisitionKind::logei, -a).by_mean ==
              doctest::Approx(-mills / gain).epsilon(1e-14));
        CHECK(at(AcquisitionKind::logei, -a).by_deviation ==
              doctest::Approx(1.0 / gain).epsilon(1e-14));
        if (a > 37.0) continue;
        CHECK(at(AcquisitionKind::ei, -a).value ==
              doctest::Approx(std::exp(log_density) * gain).epsilon(1e-13));
        CHECK(at(AcquisitionKind::pi, -a).value ==
              doctest::Approx(std::exp(log_density) * mills).epsilon(1e-13));
    }
    CHECK(std::isfinite(at(AcquisitionKind::logei, -1e150).value));
    CHECK(at(AcquisitionKind::ei, -1e6).value == 0.0);
    CHECK(at(AcquisitionKind::ei, 50.0).value == 50.0);
    CHECK(at(AcquisitionKind::pi, 50.0).value == 1.0);
}

TEST_CASE("h(z) - h(-z) is z, Phi(z) + Phi(-z) is one") {
    for (double z = 0.0; z < 10.0; z += 0.037) {
        CHECK(at(AcquisitionKind::ei, z).value - at(AcquisitionKind::ei, -z).value ==
              doctest::Approx(z).epsilon(1e-14));
        CHECK(at(AcquisitionKind::pi, z).value + at(AcquisitionKind::pi, -z).value ==
              doctest::Approx(1.0).epsilon(1e-15));
    }
}

TEST_CASE("acquisition derivatives are slopes") {
    for (const AcquisitionKind kind :
         {AcquisitionKind::ucb, AcquisitionKind::lcb, AcquisitionKind::ei, AcquisitionKind::logei,
          AcquisitionKind::pi}) {
        for (const double mean : {-2.0, -0.31, 0.0, 0.7, 4.0}) {
            for (const double deviation : {0.2, 1.0, 3.0}) {
                const Acquisition acquisition{kind, 0.1, 1.3, 0.02};
                const AcquisitionPoint found = acquire(acquisition, mean, deviation);
                const double step = 1e-3 * deviation;
                const double by_mean =
                    slope([&](double h) { return acquire(acquisition, mean + h, deviation).value; },
                          step);
                const double by_deviation =
                    slope([&](double h) { return acquire(acquisition, mean, deviation + h).value; },
                          step);
                CHECK(found.by_mean == doctest::Approx(by_mean).epsilon(1e-7));
                CHECK(found.by_deviation == doctest::Approx(by_deviation).epsilon(1e-7));
            }
        }
    }
}

TEST_CASE("many candidates at once") {
    const double mean[] = {0.0, -1.0, 2.0};
    const double variance[] = {1.0, 0.25, 4.0};
    const Acquisition acquisition{AcquisitionKind::ei, 0.5, 0.0, 0.0};
    double value[3];
    acquire(acquisition, 3, mean, variance, value);
    for (int c = 0; c < 3; ++c)
        CHECK(value[c] == acquire(acquisition, mean[c], std::sqrt(variance[c])).value);
    acquire(acquisition, 0, nullptr, nullptr, nullptr);
}
