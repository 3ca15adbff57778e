// Several native vectors as one number type with the operations that formulas.hpp asks for.
// Included only by sources that are compiled once per SIMD level; everything here is inlined away.
#pragma once

#include "krige/formulas.hpp"
#include "levels/vector.hpp"

namespace krige::KRIGE_LEVEL {

#if defined(__GNUC__)
using Bits [[gnu::vector_size(lanes * 8)]] = std::uint64_t;
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

// p * 2^k, where t = k + round_shift; zero where s is beyond the range of exp_minus
KRIGE_FORMULA vec native_scale(vec p, vec t, vec s) {
#if defined(__GNUC__)
    const vec highest = broadcast(exponential::highest);
    return (vec)(((Bits)p + ((Bits)t << 52)) & (Bits)(s <= highest));
#else
    return krige::scale_by_power(p, t, s);
#endif
}

#if defined(__GNUC__)
KRIGE_FORMULA vec native_magnitude(vec x) { return (vec)((Bits)x & (~std::uint64_t{0} >> 1)); }
// of two that are not negative
KRIGE_FORMULA vec native_smaller(vec a, vec b) {
    const Bits first = (Bits)(a < b);
    return (vec)(((Bits)a & first) | ((Bits)b & ~first));
}
KRIGE_FORMULA vec native_quotient_or_zero(vec a, vec b) {
    return (vec)((Bits)(a / b) & (Bits)(b > 0.0));
}
KRIGE_FORMULA vec native_unequal(vec a, vec b, vec c) { return (vec)((Bits)c & (Bits)(a != b)); }
#else
KRIGE_FORMULA vec native_magnitude(vec x) { return std::fabs(x); }
KRIGE_FORMULA vec native_smaller(vec a, vec b) { return a < b ? a : b; }
KRIGE_FORMULA vec native_quotient_or_zero(vec a, vec b) { return b > 0.0 ? a / b : 0.0; }
KRIGE_FORMULA vec native_unequal(vec a, vec b, vec c) { return a != b ? c : 0.0; }
#endif

template <int parts>
struct Packed {
    static constexpr index_t size = parts * lanes;
    vec part[parts];
};
using One = Packed<1>;           // one native vector
using Pack = Packed<8 / lanes>;  // eight doubles at every level

#define KRIGE_PARTS(expression)       \
    Packed<parts> out;                \
    for (int i = 0; i < parts; ++i) { \
        out.part[i] = (expression);   \
    }                                 \
    return out

template <int parts>
KRIGE_FORMULA Packed<parts> operator+(Packed<parts> a, Packed<parts> b) {
    KRIGE_PARTS(a.part[i] + b.part[i]);
}
template <int parts>
KRIGE_FORMULA Packed<parts> operator-(Packed<parts> a, Packed<parts> b) {
    KRIGE_PARTS(a.part[i] - b.part[i]);
}
template <int parts>
KRIGE_FORMULA Packed<parts> operator*(Packed<parts> a, Packed<parts> b) {
    KRIGE_PARTS(a.part[i] * b.part[i]);
}
template <int parts>
KRIGE_FORMULA Packed<parts> madd(Packed<parts> a, Packed<parts> b, Packed<parts> c) {
    KRIGE_PARTS(fma(a.part[i], b.part[i], c.part[i]));
}
template <int parts>
KRIGE_FORMULA Packed<parts> root(Packed<parts> x) {
    KRIGE_PARTS(native_root(x.part[i]));
}
template <int parts>
KRIGE_FORMULA Packed<parts> magnitude(Packed<parts> x) {
    KRIGE_PARTS(native_magnitude(x.part[i]));
}
template <int parts>
KRIGE_FORMULA Packed<parts> smaller(Packed<parts> a, Packed<parts> b) {
    KRIGE_PARTS(native_smaller(a.part[i], b.part[i]));
}
template <int parts>
KRIGE_FORMULA Packed<parts> broadcast_like(Packed<parts>, double x) {
    KRIGE_PARTS(broadcast(x));
}
template <int parts>
KRIGE_FORMULA Packed<parts> scale_by_power(Packed<parts> p, Packed<parts> t, Packed<parts> x) {
    KRIGE_PARTS(native_scale(p.part[i], t.part[i], x.part[i]));
}
template <int parts>
KRIGE_FORMULA Packed<parts> quotient_or_zero(Packed<parts> a, Packed<parts> b) {
    KRIGE_PARTS(native_quotient_or_zero(a.part[i], b.part[i]));
}
// c where a and b differ, else zero
template <int parts>
KRIGE_FORMULA Packed<parts> where_unequal(Packed<parts> a, Packed<parts> b, Packed<parts> c) {
    KRIGE_PARTS(native_unequal(a.part[i], b.part[i], c.part[i]));
}
#undef KRIGE_PARTS

template <class P>
KRIGE_FORMULA P fill(double x) {
    return broadcast_like(P{}, x);
}
template <class P>
KRIGE_FORMULA P load_as(const double* p) {
    P out;
    for (index_t i = 0; i < P::size / lanes; ++i) out.part[i] = load(p + i * lanes);
    return out;
}
template <int parts>
KRIGE_FORMULA void store(double* p, Packed<parts> x) {
    for (int i = 0; i < parts; ++i) store(p + i * lanes, x.part[i]);
}

}  // namespace krige::KRIGE_LEVEL
