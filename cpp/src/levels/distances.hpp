// Squared distances of a register tile of pairs of points: `rows` points of a, broadcast, by `cols`
// packs P of points of b.
#pragma once

#include "levels/pack.hpp"
#include "levels/pairs.hpp"

namespace krige::KRIGE_LEVEL {

template <class P, int rows, int cols>
struct Tile {
    P at[rows][cols];
};

KRIGE_FORMULA const double* place(const PointsView& x, index_t j) {
    return x.values + j * x.stride;
}

template <class P, int rows, int cols>
KRIGE_FORMULA Tile<P, rows, cols> squared_distances(const PointsView& a, index_t i,
                                                    const PointsView& b, index_t c,
                                                    const MetricView& metric) {
    Tile<P, rows, cols> r2;
    for (int r = 0; r < rows; ++r) {
        for (int p = 0; p < cols; ++p) r2.at[r][p] = fill<P>(0.0);
    }
    index_t j = 0;
    for (; j < metric.numeric; ++j) {
        const double* from = place(a, j) + i;
        P to[cols];
        for (int p = 0; p < cols; ++p) to[p] = load_as<P>(place(b, j) + c + p * P::size);
        for (int r = 0; r < rows; ++r) {
            const P value = fill<P>(from[r]);
            for (int p = 0; p < cols; ++p) {
                const P delta = to[p] - value;
                r2.at[r][p] = madd(delta, delta, r2.at[r][p]);
            }
        }
    }
    for (const index_t d = metric.d; j < d; ++j) {
        const double* from = place(a, j) + i;
        const P weight = fill<P>(metric.weight[j]);
        for (int r = 0; r < rows; ++r) {
            const P value = fill<P>(from[r]);
            for (int p = 0; p < cols; ++p) {
                const P to = load_as<P>(place(b, j) + c + p * P::size);
                r2.at[r][p] = r2.at[r][p] + where_unequal(to, value, weight);
            }
        }
    }
    return r2;
}

}  // namespace krige::KRIGE_LEVEL

// Runs KRIGE_ONE(family) for the family of `metric`.
#define KRIGE_BY_FAMILY(metric)                                    \
    switch ((metric).family) {                                     \
        case Family::rbf: KRIGE_ONE(Family::rbf); break;           \
        case Family::matern12: KRIGE_ONE(Family::matern12); break; \
        case Family::matern32: KRIGE_ONE(Family::matern32); break; \
        case Family::matern52: KRIGE_ONE(Family::matern52); break; \
    }
