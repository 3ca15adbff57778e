// Register tiles over pairs of points: `pair_rows` rows, broadcast, by two packs of columns. The
// order of every sum is the same at every level, so that AVX2 and AVX-512 give the same bits.
#include "levels/kernels.hpp"
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
    Tile<Pack, pair_rows, cols> value;
    Tile<Pack, pair_rows, cols> slope;
    kernel_of_pairs<family>(a, i, b, c, metric, value, slope);
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

// alpha_i alpha_c - inverse_ic of rows i... before `end` and columns c...; zero from the diagonal
// on
KRIGE_FORMULA Tile<Pack, pair_rows, 2> pair_weights(ConstMatrix inverse, const double* alpha,
                                                    index_t i, index_t end, index_t c) {
    Tile<Pack, pair_rows, 2> w;
    if (c + tile_cols <= i && i + pair_rows <= end) {
        for (int r = 0; r < pair_rows; ++r) {
            const Pack first = fill<Pack>(alpha[i + r]);
            for (int p = 0; p < 2; ++p) {
                const index_t column = c + p * pack_size;
                w.at[r][p] = first * load_as<Pack>(alpha + column) -
                             load_as<Pack>(inverse.row(i + r) + column);
            }
        }
        return w;
    }
    double weights[pair_rows][tile_cols] = {};
    for (int r = 0; r < pair_rows && i + r < end; ++r)
        edge_weights(inverse, alpha, i + r, c, weights[r]);
    for (int r = 0; r < pair_rows; ++r) {
        for (int p = 0; p < 2; ++p) w.at[r][p] = load_as<Pack>(weights[r] + p * pack_size);
    }
    return w;
}

KRIGE_FORMULA void multiply(Tile<Pack, pair_rows, 2>& tile, const Tile<Pack, pair_rows, 2>& by) {
    for (int r = 0; r < pair_rows; ++r) {
        for (int p = 0; p < 2; ++p) tile.at[r][p] = tile.at[r][p] * by.at[r][p];
    }
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

KRIGE_FORMULA void sum_categories(const Tile<Pack, pair_rows, 2>& w, const PointsView& x,
                                  const MetricView& metric, index_t i, index_t c, double* sums) {
    for (index_t j = metric.numeric; j < metric.d; ++j)
        sum_place<true>(w, place(x, j), i, c, metric.weight[j], sums + j * tile_cols);
}

// sums += the terms of a tile of pairs, each times its weight
template <Family family>
KRIGE_FORMULA void trace_tile(const PointsView& x, const MetricView& metric,
                              const Tile<Pack, pair_rows, 2>& weights, index_t i, index_t c,
                              double* sums) {
    Tile<Pack, pair_rows, 2> value;
    Tile<Pack, pair_rows, 2> slope;
    if constexpr (family != Family::additive52) {
        kernel_of_pairs<family>(x, i, x, c, metric, value, slope);
        multiply(slope, weights);
        for (index_t j = 0; j < metric.numeric; ++j)
            sum_place<false>(slope, place(x, j), i, c, 0.0, sums + j * tile_cols);
        sum_categories(slope, x, metric, i, c, sums);
    } else {
        Tile<Pack, pair_rows, 2> factor;
        shared_factor(x, i, x, c, metric, factor, slope);
        multiply(factor, weights);
        multiply(slope, weights);
        value = zeros<Pack, pair_rows, 2>();
        for (index_t j = 0; j < metric.numeric; ++j) {
            double* to = sums + j * tile_cols;
            Pack sum[2] = {load_as<Pack>(to), load_as<Pack>(to + pack_size)};
            each_term<Pack, pair_rows, 2>(
                x, i, x, c, metric, j, [&](int r, int p, Pack delta, Pack one, Pack fall) {
                    value.at[r][p] = value.at[r][p] + one;
                    sum[p] = madd(factor.at[r][p] * fall * delta, delta, sum[p]);
                });
            for (int p = 0; p < 2; ++p) store(to + p * pack_size, sum[p]);
        }
        multiply(value, slope);
        sum_categories(value, x, metric, i, c, sums);
    }
}

// Bands of four rows: within one, every column tile is finished before the next, whatever the rows
// of a register tile.
template <Family family>
void traces_of(const PointsView& x, const MetricView& metric, ConstMatrix inverse,
               const double* alpha, index_t begin, index_t end, double* sums) {
    for (index_t band = begin; band < end; band += 4) {
        for (index_t c = 0; c < band + 3; c += tile_cols) {
            for (index_t i = band; i < band + 4; i += pair_rows) {
                const auto weights = pair_weights(inverse, alpha, i, end, c);
                trace_tile<family>(x, metric, weights, i, c, sums);
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
