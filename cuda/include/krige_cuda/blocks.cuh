// Diagonal blocks of 64 by 64, each worked on by one block of threads.
#pragma once

#include "krige_cuda/launch.hpp"
#include "krige_cuda/product.cuh"

namespace krige_cuda {

// Four threads to a row; each has every fourth column of it in registers.
constexpr int row_threads = 4;
constexpr int row_share = block_size / row_threads;
constexpr int block_threads = block_size * row_threads;

struct RowThread {
    int row;
    int part;  // columns part, part + 4, ...
    int lane;  // of the row's first thread, in its warp

    __device__ RowThread()
        : row(static_cast<int>(threadIdx.x) / row_threads),
          part(static_cast<int>(threadIdx.x) % row_threads),
          lane(static_cast<int>(threadIdx.x) % warp_lanes / row_threads * row_threads) {}
    __device__ int col(int v) const { return v * row_threads + part; }
};

inline index_t inverses_step(int n) {
    return static_cast<index_t>(ceiling_divide(n, block_size)) * block_size * block_size;
}

}  // namespace krige_cuda
