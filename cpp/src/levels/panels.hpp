// Copies between strided matrices and panels (tiles.hpp).
#pragma once

#include "levels/tiles.hpp"

namespace krige::KRIGE_LEVEL {

#if defined(__AVX512F__)
KRIGE_STATIC void transpose(vec (&x)[lanes]) {
    vec y[8];
    KRIGE_UNROLL
    for (int i = 0; i < 8; i += 2) {
        y[i] = _mm512_unpacklo_pd(x[i], x[i + 1]);
        y[i + 1] = _mm512_unpackhi_pd(x[i], x[i + 1]);
    }
    vec z[8];
    KRIGE_UNROLL
    for (int i = 0; i < 8; i += 4)
        for (int j = 0; j < 2; ++j) {
            z[i + j] = _mm512_shuffle_f64x2(y[i + j], y[i + j + 2], 0x88);
            z[i + j + 2] = _mm512_shuffle_f64x2(y[i + j], y[i + j + 2], 0xdd);
        }
    KRIGE_UNROLL
    for (int i = 0; i < 4; ++i) {
        x[i] = _mm512_shuffle_f64x2(z[i], z[i + 4], 0x88);
        x[i + 4] = _mm512_shuffle_f64x2(z[i], z[i + 4], 0xdd);
    }
}
#elif defined(__AVX2__)
KRIGE_STATIC void transpose(vec (&x)[lanes]) {
    const vec a = _mm256_unpacklo_pd(x[0], x[1]);
    const vec b = _mm256_unpackhi_pd(x[0], x[1]);
    const vec c = _mm256_unpacklo_pd(x[2], x[3]);
    const vec d = _mm256_unpackhi_pd(x[2], x[3]);
    x[0] = _mm256_permute2f128_pd(a, c, 0x20);
    x[1] = _mm256_permute2f128_pd(b, d, 0x20);
    x[2] = _mm256_permute2f128_pd(a, c, 0x31);
    x[3] = _mm256_permute2f128_pd(b, d, 0x31);
}
#elif defined(__GNUC__)
KRIGE_STATIC void transpose(vec (&x)[lanes]) {
    const vec a = {x[0][0], x[1][0]};
    x[1] = vec{x[0][1], x[1][1]};
    x[0] = a;
}
#else
KRIGE_STATIC void transpose(vec (&)[lanes]) {}
#endif

KRIGE_STATIC index_t smaller(index_t a, index_t b) { return a < b ? a : b; }

// panel (rows of it) := element (r, k) at source[r * row + k], for lanes rows, k < depth
KRIGE_STATIC void pack_lanes(const double* source, index_t row, index_t depth, double* panel) {
    index_t k = 0;
    for (; k + lanes <= depth; k += lanes) {
        vec x[lanes];
        KRIGE_UNROLL
        for (int i = 0; i < lanes; ++i) x[i] = load(source + i * row + k);
        transpose(x);
        KRIGE_UNROLL
        for (int i = 0; i < lanes; ++i) store(panel + (k + i) * width, x[i]);
    }
    for (; k < depth; ++k)
        for (index_t i = 0; i < lanes; ++i) panel[k * width + i] = source[i * row + k];
}

KRIGE_STATIC void unpack_lanes(const double* panel, index_t depth, double* target, index_t row) {
    index_t k = 0;
    for (; k + lanes <= depth; k += lanes) {
        vec x[lanes];
        KRIGE_UNROLL
        for (int i = 0; i < lanes; ++i) x[i] = load(panel + (k + i) * width);
        transpose(x);
        KRIGE_UNROLL
        for (int i = 0; i < lanes; ++i) store(target + i * row + k, x[i]);
    }
    for (; k < depth; ++k)
        for (index_t i = 0; i < lanes; ++i) target[i * row + k] = panel[k * width + i];
}

// panel := the first `rows` rows of a, zero beyond
KRIGE_NOINLINE static inline void pack(Rows a, index_t rows, index_t depth, double* panel) {
    if (a.row == 1 && rows == width) {
        for (index_t k = 0; k < depth; ++k) {
            KRIGE_UNROLL
            for (int v = 0; v < tile_vectors; ++v)
                store(panel + k * width + v * lanes, load(a.data + k * a.step + v * lanes));
        }
        return;
    }
    index_t r = 0;
    if (a.step == 1)
        for (; r + lanes <= rows; r += lanes)
            pack_lanes(a.data + r * a.row, a.row, depth, panel + r);
    for (index_t k = 0; k < depth; ++k) {
        const double* source = a.data + k * a.step;
        double* target = panel + k * width;
        for (index_t i = r; i < rows; ++i) target[i] = source[i * a.row];
        for (index_t i = rows; i < width; ++i) target[i] = 0;
    }
}

// The inverse of pack where a.row == 1 (right sides, whose columns are the rows of the panel).
KRIGE_NOINLINE static inline void unpack_columns(const double* panel, index_t cols, index_t depth,
                                                 double* target, index_t step) {
    for (index_t k = 0; k < depth; ++k) {
        const double* source = panel + k * width;
        double* row = target + k * step;
        if (cols == width) {
            KRIGE_UNROLL
            for (int v = 0; v < tile_vectors; ++v) store(row + v * lanes, load(source + v * lanes));
        } else {
            for (index_t i = 0; i < cols; ++i) row[i] = source[i];
        }
    }
}

// The inverse of pack where a.step == 1.
KRIGE_NOINLINE static inline void unpack_rows(const double* panel, index_t rows, index_t depth,
                                              double* target, index_t row) {
    index_t r = 0;
    for (; r + lanes <= rows; r += lanes) unpack_lanes(panel + r, depth, target + r * row, row);
    for (index_t k = 0; k < depth; ++k)
        for (index_t i = r; i < rows; ++i) target[i * row + k] = panel[k * width + i];
}

// Rows `before` to before + rows of a lower triangle, `a` pointing at the first of them: columns up
// to the diagonal, zero beyond it and below the last row.
KRIGE_NOINLINE static inline void pack_lower(Rows a, index_t before, index_t rows, double* panel) {
    for (index_t r = 0; r < width; r += lanes) {
        const index_t end = rows <= r ? 0 : before + smaller(r + lanes, rows);  // of the columns
        index_t k = 0;
        if (a.step == 1 && r + lanes <= rows) {
            k = before + r;
            pack_lanes(a.data + r * a.row, a.row, k, panel + r);
        }
        for (; k < end; ++k)
            for (index_t i = r; i < r + lanes; ++i)
                panel[k * width + i] =
                    i < rows && k <= before + i ? a.data[i * a.row + k * a.step] : 0;
        for (; k < before + width; ++k) store(panel + k * width + r, broadcast(0));
    }
}

KRIGE_NOINLINE static inline void unpack_lower(const double* panel, index_t before, index_t rows,
                                               double* target, index_t row) {
    for (index_t r = 0; r < rows; r += lanes) {
        index_t k = 0;
        if (r + lanes <= rows) {
            k = before + r;
            unpack_lanes(panel + r, k, target + r * row, row);
        }
        const index_t end = r + lanes < rows ? r + lanes : rows;
        for (index_t i = r; i < end; ++i)
            for (index_t j = k; j <= before + i; ++j) target[i * row + j] = panel[j * width + i];
    }
}

KRIGE_STATIC index_t round_up(index_t n, index_t multiple) {
    return (n + multiple - 1) / multiple * multiple;
}
KRIGE_STATIC int vectors_for(index_t cols) {
    return cols >= width ? tile_vectors : static_cast<int>((cols + lanes - 1) / lanes);
}

}  // namespace krige::KRIGE_LEVEL
