#include "krige/parallel.hpp"
#include "krige/scratch.hpp"
#include "levels/entries.hpp"
#include "levels/panels.hpp"

namespace krige::KRIGE_LEVEL {
namespace {

constexpr index_t whole_limit = 480;  // up to here the packed triangle fits a second-level cache
constexpr index_t block_size = 240;

// A lower triangle in panels: panel I holds rows I width to (I + 1) width, up to and including its
// own diagonal block.
index_t panel_offset(index_t i) {
    const index_t panel = i / width;
    return width * width * panel * (panel + 1) / 2;
}

index_t triangle_size(index_t n) { return panel_offset(round_up(n, width)); }

// The first n rows of a panel of right sides := their solution.
void solve_panel(const double* triangle, const double* reciprocal, index_t n, double* panel,
                 int vectors) {
    for (index_t i = 0; i < n; i += width)
        solve_rows(vectors, Rows{triangle + panel_offset(i) - i, 1, width}, reciprocal, i,
                   smaller(i + width, n), panel);
}

// a := L, left to right in panels of rows; `triangle` and `reciprocal` keep L packed
index_t factor_block(Matrix a, double* triangle, double* reciprocal) {
    const index_t n = a.rows;
    for (index_t i = 0; i < n; i += width) {
        const index_t rows = smaller(width, n - i);
        double* panel = triangle + panel_offset(i);
        pack_lower(Rows{a.row(i), a.stride, 1}, i, rows, panel);
        solve_panel(triangle, reciprocal, i, panel, vectors_for(rows));
        for (index_t g = 0; g < rows; g += tile_rows) {
            const index_t failed =
                factor_columns(vectors_for(rows - g), panel + g, reciprocal + i + g, i + g,
                               smaller(tile_rows, rows - g));
            if (failed >= 0) return i + g + failed;
        }
        unpack_lower(panel, i, rows, a.row(i), a.stride);
    }
    return -1;
}

// c, lower triangle, -= the product of the packed columns with themselves
void update_trailing(const double* columns, index_t depth, Matrix c) {
    const index_t panels = (c.rows + width - 1) / width;
    parallel_for(panels, c.rows * c.rows * depth, [&](index_t task) {
        const index_t i = (panels - 1 - task) * width;  // the longest first
        const index_t rows = smaller(width, c.rows - i);
        for (index_t j = 0; j <= i; j += width)
            for (index_t r = 0; r < rows; r += tile_rows)
                update_any<true>(panel_rows(columns + i * depth + r), columns + j * depth, depth,
                                 c.row(i + r) + j, c.stride, rows - r, c.rows - j, i + r - j);
    });
}

}  // namespace

index_t factor(Matrix a) {
    const index_t n = a.rows;
    const index_t size = n <= whole_limit ? n : block_size;
    double* triangle = scratch(Scratch::triangle, triangle_size(size));
    double* reciprocal = scratch(Scratch::reciprocal, round_up(size, tile_rows));
    for (index_t b = 0; b < n; b += size) {
        const index_t depth = smaller(size, n - b);
        const index_t failed = factor_block(a.block(b, b, depth, depth), triangle, reciprocal);
        if (failed >= 0) return b + failed;
        const index_t below = n - b - depth;
        if (below == 0) break;
        double* columns = scratch(Scratch::columns, round_up(below, width) * depth);
        parallel_for((below + width - 1) / width, below * depth * depth, [&](index_t task) {
            const index_t i = task * width;
            const index_t rows = smaller(width, below - i);
            double* target = a.row(b + depth + i) + b;
            double* panel = columns + i * depth;
            pack(Rows{target, a.stride, 1}, rows, depth, panel);
            solve_panel(triangle, reciprocal, depth, panel, vectors_for(rows));
            unpack_rows(panel, rows, depth, target, a.stride);
        });
        update_trailing(columns, depth, a.block(b + depth, b + depth, below, below));
    }
    return -1;
}

}  // namespace krige::KRIGE_LEVEL
