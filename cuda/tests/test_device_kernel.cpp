#include "device_problem.hpp"

using namespace krige_cuda;
using namespace krige_cuda::tests;
using krige::tests::families;

namespace {

struct Size {
    index_t n, d, m;
};
constexpr Size sizes[] = {{1, 1, 1}, {5, 3, 2}, {64, 8, 65}, {65, 9, 3}, {130, 17, 66}};

}  // namespace

TEST_CASE("lower triangles are those of the C++ core") {
    for (const auto family : families) {
        for (const Size& size : sizes) {
            const Problem p(1, size.n, size.d, 0, family);
            const DeviceMetric metric(p);
            DevicePoints<double> x(metric, p.x, p.n);
            const Array<double> noise = Array<double>::of(p.noise);
            const Doubles found = in_every_order([&] {
                DeviceMatrices<double> out(p.n, p.n);
                kernel_lower(nullptr, metric.view(), x.view(), noise.data(), p.n, 0.25, out.view());
                CHECK(out.intact());
                CHECK(out.upper_untouched());
                return out.lower();
            });
            Doubles expected(static_cast<std::size_t>(p.n * p.n));
            krige::kernel_matrix(p.points(), p.points(), p.hyper(),
                                 krige::tests::view(expected, p.n, p.n));
            for (index_t i = 0; i < p.n; ++i) {
                const auto row = static_cast<std::size_t>(i * p.n);
                const auto at = static_cast<std::size_t>(i);
                expected[row + at] += p.noise[at] + 0.25;
                std::fill(expected.begin() + static_cast<index_t>(row + at) + 1,
                          expected.begin() + static_cast<index_t>(row) + p.n, 0.0);
            }
            CHECK(error(found, expected) < 1e-15);
        }
    }
}

TEST_CASE("a mirrored matrix is exactly symmetric, with exactly the variance on its diagonal") {
    const Problem p(2, 70, 5);
    const DeviceMetric metric(p);
    DevicePoints<double> x(metric, p.x, p.n);
    DeviceMatrices<double> out(p.n, p.n);
    kernel_lower(nullptr, metric.view(), x.view(), nullptr, 0, 0.0, out.view(), true);
    CHECK(out.intact());
    for (index_t i = 0; i < p.n; ++i) {
        CHECK(out(i, i) == p.variance);
        for (index_t j = 0; j < i; ++j) CHECK(out(i, j) == out(j, i));
    }
}

TEST_CASE("panels are the C++ core's, and close to it in single precision") {
    for (const auto family : families) {
        for (const Size& size : sizes) {
            const Problem p(3, size.n, size.d, size.m, family);
            const DeviceMetric metric(p);
            Doubles expected(static_cast<std::size_t>(p.m * p.n));
            krige::kernel_matrix(p.queries(), p.points(), p.hyper(),
                                 krige::tests::view(expected, p.m, p.n));
            const auto panel = [&](auto zero) {
                using T = decltype(zero);
                DevicePoints<T> x(metric, p.x, p.n);
                DevicePoints<T> candidates(metric, p.candidates, p.m);
                DeviceMatrices<T> out(p.m, p.n);
                kernel_panel(nullptr, metric.view(), candidates.view(), x.view(), out.view());
                CHECK(out.intact());
                Doubles found;
                for (index_t c = 0; c < p.m; ++c)
                    for (index_t i = 0; i < p.n; ++i)
                        found.push_back(static_cast<double>(out(c, i)));
                return found;
            };
            CHECK(error(in_every_order([&] { return panel(0.0); }), expected) < 1e-15);
            CHECK(error(panel(0.0f), expected) < 2e-5);
        }
    }
}

TEST_CASE("a panel of more columns than one launch has blocks for") {
    const Problem p(6, 1, 1);
    const DeviceMetric metric(p);
    constexpr index_t cols = 65535 * 64 + 70;
    DevicePoints<double> a(metric, p.x, 1);
    Array<double> b(cols);
    for (index_t i = 0; i < cols; ++i) b[i] = a.view().values[0] + (i % 7 == 0 ? 0.0 : 1.0);
    Array<double> out(cols);
    kernel_panel(nullptr, metric.view(), a.view(),
                 Points<double>{b.data(), cols, cols, static_cast<int>(cols)}, {out.data(), cols});
    CHECK(krige_emulation::take_fault() == "");
    CHECK(out.intact());
    index_t wrong = 0;
    for (index_t i = 0; i < cols; ++i)
        wrong += i % 7 == 0 ? out[i] != p.variance : !(out[i] > 0.0 && out[i] < p.variance);
    CHECK(wrong == 0);
}

TEST_CASE("derivatives are those of the C++ core") {
    for (const auto family : families) {
        const Problem p(4, 12, 5, 13, family);
        const DeviceMetric metric(p);
        DevicePoints<double> x(metric, p.x, p.n);
        DevicePoints<double> candidates(metric, p.candidates, p.m);
        Array<double> by_hyper(6 * p.m * p.n);
        Array<double> by_query(5 * p.m * p.n);
        kernel_by_hyper(nullptr, metric.view(), candidates.view(), x.view(), by_hyper.data());
        kernel_by_query(nullptr, metric.view(), candidates.view(), x.view(), by_query.data());
        CHECK(by_hyper.intact());
        CHECK(by_query.intact());
        Doubles expected(static_cast<std::size_t>(by_hyper.size()));
        krige::kernel_by_hyper(p.queries(), p.points(), p.hyper(), expected.data());
        CHECK(error(by_hyper.values(), expected) < 1e-15);
        expected.resize(static_cast<std::size_t>(by_query.size()));
        krige::kernel_by_query(p.queries(), p.points(), p.hyper(), expected.data());
        CHECK(error(by_query.values(), expected) < 1e-15);
    }
}

TEST_CASE("distances without bound do not overflow") {
    Problem p(5, 9, 3);
    p.lengthscales = {1e-300, 0.5, 1e-300};
    for (std::size_t i = 0; i < 9; ++i) p.x[3 * i + 2] = static_cast<double>(i % 4);
    for (const auto family : families) {
        p.family = family;
        // an additive kernel is zero where every one of its terms is
        if (family == krige::Family::additive52) p.lengthscales[1] = 1e-300;
        const DeviceMetric metric(p);
        DevicePoints<double> x(metric, p.x, p.n);
        DevicePoints<float> narrow(metric, p.x, p.n);
        DeviceMatrices<double> out(p.n, p.n);
        DeviceMatrices<float> panel(p.n, p.n);
        kernel_lower(nullptr, metric.view(), x.view(), nullptr, 0, 0.0, out.view());
        kernel_panel(nullptr, metric.view(), narrow.view(), narrow.view(), panel.view());
        for (index_t i = 0; i < p.n; ++i)
            for (index_t j = 0; j < i; ++j) {
                CHECK(out(i, j) == 0.0);
                CHECK(panel(i, j) == 0.0f);
            }
    }
}
