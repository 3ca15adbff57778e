// Stands in for CUDA's header of this name where the kernels' own source is compiled for the host:
// the language's additions, on top of execution.hpp, and behind them the runtime's functions.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#define KRIGE_EMULATION 1

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)

struct uint3 {
    unsigned x, y, z;
};

struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

#include "execution.hpp"

#define threadIdx (::krige_emulation::here().index)
#define blockIdx (::krige_emulation::here().block)
#define blockDim (::krige_emulation::here().block_size)
#define gridDim (::krige_emulation::here().grid_size)
#define __syncthreads() ::krige_emulation::wait_for_block(__LINE__)
#define __syncwarp() ::krige_emulation::wait_for_warp(__LINE__)

template <class T>
T __shfl_sync(unsigned, T value, int lane) {
    static_assert(std::is_trivially_copyable_v<T>);
    krige_emulation::publish(&value, sizeof value);
    T out;
    std::memcpy(&out, krige_emulation::published(lane), sizeof out);
    __syncwarp();
    return out;
}

template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lanes) {
    return __shfl_sync(mask, value, krige_emulation::lane() ^ lanes);
}

inline int min(int a, int b) { return a < b ? a : b; }
inline int max(int a, int b) { return a > b ? a : b; }

#include "runtime_api.hpp"
