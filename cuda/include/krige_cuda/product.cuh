// Products of matrices in tiles of 64 by 64 on the float64 matrix units, for batches, with
// triangular operands.
//
// Why so: 4 warps of 32 by 32 keep 32 sums per thread in registers, and a block's two stages of 16
// inner indices 40 KiB of shared memory, so that three blocks (of their own batch members) hide one
// another's barriers. Rows of 20 and 68 doubles put the 16 lanes of a half-warp in 16 different
// banks for every fragment. cuBLAS is faster on one large product; it has no batched triangular
// ones, which save half to two thirds of the work here.
#pragma once

#include "krige_cuda/execution.cuh"

namespace krige_cuda {

constexpr int block_size = 64;  // of tiles, and of the diagonal blocks of a factor
constexpr int product_threads = 128;
constexpr int product_depth = 16;

// one operand: entry (r, k) for row or column r of the result and inner index k
struct Operand {
    const double* data;
    index_t stride;
    index_t step;
    bool lower = false;  // entries above the diagonal are taken as zero and never read
};

// c := sign * sum over k of a(i, k) b(j, k), plus c where `add`
struct Product {
    Operand a;
    Operand b;
    double* c;
    index_t stride;
    index_t step;
    int rows;
    int cols;
    int inner_begin = 0;
    int inner_end;
    bool from_row = false;  // inner indices from the tile's first row on
    bool from_col = false;  // inner indices from the tile's first column on
    bool to_col = false;    // inner indices up to the tile's last column
    bool lower_only = false;
    bool add = false;
    double sign = 1.0;
};

// Entry (r, k) lies at r * stride + k (`inner`: k is contiguous), or at k * stride + r.
template <bool inner>
struct Stage {
    static constexpr int stride = inner ? product_depth + 4 : block_size + 4;
    static constexpr int size = inner ? block_size * stride : product_depth * stride;

    // starts copying rows [begin, begin + 64) of inner indices [first, first + 16)
    __device__ static __forceinline__ void load(const Operand& operand, const double* data,
                                                int begin, int rows, int first, int inner_end,
                                                double* to) {
        constexpr int run = inner ? product_depth : block_size;  // contiguous in memory
        constexpr int turns = block_size * product_depth / product_threads;
        const int thread = static_cast<int>(threadIdx.x);
#pragma unroll
        for (int turn = 0; turn < turns; ++turn) {
            const int along = thread % run;
            const int across = thread / run + turn * (product_threads / run);
            const int r = begin + (inner ? across : along);
            const int k = first + (inner ? along : across);
            const index_t at = inner ? r * operand.stride + k : k * operand.stride + r;
            const int row = inner ? r : k;  // in memory
            const int col = inner ? k : r;
            const bool valid = r < rows && k < inner_end && (!operand.lower || col <= row);
            copy_async(to + across * stride + along, data + (valid ? at : 0), valid);
        }
    }

    __device__ static __forceinline__ double at(const double* stage, int r, int k) {
        return inner ? stage[r * stride + k] : stage[k * stride + r];
    }
};

template <bool a_inner, bool b_inner>
__global__ void __launch_bounds__(product_threads) product_kernel(Product p) {
    using A = Stage<a_inner>;
    using B = Stage<b_inner>;
    KRIGE_SHARED(double, a_stages, 2 * A::size);
    KRIGE_SHARED(double, b_stages, 2 * B::size);
    const int row_begin = static_cast<int>(blockIdx.x) * block_size;
    const int col_begin = static_cast<int>(blockIdx.y) * block_size;
    if (p.lower_only && col_begin > row_begin) return;
    const auto s = static_cast<index_t>(blockIdx.z);
    const double* a = p.a.data + s * p.a.step;
    const double* b = p.b.data + s * p.b.step;

    int begin = p.inner_begin;
    if (p.from_row) begin = max(begin, row_begin);
    if (p.from_col) begin = max(begin, col_begin);
    const int end = p.to_col ? min(p.inner_end, col_begin + block_size) : p.inner_end;

    const int lane = static_cast<int>(threadIdx.x) % warp_lanes;
    const int warp = static_cast<int>(threadIdx.x) / warp_lanes;
    const int warp_row = warp / 2 * 32;
    const int warp_col = warp % 2 * 32;
    const int group = lane / 4;
    const int place = lane % 4;

    double sum[2][4][4] = {};
    if (begin < end) {
        A::load(p.a, a, row_begin, p.rows, begin, end, a_stages);
        B::load(p.b, b, col_begin, p.cols, begin, end, b_stages);
    }
    end_copies();
    int stage = 0;
    for (int first = begin; first < end; first += product_depth, stage ^= 1) {
        const int next = first + product_depth;
        if (next < end) {
            A::load(p.a, a, row_begin, p.rows, next, end, a_stages + (stage ^ 1) * A::size);
            B::load(p.b, b, col_begin, p.cols, next, end, b_stages + (stage ^ 1) * B::size);
        }
        end_copies();
        wait_for_copies<1>();
        __syncthreads();
        const double* a_stage = a_stages + stage * A::size;
        const double* b_stage = b_stages + stage * B::size;
#pragma unroll
        for (int k = 0; k < product_depth; k += 8) {
            double left[2][4];
            double right[4][2];
#pragma unroll
            for (int i = 0; i < 2; ++i) {
#pragma unroll
                for (int v = 0; v < 4; ++v)
                    left[i][v] = A::at(a_stage, warp_row + 16 * i + group + v % 2 * 8,
                                       k + place + v / 2 * 4);
            }
#pragma unroll
            for (int j = 0; j < 4; ++j) {
#pragma unroll
                for (int v = 0; v < 2; ++v)
                    right[j][v] = B::at(b_stage, warp_col + 8 * j + group, k + place + 4 * v);
            }
#pragma unroll
            for (int i = 0; i < 2; ++i) {
#pragma unroll
                for (int j = 0; j < 4; ++j) multiply_fragments(sum[i][j], left[i], right[j]);
            }
        }
        __syncthreads();
    }

    double* c = p.c + s * p.step;
#pragma unroll
    for (int i = 0; i < 2; ++i) {
#pragma unroll
        for (int j = 0; j < 4; ++j) {
#pragma unroll
            for (int v = 0; v < 4; ++v) {
                const int row = row_begin + warp_row + 16 * i + group + v / 2 * 8;
                const int col = col_begin + warp_col + 8 * j + 2 * place + v % 2;
                if (row >= p.rows || col >= p.cols || (p.lower_only && col > row)) continue;
                double* at = c + row * p.stride + col;
                *at = (p.add ? *at : 0.0) + p.sign * sum[i][j][v];
            }
        }
    }
}

template <bool a_inner, bool b_inner>
void multiply(cudaStream_t stream, const Product& product, int batch) {
    const dim3 grid(ceiling_divide(product.rows, block_size),
                    ceiling_divide(product.cols, block_size), batch);
    launch(stream, grid, product_threads, product_kernel<a_inner, b_inner>, product);
}

}  // namespace krige_cuda
