// Every formula of the model, once, for C++ and CUDA. The radial functions are written for any
// number type V that offers broadcast_like, madd, root, quotient_or_zero and scale_by_power (or
// exp_minus): double and float here, a pack of doubles in src/levels/pack.hpp.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "krige/hyper.hpp"

#if defined(__CUDACC__)
#define KRIGE_FORMULA __host__ __device__ __forceinline__
#elif defined(__GNUC__)
#define KRIGE_FORMULA [[gnu::always_inline]] inline
#else
#define KRIGE_FORMULA inline
#endif

namespace krige {

// exp(-s) = 2^-k (1 - r + r^2 q(-r)), |r| <= log(2) / 2; q interpolates at ten Chebyshev nodes,
// error below 2e-17
namespace exponential {
constexpr double log2_e = 1.4426950408889634;
constexpr double ln2_high = 0x1.62e42fef80000p-1;  // times any exponent exact
constexpr double ln2_low = 1.61985101866565612e-11;
constexpr double round_shift =
    6755399441055744.0;            // 1.5 * 2^52: the sum's low bits hold the rounded integer
constexpr double highest = 708.0;  // beyond it the result would be subnormal and is taken as zero
}  // namespace exponential

KRIGE_FORMULA double broadcast_like(double, double value) { return value; }
KRIGE_FORMULA double madd(double a, double b, double c) { return a * b + c; }
KRIGE_FORMULA double quotient_or_zero(double a, double b) { return b > 0.0 ? a / b : 0.0; }

KRIGE_FORMULA float broadcast_like(float, double value) { return static_cast<float>(value); }
KRIGE_FORMULA float madd(float a, float b, float c) { return a * b + c; }
KRIGE_FORMULA float quotient_or_zero(float a, float b) { return b > 0.0f ? a / b : 0.0f; }
KRIGE_FORMULA float exp_minus(float s) { return std::exp(-s); }

// sqrt(x) from an estimate of 1 / sqrt(x) with a relative error below 2^-19, by a step of third
// order (Householder 1970, section 4.4); zero for zero, where the estimate is finite
KRIGE_FORMULA double root_from(double x, double estimate) {
    const double s = x * estimate;
    const double e = madd(-s, estimate, 1.0);
    return madd(s * e, madd(0.375, e, 0.5), s);
}

#if defined(__CUDA_ARCH__)
// The library's roots branch for special arguments, which costs more than the root itself; here
// there are none but zero.
KRIGE_FORMULA double root(double x) {
    double estimate;
    asm("rsqrt.approx.ftz.f64 %0, %1;" : "=d"(estimate) : "d"(x + 0x1p-1022));
    return root_from(x, estimate);
}
KRIGE_FORMULA float root(float x) { return x * rsqrtf(x + 0x1p-126f); }
#else
KRIGE_FORMULA double root(double x) { return std::sqrt(x); }
KRIGE_FORMULA float root(float x) { return std::sqrt(x); }
#endif

// p times 2^k, where t = k + round_shift
KRIGE_FORMULA double scale_by_power(double p, double t, double s) {
    std::uint64_t bits;
    std::uint64_t shift;
    std::memcpy(&bits, &p, sizeof bits);
    std::memcpy(&shift, &t, sizeof shift);
    bits += shift << 52;
    std::memcpy(&p, &bits, sizeof p);
    return s > exponential::highest ? 0.0 : p;
}

// exp(-s) for s >= 0, to about one unit in the last place
template <class V>
KRIGE_FORMULA V exp_minus(V s) {
    using namespace exponential;
    constexpr double q[10] = {0x1.0000000000001p-1,  0x1.5555555555556p-3,  0x1.5555555553d63p-5,
                              0x1.11111111109b3p-7,  0x1.6c16c1788bd90p-10, 0x1.a01a01a7c41d5p-13,
                              0x1.a019b90d2ae7ap-16, 0x1.71de0dae63bb3p-19, 0x1.289185613a3d6p-22,
                              0x1.af38a9b0ec855p-26};
    const V shift = broadcast_like(s, round_shift);
    const V t = madd(s, broadcast_like(s, -log2_e), shift);
    const V k = t - shift;
    V r = madd(k, broadcast_like(s, ln2_high), s);
    r = madd(k, broadcast_like(s, ln2_low), r);
    V p = broadcast_like(s, -q[9]);
    p = madd(p, r, broadcast_like(s, q[8]));
    p = madd(p, r, broadcast_like(s, -q[7]));
    p = madd(p, r, broadcast_like(s, q[6]));
    p = madd(p, r, broadcast_like(s, -q[5]));
    p = madd(p, r, broadcast_like(s, q[4]));
    p = madd(p, r, broadcast_like(s, -q[3]));
    p = madd(p, r, broadcast_like(s, q[2]));
    p = madd(p, r, broadcast_like(s, -q[1]));
    p = madd(p, r, broadcast_like(s, q[0]));
    p = madd(p, r, broadcast_like(s, -1.0));
    return scale_by_power(madd(p, r, broadcast_like(s, 1.0)), t, s);
}

// What squared distances are multiplied by, so that exp(-s) with s^2 = u, or exp(-u), is each
// family's decay.
constexpr double distance_scale(Family family) {
    return family == Family::matern52 || family == Family::additive52 ? 5.0
           : family == Family::matern32                               ? 3.0
           : family == Family::rbf                                    ? 0.5
                                                                      : 1.0;
}

// A kernel at scaled squared distance u = sum of delta_j^2 w_j with w_j = distance_scale / l_j^2,
// and slope = -2 dk / du: the derivative with respect to log lengthscale j is slope * delta_j^2
// w_j, with respect to a coordinate of the first point -slope * delta_j w_j. Rasmussen and Williams
// 2006, eq. 4.14-4.17. matern12's slope at distance zero is taken as zero.
template <Family family, class V>
KRIGE_FORMULA void radial(V u, V variance, V& value, V& slope) {
    if constexpr (family == Family::rbf) {
        value = variance * exp_minus(u);
        slope = value + value;
        return;
    }
    const V s = root(u);
    const V e = variance * exp_minus(s);
    if constexpr (family == Family::matern12) {
        value = e;
        slope = quotient_or_zero(e, s);
    } else if constexpr (family == Family::matern32) {
        value = madd(s, e, e);
        slope = e;
    } else if constexpr (family == Family::matern52) {
        const V third = broadcast_like(u, 1.0 / 3.0);
        value = e * madd(u, third, s + broadcast_like(u, 1.0));
        slope = e * madd(s, third, third);
    }
}

// matern52 and its slope, divided by the variance, of one scaled difference s = |delta| sqrt(w),
// where decay = exp(-s): a term of additive52
template <class V>
KRIGE_FORMULA void term(V s, V decay, V& value, V& slope) {
    const V third = broadcast_like(s, 1.0 / 3.0);
    const V one = broadcast_like(s, 1.0);
    value = decay * madd(s, madd(s, third, one), one);
    slope = decay * madd(s, third, third);
}

// Chebyshev series in t = (a - 5) / (a + 5), first coefficient first, by Clenshaw's recurrence
template <int count>
KRIGE_FORMULA double chebyshev(const double (&c)[count], double t) {
    double b1 = 0.0;
    double b2 = 0.0;
    for (int k = count - 1; k > 0; --k) {
        const double b = 2.0 * t * b1 + (c[k] - b2);
        b2 = b1;
        b1 = b;
    }
    return t * b1 + (c[0] - b2);
}

constexpr double inverse_sqrt_2pi = 0.39894228040143267794;
constexpr double log_sqrt_2pi = 0.91893853320467274178;

// Mills ratio Phi(-a) / phi(a), a >= 0: (1 + a) times it as a Chebyshev series, truncation error
// below 1e-17
KRIGE_FORMULA double mills_ratio(double a) {
    constexpr double c[] = {
        1.15799762213051882e+00,  -1.63344938845139787e-01, -1.36831360557815758e-02,
        3.08220001981000385e-02,  -1.62200730120468060e-02, 5.61669101646009375e-03,
        -1.41339337835492160e-03, 2.50262546072566082e-04,  -2.46890723972838706e-05,
        -1.01079640618375915e-06, 7.49541917974057283e-07,  -7.60027426872833667e-08,
        -1.15747714413286443e-08, 3.33338647259984314e-09,  7.53803962817134682e-11,
        -1.11042472637274940e-10, 3.50924377655105882e-12,  3.68949538617509551e-12,
        -2.33766977763830947e-13, -1.32717975235414049e-13, 9.92170699588827612e-15,
        5.27600499545537906e-15,  -3.37309769418792178e-16, -2.28043387763799460e-16,
        7.49633056580862606e-18,  1.03280418772906682e-17};
    return chebyshev(c, (a - 5.0) / (a + 5.0)) / (1.0 + a);
}

// 1 - a mills_ratio(a) without its cancellation, a >= 0: (1 + a)^2 times it as a Chebyshev series.
// Times phi(a) it is the expected improvement of a unit normal over a threshold at a, E max(u - a,
// 0).
KRIGE_FORMULA double tail_gain(double a) {
    constexpr double c[] = {
        1.17869390138664376e+00,  -1.01257279627993177e-01, -1.48655462085218876e-01,
        9.81684877858015198e-02,  -3.17179889815260713e-02, 4.11838030663020608e-03,
        1.38401749830792636e-03,  -9.83834035349531299e-04, 2.94895049204531605e-04,
        -4.70926019514017108e-05, 8.59002927292080762e-07,  1.35546190804339125e-06,
        -2.31475555958317672e-07, -1.70754406079200134e-08, 9.94936287386623456e-09,
        -2.41064646545922763e-10, -3.56661753032575158e-10, 2.89452269473624022e-11,
        1.30161007177970528e-11,  -1.55245381389496346e-12, -5.22093063031519383e-13,
        6.95018461190133395e-14,  2.34594446070003809e-14,  -2.77188597344467918e-15,
        -1.15442821944116820e-15, 9.11604527444613297e-17,  5.95515976308483802e-17,
        -1.42167199974363129e-18, -3.06640982164688037e-18};
    const double scale = 1.0 + a;
    return chebyshev(c, (a - 5.0) / (a + 5.0)) / scale / scale;
}

// An acquisition's value and its partial derivatives with respect to the posterior mean and
// standard deviation.
struct AcquisitionPoint {
    double value;
    double by_mean;
    double by_deviation;
};

// Larger is better; `deviation` is positive. The formulas of backend/protocol.py, rearranged so
// that nothing cancels: with z = (best - mean - xi) / deviation, a = |z| and gain = tail_gain(a),
// ei / deviation = h(z) = max(z, 0) + phi(a) gain, and for z < 0 log h(z) = log phi(a) + log gain
// (Ament et al. 2023).
KRIGE_FORMULA AcquisitionPoint acquire(const Acquisition& acquisition, double mean,
                                       double deviation) {
    if (acquisition.kind == AcquisitionKind::lcb) {
        return {acquisition.beta * deviation - mean, -1.0, acquisition.beta};
    }
    if (acquisition.kind == AcquisitionKind::ucb) {
        return {acquisition.beta * deviation + mean, 1.0, acquisition.beta};
    }
    double z = (acquisition.best - mean - acquisition.xi) / deviation;
    z = z < -1e150 ? -1e150 : z > 1e150 ? 1e150 : z;
    const double a = std::fabs(z);
    const double density = inverse_sqrt_2pi * std::exp(-0.5 * a * a);
    const double mills = mills_ratio(a);
    const double cumulative = z > 0.0 ? 1.0 - density * mills : density * mills;
    if (acquisition.kind == AcquisitionKind::pi) {
        return {cumulative, -density / deviation, -z * density / deviation};
    }
    const double gain = tail_gain(a);
    const double h = (z > 0.0 ? z : 0.0) + density * gain;
    if (acquisition.kind == AcquisitionKind::ei) {
        return {deviation * h, -cumulative, density};
    }
    if (z > 0.0) {
        return {std::log(deviation) + std::log(h), -cumulative / (deviation * h),
                density / (deviation * h)};
    }
    return {std::log(deviation) + std::log(gain) - 0.5 * a * a - log_sqrt_2pi,
            -mills / (deviation * gain), 1.0 / (deviation * gain)};
}

}  // namespace krige
