#include <doctest/doctest.h>

#include "krige/likelihood.hpp"
#include "krige/parallel.hpp"
#include "krige/posterior.hpp"
#include "problem.hpp"

using namespace krige;
using namespace krige::tests;

namespace {

Posterior fitted(const Problem& p) {
    return {p.points(), p.y.data(), p.noise.data(), p.hyper(), 0.0};
}

// mean, then variance
Doubles moments(const Posterior& posterior, ConstMatrix x) {
    Doubles out(static_cast<std::size_t>(2 * x.rows));
    posterior.predict(x, out.data(), out.data() + x.rows);
    return out;
}

// value, then gradient
Doubles scored(const Posterior& posterior, ConstMatrix x, const Acquisition& acquisition) {
    Doubles out(static_cast<std::size_t>((x.cols + 1) * x.rows));
    posterior.score(x, acquisition, out.data(), {out.data() + x.rows, x.rows, x.cols, x.cols});
    return out;
}

constexpr AcquisitionKind kinds[] = {AcquisitionKind::ucb, AcquisitionKind::lcb,
                                     AcquisitionKind::ei, AcquisitionKind::logei,
                                     AcquisitionKind::pi};

}  // namespace

TEST_CASE("posterior of one observation") {
    for (const Family family : families) {
        const Problem p(1, 1, 2, 9, family);
        const Doubles found = moments(fitted(p), p.queries());
        const double total = p.variance + p.noise[0];
        for (std::size_t c = 0; c < 9; ++c) {
            const auto k =
                static_cast<double>(definition(p.hyper(), p.x.data(), p.candidates.data() + 2 * c));
            CHECK(found[c] == doctest::Approx(k * p.y[0] / total).epsilon(1e-13));
            CHECK(found[9 + c] == doctest::Approx(p.variance - k * k / total).epsilon(1e-13));
        }
    }
}

TEST_CASE("a noiseless posterior passes through its observations") {
    Problem p(2, 30, 4);
    p.noise.assign(30, 0.0);
    const Doubles found = moments(fitted(p), p.points());
    for (std::size_t i = 0; i < 30; ++i) {
        CHECK(found[i] == doctest::Approx(p.y[i]).epsilon(1e-7));
        CHECK(found[30 + i] >= variance_floor * p.variance);
        CHECK(found[30 + i] < 1e-10);
    }
}

TEST_CASE("a block of candidates is each candidate alone") {
    const Problem p(3, 70, 6, 1100);
    const Posterior posterior = fitted(p);
    const Doubles all = moments(posterior, p.queries());
    for (const index_t c : {0, 1, 511, 512, 777, 1099}) {
        const Doubles one = moments(posterior, p.queries().block(c, 0, 1, 6));
        CHECK(one[0] == doctest::Approx(all[static_cast<std::size_t>(c)]).epsilon(1e-11));
        CHECK(one[1] == doctest::Approx(all[static_cast<std::size_t>(1100 + c)]).epsilon(1e-11));
    }
    CHECK(moments(posterior, p.queries().block(0, 0, 0, 6)).empty());
}

TEST_CASE("extending is fitting again") {
    const Problem p(4, 61, 5, 40);
    for (const index_t n : {1, 30, 58, 61}) {
        const Doubles other(static_cast<std::size_t>(n), 0.5);
        const Posterior base({p.x.data(), n, 5, 5}, other.data(), p.noise.data(), p.hyper(), 1e-3);
        const Posterior extended(base, p.points().block(n, 0, 61 - n, 5), p.y.data(),
                                 p.noise.data() + n);
        const Posterior whole(p.points(), p.y.data(), p.noise.data(), p.hyper(), 1e-3);
        CHECK(extended.count() == 61);
        CHECK(extended.log_likelihood() == doctest::Approx(whole.log_likelihood()).epsilon(1e-12));
        const Doubles found = moments(extended, p.queries());
        const Doubles expected = moments(whole, p.queries());
        for (std::size_t i = 0; i < found.size(); ++i)
            CHECK(found[i] == doctest::Approx(expected[i]).epsilon(1e-10));
    }
}

TEST_CASE("failed pivots are reported") {
    Problem p(5, 8, 2);
    p.noise.assign(8, 0.0);
    p.variance = 1.0;
    p.lengthscales.assign(
        2, 1e-4);  // nothing rounds: the matrix is the identity but for the twin rows
    for (const std::size_t j : {0, 1}) p.x[10 + j] = p.x[2 + j];
    CHECK(fitted(p).failed_pivot() == 5);
    const Posterior base({p.x.data(), 4, 2, 2}, p.y.data(), p.noise.data(), p.hyper(), 0.0);
    CHECK(base.failed_pivot() == -1);
    CHECK(
        Posterior(base, p.points().block(4, 0, 4, 2), p.y.data(), p.noise.data()).failed_pivot() ==
        5);
}

TEST_CASE("fit and likelihood agree") {
    const Problem p(6, 44, 3);
    Doubles gradient(4);
    Doubles by_noise(44);
    const double value = log_likelihood(p.points(), p.y.data(), p.noise.data(), p.hyper(),
                                        gradient.data(), by_noise.data());
    CHECK(fitted(p).log_likelihood() == doctest::Approx(value).epsilon(1e-13));
}

TEST_CASE("an additive posterior is extended by points too far away for exponentials") {
    Problem p(17, 20, 4, 9, Family::additive52);
    p.x[4 * 15] = 1e3;
    const Posterior whole = fitted(p);
    const Posterior part({p.x.data(), 15, 4, 4}, p.y.data(), p.noise.data(), p.hyper(), 0.0);
    const Posterior extended(part, {p.x.data() + 4 * 15, 5, 4, 4}, p.y.data(), p.noise.data() + 15);
    const Doubles expected = moments(whole, p.queries());
    const Doubles found = moments(extended, p.queries());
    for (std::size_t c = 0; c < expected.size(); ++c)
        CHECK(found[c] == doctest::Approx(expected[c]).epsilon(1e-12));
}

TEST_CASE("score gradients are slopes") {
    for (const Family family : families) {
        for (const index_t m : {1, 7, 16, 70}) {
            Problem p(8, 26, 4, m, family);
            const Posterior posterior = fitted(p);
            for (const AcquisitionKind kind : kinds) {
                const Acquisition acquisition{kind, -0.2, 1.5, 0.01};
                const Doubles found = scored(posterior, p.queries(), acquisition);
                const auto size = static_cast<std::size_t>(m);
                Doubles plain(size);
                posterior.score(p.queries(), acquisition, plain.data(), {nullptr, m, 4, 4});
                for (std::size_t c = 0; c < size; ++c)
                    CHECK(plain[c] == doctest::Approx(found[c]).epsilon(1e-11));
                for (std::size_t k = 0; k < 4 * size; k += 5) {
                    double& coordinate = p.candidates[k];
                    const double kept = coordinate;
                    const double expected = slope([&](double h) {
                        coordinate = kept + h;
                        return scored(posterior, p.queries(), acquisition)[k / 4];
                    });
                    coordinate = kept;
                    if (p.categorical[k % 4] != 0) {
                        CHECK(found[size + k] == 0.0);
                    } else {
                        CHECK(found[size + k] == doctest::Approx(expected).epsilon(1e-6));
                    }
                }
            }
        }
    }
}

TEST_CASE("samples have the posterior mean and covariance") {
    const Problem p(9, 20, 3, 6);
    const Posterior posterior = fitted(p);
    Doubles normals(7 * 6, 0.0);
    for (std::size_t c = 0; c < 6; ++c) normals[6 + 6 * c + c] = 1.0;
    Doubles out(7 * 6);
    REQUIRE(posterior.sample(p.queries(), view(normals, 7, 6), 1e-9, view(out, 7, 6)) == -1);
    const Doubles expected = moments(posterior, p.queries());
    for (std::size_t c = 0; c < 6; ++c) {
        CHECK(out[c] == doctest::Approx(expected[c]).epsilon(1e-12));
        double variance = 0.0;  // sum of squares of row c of the factor
        for (std::size_t k = 1; k < 7; ++k)
            variance += (out[6 * k + c] - out[c]) * (out[6 * k + c] - out[c]);
        CHECK(variance == doctest::Approx(expected[6 + c] + 1e-9 * p.variance).epsilon(1e-10));
    }
    Problem apart(9, 4, 3);
    apart.variance = 1.0;
    apart.lengthscales.assign(3, 1e-4);  // the prior's covariance of twins, without rounding
    const Doubles twice(6, 0.5);
    CHECK(fitted(apart).sample(view(twice, 2, 3), view(normals, 1, 2), 0.0, view(out, 1, 2)) == 1);
}

TEST_CASE("posterior has the same bits at AVX2 and AVX-512, with one thread and with two") {
    const Problem p(10, 131, 6, 1500);
    const auto compute = [&] {
        const Posterior posterior = fitted(p);
        Doubles out = moments(posterior, p.queries());
        const Doubles more =
            scored(posterior, p.queries(), {AcquisitionKind::logei, -0.3, 2.0, 0.0});
        out.insert(out.end(), more.begin(), more.end());
        return out;
    };
    const auto [narrow, wide] = at_both_levels(compute);
    CHECK(same_bits(narrow, wide));
    const Doubles alone = compute();
    const int before = threads();
    set_threads(2);
    CHECK(same_bits(compute(), alone));
    set_threads(before);
}
