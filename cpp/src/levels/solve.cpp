#include "krige/parallel.hpp"
#include "krige/scratch.hpp"
#include "levels/entries.hpp"
#include "levels/triangles.hpp"

namespace krige::KRIGE_LEVEL {
namespace {

constexpr index_t whole_limit = 480;
constexpr index_t block_size = 240;
constexpr index_t columns_block = 240;
constexpr index_t few_columns = 8;  // for so few the factor is not worth packing

struct System {
    Rows l;  // (n, n), possibly seen from its last row backwards
    index_t n;
    double* b;
    index_t step;  // from row to row of b
    bool lower;
};

// Columns c to c + cols, one panel, with the factor where it lies.
void solve_few(const System& s, index_t c, index_t cols) {
    double* panel = scratch(Scratch::right, s.n * width);
    double* reciprocal = scratch(Scratch::reciprocal, s.n);
    for (index_t i = 0; i < s.n; ++i) reciprocal[i] = 1 / s.l.data[i * (s.l.row + s.l.step)];
    pack(Rows{s.b + c, 1, s.step}, cols, s.n, panel);
    const int vectors = vectors_for(cols);
    index_t i = 0;
    for (; i + tile_rows <= s.n; i += tile_rows) solve_rows<tile_rows>(vectors, skip(s.l, i, 0), reciprocal + i, panel, i);
    for (; i < s.n; ++i) solve_rows<1>(vectors, skip(s.l, i, 0), reciprocal + i, panel, i);
    unpack_columns(panel, cols, s.n, s.b + c, s.step);
}

// Rows k to k + depth of columns c to c + cols into panels, solved, and back.
void solve_block(const System& s, index_t k, index_t depth, index_t c, index_t cols, double* panels) {
    double* triangle = scratch(Scratch::triangle, triangle_size(depth));
    double* reciprocal = scratch(Scratch::reciprocal, round_up(depth, tile_rows));
    pack_triangle(skip(s.l, k, k), depth, triangle, reciprocal);
    for (index_t j = 0; j < cols; j += width) {
        const index_t count = smaller(width, cols - j);
        const index_t first = s.lower && c + j > k ? smaller(c + j - k, depth) : 0;
        double* panel = panels + j * round_up(depth, tile_rows);
        double* target = s.b + k * s.step + c + j;
        pack(Rows{target, 1, s.step}, count, depth, panel);
        clear_padding(panel, depth);
        solve_panel(triangle, reciprocal, first, depth, panel, vectors_for(count));
        unpack_columns(panel, count, depth, target, s.step);
    }
}

// Rows below k + depth -= their part of the factor times the solved panels.
void update_below(const System& s, index_t k, index_t depth, index_t c, index_t cols, const double* panels) {
    double* left = scratch(Scratch::left, width * depth);
    for (index_t i = k + depth; i < s.n; i += width) {
        const index_t rows = smaller(width, s.n - i);
        pack(skip(s.l, i, k), rows, depth, left);
        for (index_t j = 0; j < cols; j += width) {
            const index_t first = s.lower && c + j > k ? smaller(c + j - k, depth) : 0;
            const double* panel = panels + j * round_up(depth, tile_rows) + first * width;
            const index_t count = smaller(width, cols - j);
            for (index_t r = 0; r < rows; r += tile_rows) {
                const index_t height = smaller(tile_rows, rows - r);
                double* target = s.b + (i + r) * s.step + c + j;
                const double* a = left + r + first * width;
                if (height == tile_rows && count == width)
                    update_tile<true, tile_vectors>(a, panel, depth - first, target, s.step);
                else
                    update_part<true>(a, panel, depth - first, target, s.step, height, count, width);
            }
        }
    }
}

void solve_columns(const System& s, index_t c, index_t cols) {
    const index_t size = s.n <= whole_limit ? s.n : block_size;
    double* panels = scratch(Scratch::right, round_up(cols, width) * round_up(size, tile_rows));
    const index_t start = s.lower ? c / size * size : 0;
    for (index_t k = start; k < s.n; k += size) {
        const index_t depth = smaller(size, s.n - k);
        solve_block(s, k, depth, c, cols, panels);
        update_below(s, k, depth, c, cols, panels);
    }
}

}  // namespace

void solve(ConstMatrix l, bool transposed, Matrix b, bool lower) {
    const index_t n = l.rows;
    if (n == 0 || b.cols == 0) return;
    // L^T x = b is a lower system when rows and columns are read from the last one backwards
    const System system{transposed ? Rows{l.row(n - 1) + n - 1, -1, -l.stride} : Rows{l.data, l.stride, 1}, n,
                        transposed ? b.row(n - 1) : b.data, transposed ? -b.stride : b.stride, lower};
    if (b.cols <= few_columns) {
        for (index_t c = 0; c < b.cols; c += width) solve_few(system, c, smaller(width, b.cols - c));
        return;
    }
    const index_t blocks = (b.cols + columns_block - 1) / columns_block;
    parallel_for(blocks, n * n * b.cols, [&](index_t task) {
        const index_t c = task * columns_block;
        solve_columns(system, c, smaller(columns_block, b.cols - c));
    });
}

}  // namespace krige::KRIGE_LEVEL
