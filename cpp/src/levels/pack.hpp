// Eight doubles, in as many native vectors as the level needs, with the operations that
// formulas.hpp asks for. Included only by sources that are compiled once per SIMD level; everything
// here is inlined away.
#pragma once

#include "krige/formulas.hpp"
#include "levels/vector.hpp"

namespace krige::KRIGE_LEVEL {

constexpr index_t pack_size = 8;
constexpr int parts = static_cast<int>(pack_size) / lanes;

#if defined(__GNUC__)
using Bits [[gnu::vector_size(lanes * 8)]] = std::int64_t;
#endif

KRIGE_FORMULA vec native_root(vec x) {
#if defined(__AVX512F__)
    return _mm512_maskz_sqrt_pd(0xff, x);
#elif defined(__AVX__)
    return _mm256_sqrt_pd(x);
#elif defined(__SSE2__) && defined(__GNUC__)
    return _mm_sqrt_pd(x);
#elif defined(__GNUC__)
    for (int i = 0; i < lanes; ++i) x[i] = __builtin_sqrt(x[i]);
    return x;
#else
    return std::sqrt(x);
#endif
}

// p * 2^k, where t = k + round_shift; zero where x is below the range of exp_negative
KRIGE_FORMULA vec native_scale(vec p, vec t, vec x) {
#if defined(__GNUC__)
    const vec lowest = broadcast(exponential::lowest);
    return (vec)(((Bits)p + ((Bits)t << 52)) & (Bits)(x >= lowest));
#else
    return krige::scale_by_power(p, t, x);
#endif
}

struct Pack {
    vec part[parts];
};

#define KRIGE_PARTS(expression)       \
    Pack out;                         \
    for (int i = 0; i < parts; ++i) { \
        out.part[i] = (expression);   \
    }                                 \
    return out

KRIGE_FORMULA Pack fill(double x) { KRIGE_PARTS(broadcast(x)); }
KRIGE_FORMULA Pack operator+(const Pack& a, const Pack& b) { KRIGE_PARTS(a.part[i] + b.part[i]); }
KRIGE_FORMULA Pack operator-(const Pack& a, const Pack& b) { KRIGE_PARTS(a.part[i] - b.part[i]); }
KRIGE_FORMULA Pack operator*(const Pack& a, const Pack& b) { KRIGE_PARTS(a.part[i] * b.part[i]); }
KRIGE_FORMULA Pack madd(const Pack& a, const Pack& b, const Pack& c) {
    KRIGE_PARTS(fma(a.part[i], b.part[i], c.part[i]));
}
KRIGE_FORMULA Pack root(const Pack& x) { KRIGE_PARTS(native_root(x.part[i])); }
KRIGE_FORMULA Pack broadcast_like(const Pack&, double x) { return fill(x); }
KRIGE_FORMULA Pack scale_by_power(const Pack& p, const Pack& t, const Pack& x) {
    KRIGE_PARTS(native_scale(p.part[i], t.part[i], x.part[i]));
}

#if defined(__GNUC__)
KRIGE_FORMULA vec native_quotient_or_zero(vec a, vec b) {
    return (vec)((Bits)(a / b) & (Bits)(b > 0.0));
}
KRIGE_FORMULA vec native_unequal(vec a, vec b, vec c) { return (vec)((Bits)c & (Bits)(a != b)); }
#else
KRIGE_FORMULA vec native_quotient_or_zero(vec a, vec b) { return b > 0.0 ? a / b : 0.0; }
KRIGE_FORMULA vec native_unequal(vec a, vec b, vec c) { return a != b ? c : 0.0; }
#endif
KRIGE_FORMULA Pack quotient_or_zero(const Pack& a, const Pack& b) {
    KRIGE_PARTS(native_quotient_or_zero(a.part[i], b.part[i]));
}
// c where a and b differ, else zero
KRIGE_FORMULA Pack where_unequal(const Pack& a, const Pack& b, const Pack& c) {
    KRIGE_PARTS(native_unequal(a.part[i], b.part[i], c.part[i]));
}

KRIGE_FORMULA Pack load_pack(const double* p) { KRIGE_PARTS(load(p + i * lanes)); }
KRIGE_FORMULA void store(double* p, const Pack& x) {
    for (int i = 0; i < parts; ++i) store(p + i * lanes, x.part[i]);
}

}  // namespace krige::KRIGE_LEVEL
