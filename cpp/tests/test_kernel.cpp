#include <doctest/doctest.h>

#include "krige/formulas.hpp"
#include "krige/kernel.hpp"
#include "krige/parallel.hpp"
#include "problem.hpp"

using namespace krige;
using namespace krige::tests;

TEST_CASE("a root from a rough estimate of its reciprocal") {
    for (const double x : {0x1p-1022, 1e-300, 1e-20, 0.3, 1.0, 2.0, 7e9, 1e300}) {
        for (const double error : {-0x1p-19, -1e-9, 0.0, 0x1p-19}) {
            const double estimate = (1.0 + error) / std::sqrt(x);
            CHECK(std::fabs(krige::root_from(x, estimate) / std::sqrt(x) - 1.0) < 4e-16);
        }
    }
    CHECK(krige::root_from(0.0, 1.0 / std::sqrt(0x1p-1022)) == 0.0);
}

TEST_CASE("exp_minus is exp") {
    std::mt19937_64 random(1);
    for (const double x : uniform(random, 20000, 0.0, 708.0)) {
        const long double exact = std::exp(-static_cast<long double>(x));
        CHECK(std::fabs(static_cast<double>(exp_minus(x) / exact - 1)) < 4e-16);
    }
    CHECK(exp_minus(0.0) == 1.0);
    for (const double x : {709.0, 1e3, 1e10, 1e300}) CHECK(exp_minus(x) == 0.0);
}

TEST_CASE("kernel matrices follow their definition") {
    for (const Family family : families) {
        for (const index_t n : {0, 1, 3, 4, 5, 16, 17, 37, 290}) {
            for (const index_t d : {1, 2, 5, 9}) {
                const Problem p(static_cast<unsigned>(n * 10 + d), n, d, 21, family);
                Doubles out(static_cast<std::size_t>(n * 21));
                kernel_matrix(p.points(), p.queries(), p.hyper(), view(out, n, 21));
                for (index_t i = 0; i < n; ++i) {
                    for (index_t c = 0; c < 21; ++c) {
                        const long double exact =
                            definition(p.hyper(), p.points().row(i), p.queries().row(c));
                        CHECK(view(out, n, 21)(i, c) ==
                              doctest::Approx(static_cast<double>(exact)).epsilon(2e-15));
                    }
                }
                Doubles lower(static_cast<std::size_t>(n * n), -1.0);
                kernel_lower(Points(p.points(), Metric(p.hyper())), Metric(p.hyper()),
                             view(lower, n, n));
                Doubles full(lower.size());
                kernel_matrix(p.points(), p.points(), p.hyper(), view(full, n, n));
                for (index_t i = 0; i < n; ++i) {
                    const double rounding = family == Family::additive52 ? 1e-15 : 0.0;
                    CHECK(std::fabs(view(full, n, n)(i, i) - p.variance) <= rounding * p.variance);
                    for (index_t c = 0; c <= i; ++c)
                        CHECK(view(full, n, n)(i, c) == view(lower, n, n)(i, c));
                    for (index_t c = 0; c < i; ++c)
                        CHECK(view(full, n, n)(i, c) == view(full, n, n)(c, i));
                }
                Doubles mirrored(lower.size());
                kernel_symmetric(p.points(), p.hyper(), view(mirrored, n, n));
                CHECK(mirrored == full);
            }
        }
    }
}

TEST_CASE("additive kernels whose coordinates are too large for exponentials") {
    Problem p(3, 30, 5, 40, Family::additive52);
    p.lengthscales[0] = 1e-3;
    const Metric metric(p.hyper());
    CHECK(Points(p.points(), metric).places == 5);
    for (index_t i = 0; i < 5; ++i)
        p.x[static_cast<std::size_t>(5 * i)] = p.candidates[0] + 1e-4 * static_cast<double>(i);
    Doubles out(30 * 40);
    kernel_matrix(p.points(), p.queries(), p.hyper(), view(out, 30, 40));
    for (index_t i = 0; i < 30; ++i) {
        for (index_t c = 0; c < 40; ++c) {
            const long double exact = definition(p.hyper(), p.points().row(i), p.queries().row(c));
            CHECK(view(out, 30, 40)(i, c) ==
                  doctest::Approx(static_cast<double>(exact)).epsilon(1e-13));
        }
    }
}

TEST_CASE("kernel derivatives are slopes") {
    for (const Family family : families) {
        Problem p(7, 6, 4, 5, family);
        const std::size_t block = 30;
        Doubles by_hyper(block * 5);
        Doubles by_query(block * 4);
        kernel_by_hyper(p.points(), p.queries(), p.hyper(), by_hyper.data());
        kernel_by_query(p.points(), p.queries(), p.hyper(), by_query.data());
        for (index_t i = 0; i < 6; ++i) {
            for (index_t c = 0; c < 5; ++c) {
                const auto at = static_cast<std::size_t>(i * 5 + c);
                const auto value = [&] {
                    return static_cast<double>(
                        definition(p.hyper(), p.points().row(i), p.queries().row(c)));
                };
                for (std::size_t j = 0; j < 4; ++j) {
                    const double kept = p.lengthscales[j];
                    const double expected = slope([&](double h) {
                        p.lengthscales[j] = kept * std::exp(h);
                        return value();
                    });
                    p.lengthscales[j] = kept;
                    CHECK(by_hyper[j * block + at] == doctest::Approx(expected).epsilon(1e-8));
                    double& coordinate = p.x[static_cast<std::size_t>(i) * 4 + j];
                    const double before = coordinate;
                    const double by_coordinate = slope([&](double h) {
                        coordinate = before + h;
                        return value();
                    });
                    coordinate = before;
                    if (p.categorical[j] != 0) {
                        CHECK(by_query[j * block + at] == 0.0);
                    } else {
                        CHECK(by_query[j * block + at] ==
                              doctest::Approx(by_coordinate).epsilon(1e-6));
                    }
                }
                CHECK(by_hyper[4 * block + at] == doctest::Approx(value()).epsilon(1e-14));
            }
        }
    }
}

TEST_CASE("contractions are sums over the derivative matrices") {
    for (const Family family : families) {
        for (const index_t n : {1, 2, 4, 19, 150}) {
            const Problem p(3, n, 5, 0, family);
            const Metric metric(p.hyper());
            std::mt19937_64 random(4);
            const Doubles inverse = uniform(random, n * n);
            Doubles derivatives(static_cast<std::size_t>(n * n * 6));
            kernel_by_hyper(p.points(), p.points(), p.hyper(), derivatives.data());
            Doubles by_place(5);
            contract_hyper(Points(p.points(), metric), metric, view(inverse, n, n), p.y.data(),
                           by_place.data());
            for (index_t place = 0; place < 5; ++place) {
                const index_t j = metric.order[static_cast<std::size_t>(place)];
                double expected = 0.0;
                for (index_t i = 0; i < n; ++i) {
                    for (index_t c = 0; c < i; ++c) {
                        const double weight =
                            p.y[static_cast<std::size_t>(i)] * p.y[static_cast<std::size_t>(c)] -
                            inverse[static_cast<std::size_t>(i * n + c)];
                        expected +=
                            weight * derivatives[static_cast<std::size_t>((j * n + i) * n + c)];
                    }
                }
                CHECK(by_place[static_cast<std::size_t>(place)] ==
                      doctest::Approx(expected).epsilon(1e-11));
            }
        }
    }
}

TEST_CASE("nothing overflows at huge distances") {
    for (const Family family : families) {
        for (const double lengthscale : {1e-300, 1e-150, 1e-8}) {
            Problem p(5, 6, 3, 5, family);
            p.lengthscales.assign(3, lengthscale);
            p.x[0] = 1e300;
            Doubles out(30 * 4);
            kernel_by_hyper(p.points(), p.queries(), p.hyper(), out.data());
            for (const double value : out) CHECK(std::isfinite(value));
            kernel_by_query(p.points(), p.queries(), p.hyper(), out.data());
            for (const double value : out) CHECK(std::isfinite(value));
            kernel_matrix(p.points(), p.queries(), p.hyper(), view(out, 6, 5));
            for (const double value : out) CHECK(std::isfinite(value));
        }
    }
}

TEST_CASE("AVX2 and AVX-512, one thread and three give the same bits") {
    for (const Family family : families) {
        const Problem p(11, 203, 7, 0, family);
        const auto compute = [&] {
            const Metric metric(p.hyper());
            const Points points(p.points(), metric);
            Doubles out(203 * 203 + 7);
            kernel_lower(points, metric, view(out, 203, 203));
            contract_hyper(points, metric, view(out, 203, 203), p.y.data(), out.data() + 203 * 203);
            for (index_t i = 0; i < 203; ++i) {  // what lies above the diagonal is unspecified
                for (index_t c = i + 1; c < 203; ++c) view(out, 203, 203)(i, c) = 0.0;
            }
            return out;
        };
        const auto [narrow, wide] = at_both_levels(compute);
        CHECK(same_bits(narrow, wide));
        const Doubles alone = compute();
        const int before = threads();
        set_threads(3);
        CHECK(same_bits(compute(), alone));
        set_threads(before);
    }
}
