// The kernels of a register tile of pairs (distances.hpp).
#pragma once

#include "levels/distances.hpp"

namespace krige::KRIGE_LEVEL {

// use(r, p, delta, value, slope) for the term of place j (formulas.hpp) at every pair of the tile
template <bool exponentials, class P, int rows, int cols, class Use>
KRIGE_FORMULA void use_term(const PointsView& a, index_t i, const PointsView& b, index_t c,
                            const MetricView& metric, index_t j, Use&& use) {
    const index_t up = metric.d + j;
    const index_t down = up + metric.numeric;
    const double* from = place(a, j) + i;
    P to[cols];
    P rise[cols];
    P decline[cols];
    for (int p = 0; p < cols; ++p) {
        to[p] = load_as<P>(place(b, j) + c + p * P::size);
        if (!exponentials) continue;
        rise[p] = load_as<P>(place(b, up) + c + p * P::size);
        decline[p] = load_as<P>(place(b, down) + c + p * P::size);
    }
    for (int r = 0; r < rows; ++r) {
        for (int p = 0; p < cols; ++p) {
            const P delta = to[p] - fill<P>(from[r]);
            const P s = magnitude(delta);
            P decay;
            if (exponentials) {
                decay = smaller(rise[p] * fill<P>(place(a, down)[i + r]),
                                decline[p] * fill<P>(place(a, up)[i + r]));
            } else {
                decay = exp_minus(s);
            }
            P value;
            P slope;
            term(s, decay, value, slope);
            use(r, p, delta, value, slope);
        }
    }
}

template <class P, int rows, int cols, class Use>
KRIGE_FORMULA void each_term(const PointsView& a, index_t i, const PointsView& b, index_t c,
                             const MetricView& metric, index_t j, Use&& use) {
    if (a.places > metric.d && b.places > metric.d) {
        use_term<true, P, rows, cols>(a, i, b, c, metric, j, use);
    } else {
        use_term<false, P, rows, cols>(a, i, b, c, metric, j, use);
    }
}

// radial() of squared distances, which become the values
template <Family family, class P, int rows, int cols>
KRIGE_FORMULA void apply_radial(double variance, Tile<P, rows, cols>& value,
                                Tile<P, rows, cols>& slope) {
    const P scale = fill<P>(variance);
    for (int r = 0; r < rows; ++r) {
        for (int p = 0; p < cols; ++p)
            radial<family>(value.at[r][p], scale, value.at[r][p], slope.at[r][p]);
    }
}

// what the terms of additive52 are multiplied by, and its slope
template <class P, int rows, int cols>
KRIGE_FORMULA void shared_factor(const PointsView& a, index_t i, const PointsView& b, index_t c,
                                 const MetricView& metric, Tile<P, rows, cols>& factor,
                                 Tile<P, rows, cols>& slope) {
    factor = zeros<P, rows, cols>();
    slope = factor;
    if (metric.numeric == metric.d) {
        for (int r = 0; r < rows; ++r) {
            for (int p = 0; p < cols; ++p) factor.at[r][p] = fill<P>(metric.share);
        }
        return;
    }
    add_categories(a, i, b, c, metric, factor);
    apply_radial<Family::matern52>(metric.share, factor, slope);
}

// values, and slopes; of additive52 instead of slopes the factor that all terms share
template <Family family, class P, int rows, int cols>
KRIGE_FORMULA void kernel_of_pairs(const PointsView& a, index_t i, const PointsView& b, index_t c,
                                   const MetricView& metric, Tile<P, rows, cols>& value,
                                   Tile<P, rows, cols>& slope) {
    if constexpr (family != Family::additive52) {
        value = squared_distances<P, rows, cols>(a, i, b, c, metric);
        apply_radial<family>(metric.variance, value, slope);
    } else {
        value = zeros<P, rows, cols>();
        for (index_t j = 0; j < metric.numeric; ++j) {
            each_term<P, rows, cols>(a, i, b, c, metric, j, [&](int r, int p, P, P one, P) {
                value.at[r][p] = value.at[r][p] + one;
            });
        }
        Tile<P, rows, cols> fall;
        shared_factor(a, i, b, c, metric, slope, fall);
        for (int r = 0; r < rows; ++r) {
            for (int p = 0; p < cols; ++p) value.at[r][p] = value.at[r][p] * slope.at[r][p];
        }
    }
}

}  // namespace krige::KRIGE_LEVEL

// Runs KRIGE_ONE(family) for the family of `metric`.
#define KRIGE_BY_FAMILY(metric)                                        \
    switch ((metric).family) {                                         \
        case Family::rbf: KRIGE_ONE(Family::rbf); break;               \
        case Family::matern12: KRIGE_ONE(Family::matern12); break;     \
        case Family::matern32: KRIGE_ONE(Family::matern32); break;     \
        case Family::matern52: KRIGE_ONE(Family::matern52); break;     \
        case Family::additive52: KRIGE_ONE(Family::additive52); break; \
    }
