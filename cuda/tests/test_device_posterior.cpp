#include "device_problem.hpp"
#include "krige/acquisition.hpp"
#include "krige/posterior.hpp"

using namespace krige_cuda;
using namespace krige_cuda::tests;
using krige::AcquisitionKind;
using krige::Posterior;

namespace {

constexpr AcquisitionKind kinds[] = {AcquisitionKind::ucb, AcquisitionKind::lcb,
                                     AcquisitionKind::ei, AcquisitionKind::logei,
                                     AcquisitionKind::pi};

// the solved right sides of a problem's candidates, from the C++ core
template <class T>
struct Solved {
    explicit Solved(const Problem& p)
        : posterior(p.points(), p.y.data(), p.noise.data(), p.hyper(), 0.0),
          panel(p.m, p.n),
          beta(p.m, p.n),
          z(p.n),
          alpha(p.n) {
        REQUIRE(posterior.failed_pivot() == -1);
        Doubles cross(static_cast<std::size_t>(p.n * p.m));
        krige::kernel_matrix(p.points(), p.queries(), p.hyper(),
                             krige::tests::view(cross, p.n, p.m));
        krige::solve_lower(posterior.factor(), krige::tests::view(cross, p.n, p.m));
        transpose(cross, p, panel);
        krige::solve_lower_transposed(posterior.factor(), krige::tests::view(cross, p.n, p.m));
        transpose(cross, p, beta);
        Doubles solved = p.y;
        krige::solve_lower(posterior.factor(), krige::tests::view(solved, p.n, 1));
        for (index_t i = 0; i < p.n; ++i) {
            z[i] = static_cast<T>(solved[static_cast<std::size_t>(i)]);
            alpha[i] = static_cast<T>(posterior.alpha()[i]);
        }
    }
    static void transpose(const Doubles& from, const Problem& p, DeviceMatrices<T>& to) {
        for (index_t c = 0; c < p.m; ++c)
            for (index_t i = 0; i < p.n; ++i)
                to.at(c, i) = static_cast<T>(from[static_cast<std::size_t>(i * p.m + c)]);
    }

    Posterior posterior;
    DeviceMatrices<T> panel, beta;
    Array<T> z, alpha;
};

template <class T>
Doubles moments(const Problem& p, Solved<T>& solved) {
    const DeviceMetric metric(p);
    Array<double> mean(p.m);
    Array<double> variance(p.m);
    posterior_moments<T>(nullptr, metric.view(), solved.panel.view(), static_cast<int>(p.m),
                         static_cast<int>(p.n), solved.z.data(), mean.data(), variance.data());
    CHECK(mean.intact());
    CHECK(variance.intact());
    Doubles out = mean.values();
    const Doubles more = variance.values();
    out.insert(out.end(), more.begin(), more.end());
    return out;
}

// value, then gradient
Doubles scored(const Problem& p, Solved<double>& solved, const Acquisition& acquisition) {
    const DeviceMetric metric(p);
    DevicePoints<double> x(metric, p.x, p.n);
    DevicePoints<double> candidates(metric, p.candidates, p.m);
    Array<double> value(p.m);
    Array<double> by_mean(p.m);
    Array<double> by_solved(p.m);
    const auto m = static_cast<int>(p.m);
    const auto n = static_cast<int>(p.n);
    posterior_score<double>(nullptr, metric.view(), acquisition, solved.panel.view(), m, n,
                            solved.z.data(), value.data(), by_mean.data(), by_solved.data());
    Array<double> workspace(posterior_gradient_size(m, n, static_cast<int>(p.d)));
    Array<double> gradient(p.m * p.d);
    posterior_gradient(nullptr, metric.view(), candidates.view(), x.view(), solved.beta.view(),
                       solved.alpha.data(), by_mean.data(), by_solved.data(), workspace.data(),
                       gradient.data());
    for (const Array<double>* array : {&value, &by_mean, &by_solved, &workspace, &gradient})
        CHECK(array->intact());
    Doubles out = value.values();
    const Doubles more = gradient.values();
    out.insert(out.end(), more.begin(), more.end());
    return out;
}

}  // namespace

TEST_CASE("mean and variance are those of the C++ core") {
    for (const index_t n : {1, 40, 300}) {
        const Problem p(1, n, 4, 21);
        Solved<double> solved(p);
        const Doubles found = in_every_order([&] { return moments(p, solved); });
        Doubles expected(static_cast<std::size_t>(2 * p.m));
        solved.posterior.predict(p.queries(), expected.data(), expected.data() + p.m);
        CHECK(error(found, expected) < 1e-12);
        Solved<float> narrow(p);
        CHECK(error(moments(p, narrow), expected) < 1e-5);
    }
}

TEST_CASE("the variance is held at its floor, where the gradient does not move it") {
    Problem p(2, 30, 4, 30);
    p.noise.assign(30, 0.0);
    p.candidates = p.x;
    Solved<double> solved(p);
    for (index_t c = 0; c < p.m; ++c) solved.panel.at(c, 0) = 2.0;  // explains more than there is
    const Doubles found = moments(p, solved);
    for (std::size_t c = 0; c < 30; ++c) CHECK(found[30 + c] == krige::variance_floor * p.variance);
    const DeviceMetric metric(p);
    Array<double> value(p.m);
    Array<double> by_mean(p.m);
    Array<double> by_solved(p.m);
    posterior_score<double>(nullptr, metric.view(), {AcquisitionKind::lcb, 0.0, 2.0, 0.0},
                            solved.panel.view(), 30, 30, solved.z.data(), value.data(),
                            by_mean.data(), by_solved.data());
    for (index_t c = 0; c < p.m; ++c) {
        CHECK(by_mean[c] == -1.0);
        CHECK(by_solved[c] == 0.0);
    }
}

TEST_CASE("scores and gradients are those of the C++ core") {
    for (const auto family : krige::tests::families) {
        for (const index_t m : {1, 9, 66}) {
            const Problem p(3, 140, m == 9 ? 19 : m == 1 ? 2 : 5, m, family);
            Solved<double> solved(p);
            for (const AcquisitionKind kind : kinds) {
                if (kind != AcquisitionKind::logei && m == 66) continue;
                const Acquisition acquisition{kind, -0.3, 1.5, 0.01};
                const Doubles found =
                    kind == AcquisitionKind::ei
                        ? in_every_order([&] { return scored(p, solved, acquisition); })
                        : scored(p, solved, acquisition);
                Doubles expected(found.size());
                solved.posterior.score(p.queries(), acquisition, expected.data(),
                                       {expected.data() + m, m, p.d, p.d});
                const auto split = static_cast<index_t>(m);
                CHECK(error({found.begin(), found.begin() + split},
                            {expected.begin(), expected.begin() + split}) < 1e-9);
                CHECK(error({found.begin() + split, found.end()},
                            {expected.begin() + split, expected.end()}) < 1e-9);
            }
        }
    }
}

TEST_CASE("so many candidates that a block sums over several tiles of observations") {
    const Problem p(5, 130, 2, 16400);
    Solved<double> solved(p);
    const Acquisition acquisition{AcquisitionKind::logei, -0.3, 1.5, 0.0};
    const Doubles found = scored(p, solved, acquisition);
    CHECK(krige_emulation::take_fault() == "");
    Doubles expected(found.size());
    solved.posterior.score(p.queries(), acquisition, expected.data(),
                           {expected.data() + p.m, p.m, p.d, p.d});
    CHECK(error(found, expected) < 1e-11);
}

TEST_CASE("acquisition functions of moments") {
    std::mt19937_64 random(4);
    const Doubles mean = krige::tests::uniform(random, 200, -3.0, 40.0);
    const Doubles variance = krige::tests::uniform(random, 200, 1e-9, 1.0);
    const Array<double> device_mean = Array<double>::of(mean);
    const Array<double> device_variance = Array<double>::of(variance);
    for (const AcquisitionKind kind : kinds) {
        const Acquisition acquisition{kind, 0.0, 1.5, 0.0};
        Array<double> value(200);
        acquire(nullptr, acquisition, 200, device_mean.data(), device_variance.data(),
                value.data());
        CHECK(value.intact());
        Doubles expected(200);
        krige::acquire(acquisition, 200, mean.data(), variance.data(), expected.data());
        CHECK(error(value.values(), expected) < 1e-14);
    }
}
