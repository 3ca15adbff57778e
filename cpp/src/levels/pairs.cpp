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

KRIGE_FORMULA void store_some(double* p, const Pack& x0, const Pack& x1, index_t count) {
    if (count >= tile_cols) {
        store(p, x0);
        store(p + pack_size, x1);
        return;
    }
    double all[tile_cols];
    store(all, x0);
    store(all + pack_size, x1);
    for (index_t k = 0; k < count; ++k) p[k] = all[k];
}

template <Family family, bool with_slope, int rows>
KRIGE_FORMULA void panel_tile(const PointsView& a, index_t i, const PointsView& b, index_t c,
                              const MetricView& metric, const Panel& panel, const Pack& variance) {
    Two<rows> value = squared_distances<Pack, rows, 2>(a, i, b, c, metric);
    Two<rows> slope;
    for (index_t r = 0; r < rows; ++r) {
        for (int p = 0; p < 2; ++p)
            radial<family>(value.at[r][p], variance, value.at[r][p], slope.at[r][p]);
    }
    const index_t count = b.count - c;
    for (index_t r = 0; r < rows; ++r) {
        store_some(panel.value.row(i + r) + c, value.at[r][0], value.at[r][1], count);
        if (with_slope)
            store_some(panel.slope.row(i + r) + c, slope.at[r][0], slope.at[r][1], count);
    }
    if (panel.mean == nullptr) return;
    Pack m0 = load_as<Pack>(panel.mean + c);
    Pack m1 = load_as<Pack>(panel.mean + c + pack_size);
    for (index_t r = 0; r < rows; ++r) {
        const Pack alpha = fill<Pack>(panel.alpha[i + r]);
        m0 = madd(alpha, value.at[r][0], m0);
        m1 = madd(alpha, value.at[r][1], m1);
    }
    store(panel.mean + c, m0);
    store(panel.mean + c + pack_size, m1);
}

template <Family family, bool with_slope>
void panel_of(const PointsView& a, const PointsView& b, const MetricView& metric,
              const Panel& panel) {
    const Pack variance = fill<Pack>(metric.variance);
    index_t i = 0;
    for (; i + tile_rows <= a.count; i += tile_rows) {
        for (index_t c = 0; c < b.count; c += tile_cols) {
            panel_tile<family, with_slope, tile_rows>(a, i, b, c, metric, panel, variance);
        }
    }
    for (; i < a.count; ++i) {
        for (index_t c = 0; c < b.count; c += tile_cols) {
            panel_tile<family, with_slope, 1>(a, i, b, c, metric, panel, variance);
        }
    }
}

template <Family family>
void lower_of(const PointsView& x, const MetricView& metric, index_t begin, index_t end,
              Matrix out) {
    const Pack variance = fill<Pack>(metric.variance);
    Panel panel;
    panel.value = out;
    index_t i = begin;
    for (; i + tile_rows <= end; i += tile_rows) {
        for (index_t c = 0; c < i + tile_rows; c += tile_cols) {
            panel_tile<family, false, tile_rows>(x, i, x, c, metric, panel, variance);
        }
    }
    for (; i < end; ++i) {
        for (index_t c = 0; c <= i; c += tile_cols) {
            panel_tile<family, false, 1>(x, i, x, c, metric, panel, variance);
        }
    }
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
#define KRIGE_ONE(family)                                                     \
    panel.slope.data != nullptr ? panel_of<family, true>(a, b, metric, panel) \
                                : panel_of<family, false>(a, b, metric, panel)
    KRIGE_BY_FAMILY(metric)
#undef KRIGE_ONE
}

void pair_lower(const PointsView& x, const MetricView& metric, index_t begin, index_t end,
                Matrix out) {
#define KRIGE_ONE(family) lower_of<family>(x, metric, begin, end, out)
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
