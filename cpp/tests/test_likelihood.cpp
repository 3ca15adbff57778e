#include <doctest/doctest.h>

#include "krige/likelihood.hpp"
#include "problem.hpp"

using namespace krige;
using namespace krige::tests;

namespace {

double value_of(const Problem& p) {
    Doubles gradient(static_cast<std::size_t>(p.d + 1));
    Doubles by_noise(static_cast<std::size_t>(p.n));
    return log_likelihood(p.points(), p.y.data(), p.noise.data(), p.hyper(), gradient.data(),
                          by_noise.data());
}

}  // namespace

TEST_CASE("likelihood of one observation is a normal density") {
    const Problem p(1, 1, 2);
    const double total = p.variance + p.noise[0];
    const double expected =
        -0.5 * (p.y[0] * p.y[0] / total + std::log(2 * std::acos(-1.0) * total));
    double gradient[3];
    double by_noise[1];
    CHECK(log_likelihood(p.points(), p.y.data(), p.noise.data(), p.hyper(), gradient, by_noise) ==
          doctest::Approx(expected).epsilon(1e-14));
    const double by_total = 0.5 * (p.y[0] * p.y[0] / total - 1) / total;
    CHECK(gradient[0] == 0.0);
    CHECK(gradient[1] == 0.0);
    CHECK(gradient[2] == doctest::Approx(by_total * p.variance).epsilon(1e-13));
    CHECK(by_noise[0] == doctest::Approx(by_total).epsilon(1e-13));
}

TEST_CASE("likelihood gradients are slopes") {
    for (const Family family : families) {
        Problem p(2, 23, 4, 0, family);
        Doubles gradient(5);
        Doubles by_noise(23);
        log_likelihood(p.points(), p.y.data(), p.noise.data(), p.hyper(), gradient.data(),
                       by_noise.data());
        const auto check = [&](double& parameter, double found) {
            const double kept = parameter;
            const double expected = slope([&](double h) {
                parameter = kept * std::exp(h);
                return value_of(p);
            });
            parameter = kept;
            CHECK(found == doctest::Approx(expected).epsilon(1e-7));
        };
        for (std::size_t j = 0; j < 4; ++j) check(p.lengthscales[j], gradient[j]);
        check(p.variance, gradient[4]);
        for (std::size_t i = 0; i < 23; ++i) check(p.noise[i], by_noise[i] * p.noise[i]);
    }
}

TEST_CASE("a singular matrix has likelihood -inf and no gradient") {
    Problem p(3, 4, 2);
    p.noise.assign(4, 0.0);
    p.variance = 1.0;
    p.lengthscales.assign(2, 1e-4);
    p.x[2] = p.x[0];
    p.x[3] = p.x[1];
    Doubles gradient(3, 1.0);
    Doubles by_noise(4, 1.0);
    const double value = log_likelihood(p.points(), p.y.data(), p.noise.data(), p.hyper(),
                                        gradient.data(), by_noise.data());
    CHECK(std::isinf(value));
    CHECK(value < 0);
    CHECK(gradient == Doubles(3, 0.0));
    CHECK(by_noise == Doubles(4, 0.0));
}

TEST_CASE("likelihood has the same bits at AVX2 and AVX-512") {
    for (const Family family : families) {
        const Problem p(4, 157, 5, 0, family);
        const auto [narrow, wide] = at_both_levels([&] {
            Doubles out(1 + 6 + 157);
            out[0] =
                log_likelihood(p.points(), p.y.data(), p.noise.data(), p.hyper(), &out[1], &out[7]);
            return out;
        });
        CHECK(same_bits(narrow, wide));
    }
}
