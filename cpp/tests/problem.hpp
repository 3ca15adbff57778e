// Random problems for the tests, and what they are compared with.
#pragma once

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "krige/hyper.hpp"
#include "krige/simd.hpp"
#include "krige/view.hpp"

namespace krige::tests {

using Doubles = std::vector<double>;

inline Doubles uniform(std::mt19937_64& random, index_t count, double low = 0.0,
                       double high = 1.0) {
    std::uniform_real_distribution<double> draw(low, high);
    Doubles out(static_cast<std::size_t>(count));
    for (double& value : out) value = draw(random);
    return out;
}

inline ConstMatrix view(const Doubles& data, index_t rows, index_t cols) {
    return {data.data(), rows, cols, cols};
}
inline Matrix view(Doubles& data, index_t rows, index_t cols) {
    return {data.data(), rows, cols, cols};
}

// n points in d dimensions, every third one of two category codes, with outputs, noise and m
// candidates
struct Problem {
    Problem(unsigned seed, index_t n_, index_t d_, index_t m_ = 0,
            Family family_ = Family::matern52)
        : n(n_), d(d_), m(m_), family(family_) {
        std::mt19937_64 random(seed);
        x = uniform(random, n * d);
        y = uniform(random, n, -1.0, 1.0);
        noise = uniform(random, n, 1e-3, 1e-1);
        candidates = uniform(random, m * d);
        lengthscales = uniform(random, d, 0.3, 1.5);
        categorical.assign(static_cast<std::size_t>(d), 0);
        for (index_t j = 2; j < d; j += 3) make_categorical(j);
    }
    Hyper hyper() const { return {family, d, lengthscales.data(), categorical.data(), variance}; }
    ConstMatrix points() const { return view(x, n, d); }
    ConstMatrix queries() const { return view(candidates, m, d); }

    index_t n;
    index_t d;
    index_t m;
    Family family;
    double variance = 1.7;
    Doubles x, y, noise, candidates, lengthscales;
    std::vector<std::uint8_t> categorical;

  private:
    void make_categorical(index_t j) {
        categorical[static_cast<std::size_t>(j)] = 1;
        for (index_t i = j; i < n * d; i += d) round(x[static_cast<std::size_t>(i)]);
        for (index_t i = j; i < m * d; i += d) round(candidates[static_cast<std::size_t>(i)]);
    }
    static void round(double& value) { value = value < 0.5 ? 0.25 : 0.75; }
};

// a radial function of the dimensions for which `counts` is true, in extended precision
template <class Counts>
long double radial_definition(const Hyper& hyper, const double* a, const double* b,
                              Counts&& counts) {
    long double r2 = 0;
    for (index_t j = 0; j < hyper.d; ++j) {
        if (!counts(j)) continue;
        long double delta = static_cast<long double>(a[j]) - b[j];
        if (hyper.categorical[j] != 0) delta = delta == 0 ? 0 : 1;
        r2 += delta * delta /
              (static_cast<long double>(hyper.lengthscales[j]) * hyper.lengthscales[j]);
    }
    if (hyper.family == Family::rbf) return std::exp(-r2 / 2);
    if (hyper.family == Family::matern12) return std::exp(-std::sqrt(r2));
    if (hyper.family == Family::matern32) {
        const long double s = std::sqrt(3 * r2);
        return (1 + s) * std::exp(-s);
    }
    const long double s = std::sqrt(5 * r2);
    return (1 + s + s * s / 3) * std::exp(-s);
}

// the kernel from its definition
inline long double definition(const Hyper& hyper, const double* a, const double* b) {
    if (hyper.family != Family::additive52) {
        return hyper.variance * radial_definition(hyper, a, b, [](index_t) { return true; });
    }
    long double sum = 0;
    int terms = 0;
    for (index_t j = 0; j < hyper.d; ++j) {
        if (hyper.categorical[j] != 0) continue;
        sum += radial_definition(hyper, a, b, [j](index_t other) { return other == j; });
        ++terms;
    }
    const long double shared =
        radial_definition(hyper, a, b, [&](index_t j) { return hyper.categorical[j] != 0; });
    return hyper.variance * shared * (terms > 0 ? sum / terms : 1.0L);
}

// central differences, extrapolated once: error of the order of step^4
template <class F>
double slope(F&& f, double step = 1e-3) {
    const double wide = (f(step) - f(-step)) / (2 * step);
    const double narrow = (f(step / 2) - f(-step / 2)) / step;
    return (4 * narrow - wide) / 3;
}

inline bool same_bits(const Doubles& a, const Doubles& b) {
    return a.size() == b.size() &&
           (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(double)) == 0);
}

// results of a function at AVX2 and at AVX-512; the second is empty where the processor lacks
// either
template <class F>
std::pair<Doubles, Doubles> at_both_levels(F&& f) {
    const simd::Level before = simd::level();
    std::pair<Doubles, Doubles> out;
    if (simd::set_level(simd::Level::avx512) == simd::Level::avx512) {
        out.second = f();
        simd::set_level(simd::Level::avx2);
        out.first = f();
    }
    simd::set_level(before);
    return out;
}

constexpr Family families[] = {Family::matern12, Family::matern32, Family::matern52, Family::rbf,
                               Family::additive52};

}  // namespace krige::tests
