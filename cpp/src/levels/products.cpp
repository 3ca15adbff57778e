#include "krige/parallel.hpp"
#include "krige/scratch.hpp"
#include "levels/entries.hpp"
#include "levels/panels.hpp"

namespace krige::KRIGE_LEVEL {
namespace {

constexpr index_t depth_block = 240;
constexpr index_t column_block = 480;
constexpr index_t everywhere = index_t{1} << 60;

struct Block {
    const double* right;  // panels of columns
    index_t depth;
    Matrix c;          // the columns of the block
    index_t diagonal;  // of c: column <= row + diagonal is computed
};

// rows i to i + rows of block.c += left rows times all right panels
template <bool minus>
void multiply_rows(const Block& block, Rows left, index_t i, index_t rows) {
    for (index_t j = 0; j < block.c.cols; j += width)
        for (index_t r = 0; r < rows; r += tile_rows)
            update_any<minus>(
                skip(left, r, 0), block.right + j * block.depth, block.depth,
                block.c.row(i + r) + j, block.c.stride, rows - r, block.c.cols - j,
                block.diagonal == everywhere ? everywhere : block.diagonal + i + r - j);
}

// The same with left rows that must be packed: tiles read whole groups of them, and alpha scales
// them.
void multiply_packed(const Block& block, double alpha, Rows left, index_t i, index_t rows) {
    double* panel = scratch(Scratch::left, width * block.depth);
    pack(left, rows, block.depth, panel);
    for (index_t e = 0; e < width * block.depth; ++e) panel[e] *= alpha;
    multiply_rows<false>(block, panel_rows(panel), i, rows);
}

Rows rows_of(ConstMatrix a, Op op) {
    return op == Op::none ? Rows{a.data, a.stride, 1} : Rows{a.data, 1, a.stride};
}

}  // namespace

void product(double alpha, ConstMatrix a, Op op_a, ConstMatrix b, Op op_b, Matrix c, bool lower) {
    const index_t depth = op_a == Op::none ? a.cols : a.rows;
    const Rows left = rows_of(a, op_a);
    const Rows right = rows_of(b, op_b == Op::none ? Op::transpose : Op::none);
    for (index_t j = 0; j < c.cols; j += column_block)
        for (index_t k = 0; k < depth; k += depth_block) {
            const index_t cols = smaller(column_block, c.cols - j);
            const index_t deep = smaller(depth_block, depth - k);
            double* panels = scratch(Scratch::right, round_up(cols, width) * deep);
            for (index_t p = 0; p < cols; p += width)
                pack(skip(right, j + p, k), smaller(width, cols - p), deep, panels + p * deep);
            const index_t first = lower ? j / width : 0;
            const index_t count = (c.rows + width - 1) / width - first;
            const Block block{panels, deep, c.block(0, j, c.rows, cols), lower ? -j : everywhere};
            parallel_for(count, 2 * count * width * cols * deep, [&](index_t task) {
                const index_t i = (first + task) * width;
                const index_t rows = smaller(width, c.rows - i);
                const Rows part = skip(left, i, k);
                if (rows < width || (alpha != 1 && alpha != -1))
                    multiply_packed(block, alpha, part, i, rows);
                else if (alpha == 1)
                    multiply_rows<false>(block, part, i, rows);
                else
                    multiply_rows<true>(block, part, i, rows);
            });
        }
}

}  // namespace krige::KRIGE_LEVEL
