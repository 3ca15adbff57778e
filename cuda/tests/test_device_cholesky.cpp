#include "device_problem.hpp"
#include "krige/cholesky.hpp"

using namespace krige_cuda;
using namespace krige_cuda::tests;

namespace {

constexpr int orders[] = {1, 7, 63, 64, 65, 128, 151};

// a batch of kernel matrices with more and more noise, lower triangles
DeviceMatrices<double> systems(int n, int batch) {
    DeviceMatrices<double> out(n, n, batch);
    for (int s = 0; s < batch; ++s) {
        const Problem p(static_cast<unsigned>(10 + s), n, 3);
        Doubles full(static_cast<std::size_t>(n * n));
        krige::kernel_matrix(p.points(), p.points(), p.hyper(), krige::tests::view(full, n, n));
        for (int i = 0; i < n; ++i) {
            for (int j = 0; j <= i; ++j)
                out.at(i, j, s) = full[static_cast<std::size_t>(i * n + j)];
            out.at(i, i, s) += p.noise[static_cast<std::size_t>(i)];
        }
    }
    return out;
}

Doubles core_factor(const DeviceMatrices<double>& a, int n, int s) {
    Doubles l = a.lower(s);
    REQUIRE(krige::cholesky(krige::tests::view(l, n, n)) == -1);
    return l;
}

Doubles lowers(const DeviceMatrices<double>& a, int batch) {
    Doubles out;
    for (int s = 0; s < batch; ++s) {
        const Doubles one = a.lower(s);
        out.insert(out.end(), one.begin(), one.end());
    }
    return out;
}

Doubles core_inverse(const Doubles& l, int n) {
    Doubles out(l.size(), 0.0);
    for (int i = 0; i < n; ++i) out[static_cast<std::size_t>(i * n + i)] = 1.0;
    krige::solve_lower(krige::tests::view(l, n, n), krige::tests::view(out, n, n));
    return out;
}

}  // namespace

TEST_CASE("factors of a batch are those of the C++ core") {
    for (const int n : orders) {
        const int batch = 3;
        const DeviceMatrices<double> a = systems(n, batch);
        const Doubles found = in_every_order([&] {
            DeviceMatrices<double> l = a;
            Array<int> failed(batch);
            Array<double> inverses(block_inverses_size(n, batch));
            factor(nullptr, l.view(), n, failed.data(), inverses.data());
            CHECK(l.intact());
            CHECK(l.upper_untouched());
            CHECK(inverses.intact());
            CHECK(failed.intact());
            for (int s = 0; s < batch; ++s) CHECK(failed[s] == -1);
            Array<double> again(inverses.size());
            invert_blocks(nullptr, l.view(), n, again.data());
            CHECK(again.intact());
            CHECK(error(again.values(), inverses.values()) < 1e-11);
            return lowers(l, batch);
        });
        for (int s = 0; s < batch; ++s) {
            const auto size = static_cast<index_t>(n) * n;
            const Doubles one(found.begin() + s * size, found.begin() + (s + 1) * size);
            CHECK(error(one, core_factor(a, n, s)) < 1e-12);
        }
    }
}

TEST_CASE("the inverse of a factor, and its product") {
    for (const int n : orders) {
        const int batch = 2;
        DeviceMatrices<double> l = systems(n, batch);
        const DeviceMatrices<double> a = l;
        Array<int> failed(batch);
        Array<double> inverses(block_inverses_size(n, batch));
        factor(nullptr, l.view(), n, failed.data(), inverses.data());
        const Doubles found = in_every_order([&] {
            DeviceMatrices<double> inverse = l;
            Array<double> workspace(invert_factor_size(n, batch));
            invert_factor(nullptr, inverse.view(), n, inverses.data(), workspace.data());
            CHECK(inverse.intact());
            CHECK(inverse.upper_untouched());
            CHECK(workspace.intact());
            DeviceMatrices<double> product(n, n, batch);
            inverse_product(nullptr, inverse.view(), n, product.view());
            CHECK(product.intact());
            CHECK(product.upper_untouched());
            Doubles out = lowers(inverse, batch);
            const Doubles more = lowers(product, batch);
            out.insert(out.end(), more.begin(), more.end());
            return out;
        });
        const auto size = static_cast<index_t>(n) * n;
        for (int s = 0; s < batch; ++s) {
            const Doubles core = core_factor(a, n, s);
            const Doubles one(found.begin() + s * size, found.begin() + (s + 1) * size);
            CHECK(error(one, core_inverse(core, n)) < 1e-11);
            Doubles whole(core.size(), 0.0);
            krige::inverse_from_cholesky(krige::tests::view(core, n, n),
                                         krige::tests::view(whole, n, n));
            const Doubles product(found.begin() + (batch + s) * size,
                                  found.begin() + (batch + s + 1) * size);
            for (int i = 0; i < n; ++i)
                for (int j = i + 1; j < n; ++j) whole[static_cast<std::size_t>(i * n + j)] = 0.0;
            CHECK(error(product, whole) < 1e-11);
        }
    }
}

TEST_CASE("panels and vectors times an inverse") {
    std::mt19937_64 random(3);
    for (const int n : {1, 64, 300}) {
        DeviceMatrices<double> l = systems(n, 1);
        const Doubles core = core_factor(l, n, 0);
        Array<int> failed(1);
        Array<double> inverses(block_inverses_size(n, 1));
        factor(nullptr, l.view(), n, failed.data(), inverses.data());
        Array<double> workspace(invert_factor_size(n, 1));
        invert_factor(nullptr, l.view(), n, inverses.data(), workspace.data());
        for (const int m : {1, 5, 16, 17, 70}) {
            DeviceMatrices<double> in(m, n);
            for (int c = 0; c < m; ++c)
                for (int i = 0; i < n; ++i)
                    in.at(c, i) = krige::tests::uniform(random, 1, -1.0, 1.0)[0];
            for (const bool transposed : {false, true}) {
                const Doubles found = in_every_order([&] {
                    DeviceMatrices<double> out(m, n);
                    Array<double> partial(multiply_inverse_size(n, m));
                    multiply_inverse(nullptr, l.view(), n, in.view(), m, transposed, partial.data(),
                                     out.view());
                    CHECK(out.intact());
                    CHECK(partial.intact());
                    Doubles flat;
                    for (int c = 0; c < m; ++c) {
                        Array<double> row(n);
                        Array<double> vector(n);
                        for (int i = 0; i < n; ++i) row[i] = in(c, i);
                        multiply_vector(nullptr, l.view(), n, row.data(), 0, transposed,
                                        vector.data());
                        CHECK(vector.intact());
                        for (int i = 0; i < n; ++i) {
                            flat.push_back(out(c, i));
                            CHECK(out(c, i) == doctest::Approx(vector[i]).epsilon(1e-9));
                        }
                    }
                    return flat;
                });
                Doubles expected(static_cast<std::size_t>(n * m));
                for (int c = 0; c < m; ++c)
                    for (int i = 0; i < n; ++i)
                        expected[static_cast<std::size_t>(i * m + c)] = in(c, i);
                const auto solve = transposed ? krige::solve_lower_transposed : krige::solve_lower;
                solve(krige::tests::view(core, n, n), krige::tests::view(expected, n, m));
                Doubles by_row;
                for (int c = 0; c < m; ++c)
                    for (int i = 0; i < n; ++i)
                        by_row.push_back(expected[static_cast<std::size_t>(i * m + c)]);
                CHECK(error(found, by_row) < 1e-11);
            }
        }
    }
}

TEST_CASE("a system that fails names its first bad pivot, and leaves the others alone") {
    for (const int at : {0, 5, 64, 99, 129}) {
        const int n = 130;
        DeviceMatrices<double> a = systems(n, 3);
        const Doubles other = core_factor(a, n, 2);
        // a twin row, and a not-a-number, in the system in the middle
        if (at == 0) a.at(0, 0, 1) = 0.0;
        for (int j = 0; j < at; ++j) a.at(at, j, 1) = 0.0;
        if (at > 0) a.at(at, at, 1) = at % 2 == 0 ? -1.0 : std::nan("");
        Array<int> failed(3);
        Array<double> inverses(block_inverses_size(n, 3));
        factor(nullptr, a.view(), n, failed.data(), inverses.data());
        CHECK(krige_emulation::take_fault() == "");
        CHECK(failed.values() == std::vector<int>{-1, at, -1});
        CHECK(error(a.lower(2), other) < 1e-12);
    }
}

TEST_CASE("narrowing to single precision") {
    const DeviceMatrices<double> a = systems(70, 1);
    DeviceMatrices<double> in = a;
    DeviceMatrices<float> out(70, 70);
    narrow_lower(nullptr, in.view(), 70, out.view());
    CHECK(out.intact());
    CHECK(out.upper_untouched());
    for (int i = 0; i < 70; ++i)
        for (int j = 0; j <= i; ++j) CHECK(out(i, j) == static_cast<float>(a(i, j)));
    Array<float> vector(70);
    const Array<double> noise = Array<double>::of(Problem(1, 70, 1).noise);
    narrow(nullptr, noise.data(), 70, vector.data());
    CHECK(vector.intact());
    for (int i = 0; i < 70; ++i) CHECK(vector[i] == static_cast<float>(noise[i]));
}

TEST_CASE("a workspace serves every smaller number of candidates") {
    for (const int n : {1, 64, 1000, 10000, 40000}) {
        for (int m = 1; m < 3000; ++m) {
            REQUIRE(multiply_inverse_size(n, m) <= multiply_inverse_size(n, m + 1));
            REQUIRE(posterior_gradient_size(m, n, 3) <= posterior_gradient_size(m + 1, n, 3));
        }
    }
}
