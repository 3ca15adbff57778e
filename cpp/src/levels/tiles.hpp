// Register tiles. A panel holds `width` rows of a matrix (or columns of a right side) with their
// index running fastest: element (r, k) of the matrix is panel[k * width + r]. A tile is `rows`
// broadcast rows by `vectors` vectors; each of its elements starts from what is in memory and takes
// one fused multiply-add per k, in the order of k. So the results depend neither on the tile's
// shape nor on any blocking above it, and AVX2 and AVX-512 agree to the bit.
#pragma once

#include "levels/vector.hpp"

namespace krige::KRIGE_LEVEL {

#if defined(__AVX512F__)
constexpr int tile_vectors = 3;
constexpr int tile_rows = 8;
#elif defined(__AVX2__)
constexpr int tile_vectors = 3;
constexpr int tile_rows = 4;
#elif defined(__aarch64__) || !(defined(__GNUC__) || defined(__clang__))
constexpr int tile_vectors = 4;
constexpr int tile_rows = 4;
#else
constexpr int tile_vectors = 2;
constexpr int tile_rows = 4;
#endif
constexpr index_t width = tile_vectors * lanes;
constexpr double largest = 1.7976931348623157e308;
static_assert(width % tile_rows == 0 && tile_rows % lanes == 0,
              "panels serve as rows and as columns of tiles");

// Rows of a left operand: element (r, k) is data[r * row + k * step].
struct Rows {
    const double* data;
    index_t row;
    index_t step;
};

KRIGE_STATIC Rows panel_rows(const double* panel) { return {panel, 1, width}; }
KRIGE_STATIC Rows skip(Rows a, index_t rows, index_t depth) {
    return {a.data + rows * a.row + depth * a.step, a.row, a.step};
}

#if defined(__GNUC__)
#define KRIGE_UNROLL _Pragma("GCC unroll 8")
#define KRIGE_NOINLINE __attribute__((noinline))
#else
#define KRIGE_UNROLL
#define KRIGE_NOINLINE
#endif

template <int rows, int vectors>
KRIGE_STATIC void load_tile(vec (&tile)[rows][vectors], const double* c, index_t stride) {
    KRIGE_UNROLL
    for (int r = 0; r < rows; ++r) {
        KRIGE_UNROLL
        for (int v = 0; v < vectors; ++v) tile[r][v] = load(c + r * stride + v * lanes);
    }
}

template <int rows, int vectors>
KRIGE_STATIC void store_tile(const vec (&tile)[rows][vectors], double* c, index_t stride) {
    KRIGE_UNROLL
    for (int r = 0; r < rows; ++r) {
        KRIGE_UNROLL
        for (int v = 0; v < vectors; ++v) store(c + r * stride + v * lanes, tile[r][v]);
    }
}

template <int vectors>
KRIGE_STATIC void store_row(const vec (&row)[vectors], double* c) {
    KRIGE_UNROLL
    for (int v = 0; v < vectors; ++v) store(c + v * lanes, row[v]);
}

// tile += or -= a b over `depth`
template <bool minus, int rows, int vectors>
KRIGE_STATIC void accumulate(vec (&tile)[rows][vectors], Rows a, const double* b, index_t depth) {
    for (index_t k = 0; k < depth; ++k) {
        vec right[vectors];
        KRIGE_UNROLL
        for (int v = 0; v < vectors; ++v) right[v] = load(b + v * lanes);
        KRIGE_UNROLL
        for (int r = 0; r < rows; ++r) {
            const vec left = broadcast(a.data[r * a.row]);
            KRIGE_UNROLL
            for (int v = 0; v < vectors; ++v)
                tile[r][v] =
                    minus ? fnma(left, right[v], tile[r][v]) : fma(left, right[v], tile[r][v]);
        }
        a.data += a.step;
        b += width;
    }
}

template <bool minus, int vectors>
KRIGE_NOINLINE static inline void update_tile(Rows a, const double* b, index_t depth, double* c,
                                              index_t stride) {
    vec tile[tile_rows][vectors];
    load_tile(tile, c, stride);
    accumulate<minus>(tile, a, b, depth);
    store_tile(tile, c, stride);
}

// A part of a tile: columns of rows r of c with column < cols and column <= r + diagonal.
template <bool minus>
KRIGE_NOINLINE static inline void update_part(Rows a, const double* b, index_t depth, double* c,
                                              index_t stride, index_t rows, index_t cols,
                                              index_t diagonal) {
    double part[tile_rows * width] = {};
    for (index_t r = 0; r < rows; ++r)
        for (index_t j = 0; j < cols && j <= r + diagonal; ++j)
            part[r * width + j] = c[r * stride + j];
    if (cols <= lanes)
        update_tile<minus, 1>(a, b, depth, part, width);
    else if (cols <= 2 * lanes)
        update_tile<minus, 2>(a, b, depth, part, width);
    else
        update_tile<minus, tile_vectors>(a, b, depth, part, width);
    for (index_t r = 0; r < rows; ++r)
        for (index_t j = 0; j < cols && j <= r + diagonal; ++j)
            c[r * stride + j] = part[r * width + j];
}

// The tile at c, of a matrix that has `rows` rows and `cols` columns from there on, += or -= a b
// where column <= row + diagonal. All tile_rows rows of a are read.
template <bool minus>
KRIGE_STATIC void update_any(Rows a, const double* b, index_t depth, double* c, index_t stride,
                             index_t rows, index_t cols, index_t diagonal) {
    if (rows >= tile_rows && cols >= width && diagonal >= width - 1)
        update_tile<minus, tile_vectors>(a, b, depth, c, stride);
    else if (diagonal + tile_rows > 0)
        update_part<minus>(a, b, depth, c, stride, rows < tile_rows ? rows : tile_rows,
                           cols < width ? cols : width, diagonal);
}

// Rows `depth` to depth + rows of a panel of right sides := their solution, where `a` holds these
// rows of the factor and the panel's rows above hold the solution already.
template <int rows, int vectors>
KRIGE_NOINLINE static inline void solve_tile(Rows a, const double* reciprocal, double* panel,
                                             index_t depth) {
    vec tile[rows][vectors];
    double* c = panel + depth * width;
    load_tile(tile, c, width);
    accumulate<true>(tile, a, panel, depth);
    const Rows corner = skip(a, 0, depth);
    KRIGE_UNROLL
    for (int q = 0; q < rows; ++q) {
        const vec scale = broadcast(reciprocal[q]);
        KRIGE_UNROLL
        for (int v = 0; v < vectors; ++v) tile[q][v] *= scale;
        KRIGE_UNROLL
        for (int r = q + 1; r < rows; ++r) {
            const vec left = broadcast(corner.data[r * corner.row + q * corner.step]);
            KRIGE_UNROLL
            for (int v = 0; v < vectors; ++v) tile[r][v] = fnma(left, tile[q][v], tile[r][v]);
        }
    }
    store_tile(tile, c, width);
}

// Rows `first` to n of a panel := their solution with the rows `first`... of the factor.
template <int vectors>
KRIGE_STATIC void solve_tiles(Rows l, const double* reciprocal, index_t first, index_t n,
                              double* panel) {
    index_t i = first;
    for (; i + tile_rows <= n; i += tile_rows)
        solve_tile<tile_rows, vectors>(skip(l, i, 0), reciprocal + i, panel, i);
    for (; i < n; ++i) solve_tile<1, vectors>(skip(l, i, 0), reciprocal + i, panel, i);
}

KRIGE_STATIC void solve_rows(int vectors, Rows l, const double* reciprocal, index_t first,
                             index_t n, double* panel) {
    if (vectors == 1)
        solve_tiles<1>(l, reciprocal, first, n, panel);
    else if (vectors == 2)
        solve_tiles<2>(l, reciprocal, first, n, panel);
    else
        solve_tiles<tile_vectors>(l, reciprocal, first, n, panel);
}

// Columns `depth` to depth + count of a symmetric panel := columns of its factor; returns -1 or the
// failed column.
template <int vectors>
KRIGE_NOINLINE static inline index_t factor_tile(double* panel, double* reciprocal, index_t depth,
                                                 index_t count) {
    vec tile[tile_rows][vectors];
    double* c = panel + depth * width;
    load_tile(tile, c, width);
    accumulate<true>(tile, panel_rows(panel), panel, depth);
    KRIGE_UNROLL
    for (int q = 0; q < tile_rows; ++q) {
        if (q >= count) break;
        double* column = c + q * width;
        store_row(tile[q], column);
        const double pivot = column[q];
        if (!(pivot > 0 && pivot <= largest)) return q;
        const double root = square_root(pivot);
        reciprocal[q] = 1 / root;
        const vec scale = broadcast(reciprocal[q]);
        KRIGE_UNROLL
        for (int v = 0; v < vectors; ++v) tile[q][v] *= scale;
        store_row(tile[q], column);
        KRIGE_UNROLL
        for (int r = q + 1; r < tile_rows; ++r) {
            const vec left = broadcast(column[r]);
            KRIGE_UNROLL
            for (int v = 0; v < vectors; ++v) tile[r][v] = fnma(left, tile[q][v], tile[r][v]);
        }
        column[q] = root;
    }
    return -1;
}

KRIGE_STATIC index_t factor_columns(int vectors, double* panel, double* reciprocal, index_t depth,
                                    index_t count) {
    if (vectors == 1) return factor_tile<1>(panel, reciprocal, depth, count);
    if (vectors == 2) return factor_tile<2>(panel, reciprocal, depth, count);
    return factor_tile<tile_vectors>(panel, reciprocal, depth, count);
}

}  // namespace krige::KRIGE_LEVEL
