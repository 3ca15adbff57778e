// Register tiles over pairs of points: `pair_rows` rows, broadcast, by two packs of columns. The
// order of every sum is the same at every level, so that AVX2 and AVX-512 give the same bits.
#include "levels/distances.hpp"
#include "levels/tiles.hpp"

namespace krige::KRIGE_LEVEL {
namespace {

constexpr index_t pack_size = Pack::size;
constexpr int pair_rows = lanes >= 2 ? lanes / 2 : 1;
static_assert(tile_cols == 2 * pack_size);

// the first `count` numbers of a pack
KRIGE_FORMULA void store_some(double* p, Pack x, index_t count) {
    if (count >= pack_size) {
        store(p, x);
        return;
    }
    double all[pack_size];
    store(all, x);
    for (index_t k = 0; k < count; ++k) p[k] = all[k];
}

// rows i... before `end` and columns c... before b.count
template <Family family, int cols>
KRIGE_FORMULA void panel_tile(const PointsView& a, index_t i, index_t end, const PointsView& b,
                              index_t c, const MetricView& metric, const Panel& panel) {
    auto value = squared_distances<Pack, pair_rows, cols>(a, i, b, c, metric);
    const Pack variance = fill<Pack>(metric.variance);
    for (int r = 0; r < pair_rows; ++r) {
        for (int p = 0; p < cols; ++p) {
            Pack slope;
            radial<family>(value.at[r][p], variance, value.at[r][p], slope);
        }
    }
    const index_t count = b.count - c;
    if (count >= cols * pack_size && i + pair_rows <= end) {
        for (int r = 0; r < pair_rows; ++r) {
            double* out = panel.value.row(i + r) + c;
            for (int p = 0; p < cols; ++p) store(out + p * pack_size, value.at[r][p]);
        }
    } else {
        for (int r = 0; r < pair_rows && i + r < end; ++r) {
            double* out = panel.value.row(i + r) + c;
            for (int p = 0; p < cols; ++p)
                store_some(out + p * pack_size, value.at[r][p], count - p * pack_size);
        }
    }
    if (panel.mean == nullptr) return;
    Pack mean[cols];
    for (int p = 0; p < cols; ++p) mean[p] = load_as<Pack>(panel.mean + c + p * pack_size);
    for (int r = 0; r < pair_rows; ++r) {
        const Pack alpha = fill<Pack>(panel.alpha[i + r]);
        for (int p = 0; p < cols; ++p) mean[p] = madd(alpha, value.at[r][p], mean[p]);
    }
    for (int p = 0; p < cols; ++p) store(panel.mean + c + p * pack_size, mean[p]);
}

// rows begin to end; `lower`: of each tile the columns up to the diagonal only
template <Family family>
void panel_of(const PointsView& a, index_t begin, index_t end, const PointsView& b,
              const MetricView& metric, const Panel& panel, bool lower) {
    for (index_t i = begin; i < end; i += pair_rows) {
        const index_t last = lower && i + pair_rows < b.count ? i + pair_rows : b.count;
        index_t c = 0;
        for (; c + pack_size < last; c += tile_cols)
            panel_tile<family, 2>(a, i, end, b, c, metric, panel);
        if (c < last) panel_tile<family, 1>(a, i, end, b, c, metric, panel);
    }
}

// alpha_i alpha_c - inverse_ic of the columns c... below i
KRIGE_NOINLINE void edge_weights(ConstMatrix inverse, const double* alpha, index_t i, index_t c,
                                 double* weights) {
    for (index_t k = 0; k < tile_cols && c + k < i; ++k)
        weights[k] = alpha[i] * alpha[c + k] - inverse(i, c + k);
}

// slopes of rows i... before `end` and columns c..., each times its weight; zero from the diagonal
// on
template <Family family>
KRIGE_FORMULA Tile<Pack, pair_rows, 2> weighted_slopes(const PointsView& x,
                                                       const MetricView& metric,
                                                       ConstMatrix inverse, const double* alpha,
                                                       index_t i, index_t end, index_t c) {
    auto w = squared_distances<Pack, pair_rows, 2>(x, i, x, c, metric);
    const Pack variance = fill<Pack>(metric.variance);
    for (int r = 0; r < pair_rows; ++r) {
        for (int p = 0; p < 2; ++p) {
            Pack value;
            radial<family>(w.at[r][p], variance, value, w.at[r][p]);
        }
    }
    if (c + tile_cols <= i && i + pair_rows <= end) {
        for (int r = 0; r < pair_rows; ++r) {
            const Pack first = fill<Pack>(alpha[i + r]);
            for (int p = 0; p < 2; ++p) {
                const index_t column = c + p * pack_size;
                const Pack weight = first * load_as<Pack>(alpha + column) -
                                    load_as<Pack>(inverse.row(i + r) + column);
                w.at[r][p] = w.at[r][p] * weight;
            }
        }
        return w;
    }
    double weights[pair_rows][tile_cols] = {};
    for (int r = 0; r < pair_rows && i + r < end; ++r)
        edge_weights(inverse, alpha, i + r, c, weights[r]);
    for (int r = 0; r < pair_rows; ++r) {
        for (int p = 0; p < 2; ++p)
            w.at[r][p] = w.at[r][p] * load_as<Pack>(weights[r] + p * pack_size);
    }
    return w;
}

// sums of one place += weighted squared differences
template <bool categorical>
KRIGE_FORMULA void sum_place(const Tile<Pack, pair_rows, 2>& w, const double* x, index_t i,
                             index_t c, double weight, double* sums) {
    Pack to[2];
    Pack sum[2];
    for (int p = 0; p < 2; ++p) {
        to[p] = load_as<Pack>(x + c + p * pack_size);
        sum[p] = load_as<Pack>(sums + p * pack_size);
    }
    for (int r = 0; r < pair_rows; ++r) {
        const Pack value = fill<Pack>(x[i + r]);
        for (int p = 0; p < 2; ++p) {
            if (categorical) {
                sum[p] = madd(w.at[r][p], where_unequal(to[p], value, fill<Pack>(weight)), sum[p]);
            } else {
                const Pack delta = to[p] - value;
                sum[p] = madd(w.at[r][p] * delta, delta, sum[p]);
            }
        }
    }
    for (int p = 0; p < 2; ++p) store(sums + p * pack_size, sum[p]);
}

// Bands of four rows: within one, every column tile is finished before the next, whatever the rows
// of a register tile.
template <Family family>
void traces_of(const PointsView& x, const MetricView& metric, ConstMatrix inverse,
               const double* alpha, index_t begin, index_t end, double* sums) {
    for (index_t band = begin; band < end; band += 4) {
        for (index_t c = 0; c < band + 3; c += tile_cols) {
            for (index_t i = band; i < band + 4; i += pair_rows) {
                const auto w = weighted_slopes<family>(x, metric, inverse, alpha, i, end, c);
                for (index_t j = 0; j < metric.numeric; ++j)
                    sum_place<false>(w, place(x, j), i, c, 0.0, sums + j * tile_cols);
                for (index_t j = metric.numeric; j < metric.d; ++j)
                    sum_place<true>(w, place(x, j), i, c, metric.weight[j], sums + j * tile_cols);
            }
        }
    }
}

}  // namespace

void pair_panel(const PointsView& a, const PointsView& b, const MetricView& metric,
                const Panel& panel) {
#define KRIGE_ONE(family) panel_of<family>(a, 0, a.count, b, metric, panel, false)
    KRIGE_BY_FAMILY(metric)
#undef KRIGE_ONE
}

void pair_lower(const PointsView& x, const MetricView& metric, index_t begin, index_t end,
                Matrix out) {
    Panel panel;
    panel.value = out;
#define KRIGE_ONE(family) panel_of<family>(x, begin, end, x, metric, panel, true)
    KRIGE_BY_FAMILY(metric)
#undef KRIGE_ONE
}

void pair_traces(const PointsView& x, const MetricView& metric, ConstMatrix inverse,
                 const double* alpha, index_t begin, index_t end, double* sums) {
#define KRIGE_ONE(family) traces_of<family>(x, metric, inverse, alpha, begin, end, sums)
    KRIGE_BY_FAMILY(metric)
#undef KRIGE_ONE
}

}  // namespace krige::KRIGE_LEVEL
