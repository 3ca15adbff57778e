// Vectors of doubles of the level that is being compiled. All functions have internal linkage.
#pragma once

#include "krige/view.hpp"

#ifndef KRIGE_LEVEL
#error "src/levels/*.cpp are compiled once per level, with KRIGE_LEVEL defined"
#endif

#if defined(__AVX2__) || defined(__AVX512F__)
#include <immintrin.h>
#elif defined(__SSE2__) && (defined(__GNUC__) || defined(__clang__))
#include <emmintrin.h>
#elif defined(__aarch64__) && (defined(__GNUC__) || defined(__clang__))
#include <arm_neon.h>
#else
#include <cmath>
#endif

namespace krige::KRIGE_LEVEL {

#if defined(__GNUC__) || defined(__clang__)
#define KRIGE_STATIC __attribute__((always_inline)) static inline
#if defined(__AVX512F__)
constexpr int lanes = 8;
#elif defined(__AVX2__)
constexpr int lanes = 4;
#else
constexpr int lanes = 2;
#endif
typedef double vec __attribute__((vector_size(lanes * 8)));
typedef double unaligned_vec __attribute__((vector_size(lanes * 8), aligned(8), may_alias));

KRIGE_STATIC vec load(const double* p) { return *reinterpret_cast<const unaligned_vec*>(p); }
KRIGE_STATIC void store(double* p, vec v) { *reinterpret_cast<unaligned_vec*>(p) = v; }
KRIGE_STATIC vec broadcast(double x) { return x - vec{}; }
KRIGE_STATIC double lane(vec v, int i) { return v[i]; }
#else
#define KRIGE_STATIC static __forceinline
constexpr int lanes = 1;
using vec = double;

KRIGE_STATIC vec load(const double* p) { return *p; }
KRIGE_STATIC void store(double* p, vec v) { *p = v; }
KRIGE_STATIC vec broadcast(double x) { return x; }
KRIGE_STATIC double lane(vec v, int) { return v; }
#endif

// a b + c and c - a b; one rounding where the level has fused multiply-adds, two at the x86
// baseline
#if defined(__AVX512F__)
KRIGE_STATIC vec fma(vec a, vec b, vec c) { return _mm512_fmadd_pd(a, b, c); }
KRIGE_STATIC vec fnma(vec a, vec b, vec c) { return _mm512_fnmadd_pd(a, b, c); }
#elif defined(__AVX2__)
KRIGE_STATIC vec fma(vec a, vec b, vec c) { return _mm256_fmadd_pd(a, b, c); }
KRIGE_STATIC vec fnma(vec a, vec b, vec c) { return _mm256_fnmadd_pd(a, b, c); }
#elif defined(__aarch64__) && (defined(__GNUC__) || defined(__clang__))
KRIGE_STATIC vec fma(vec a, vec b, vec c) {
    return vec(vfmaq_f64(float64x2_t(c), float64x2_t(a), float64x2_t(b)));
}
KRIGE_STATIC vec fnma(vec a, vec b, vec c) {
    return vec(vfmsq_f64(float64x2_t(c), float64x2_t(a), float64x2_t(b)));
}
#else
KRIGE_STATIC vec fma(vec a, vec b, vec c) { return a * b + c; }
KRIGE_STATIC vec fnma(vec a, vec b, vec c) { return c - a * b; }
#endif

// the same for one number
#if defined(__FMA__) || defined(__aarch64__) && (defined(__GNUC__) || defined(__clang__))
KRIGE_STATIC double scalar_fma(double a, double b, double c) { return __builtin_fma(a, b, c); }
#else
KRIGE_STATIC double scalar_fma(double a, double b, double c) { return a * b + c; }
#endif

#if defined(__GNUC__) || defined(__clang__)
KRIGE_STATIC double square_root(double x) { return __builtin_sqrt(x); }
#else
KRIGE_STATIC double square_root(double x) { return std::sqrt(x); }
#endif

}  // namespace krige::KRIGE_LEVEL
