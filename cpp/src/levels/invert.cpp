#include "krige/parallel.hpp"
#include "krige/scratch.hpp"
#include "levels/entries.hpp"
#include "levels/panels.hpp"

namespace krige::KRIGE_LEVEL {
namespace {

constexpr index_t depth_block = 240;

// W = L^-1 in panels of columns: panel J has rows J width to n
struct Inverse {
    index_t n;
    double* panels;

    double* panel(index_t column) const {
        const index_t before = column / width;
        return panels + width * (before * n - width * before * (before - 1) / 2);
    }
};

void solve_identity(const Inverse& w, ConstMatrix l, const double* reciprocal, index_t j) {
    double* panel = w.panel(j);
    for (index_t e = 0; e < (w.n - j) * width; ++e) panel[e] = 0;
    const index_t cols = smaller(width, w.n - j);
    for (index_t c = 0; c < cols; ++c) panel[c * width + c] = 1;
    solve_rows(vectors_for(cols), Rows{l.row(j) + j, l.stride, 1}, reciprocal + j, 0, w.n - j,
               panel);
}

// rows i to i + width of out += those of W^T W from inner indices k to end
void multiply_rows(const Inverse& w, index_t i, index_t k, index_t end, Matrix out) {
    const double* left = w.panel(i);
    for (index_t j = 0; j <= i; j += width)
        for (index_t r = 0; r < width && i + r < w.n; r += tile_rows) {
            const index_t first = i + r > k ? i + r : k;
            if (first >= end) continue;
            update_any<false>(panel_rows(left + (first - i) * width + r),
                              w.panel(j) + (first - j) * width, end - first, out.row(i + r) + j,
                              out.stride, w.n - i - r, w.n - j, i + r - j);
        }
}

}  // namespace

void invert(ConstMatrix l, Matrix out) {
    const index_t n = l.rows;
    const index_t count = (n + width - 1) / width;
    const Inverse w{n, scratch(Scratch::columns, width * count * (n + width))};
    double* reciprocal = scratch(Scratch::reciprocal, n);
    for (index_t i = 0; i < n; ++i) {
        reciprocal[i] = 1 / l(i, i);
        for (index_t j = 0; j <= i; ++j) out(i, j) = 0;
    }
    parallel_for(count, n * n * n / 3,
                 [&](index_t task) { solve_identity(w, l, reciprocal, task * width); });
    for (index_t k = 0; k < n; k += depth_block) {
        const index_t end = smaller(k + depth_block, n);
        const index_t active = (end + width - 1) / width;
        parallel_for(active, active * width * active * width * depth_block, [&](index_t task) {
            multiply_rows(w, (active - 1 - task) * width, k, end, out);
        });
    }
}

}  // namespace krige::KRIGE_LEVEL
