// Inverses of factors, and what is multiplied by them.
#include "krige_cuda/blocks.cuh"

namespace krige_cuda {
namespace {

// the inverses of diagonal blocks of a factor, by forward substitution of the identity
__global__ void __launch_bounds__(block_threads)
    invert_block_kernel(Matrices<const double> l, int n, double* block_inverses,
                        index_t inverses_step) {
    KRIGE_SHARED(double, shown, 2 * block_size);
    const RowThread own;
    const auto s = static_cast<index_t>(blockIdx.y);
    const int begin = static_cast<int>(blockIdx.x) * block_size;
    const int size = min(block_size, n - begin);
    const double* block = l.data + s * l.step + begin * l.stride + begin;
    double w[row_share];
    double x[row_share];
#pragma unroll
    for (int v = 0; v < row_share; ++v) {
        const int col = own.col(v);
        const bool inside = own.row < size && col <= own.row;
        w[v] = inside ? block[own.row * l.stride + col] : own.row == col ? 1.0 : 0.0;
        x[v] = own.row == col ? 1.0 : 0.0;
    }
#pragma unroll
    for (int v = 0; v < row_share; ++v) {
        for (int part = 0; part < row_threads; ++part) {
            const int k = v * row_threads + part;
            double* row = shown + k % 2 * block_size;
            const double mine = __shfl_sync(all_lanes, w[v], own.lane + part);
            if (own.row == k) {
#pragma unroll
                for (int u = 0; u < row_share; ++u) {
                    x[u] /= mine;
                    row[own.col(u)] = x[u];
                }
            }
            __syncthreads();
            if (own.row <= k) continue;
#pragma unroll
            for (int u = 0; u < row_share; ++u) x[u] -= mine * row[own.col(u)];
        }
    }
    double* inverse = block_inverses + s * inverses_step +
                      static_cast<index_t>(blockIdx.x) * block_size * block_size +
                      own.row * block_size;
#pragma unroll
    for (int v = 0; v < row_share; ++v) inverse[own.col(v)] = x[v];
}

// the diagonal blocks of l := their inverses
__global__ void copy_blocks_kernel(Matrices<double> l, int n, const double* block_inverses,
                                   index_t inverses_step) {
    const auto s = static_cast<index_t>(blockIdx.y);
    const int begin = static_cast<int>(blockIdx.x) * block_size;
    const double* from = block_inverses + s * inverses_step +
                         static_cast<index_t>(blockIdx.x) * block_size * block_size;
    double* to = l.data + s * l.step + begin * l.stride + begin;
    for (int e = static_cast<int>(threadIdx.x); e < block_size * block_size;
         e += static_cast<int>(blockDim.x)) {
        const int row = e / block_size;
        const int col = e % block_size;
        if (begin + row < n && col <= row) to[row * l.stride + col] = from[e];
    }
}

constexpr int vector_threads = 256;

// out_i = sum over k <= i of l_ik v_k; a warp per row
__global__ void vector_kernel(Matrices<const double> l, int n, const double* v, index_t v_step,
                              double* out) {
    const auto s = static_cast<index_t>(blockIdx.y);
    const int lane = static_cast<int>(threadIdx.x) % warp_lanes;
    const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x) / warp_lanes;
    double sum = 0.0;
    if (i < n) {
        const double* row = l.data + s * l.step + i * l.stride;
        for (int k = lane; k <= i; k += warp_lanes) sum += row[k] * v[s * v_step + k];
    }
    for (int bit = warp_lanes / 2; bit > 0; bit /= 2) sum += __shfl_xor_sync(all_lanes, sum, bit);
    if (i < n && lane == 0) out[s * n + i] = sum;
}

// out_j = sum over i >= j of l_ij v_i; a warp has 32 neighbouring columns, the block's warps share
// the rows
__global__ void __launch_bounds__(vector_threads)
    transposed_vector_kernel(Matrices<const double> l, int n, const double* v, index_t v_step,
                             double* out) {
    constexpr int warps = vector_threads / warp_lanes;
    KRIGE_SHARED(double, sums, vector_threads);
    const auto s = static_cast<index_t>(blockIdx.y);
    const int thread = static_cast<int>(threadIdx.x);
    const int first = static_cast<int>(blockIdx.x) * warp_lanes;
    const int j = first + thread % warp_lanes;
    double sum = 0.0;
    for (int i = first + thread / warp_lanes; i < n; i += warps)
        if (j <= i) sum += l.data[s * l.step + i * l.stride + j] * v[s * v_step + i];
    sums[thread] = sum;
    __syncthreads();
    if (thread >= warp_lanes || j >= n) return;
    for (int warp = 1; warp < warps; ++warp) sum += sums[warp * warp_lanes + thread];
    out[s * n + j] = sum;
}

// out (m, n) := the sum of partial (splits, m, n) over the splits
__global__ void split_sum_kernel(int n, int m, int splits, const double* partial,
                                 Matrices<double> out) {
    const auto c = static_cast<index_t>(blockIdx.x);
    const int i = static_cast<int>(blockIdx.y * blockDim.x + threadIdx.x);
    if (i >= n) return;
    double sum = 0.0;
    for (int split = 0; split < splits; ++split) sum += partial[(split * index_t{m} + c) * n + i];
    out.data[c * out.stride + i] = sum;
}

// enough blocks that the largest device reads L^-1 with all of its bandwidth (half of them have
// nothing to do above the diagonal), and the same on every device: the order of the sums depends on
// it
constexpr int split_blocks = 2048;

int inner_splits(int n, int row_tiles) {
    const int wanted =
        ceiling_divide(split_blocks, index_t{row_tiles} * ceiling_divide(n, block_size));
    const int most = ceiling_divide(n, 2 * block_size);
    return wanted < most ? wanted : most;
}

template <int tile_rows>
void multiply_rows(cudaStream_t stream, const Matrices<const double>& l_inverse, int n,
                   const Matrices<const double>& in, int m, bool transposed, double* workspace,
                   const Matrices<double>& out) {
    const int splits = inner_splits(n, ceiling_divide(m, tile_rows));
    Product product{};
    product.a = {in.data, in.stride, in.step};
    product.b = {l_inverse.data, l_inverse.stride, l_inverse.step, true};
    product.c = workspace;
    product.stride = n;
    product.step = static_cast<index_t>(m) * n;
    product.rows = m;
    product.cols = n;
    product.inner_end = n;
    product.split = ceiling_divide(ceiling_divide(n, splits), product_depth) * product_depth;
    if (transposed) {
        product.from_col = true;
        multiply<tile_rows, true, false>(stream, product, splits);
    } else {
        product.to_col = true;
        multiply<tile_rows, true, true>(stream, product, splits);
    }
    const dim3 grid(m, ceiling_divide(n, 256));
    launch(stream, grid, 256, split_sum_kernel, n, m, splits, static_cast<const double*>(workspace),
           out);
}

// rows of the first half of n, in whole blocks; 0 where there is one block only
constexpr int first_half(int n) { return ceiling_divide(n, block_size) / 2 * block_size; }

// Rows [begin, end) of l := their inverse, where the diagonal blocks are inverted already. By
// halves: as large products as there are, and a chain of few. With the halves' inverses A and C,
// what is below A becomes -C L A.
void invert_part(cudaStream_t stream, Matrices<double> l, int begin, int end, double* workspace) {
    const int cols = first_half(end - begin);
    if (cols == 0) return;
    const int middle = begin + cols;
    const int rows = end - middle;
    invert_part(stream, l, begin, middle, workspace);
    invert_part(stream, l, middle, end, workspace);
    const index_t step = static_cast<index_t>(rows) * cols;
    double* below = l.data + middle * l.stride + begin;
    Product right{};  // workspace := L A
    right.a = {below, l.stride, l.step};
    right.b = {l.data + begin * l.stride + begin, l.stride, l.step, true};
    right.c = workspace;
    right.stride = cols;
    right.step = step;
    right.rows = rows;
    right.cols = cols;
    right.inner_end = cols;
    right.from_col = true;
    multiply<block_size, true, false>(stream, right, l.batch);
    Product left{};  // below := -C workspace
    left.a = {l.data + middle * l.stride + middle, l.stride, l.step, true};
    left.b = {workspace, cols, step};
    left.c = below;
    left.stride = l.stride;
    left.step = l.step;
    left.rows = rows;
    left.cols = cols;
    left.inner_end = rows;
    left.to_row = true;
    left.sign = -1.0;
    multiply<block_size, true, false>(stream, left, l.batch);
}

}  // namespace

void invert_blocks(cudaStream_t stream, Matrices<const double> l, int n, double* block_inverses) {
    launch(stream, dim3(ceiling_divide(n, block_size), l.batch), block_threads, invert_block_kernel,
           l, n, block_inverses, inverses_step(n));
}

index_t invert_factor_size(int n, int batch) {
    const index_t first = first_half(n);
    return batch * first * (n - first);
}

void invert_factor(cudaStream_t stream, Matrices<double> l, int n, const double* block_inverses,
                   double* workspace) {
    launch(stream, dim3(ceiling_divide(n, block_size), l.batch), 256, copy_blocks_kernel, l, n,
           block_inverses, inverses_step(n));
    invert_part(stream, l, 0, n, workspace);
}

void inverse_product(cudaStream_t stream, Matrices<const double> l_inverse, int n,
                     Matrices<double> out) {
    Product product{};
    product.a = {l_inverse.data, l_inverse.stride, l_inverse.step, true};
    product.b = product.a;
    product.c = out.data;
    product.stride = out.stride;
    product.step = out.step;
    product.rows = n;
    product.cols = n;
    product.inner_end = n;
    product.from_row = true;
    product.lower_only = true;
    multiply<block_size, false, false>(stream, product, l_inverse.batch);
}

index_t multiply_inverse_size(int n, int m) {
    // a bound of splits * m that does not fall as m grows
    const index_t most = split_blocks / ceiling_divide(n, block_size) + 2;
    const index_t few = most * m;
    const index_t many = most * block_size + 2 * static_cast<index_t>(m);
    return (few < many ? few : many) * n;
}

void multiply_inverse(cudaStream_t stream, Matrices<const double> l_inverse, int n,
                      Matrices<const double> in, int m, bool transposed, double* workspace,
                      Matrices<double> out) {
    if (m <= few_rows) {
        multiply_rows<few_rows>(stream, l_inverse, n, in, m, transposed, workspace, out);
    } else {
        multiply_rows<block_size>(stream, l_inverse, n, in, m, transposed, workspace, out);
    }
}

void multiply_vector(cudaStream_t stream, Matrices<const double> l_inverse, int n, const double* v,
                     index_t v_step, bool transposed, double* out) {
    if (transposed) {
        const dim3 grid(ceiling_divide(n, warp_lanes), l_inverse.batch);
        launch(stream, grid, vector_threads, transposed_vector_kernel, l_inverse, n, v, v_step,
               out);
    } else {
        const dim3 grid(ceiling_divide(n, vector_threads / warp_lanes), l_inverse.batch);
        launch(stream, grid, vector_threads, vector_kernel, l_inverse, n, v, v_step, out);
    }
}

}  // namespace krige_cuda
