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

template <class P, int rows, int cols>
KRIGE_FORMULA Tile<P, rows, cols> zeros() {
    Tile<P, rows, cols> out;
    for (int r = 0; r < rows; ++r) {
        for (int p = 0; p < cols; ++p) out.at[r][p] = fill<P>(0.0);
    }
    return out;
}

KRIGE_FORMULA const double* place(const PointsView& x, index_t j) {
    return x.values + j * x.stride;
}

// r2 += what the categorical places add to squared distances
template <class P, int rows, int cols>
KRIGE_FORMULA void add_categories(const PointsView& a, index_t i, const PointsView& b, index_t c,
                                  const MetricView& metric, Tile<P, rows, cols>& r2) {
    for (index_t j = metric.numeric, d = metric.d; j < d; ++j) {
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
}

template <class P, int rows, int cols>
KRIGE_FORMULA Tile<P, rows, cols> squared_distances(const PointsView& a, index_t i,
                                                    const PointsView& b, index_t c,
                                                    const MetricView& metric) {
    Tile<P, rows, cols> r2 = zeros<P, rows, cols>();
    for (index_t j = 0; j < metric.numeric; ++j) {
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
    add_categories(a, i, b, c, metric, r2);
    return r2;
}

}  // namespace krige::KRIGE_LEVEL
