// Products of matrices in tiles of 64 by 64 on the float64 matrix units, for batches, with
// triangular operands.
//
// Why so: 4 warps of 32 by 32 keep 32 sums per thread in registers, and a block's four stages of 8
// inner indices 48 KiB of shared memory: one is multiplied while three are on their way, which is
// what a block alone on its multiprocessor needs, and three or four blocks (of their own batch
// members) fit beside one another. Rows of 12 and 68 doubles put the 16 lanes of a half-warp in 16
// different banks for every fragment. cuBLAS is faster on one large product; it has no batched
// triangular ones, which save half to two thirds of the work here. Tiles of 16 rows serve few
// candidates, where what counts is to read the other operand once.
#pragma once

#include "krige_cuda/execution.cuh"

namespace krige_cuda {

constexpr int block_size = 64;  // of tiles, and of the diagonal blocks of a factor
constexpr int few_rows = 16;
constexpr int product_threads = 128;
constexpr int product_depth = 8;  // inner indices of a stage
constexpr int product_stages = 4;

// one operand: entry (r, k) for row or column r of the result and inner index k
struct Operand {
    const double* data;
    index_t stride;
    index_t step;
    bool lower = false;  // entries above the diagonal are taken as zero and never read
    bool wide = false;   // set by `multiply`: pairs of entries lie at multiples of 16 bytes
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
    int inner_end;
    double sign = 1.0;
    bool from_row = false;  // inner indices from the tile's first row on
    bool from_col = false;  // inner indices from the tile's first column on
    bool to_row = false;    // inner indices up to the tile's last row
    bool to_col = false;    // inner indices up to the tile's last column
    bool lower_only = false;
    bool add = false;
    int split = 0;  // instead of a batch, parts of so many inner indices, each with its own c
};

// The inner indices of a stage for `count` rows: entry (r, k) lies at r * stride + k (`inner`: k is
// contiguous), or at k * stride + r.
template <bool inner, int count>
struct Stage {
    static constexpr int run = inner ? product_depth : count;  // contiguous in memory
    static constexpr int stride = run + 4;
    static constexpr int size = stride * (inner ? count : product_depth);

    // starts copying rows [begin, begin + count) of inner indices [first, first + 8)
    __device__ static __forceinline__ void load(const Operand& operand, const double* data,
                                                int begin, int rows, int first, int inner_end,
                                                double* to) {
        constexpr int pairs = count * product_depth / 2;
        constexpr int turns = ceiling_divide(pairs, product_threads);
#pragma unroll
        for (int turn = 0; turn < turns; ++turn) {
            const int pair = static_cast<int>(threadIdx.x) + turn * product_threads;
            if (pairs % product_threads != 0 && pair >= pairs) break;
            const int along = pair % (run / 2) * 2;
            const int across = pair / (run / 2);
            const int row = across + (inner ? begin : first);  // in memory
            const int col = along + (inner ? first : begin);
            const int row_end = inner ? rows : inner_end;
            int col_end = inner ? inner_end : rows;
            if (operand.lower) col_end = min(col_end, row + 1);
            const int valid = row < row_end ? max(0, min(2, col_end - col)) : 0;
            const double* from = valid > 0 ? data + row * operand.stride + col : data;
            copy_async(to + across * stride + along, from, valid, operand.wide);
        }
    }

    __device__ static __forceinline__ double at(const double* stage, int r, int k) {
        return inner ? stage[r * stride + k] : stage[k * stride + r];
    }
};

// How a block's four warps share a tile, and what of it a thread has: fragments of 16 rows by 8
// columns, whose entries multiply_fragments names.
template <int tile_rows>
struct Share {
    static constexpr int across = tile_rows == block_size ? 2 : 1;  // warps to the tile's rows
    static constexpr int rows = tile_rows / across / 16;            // fragments of a warp
    static constexpr int cols = block_size / (4 / across) / 8;

    int first_row;
    int first_col;
    int group;
    int place;
    double sum[rows][cols][4] = {};

    __device__ __forceinline__ Share() {
        const int lane = static_cast<int>(threadIdx.x) % warp_lanes;
        const int warp = static_cast<int>(threadIdx.x) / warp_lanes;
        first_row = warp % across * rows * 16;
        first_col = warp / across * cols * 8;
        group = lane / 4;
        place = lane % 4;
    }

    // adds the products of one stage
    template <class A, class B>
    __device__ __forceinline__ void multiply(const double* a, const double* b) {
        double left[rows][4];
        double right[cols][2];
#pragma unroll
        for (int i = 0; i < rows; ++i) {
#pragma unroll
            for (int v = 0; v < 4; ++v)
                left[i][v] = A::at(a, first_row + 16 * i + group + v % 2 * 8, place + v / 2 * 4);
        }
#pragma unroll
        for (int j = 0; j < cols; ++j) {
#pragma unroll
            for (int v = 0; v < 2; ++v)
                right[j][v] = B::at(b, first_col + 8 * j + group, place + 4 * v);
        }
#pragma unroll
        for (int i = 0; i < rows; ++i) {
#pragma unroll
            for (int j = 0; j < cols; ++j) multiply_fragments(sum[i][j], left[i], right[j]);
        }
    }

    __device__ __forceinline__ void store(const Product& p, double* c, int row_begin,
                                          int col_begin) const {
#pragma unroll
        for (int i = 0; i < rows; ++i) {
#pragma unroll
            for (int j = 0; j < cols; ++j) {
#pragma unroll
                for (int v = 0; v < 4; ++v) {
                    const int row = row_begin + first_row + 16 * i + group + v / 2 * 8;
                    const int col = col_begin + first_col + 8 * j + 2 * place + v % 2;
                    if (row >= p.rows || col >= p.cols || (p.lower_only && col > row)) continue;
                    double* at = c + row * p.stride + col;
                    *at = (p.add ? *at : 0.0) + p.sign * sum[i][j][v];
                }
            }
        }
    }
};

// of the source file, so that each one registers its own kernels
template <int tile_rows, bool a_inner, bool b_inner>
static __global__ void __launch_bounds__(product_threads) product_kernel(Product p) {
    using A = Stage<a_inner, tile_rows>;
    using B = Stage<b_inner, block_size>;
    KRIGE_SHARED(double, a_stages, product_stages* A::size);
    KRIGE_SHARED(double, b_stages, product_stages* B::size);
    const int row_begin = static_cast<int>(blockIdx.x) * tile_rows;
    const int col_begin = static_cast<int>(blockIdx.y) * block_size;
    if (p.lower_only && col_begin > row_begin) return;
    const auto z = static_cast<int>(blockIdx.z);
    const double* a = p.a.data + (p.split > 0 ? 0 : z * p.a.step);
    const double* b = p.b.data + (p.split > 0 ? 0 : z * p.b.step);

    int begin = p.split * z;
    if (p.from_row) begin = max(begin, row_begin);
    if (p.from_col) begin = max(begin, col_begin);
    int end = p.inner_end;
    if (p.to_row) end = min(end, row_begin + tile_rows);
    if (p.to_col) end = min(end, col_begin + block_size);
    if (p.split > 0) end = min(end, p.split * (z + 1));

    const auto load = [&](int number) {
        const int first = begin + number * product_depth;
        const int stage = number % product_stages;
        if (first < end) {
            A::load(p.a, a, row_begin, p.rows, first, end, a_stages + stage * A::size);
            B::load(p.b, b, col_begin, p.cols, first, end, b_stages + stage * B::size);
        }
        end_copies();
    };
    Share<tile_rows> share;
    for (int number = 0; number < product_stages - 1; ++number) load(number);
    const int count = (end - begin + product_depth - 1) / product_depth;
    for (int number = 0; number < count; ++number) {
        wait_for_copies<product_stages - 2>();
        __syncthreads();  // behind the last one nobody reads operands: the result may replace one
        load(number + product_stages - 1);  // where everybody has read the stage before this one
        const int stage = number % product_stages;
        share.template multiply<A, B>(a_stages + stage * A::size, b_stages + stage * B::size);
    }
    share.store(p, p.c + z * p.step, row_begin, col_begin);
}

// whether pairs of entries, from an even row or column on, may be copied at once
inline bool wide(const Operand& operand) {
    const bool even = operand.stride % 2 == 0 && operand.step % 2 == 0;
    return even && reinterpret_cast<std::uintptr_t>(operand.data) % 16 == 0;
}

// `count` members of a batch, or parts of the inner indices
template <int tile_rows, bool a_inner, bool b_inner>
void multiply(cudaStream_t stream, Product product, int count) {
    product.a.wide = wide(product.a);
    product.b.wide = wide(product.b);
    const dim3 grid(ceiling_divide(product.rows, tile_rows),
                    ceiling_divide(product.cols, block_size), count);
    launch(stream, grid, product_threads, product_kernel<tile_rows, a_inner, b_inner>, product);
}

}  // namespace krige_cuda
