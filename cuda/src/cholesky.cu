// Cholesky factors of many systems at once, in blocks of 64 columns.
//
// Left-looking: a block column is updated by all columns before it in one product, its diagonal
// block is factored and inverted by one block of threads, and the rows below are multiplied by that
// inverse. So each entry is written once per stage, and a step has three launches whatever the
// batch.
#include "krige_cuda/blocks.cuh"

namespace krige_cuda {
namespace {

// Gaussian elimination of [A | I], in place: behind pivot k, columns up to k hold the inverse's
// part, the ones after it what is left of A. Scaled by the roots of the pivots these are L and
// L^-1. Each pivot costs one barrier: its row is shown in one of two buffers in turn.
__global__ void __launch_bounds__(block_threads, 1)
    factor_block_kernel(Matrices<double> a, int n, int begin, int* failed, double* block_inverses,
                        index_t inverses_step) {
    KRIGE_SHARED(double, shown, 2 * block_size);
    const RowThread own;
    const auto s = static_cast<index_t>(blockIdx.x);
    const int size = min(block_size, n - begin);
    double* block = a.data + s * a.step + begin * a.stride + begin;
    double w[row_share];
    double l[row_share];
#pragma unroll
    for (int v = 0; v < row_share; ++v) {
        const int col = own.col(v);
        const bool inside = own.row < size && col < size;
        // the whole symmetric block, from its lower triangle; the identity beyond it
        const int high = max(own.row, col);
        const int low = min(own.row, col);
        w[v] = inside ? block[high * a.stride + low] : own.row == col ? 1.0 : 0.0;
        l[v] = 0.0;
    }
    int pivot_failed = -1;
    double own_scale = 1.0;
#pragma unroll
    for (int v = 0; v < row_share; ++v) {
        for (int part = 0; part < row_threads; ++part) {
            const int k = v * row_threads + part;
            double* row = shown + k % 2 * block_size;
            if (own.row == k) {
#pragma unroll
                for (int u = 0; u < row_share; ++u) row[own.col(u)] = w[u];
            }
            __syncthreads();
            double pivot = row[k];
            if (!(pivot > 0.0)) {
                if (pivot_failed < 0) pivot_failed = k;
                pivot = 1.0;
            }
            const double scale = 1.0 / sqrt(pivot);
            const double mine = __shfl_sync(all_lanes, w[v], own.lane + part);
            if (own.row == k) own_scale = scale;
            if (own.row >= k && own.part == part) l[v] = own.row == k ? sqrt(pivot) : mine * scale;
            if (own.row <= k) continue;
            const double times = mine / pivot;
#pragma unroll
            for (int u = 0; u < row_share; ++u) {
                const int col = own.col(u);
                w[u] = col == k ? -times : w[u] - times * row[col];
            }
        }
    }
    double* inverse = block_inverses + s * inverses_step + own.row * block_size;
#pragma unroll
    for (int v = 0; v < row_share; ++v) {
        const int col = own.col(v);
        if (own.row < size && col <= own.row) block[own.row * a.stride + col] = l[v];
        inverse[col] = col > own.row ? 0.0 : col == own.row ? own_scale : w[v] * own_scale;
    }
    if (threadIdx.x == 0 && (begin == 0 || failed[s] < 0))
        failed[s] = pivot_failed < 0 ? -1 : begin + pivot_failed;
}

}  // namespace

index_t block_inverses_size(int n, int batch) { return inverses_step(n) * batch; }

void factor(cudaStream_t stream, Matrices<double> a, int n, int* failed, double* block_inverses) {
    const index_t step = inverses_step(n);
    for (int begin = 0; begin < n; begin += block_size) {
        double* column = a.data + begin * a.stride + begin;
        double* inverse = block_inverses + static_cast<index_t>(begin) * block_size;
        if (begin > 0) {
            Product update{};
            update.a = {a.data + begin * a.stride, a.stride, a.step};
            update.b = update.a;
            update.c = column;
            update.stride = a.stride;
            update.step = a.step;
            update.rows = n - begin;
            update.cols = min(block_size, n - begin);
            update.inner_end = begin;
            update.lower_only = true;
            update.add = true;
            update.sign = -1.0;
            multiply<block_size, true, true>(stream, update, a.batch);
        }
        launch(stream, a.batch, block_threads, factor_block_kernel, a, n, begin, failed, inverse,
               step);
        const int below = n - begin - block_size;
        if (below <= 0) continue;
        Product panel{};
        panel.c =
            column + block_size * a.stride;  // in place: a tile is read whole before it is written
        panel.stride = a.stride;
        panel.step = a.step;
        panel.a = {panel.c, a.stride, a.step};
        panel.b = {inverse, block_size, step};
        panel.rows = below;
        panel.cols = block_size;
        panel.inner_end = block_size;
        multiply<block_size, true, true>(stream, panel, a.batch);
    }
}

}  // namespace krige_cuda
