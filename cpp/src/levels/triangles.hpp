// A lower triangle in panels: panel I holds rows I width to (I + 1) width, up to and including its own diagonal block.
#pragma once

#include "levels/panels.hpp"

namespace krige::KRIGE_LEVEL {

KRIGE_STATIC index_t panel_offset(index_t i) {
    const index_t panel = i / width;
    return width * width * panel * (panel + 1) / 2;
}

KRIGE_STATIC index_t triangle_size(index_t n) { return panel_offset(round_up(n, width)); }

// Rows `first` to n of a panel of right sides := their solution; rows above `first` are zero. The panel and the reciprocals
// are padded to a multiple of tile_rows.
KRIGE_STATIC void solve_panel(const double* triangle, const double* reciprocal, index_t first, index_t n, double* panel,
                              int vectors) {
    double* start = panel + first * width;
    for (index_t i = first; i < n; i += tile_rows) {
        const Rows rows = panel_rows(triangle + panel_offset(i) + i % width + first * width);
        solve_rows<tile_rows>(vectors, rows, reciprocal + i, start, i - first);
    }
}

KRIGE_STATIC void clear_padding(double* panel, index_t n) {
    for (index_t i = n * width; i < round_up(n, tile_rows) * width; ++i) panel[i] = 0;
}

// `triangle` and `reciprocal` := the factor l (n, n)
KRIGE_STATIC void pack_triangle(Rows l, index_t n, double* triangle, double* reciprocal) {
    for (index_t i = 0; i < n; i += width)
        pack_lower(skip(l, i, 0), i, smaller(width, n - i), triangle + panel_offset(i));
    for (index_t i = 0; i < n; ++i) reciprocal[i] = 1 / l.data[i * (l.row + l.step)];
    for (index_t i = n; i < round_up(n, tile_rows); ++i) reciprocal[i] = 1;
}

}  // namespace krige::KRIGE_LEVEL
