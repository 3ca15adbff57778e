#include "device_problem.hpp"
#include "krige/likelihood.hpp"

using namespace krige_cuda;
using namespace krige_cuda::tests;

namespace {

// settings of one problem with other lengthscales and variances each
struct Settings {
    Settings(const Problem& p, int batch) {
        std::mt19937_64 random(7);
        for (int s = 0; s < batch; ++s) {
            lengthscales.push_back(krige::tests::uniform(random, p.d, 0.2, 2.0));
            const Doubles one = krige::tests::uniform(random, p.n, 1e-3, 1e-1);
            noise.insert(noise.end(), one.begin(), one.end());
        }
        for (int s = 0; s < batch; ++s) {
            Hyper hyper = p.hyper();
            hyper.lengthscales = lengthscales[static_cast<std::size_t>(s)].data();
            hyper.variance = 0.5 + s;
            hypers.push_back(hyper);
        }
    }
    std::vector<Doubles> lengthscales;
    std::vector<Hyper> hypers;
    Doubles noise;
};

// value, gradient, by_noise and failed, one setting after the other
Doubles device(const Problem& p, const Settings& settings) {
    const auto batch = static_cast<int>(settings.hypers.size());
    const auto n = static_cast<int>(p.n);
    const DeviceMetric metric(settings.hypers);
    DevicePoints<double> x(metric, p.x, p.n);
    const Array<double> y = Array<double>::of(p.y);
    const Array<double> noise = Array<double>::of(settings.noise);
    Array<double> value(batch);
    Array<double> gradient(batch * (p.d + 1));
    Array<double> by_noise(batch * p.n);
    Array<int> failed(batch);
    Array<double> workspace(likelihood_size(n, static_cast<int>(p.d), batch));
    likelihood(nullptr, metric.view(),
               {x.view(), y.data(), noise.data(), value.data(), gradient.data(), by_noise.data(),
                failed.data()},
               workspace.data());
    for (const Array<double>* array : {&value, &gradient, &by_noise, &workspace})
        CHECK(array->intact());
    Doubles out;
    for (int s = 0; s < batch; ++s) {
        out.push_back(value[s]);
        for (index_t j = 0; j <= p.d; ++j) out.push_back(gradient[s * (p.d + 1) + j]);
        for (index_t i = 0; i < p.n; ++i) out.push_back(by_noise[s * p.n + i]);
    }
    return out;
}

Doubles core(const Problem& p, const Settings& settings) {
    Doubles out;
    for (std::size_t s = 0; s < settings.hypers.size(); ++s) {
        Doubles gradient(static_cast<std::size_t>(p.d + 1));
        Doubles by_noise(static_cast<std::size_t>(p.n));
        out.push_back(krige::log_likelihood(
            p.points(), p.y.data(), settings.noise.data() + s * static_cast<std::size_t>(p.n),
            settings.hypers[s], gradient.data(), by_noise.data()));
        out.insert(out.end(), gradient.begin(), gradient.end());
        out.insert(out.end(), by_noise.begin(), by_noise.end());
    }
    return out;
}

}  // namespace

TEST_CASE("likelihoods of a batch are those of the C++ core") {
    for (const auto family : krige::tests::families) {
        for (const index_t n : {1, 30, 64, 131}) {
            const Problem p(1, n, n == 30 ? 11 : 4, 0, family);
            const Settings settings(p, n == 131 ? 2 : 3);
            const Doubles found = in_every_order([&] { return device(p, settings); });
            CHECK(error(found, core(p, settings)) < 1e-11);
        }
    }
}

TEST_CASE("clusters and twins of points") {
    Problem p(2, 90, 4);
    for (std::size_t i = 0; i < 30 * 4; ++i) {
        p.x[120 + i] = p.x[i];
        p.x[240 + i] = p.categorical[i % 4] != 0 ? p.x[i] : p.x[i] + 1e-7 * p.y[i % 90];
    }
    for (const auto family : krige::tests::families) {
        p.family = family;
        const Settings settings(p, 2);
        CHECK(error(device(p, settings), core(p, settings)) < 1e-9);
    }
}

TEST_CASE("the diagonal of a matrix") {
    for (const index_t n : {1, 300}) {
        DeviceMatrices<double> a(n, n);
        for (index_t i = 0; i < n; ++i)
            for (index_t k = 0; k < n; ++k) a.at(i, k) = static_cast<double>(i * n + k);
        Array<double> out(n);
        diagonal(nullptr, a.view(), static_cast<int>(n), out.data());
        CHECK(krige_emulation::take_fault() == "");
        CHECK(out.intact());
        for (index_t i = 0; i < n; ++i) CHECK(out[i] == a(i, i));
    }
}

TEST_CASE("a setting that is not positive definite is minus infinity with zeros, alone") {
    Problem p(3, 80, 3);
    for (std::size_t j = 0; j < 3; ++j) p.x[3 * 70 + j] = p.x[3 * 69 + j];
    Settings settings(p, 3);
    settings.lengthscales[1].assign(3, 1e-4);  // the identity, but for the twins
    settings.hypers[1].variance = 1.0;
    std::fill(settings.noise.begin() + 80, settings.noise.begin() + 160, 0.0);
    const Doubles found = device(p, settings);
    const std::size_t size = 1 + 4 + 80;
    CHECK(found[size] == -std::numeric_limits<double>::infinity());
    for (std::size_t k = size + 1; k < 2 * size; ++k) CHECK(found[k] == 0.0);
    const Doubles expected = core(p, settings);
    for (const std::size_t s : {0, 2})
        for (std::size_t k = s * size; k < (s + 1) * size; ++k)
            CHECK(found[k] == doctest::Approx(expected[k]).epsilon(1e-9));
}
