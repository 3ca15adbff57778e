// What the device makes of pairs of points, beside the kernel's definition and its slopes.
#include "device_problem.hpp"

using namespace krige_cuda;
using namespace krige_cuda::tests;
using krige::tests::definition;
using krige::tests::families;
using krige::tests::slope;

namespace {

// dimensions beyond a chunk of places: of 19 there are 13 numeric ones and 6 categorical ones
constexpr index_t dimensions[] = {2, 5, 9, 19};

double value(const Hyper& hyper, const double* a, const double* b) {
    return static_cast<double>(definition(hyper, a, b));
}

// f(hyper) by the log of lengthscale j
template <class F>
double by_lengthscale(const Problem& p, index_t j, F&& f) {
    return slope([&](double h) {
        Doubles lengthscales = p.lengthscales;
        lengthscales[static_cast<std::size_t>(j)] *= std::exp(h);
        Hyper hyper = p.hyper();
        hyper.lengthscales = lengthscales.data();
        return f(hyper);
    });
}

// f(row) by coordinate j of a row, which categories have none of
template <class F>
double by_coordinate(const Problem& p, const double* row, index_t j, F&& f) {
    if (p.categorical[static_cast<std::size_t>(j)] != 0) return 0.0;
    return slope([&](double h) {
        Doubles moved(row, row + p.d);
        moved[static_cast<std::size_t>(j)] += h;
        return f(moved.data());
    });
}

}  // namespace

TEST_CASE("kernel matrices follow their definition") {
    for (const auto family : families) {
        for (const index_t d : dimensions) {
            const Problem p(1, 70, d, 66, family);
            const DeviceMetric metric(p);
            DevicePoints<double> x(metric, p.x, p.n);
            DevicePoints<double> candidates(metric, p.candidates, p.m);
            DeviceMatrices<double> lower(p.n, p.n);
            DeviceMatrices<double> panel(p.m, p.n);
            kernel_lower(nullptr, metric.view(), x.view(), nullptr, 0, 0.0, lower.view());
            kernel_panel(nullptr, metric.view(), candidates.view(), x.view(), panel.view());
            CHECK(lower.intact());
            CHECK(panel.intact());
            Doubles found = lower.lower();
            Doubles expected(found.size(), 0.0);
            for (index_t i = 0; i < p.n; ++i) {
                CHECK(lower(i, i) == p.variance);
                const double* row = p.points().row(i);
                for (index_t k = 0; k <= i; ++k)
                    expected[static_cast<std::size_t>(i * p.n + k)] =
                        value(p.hyper(), row, p.points().row(k));
                for (index_t c = 0; c < p.m; ++c) {
                    found.push_back(panel(c, i));
                    expected.push_back(value(p.hyper(), p.queries().row(c), row));
                }
            }
            CHECK(error(found, expected) < 1e-14);
            DevicePoints<float> narrow_x(metric, p.x, p.n);
            DevicePoints<float> narrow_candidates(metric, p.candidates, p.m);
            DeviceMatrices<float> narrow(p.m, p.n);
            kernel_panel(nullptr, metric.view(), narrow_candidates.view(), narrow_x.view(),
                         narrow.view());
            CHECK(narrow.intact());
            for (index_t c = 0; c < p.m; ++c)
                for (index_t i = 0; i < p.n; ++i)
                    CHECK(std::fabs(static_cast<double>(narrow(c, i)) - panel(c, i)) < 3e-5);
        }
    }
}

TEST_CASE("derivatives are the definition's slopes") {
    for (const auto family : families) {
        const Problem p(2, 6, 8, 7, family);
        const DeviceMetric metric(p);
        DevicePoints<double> x(metric, p.x, p.n);
        DevicePoints<double> candidates(metric, p.candidates, p.m);
        Array<double> by_hyper((p.d + 1) * p.m * p.n);
        Array<double> by_query(p.d * p.m * p.n);
        kernel_by_hyper(nullptr, metric.view(), candidates.view(), x.view(), by_hyper.data());
        kernel_by_query(nullptr, metric.view(), candidates.view(), x.view(), by_query.data());
        Doubles hyper_slopes;
        Doubles query_slopes;
        for (index_t j = 0; j <= p.d; ++j) {
            for (index_t at = 0; at < p.m * p.n; ++at) {
                const double* row = p.queries().row(at / p.n);
                const double* other = p.points().row(at % p.n);
                if (j == p.d) {
                    hyper_slopes.push_back(value(p.hyper(), row, other));
                    continue;
                }
                hyper_slopes.push_back(by_lengthscale(
                    p, j, [&](const Hyper& hyper) { return value(hyper, row, other); }));
                query_slopes.push_back(by_coordinate(p, row, j, [&](const double* moved) {
                    return value(p.hyper(), moved, other);
                }));
            }
        }
        CHECK(error(by_hyper.values(), hyper_slopes) < 1e-9);
        CHECK(error(by_query.values(), query_slopes) < 1e-9);
    }
}

TEST_CASE("sums of weighted slopes, by place") {
    for (const auto family : families) {
        for (const index_t d : dimensions) {
            const Problem p(3, 70, d, 0, family);
            const DeviceMetric metric(p);
            DevicePoints<double> x(metric, p.x, p.n);
            std::mt19937_64 random(4);
            DeviceMatrices<double> inverse(p.n, p.n);
            for (index_t i = 0; i < p.n; ++i)
                for (index_t k = 0; k <= i; ++k)
                    inverse.at(i, k) = krige::tests::uniform(random, 1, -1.0, 1.0)[0];
            const Array<double> alpha = Array<double>::of(p.y);
            Array<double> by_place(d);
            Array<double> workspace(
                contract_hyper_size(static_cast<int>(p.n), static_cast<int>(d), 1));
            const Doubles found = in_every_order([&] {
                contract_hyper(nullptr, metric.view(), x.view(), inverse.view(), alpha.data(),
                               workspace.data(), by_place.data());
                return by_place.values();
            });
            CHECK(by_place.intact());
            CHECK(workspace.intact());
            Doubles expected;
            for (index_t place = 0; place < d; ++place) {
                expected.push_back(
                    by_lengthscale(p, metric.view().order[place], [&](const Hyper& hyper) {
                        double sum = 0.0;
                        for (index_t i = 0; i < p.n; ++i)
                            for (index_t k = 0; k < i; ++k)
                                sum += (alpha[i] * alpha[k] - inverse(i, k)) *
                                       value(hyper, p.points().row(i), p.points().row(k));
                        return sum;
                    }));
            }
            CHECK(error(found, expected) < 1e-8);
        }
    }
}

TEST_CASE("gradients of weighted sums over the observations") {
    for (const auto family : families) {
        for (const index_t d : dimensions) {
            const Problem p(5, 70, d, 66, family);
            const DeviceMetric metric(p);
            DevicePoints<double> x(metric, p.x, p.n);
            DevicePoints<double> candidates(metric, p.candidates, p.m);
            std::mt19937_64 random(6);
            DeviceMatrices<double> beta(p.m, p.n);
            for (index_t c = 0; c < p.m; ++c)
                for (index_t i = 0; i < p.n; ++i)
                    beta.at(c, i) = krige::tests::uniform(random, 1, -1.0, 1.0)[0];
            const Array<double> alpha = Array<double>::of(p.y);
            const auto by_mean = Array<double>::of(krige::tests::uniform(random, p.m, -1.0, 1.0));
            const auto by_solved = Array<double>::of(krige::tests::uniform(random, p.m, -1.0, 1.0));
            Array<double> gradient(p.m * d);
            Array<double> workspace(posterior_gradient_size(
                static_cast<int>(p.m), static_cast<int>(p.n), static_cast<int>(d)));
            const Doubles found = in_every_order([&] {
                posterior_gradient(nullptr, metric.view(), candidates.view(), x.view(), beta.view(),
                                   alpha.data(), by_mean.data(), by_solved.data(), workspace.data(),
                                   gradient.data());
                return gradient.values();
            });
            CHECK(gradient.intact());
            CHECK(workspace.intact());
            Doubles expected;
            for (index_t c = 0; c < p.m; ++c) {
                const auto weighted = [&](const double* moved) {
                    double sum = 0.0;
                    for (index_t i = 0; i < p.n; ++i)
                        sum += (by_mean[c] * alpha[i] + by_solved[c] * beta(c, i)) *
                               value(p.hyper(), moved, p.points().row(i));
                    return sum;
                };
                for (index_t j = 0; j < d; ++j)
                    expected.push_back(by_coordinate(p, p.queries().row(c), j, weighted));
            }
            // matern12 has a kink where points meet
            CHECK(error(found, expected) < (family == krige::Family::matern12 ? 1e-6 : 1e-8));
        }
    }
}
