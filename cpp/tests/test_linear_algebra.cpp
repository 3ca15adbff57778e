#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <new>
#include <random>
#include <vector>

#include "krige/cholesky.hpp"
#include "krige/matmul.hpp"
#include "krige/parallel.hpp"
#include "krige/simd.hpp"

using namespace krige;

namespace {

const std::vector<index_t> sizes{0,  1,  2,  3,  5,  7,   8,   9,   13,  23,  24,
                                 25, 47, 50, 73, 97, 121, 239, 240, 241, 263, 301};
constexpr double untouched = 12345.5;

// rows at a stride larger than their length, `untouched` between them
struct Dense {
    index_t rows, cols, stride;
    std::vector<double> data;

    Dense(index_t r, index_t c, index_t extra = 3)
        : rows(r),
          cols(c),
          stride(c + extra),
          data(static_cast<std::size_t>(r * (c + extra)), untouched) {}
    Matrix view() { return {data.data(), rows, cols, stride}; }
    double& operator()(index_t i, index_t j) {
        return data[static_cast<std::size_t>(i * stride + j)];
    }
    bool margins_untouched() {
        for (index_t i = 0; i < rows; ++i)
            for (index_t j = cols; j < stride; ++j)
                if ((*this)(i, j) != untouched) return false;
        return true;
    }
};

Dense random_matrix(index_t rows, index_t cols, unsigned seed) {
    std::mt19937_64 engine(seed);
    std::uniform_real_distribution<double> uniform(-1, 1);
    Dense out(rows, cols);
    for (index_t i = 0; i < rows; ++i)
        for (index_t j = 0; j < cols; ++j) out(i, j) = uniform(engine);
    return out;
}

// a well-conditioned covariance; the strict upper triangle is NaN, which any use of it would spread
Dense random_covariance(index_t n, unsigned seed) {
    Dense a = random_matrix(n, n, seed);
    for (index_t i = 0; i < n; ++i) {
        for (index_t j = 0; j < i; ++j) a(i, j) *= 0.9 / std::sqrt(static_cast<double>(n));
        a(i, i) = 2 + std::abs(a(i, i));
        for (index_t j = i + 1; j < n; ++j) a(i, j) = std::numeric_limits<double>::quiet_NaN();
    }
    return a;
}

Dense random_factor(index_t n, unsigned seed) {
    Dense l = random_covariance(n, seed);
    REQUIRE(cholesky(l.view()) == -1);
    return l;
}

bool same_bits(const Dense& a, const Dense& b) {
    return a.data.size() == b.data.size() &&
           (a.data.empty() ||
            std::memcmp(a.data.data(), b.data.data(), a.data.size() * sizeof(double)) == 0);
}

double tolerance(index_t depth) { return 4e-16 * static_cast<double>(depth + 4); }

double product_error(Dense& a, Op op_a, Dense& b, Op op_b, Dense& before, Dense& after,
                     double alpha, bool lower) {
    const index_t depth = op_a == Op::none ? a.cols : a.rows;
    double worst = 0;
    for (index_t i = 0; i < after.rows; ++i)
        for (index_t j = 0; j < (lower ? i + 1 : after.cols); ++j) {
            long double sum = before(i, j);
            for (index_t k = 0; k < depth; ++k)
                sum += static_cast<long double>(alpha) * (op_a == Op::none ? a(i, k) : a(k, i)) *
                       (op_b == Op::none ? b(k, j) : b(j, k));
            worst = std::max(worst, std::abs(static_cast<double>(sum - after(i, j))));
        }
    return worst;
}

// max |l l^T - a| over the lower triangle
double factor_error(Dense& a, Dense& l) {
    double worst = 0;
    for (index_t i = 0; i < a.rows; ++i)
        for (index_t j = 0; j <= i; ++j) {
            long double sum = 0;
            for (index_t k = 0; k <= j; ++k) sum += static_cast<long double>(l(i, k)) * l(j, k);
            worst = std::max(worst, std::abs(static_cast<double>(sum - a(i, j))));
        }
    return worst;
}

double solve_error(Dense& l, bool transposed, Dense& b, Dense& x) {
    const index_t n = l.rows;
    double worst = 0;
    for (index_t i = 0; i < n; ++i)
        for (index_t j = 0; j < b.cols; ++j) {
            long double sum = 0;
            for (index_t k = transposed ? i : 0; k < (transposed ? n : i + 1); ++k)
                sum += static_cast<long double>(transposed ? l(k, i) : l(i, k)) * x(k, j);
            worst = std::max(worst, std::abs(static_cast<double>(sum - b(i, j))));
        }
    return worst;
}

struct Restore {
    simd::Level level = simd::level();
    int count = threads();
    ~Restore() {
        simd::set_level(level);
        set_threads(count);
    }
};

}  // namespace

TEST_CASE("products match long double sums, for every operand order") {
    const index_t shapes[][3] = {{0, 3, 2},    {3, 0, 4},     {1, 1, 1},      {7, 5, 9},
                                 {25, 23, 24}, {48, 241, 49}, {100, 300, 31}, {23, 500, 490}};
    for (const auto& [m, n, k] : shapes)
        for (Op op_a : {Op::none, Op::transpose})
            for (Op op_b : {Op::none, Op::transpose})
                for (double alpha : {1.0, -1.0, 0.37}) {
                    Dense a = op_a == Op::none ? random_matrix(m, k, 1) : random_matrix(k, m, 1);
                    Dense b = op_b == Op::none ? random_matrix(k, n, 2) : random_matrix(n, k, 2);
                    Dense c = random_matrix(m, n, 3);
                    Dense before = c;
                    multiply_add(alpha, a.view(), op_a, b.view(), op_b, c.view());
                    CHECK(product_error(a, op_a, b, op_b, before, c, alpha, false) <= tolerance(k));
                    CHECK(c.margins_untouched());
                }
}

TEST_CASE("rank updates touch the lower triangle only") {
    for (index_t n : {0, 1, 8, 23, 49, 130, 250, 500})
        for (index_t k : {0, 1, 31, 250})
            for (Op op : {Op::none, Op::transpose}) {
                Dense a = op == Op::none ? random_matrix(n, k, 4) : random_matrix(k, n, 4);
                Dense c = random_matrix(n, n, 5);
                Dense before = c;
                rank_update_lower(-0.5, a.view(), op, c.view());
                CHECK(product_error(a, op, a, op == Op::none ? Op::transpose : Op::none, before, c,
                                    -0.5, true) <= tolerance(k));
                for (index_t i = 0; i < n; ++i)
                    for (index_t j = i + 1; j < n; ++j) REQUIRE(c(i, j) == before(i, j));
                CHECK(c.margins_untouched());
            }
}

TEST_CASE("the factor times its transpose is the matrix") {
    for (index_t n : {0,  1,  2,  3,   5,   7,   8,   9,   13,  23,  24,  25, 47,
                      50, 73, 97, 121, 239, 240, 241, 301, 479, 480, 481, 530}) {
        Dense a = random_covariance(n, static_cast<unsigned>(n));
        Dense l = a;
        CAPTURE(n);
        REQUIRE(cholesky(l.view()) == -1);
        CHECK(factor_error(a, l) <= tolerance(n));
        for (index_t i = 0; i < n; ++i)
            for (index_t j = i + 1; j < n; ++j) REQUIRE(std::isnan(l(i, j)));
        CHECK(l.margins_untouched());
        double logarithms = 0;
        for (index_t i = 0; i < n; ++i) logarithms += 2 * std::log(l(i, i));
        CHECK(log_determinant(l.view()) == doctest::Approx(logarithms).epsilon(1e-14));
    }
}

TEST_CASE("the first pivot that is not positive is reported") {
    for (index_t n : {1, 9, 24, 50, 241, 500})
        for (index_t bad : {index_t{0}, n / 3, n / 2, n - 1})
            for (double pivot : {0.0, -1.0, std::numeric_limits<double>::quiet_NaN(),
                                 std::numeric_limits<double>::infinity()}) {
                Dense a = random_covariance(n, 7);
                a(bad, bad) = pivot;
                if (bad + 1 < n) a(n - 1, n - 1) = -3;
                CHECK(cholesky(a.view()) == bad);
            }
}

TEST_CASE("triangular solves") {
    for (index_t n : sizes)
        for (index_t m : {0, 1, 2, 8, 9, 16, 23, 24, 49, 250}) {
            if (n * n * m > 6000000) continue;
            Dense l = random_factor(n, 11);
            Dense b = random_matrix(n, m, 12);
            for (bool transposed : {false, true}) {
                Dense x = b;
                CAPTURE(n);
                CAPTURE(m);
                transposed ? solve_lower_transposed(l.view(), x.view())
                           : solve_lower(l.view(), x.view());
                CHECK(solve_error(l, transposed, b, x) <= tolerance(n));
                CHECK(x.margins_untouched());
            }
        }
    Dense l = random_factor(530, 13);
    Dense b = random_matrix(530, 30, 14);
    Dense x = b;
    solve_lower(l.view(), x.view());
    CHECK(solve_error(l, false, b, x) <= tolerance(530));
    x = b;
    solve_lower_transposed(l.view(), x.view());
    CHECK(solve_error(l, true, b, x) <= tolerance(530));
}

TEST_CASE("a column's solution does not depend on the columns beside it") {
    for (index_t n : {5, 100, 500}) {
        Dense l = random_factor(n, 15);
        Dense all = random_matrix(n, 60, 16);
        Dense one(n, 1);
        for (index_t i = 0; i < n; ++i) one(i, 0) = all(i, 57);
        solve_lower(l.view(), all.view());
        solve_lower(l.view(), one.view());
        for (index_t i = 0; i < n; ++i) REQUIRE(one(i, 0) == all(i, 57));
    }
}

TEST_CASE("the inverse times the matrix is the identity") {
    for (index_t n : {0, 1, 7, 8, 25, 50, 121, 241, 301, 500}) {
        Dense a = random_covariance(n, 17);
        Dense l = a;
        REQUIRE(cholesky(l.view()) == -1);
        Dense inverse(n, n);
        inverse_from_cholesky(l.view(), inverse.view());
        double worst = 0;
        for (index_t i = 0; i < n; i += 3)
            for (index_t j = 0; j < n; ++j) {
                long double sum = i == j ? -1 : 0;
                for (index_t k = 0; k < n; ++k)
                    sum += static_cast<long double>(a(std::max(i, k), std::min(i, k))) *
                           inverse(std::max(j, k), std::min(j, k));
                worst = std::max(worst, std::abs(static_cast<double>(sum)));
            }
        CHECK(worst <= 10 * tolerance(n));
        for (index_t i = 0; i < n; ++i)
            for (index_t j = i + 1; j < n; ++j) REQUIRE(inverse(i, j) == untouched);
        CHECK(inverse.margins_untouched());
    }
}

TEST_CASE("an extended factor is the factor of the larger matrix, to the bit") {
    for (index_t n : {0, 1, 24, 50, 235, 479, 485})
        for (index_t k : {0, 1, 3, 9, 30}) {
            Dense whole = random_covariance(n + k, 19);
            Dense extended = whole;
            REQUIRE(cholesky(extended.view().block(0, 0, n, n)) == -1);
            CHECK(extend_cholesky(extended.view(), n) == -1);
            REQUIRE(cholesky(whole.view()) == -1);
            CHECK(same_bits(extended, whole));
        }
    Dense failing = random_covariance(40, 20);
    REQUIRE(cholesky(failing.view().block(0, 0, 30, 30)) == -1);
    failing(33, 33) = -1;
    CHECK(extend_cholesky(failing.view(), 30) == 33);
}

TEST_CASE("AVX2 and AVX-512, and any number of threads, give the same bits") {
    const Restore restore;
    if (simd::supported_level() != simd::Level::avx512)
        MESSAGE("no AVX-512 here: levels not compared");
    for (index_t n : {50, 121, 500, 530}) {
        std::vector<Dense> results[3];
        for (int run = 0; run < 3; ++run) {
            simd::set_level(run == 0 ? simd::Level::avx2 : simd::Level::avx512);
            if (run == 2)
                simd::set_level(restore.level == simd::Level::baseline ? restore.level
                                                                       : simd::Level::avx2);
            set_threads(run == 2 ? 3 : 1);
            Dense l = random_covariance(n, 21);
            REQUIRE(cholesky(l.view()) == -1);
            Dense b = random_matrix(n, 300, 22);
            Dense product = random_matrix(n, n, 23);
            multiply_add(0.3, b.view(), Op::none, b.view(), Op::transpose, product.view());
            rank_update_lower(-1, b.view(), Op::none, product.view());
            Dense x = b;
            solve_lower(l.view(), x.view());
            Dense y = b;
            solve_lower_transposed(l.view(), y.view());
            Dense inverse(n, n);
            inverse_from_cholesky(l.view(), inverse.view());
            results[run] = {l, product, x, y, inverse};
        }
        for (std::size_t i = 0; i < results[0].size(); ++i) {
            CAPTURE(i);
            CHECK(same_bits(results[0][i], results[1][i]));
            if (restore.level != simd::Level::baseline)
                CHECK(same_bits(results[0][i], results[2][i]));
        }
    }
}

TEST_CASE("parallel regions run every task once and pass exceptions on") {
    const Restore restore;
    set_threads(4);
    std::vector<int> seen(1000, 0);
    parallel_for(1000, parallel_work, [&](index_t i) {
        parallel_for(1, parallel_work, [&](index_t) { ++seen[static_cast<std::size_t>(i)]; });
    });
    CHECK(std::count(seen.begin(), seen.end(), 1) == 1000);
    CHECK_THROWS_AS(parallel_for(100, parallel_work,
                                 [](index_t i) {
                                     if (i == 50) throw std::bad_alloc();
                                 }),
                    std::bad_alloc);
    set_threads(0);
    CHECK(threads() >= 1);
}

TEST_CASE("levels") {
    const Restore restore;
    CHECK(simd::set_level(simd::Level::baseline) == simd::Level::baseline);
    CHECK(std::strcmp(simd::name(simd::level()), "baseline") == 0);
    CHECK(simd::set_level(simd::supported_level()) == simd::supported_level());
}
