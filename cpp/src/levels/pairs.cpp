// Register tiles over pairs of points: `tile_rows` rows, broadcast, by two packs of columns. The
// order of every sum is the same at every level, so that AVX2 and AVX-512 give the same bits.
#include "levels/distances.hpp"

namespace krige::KRIGE_LEVEL {
namespace {

constexpr index_t pack_size = Pack::size;
static_assert(tile_cols == 2 * pack_size);
constexpr int tile_rows = lanes >= 2 ? lanes / 2 : 1;

template <int rows>
using Two = Tile<Pack, rows, 2>;

// the first `count` numbers of a pack
KRIGE_FORMULA void store_some(double* p, const Pack& x, index_t count) {
    if (count >= pack_size) {
        store(p, x);
        return;
    }
    double all[pack_size];
    store(all, x);
    for (index_t k = 0; k < count; ++k) p[k] = all[k];
}

// columns c to c + 8 cols, of which those of b exist
template <Family family, int rows, int cols>
KRIGE_FORMULA void panel_tile(const PointsView& a, index_t i, const PointsView& b, index_t c,
                              const MetricView& metric, const Panel& panel, const Pack& variance) {
    Tile<Pack, rows, cols> value = squared_distances<Pack, rows, cols>(a, i, b, c, metric);
    for (int r = 0; r < rows; ++r) {
        for (int p = 0; p < cols; ++p) {
            Pack slope;
            radial<family>(value.at[r][p], variance, value.at[r][p], slope);
        }
    }
    const index_t count = b.count - c;
    for (int r = 0; r < rows; ++r) {
        double* out = panel.value.row(i + r) + c;
        for (int p = 0; p < cols; ++p) {
            if (count >= cols * pack_size) {
                store(out + p * pack_size, value.at[r][p]);
            } else {
                store_some(out + p * pack_size, value.at[r][p], count - p * pack_size);
            }
        }
    }
    if (panel.mean == nullptr) return;
    Pack mean[cols];
    for (int p = 0; p < cols; ++p) mean[p] = load_as<Pack>(panel.mean + c + p * pack_size);
    for (int r = 0; r < rows; ++r) {
        const Pack alpha = fill<Pack>(panel.alpha[i + r]);
        for (int p = 0; p < cols; ++p) mean[p] = madd(alpha, value.at[r][p], mean[p]);
    }
    for (int p = 0; p < cols; ++p) store(panel.mean + c + p * pack_size, mean[p]);
}

// rows i to i + rows, columns 0 to end
template <Family family, int rows>
KRIGE_FORMULA void panel_rows_of(const PointsView& a, index_t i, const PointsView& b, index_t end,
                                 const MetricView& metric, const Panel& panel,
                                 const Pack& variance) {
    index_t c = 0;
    for (; c + pack_size < end; c += tile_cols)
        panel_tile<family, rows, 2>(a, i, b, c, metric, panel, variance);
    if (c < end) panel_tile<family, rows, 1>(a, i, b, c, metric, panel, variance);
}

template <Family family>
void panel_of(const PointsView& a, const PointsView& b, const MetricView& metric,
              const Panel& panel) {
    const Pack variance = fill<Pack>(metric.variance);
    index_t i = 0;
    for (; i + tile_rows <= a.count; i += tile_rows)
        panel_rows_of<family, tile_rows>(a, i, b, b.count, metric, panel, variance);
    for (; i < a.count; ++i) panel_rows_of<family, 1>(a, i, b, b.count, metric, panel, variance);
}

template <Family family>
void lower_of(const PointsView& x, const MetricView& metric, index_t begin, index_t end,
              const Panel& panel) {
    const Pack variance = fill<Pack>(metric.variance);
    index_t i = begin;
    for (; i + tile_rows <= end; i += tile_rows)
        panel_rows_of<family, tile_rows>(x, i, x, i + tile_rows, metric, panel, variance);
    for (; i < end; ++i) panel_rows_of<family, 1>(x, i, x, i + 1, metric, panel, variance);
}

// weights alpha_i alpha_c - inverse_ic of columns c... below i, zero elsewhere
KRIGE_FORMULA void trace_weights(ConstMatrix inverse, const double* alpha, index_t i, index_t c,
                                 Pack& w0, Pack& w1) {
    double all[tile_cols];
    const double* row = inverse.row(i) + c;
    if (c + tile_cols <= i) {
        const Pack a = fill<Pack>(alpha[i]);
        w0 = a * load_as<Pack>(alpha + c) - load_as<Pack>(row);
        w1 = a * load_as<Pack>(alpha + c + pack_size) - load_as<Pack>(row + pack_size);
        return;
    }
    for (index_t k = 0; k < tile_cols; ++k)
        all[k] = c + k < i ? alpha[i] * alpha[c + k] - row[k] : 0.0;
    w0 = load_as<Pack>(all);
    w1 = load_as<Pack>(all + pack_size);
}

template <Family family, int rows>
KRIGE_FORMULA void trace_tile(const PointsView& x, const MetricView& metric, ConstMatrix inverse,
                              const double* alpha, index_t i, index_t c, const Pack& variance,
                              double* sums) {
    Two<rows> w = squared_distances<Pack, rows, 2>(x, i, x, c, metric);
    for (index_t r = 0; r < rows; ++r) {
        Pack value;
        Pack w0;
        Pack w1;
        trace_weights(inverse, alpha, i + r, c, w0, w1);
        radial<family>(w.at[r][0], variance, value, w.at[r][0]);
        radial<family>(w.at[r][1], variance, value, w.at[r][1]);
        w.at[r][0] = w.at[r][0] * w0;
        w.at[r][1] = w.at[r][1] * w1;
    }
    index_t j = 0;
    for (; j < metric.numeric; ++j) {
        const double* px = place(x, j);
        const Pack b0 = load_as<Pack>(px + c);
        const Pack b1 = load_as<Pack>(px + c + pack_size);
        Pack s0 = load_as<Pack>(sums + j * tile_cols);
        Pack s1 = load_as<Pack>(sums + j * tile_cols + pack_size);
        for (index_t r = 0; r < rows; ++r) {
            const Pack value = fill<Pack>(px[i + r]);
            const Pack d0 = b0 - value;
            const Pack d1 = b1 - value;
            s0 = madd(w.at[r][0] * d0, d0, s0);
            s1 = madd(w.at[r][1] * d1, d1, s1);
        }
        store(sums + j * tile_cols, s0);
        store(sums + j * tile_cols + pack_size, s1);
    }
    for (const index_t d = metric.d; j < d; ++j) {
        const double* px = place(x, j);
        const Pack b0 = load_as<Pack>(px + c);
        const Pack b1 = load_as<Pack>(px + c + pack_size);
        const Pack weight = fill<Pack>(metric.weight[j]);
        Pack s0 = load_as<Pack>(sums + j * tile_cols);
        Pack s1 = load_as<Pack>(sums + j * tile_cols + pack_size);
        for (index_t r = 0; r < rows; ++r) {
            const Pack value = fill<Pack>(px[i + r]);
            s0 = madd(w.at[r][0], where_unequal(b0, value, weight), s0);
            s1 = madd(w.at[r][1], where_unequal(b1, value, weight), s1);
        }
        store(sums + j * tile_cols, s0);
        store(sums + j * tile_cols + pack_size, s1);
    }
}

// Bands of four rows: within one, every column tile is finished before the next, whatever the rows
// of a register tile.
template <Family family>
void traces_of(const PointsView& x, const MetricView& metric, ConstMatrix inverse,
               const double* alpha, index_t begin, index_t end, double* sums) {
    const Pack variance = fill<Pack>(metric.variance);
    index_t i = begin;
    for (; i + 4 <= end; i += 4) {
        for (index_t c = 0; c < i + 3; c += tile_cols) {
            for (index_t r = 0; r < 4; r += tile_rows) {
                trace_tile<family, tile_rows>(x, metric, inverse, alpha, i + r, c, variance, sums);
            }
        }
    }
    for (; i < end; ++i) {
        for (index_t c = 0; c < i; c += tile_cols) {
            trace_tile<family, 1>(x, metric, inverse, alpha, i, c, variance, sums);
        }
    }
}

}  // namespace

void pair_panel(const PointsView& a, const PointsView& b, const MetricView& metric,
                const Panel& panel) {
#define KRIGE_ONE(family) panel_of<family>(a, b, metric, panel)
    KRIGE_BY_FAMILY(metric)
#undef KRIGE_ONE
}

void pair_lower(const PointsView& x, const MetricView& metric, index_t begin, index_t end,
                Matrix out) {
    Panel panel;
    panel.value = out;
#define KRIGE_ONE(family) lower_of<family>(x, metric, begin, end, panel)
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
