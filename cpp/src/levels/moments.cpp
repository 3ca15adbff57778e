#include "levels/moments.hpp"

#include "levels/kernels.hpp"
#include "levels/panels.hpp"

namespace krige::KRIGE_LEVEL {
namespace {

static_assert(width <= widest_panel);
constexpr int kernel_rows = lanes == 8 ? 8 : 4;

// kernel_rows observations from i on by one vector of candidates; `column` counts within the panel
template <Family family, bool with_slope>
KRIGE_FORMULA void kernel_tile(const PosteriorView& posterior, const CandidatePanel& panel,
                               index_t i, index_t column, One& mean) {
    Tile<One, kernel_rows, 1> value;
    Tile<One, kernel_rows, 1> slope;
    kernel_of_pairs<family>(posterior.x, i, panel.candidates, panel.first + column,
                            posterior.metric, value, slope);
    for (int r = 0; r < kernel_rows; ++r) {
        const index_t at = (i + r) * width + column;
        store(panel.solved + at, value.at[r][0]);
        if (with_slope) store(panel.slope + at, slope.at[r][0]);
        mean = madd(fill<One>(posterior.alpha[i + r]), value.at[r][0], mean);
    }
}

template <Family family>
void kernel_of(const PosteriorView& posterior, const CandidatePanel& panel, double* mean) {
    for (index_t column = 0; column < panel.cols; column += lanes) {
        One sum = fill<One>(0.0);
        if (panel.slope != nullptr) {
            for (index_t i = 0; i < posterior.x.count; i += kernel_rows)
                kernel_tile<family, true>(posterior, panel, i, column, sum);
        } else {
            for (index_t i = 0; i < posterior.x.count; i += kernel_rows)
                kernel_tile<family, false>(posterior, panel, i, column, sum);
        }
        store(mean + column, sum);
    }
}

void fill_kernel(const PosteriorView& posterior, const CandidatePanel& panel, double* mean) {
#define KRIGE_ONE(family) kernel_of<family>(posterior, panel, mean)
    KRIGE_BY_FAMILY(posterior.metric)
#undef KRIGE_ONE
}

template <int vectors>
void sum_of_squares(const double* solved, index_t n, double* out) {
    vec sum[vectors];
    for (int v = 0; v < vectors; ++v) sum[v] = broadcast(0.0);
    for (index_t i = 0; i < n; ++i) {
        for (int v = 0; v < vectors; ++v) {
            const vec x = load(solved + i * width + v * lanes);
            sum[v] = fma(x, x, sum[v]);
        }
    }
    for (int v = 0; v < vectors; ++v) store(out + v * lanes, sum[v]);
}

template <int vectors>
void solve_panel_of(const PosteriorView& posterior, const CandidatePanel& panel,
                    double* explained) {
    const index_t n = posterior.x.count;
    solve_tiles<vectors>(Rows{posterior.l.data, posterior.l.stride, 1}, posterior.reciprocal, 0, n,
                         panel.solved);
    sum_of_squares<vectors>(panel.solved, n, explained);
}

// Rows i to i + rows of the panel := their solution with L^T, and the rows above -= their part of
// it. Reads the factor by rows, in the order of memory; an element takes the rows below it from the
// last one upwards, whatever `rows` is.
template <int rows, int vectors>
KRIGE_NOINLINE void solve_transposed_rows(ConstMatrix l, const double* reciprocal, index_t i,
                                          double* panel) {
    vec x[rows][vectors];
    load_tile(x, panel + i * width, width);
    const double* row[rows];
    KRIGE_UNROLL
    for (int q = 0; q < rows; ++q) row[q] = l.data + (i + q) * l.stride;
    KRIGE_UNROLL
    for (int q = rows - 1; q >= 0; --q) {
        const vec scale = broadcast(reciprocal[i + q]);
        KRIGE_UNROLL
        for (int v = 0; v < vectors; ++v) x[q][v] *= scale;
        KRIGE_UNROLL
        for (int r = q - 1; r >= 0; --r) {
            const vec left = broadcast(row[q][i + r]);
            KRIGE_UNROLL
            for (int v = 0; v < vectors; ++v) x[r][v] = fnma(left, x[q][v], x[r][v]);
        }
    }
    store_tile(x, panel + i * width, width);
    for (index_t k = 0; k < i; ++k) {
        vec sum[vectors];
        KRIGE_UNROLL
        for (int v = 0; v < vectors; ++v) sum[v] = load(panel + k * width + v * lanes);
        KRIGE_UNROLL
        for (int q = rows - 1; q >= 0; --q) {
            const vec left = broadcast(row[q][k]);
            KRIGE_UNROLL
            for (int v = 0; v < vectors; ++v) sum[v] = fnma(left, x[q][v], sum[v]);
        }
        KRIGE_UNROLL
        for (int v = 0; v < vectors; ++v) store(panel + k * width + v * lanes, sum[v]);
    }
}

template <int vectors>
void solve_transposed(const PosteriorView& posterior, double* panel) {
    index_t i = posterior.x.count;
    for (; i % tile_rows != 0; --i)
        solve_transposed_rows<1, vectors>(posterior.l, posterior.reciprocal, i - 1, panel);
    for (; i > 0; i -= tile_rows)
        solve_transposed_rows<tile_rows, vectors>(posterior.l, posterior.reciprocal, i - tile_rows,
                                                  panel);
}

// slope := (by_mean alpha + by_solved K^-1 k) slope
template <int vectors>
void weigh(const PosteriorView& posterior, const CandidatePanel& panel, const double* by_mean,
           const double* by_solved) {
    for (index_t i = 0; i < posterior.x.count; ++i) {
        const vec alpha = broadcast(posterior.alpha[i]);
        for (int v = 0; v < vectors; ++v) {
            const index_t at = i * width + v * lanes;
            const vec solved = load(panel.solved + at) * load(by_solved + v * lanes);
            store(panel.slope + at,
                  fma(alpha, load(by_mean + v * lanes), solved) * load(panel.slope + at));
        }
    }
}

template <int places, int vectors>
KRIGE_STATIC void sum_places(const PosteriorView& posterior, const CandidatePanel& panel, index_t j,
                             double* sums) {
    vec sum[places][vectors];
    vec to[places][vectors];
    const double* from[places];
    KRIGE_UNROLL
    for (int q = 0; q < places; ++q) {
        from[q] = place(posterior.x, j + q);
        KRIGE_UNROLL
        for (int v = 0; v < vectors; ++v) {
            sum[q][v] = broadcast(0.0);
            to[q][v] = load(place(panel.candidates, j + q) + panel.first + v * lanes);
        }
    }
    for (index_t i = 0; i < posterior.x.count; ++i) {
        vec weight[vectors];
        KRIGE_UNROLL
        for (int v = 0; v < vectors; ++v) weight[v] = load(panel.slope + i * width + v * lanes);
        KRIGE_UNROLL
        for (int q = 0; q < places; ++q) {
            const vec value = broadcast(from[q][i]);
            KRIGE_UNROLL
            for (int v = 0; v < vectors; ++v)
                sum[q][v] = fma(weight[v], to[q][v] - value, sum[q][v]);
        }
    }
    KRIGE_UNROLL
    for (int q = 0; q < places; ++q) {
        KRIGE_UNROLL
        for (int v = 0; v < vectors; ++v)
            store(sums + (j + q) * widest_panel + v * lanes, sum[q][v]);
    }
}

// the same for a place of additive52, whose terms have slopes of their own
template <int vectors>
void sum_term(const PosteriorView& posterior, const CandidatePanel& panel, index_t j,
              double* sums) {
    One sum[vectors];
    for (int v = 0; v < vectors; ++v) sum[v] = fill<One>(0.0);
    for (index_t i = 0; i < posterior.x.count; ++i) {
        const double* weight = panel.slope + i * width;
        each_term<One, 1, vectors>(posterior.x, i, panel.candidates, panel.first, posterior.metric,
                                   j, [&](int, int v, One delta, One, One fall) {
                                       sum[v] = madd(load_as<One>(weight + v * lanes) * fall, delta,
                                                     sum[v]);
                                   });
    }
    for (int v = 0; v < vectors; ++v) store(sums + j * widest_panel + v * lanes, sum[v]);
}

template <int vectors>
void panel_gradient_of(const PosteriorView& posterior, const CandidatePanel& panel,
                       const double* by_mean, const double* by_solved, double* sums) {
    solve_transposed<vectors>(posterior, panel.solved);
    weigh<vectors>(posterior, panel, by_mean, by_solved);
    const index_t numeric = posterior.metric.numeric;
    if (posterior.metric.family == Family::additive52) {
        for (index_t j = 0; j < numeric; ++j) sum_term<vectors>(posterior, panel, j, sums);
        return;
    }
    constexpr int places = lanes == 8 ? 4 : 2;
    index_t j = 0;
    for (; j + places <= numeric; j += places)
        sum_places<places, vectors>(posterior, panel, j, sums);
    for (; j < numeric; ++j) sum_places<1, vectors>(posterior, panel, j, sums);
}

}  // namespace

index_t panel_width() { return width; }

void solve_panel(const PosteriorView& posterior, const CandidatePanel& panel, double* mean,
                 double* explained) {
    fill_kernel(posterior, panel, mean);
    const int vectors = vectors_for(panel.cols);
    if (vectors == 1) solve_panel_of<1>(posterior, panel, explained);
    if (vectors == 2) solve_panel_of<2>(posterior, panel, explained);
    if (vectors > 2) solve_panel_of<tile_vectors>(posterior, panel, explained);
}

void panel_gradient(const PosteriorView& posterior, const CandidatePanel& panel,
                    const double* by_mean, const double* by_solved, double* sums) {
    const int vectors = vectors_for(panel.cols);
    if (vectors == 1) panel_gradient_of<1>(posterior, panel, by_mean, by_solved, sums);
    if (vectors == 2) panel_gradient_of<2>(posterior, panel, by_mean, by_solved, sums);
    if (vectors > 2) panel_gradient_of<tile_vectors>(posterior, panel, by_mean, by_solved, sums);
}

}  // namespace krige::KRIGE_LEVEL
