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

// rows i... of block.c += a panel of left rows times all right panels
void multiply_rows(const Block& block, const double* left, index_t i, index_t rows, index_t skipped) {
    for (index_t j = 0; j < block.c.cols; j += width) {
        const index_t cols = smaller(width, block.c.cols - j);
        for (index_t r = 0; r < rows; r += tile_rows) {
            const index_t height = smaller(tile_rows, rows - r);
            const index_t diagonal = block.diagonal == everywhere ? everywhere : block.diagonal + i + r - j;
            if (diagonal + height - 1 < 0) continue;
            const index_t zeros = skipped < 0 ? 0 : smaller(skipped + r, block.depth);
            const double* a = left + r + zeros * width;
            const double* b = block.right + j * block.depth + zeros * width;
            double* c = block.c.row(i + r) + j;
            if (height == tile_rows && cols == width && diagonal >= width - 1)
                update_tile<false, tile_vectors>(a, b, block.depth - zeros, c, block.c.stride);
            else
                update_part<false>(a, b, block.depth - zeros, c, block.c.stride, height, cols, diagonal);
        }
    }
}

Rows rows_of(ConstMatrix a, Op op) { return op == Op::none ? Rows{a.data, a.stride, 1} : Rows{a.data, 1, a.stride}; }

}  // namespace

void product(double alpha, ConstMatrix a, Op op_a, ConstMatrix b, Op op_b, Matrix c, bool lower, bool trapezoid) {
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
            const index_t last = trapezoid ? smaller(c.rows, k + deep) : c.rows;
            const index_t count = (last + width - 1) / width - first;
            const Block block{panels, deep, c.block(0, j, c.rows, cols), lower ? -j : everywhere};
            parallel_for(count, 2 * count * width * cols * deep, [&](index_t task) {
                const index_t i = (first + task) * width;
                const index_t rows = smaller(width, c.rows - i);
                double* panel = scratch(Scratch::left, width * deep);
                pack(skip(left, i, k), rows, deep, panel);
                if (alpha != 1)
                    for (index_t e = 0; e < width * deep; ++e) panel[e] *= alpha;
                multiply_rows(block, panel, i, rows, trapezoid && i >= k ? i - k : -1);
            });
        }
}

}  // namespace krige::KRIGE_LEVEL
