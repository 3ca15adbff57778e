#include "krige/parallel.hpp"
#include "krige/scratch.hpp"
#include "levels/entries.hpp"
#include "levels/panels.hpp"

namespace krige::KRIGE_LEVEL {
namespace {

constexpr index_t whole_limit =
    1200;  // from here on the factor is taken in blocks that stay in the second-level cache
constexpr index_t block_size = 240;
constexpr index_t column_block = 264;

struct System {
    Rows l;  // (n, n), possibly seen from its last row backwards
    index_t n;
    double* b;
    index_t step;  // from row to row of b
    const double* reciprocal;
};

// Rows k to k + depth of one panel of columns of b, solved there and copied back.
void solve_block(const System& s, index_t k, index_t depth, index_t c, index_t cols,
                 double* panel) {
    const Rows l = skip(s.l, k, k);
    double* b = s.b + k * s.step + c;
    pack(Rows{b, 1, s.step}, cols, depth, panel);
    solve_rows(vectors_for(cols), l, s.reciprocal + k, 0, depth, panel);
    unpack_columns(panel, cols, depth, b, s.step);
}

// Rows below k + depth -= their part of the factor times the solved panels.
void update_below(const System& s, index_t k, index_t depth, index_t c, index_t cols,
                  const double* panels) {
    double* left = scratch(Scratch::left, width * depth);
    for (index_t i = k + depth; i < s.n; i += width) {
        const index_t rows = smaller(width, s.n - i);
        pack(skip(s.l, i, k), rows, depth, left);
        for (index_t j = 0; j < cols; j += width)
            for (index_t r = 0; r < rows; r += tile_rows)
                update_any<true>(panel_rows(left + r), panels + j * depth, depth,
                                 s.b + (i + r) * s.step + c + j, s.step, rows - r, cols - j, width);
    }
}

void solve_columns(const System& s, index_t c, index_t cols) {
    const index_t size = s.n <= whole_limit ? s.n : block_size;
    const index_t panels = s.n <= whole_limit ? 1 : round_up(cols, width) / width;
    double* solved = scratch(Scratch::right, panels * width * size);
    for (index_t k = 0; k < s.n; k += size) {
        const index_t depth = smaller(size, s.n - k);
        for (index_t j = 0; j < cols; j += width)
            solve_block(s, k, depth, c + j, smaller(width, cols - j),
                        panels == 1 ? solved : solved + j * depth);
        update_below(s, k, depth, c, cols, solved);
    }
}

}  // namespace

void solve(ConstMatrix l, bool transposed, Matrix b) {
    const index_t n = l.rows;
    if (n == 0 || b.cols == 0) return;
    double* reciprocal = scratch(Scratch::reciprocal, n);
    for (index_t i = 0; i < n; ++i)
        reciprocal[i] = 1 / l(transposed ? n - 1 - i : i, transposed ? n - 1 - i : i);
    // L^T x = b is a lower system when rows and columns are read from the last one backwards
    const System system{
        transposed ? Rows{l.row(n - 1) + n - 1, -1, -l.stride} : Rows{l.data, l.stride, 1}, n,
        transposed ? b.row(n - 1) : b.data, transposed ? -b.stride : b.stride, reciprocal};
    const index_t share = round_up((b.cols + threads() - 1) / threads(), width);
    const index_t block = smaller(column_block, share);
    parallel_for((b.cols + block - 1) / block, n * n * b.cols, [&](index_t task) {
        solve_columns(system, task * block, smaller(block, b.cols - task * block));
    });
}

}  // namespace krige::KRIGE_LEVEL
