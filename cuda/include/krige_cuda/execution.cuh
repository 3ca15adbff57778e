// What the kernels need of the device beside the language: launches, shared memory, sums over a
// block, copies that overlap with arithmetic, and the float64 matrix units. Compiled for the host
// by tests/emulation.
#pragma once

#include <cuda_runtime.h>

#include "krige/view.hpp"

namespace krige_cuda {

using krige::index_t;

constexpr int warp_lanes = 32;
constexpr unsigned all_lanes = 0xffffffffu;

__host__ __device__ constexpr int ceiling_divide(index_t a, index_t b) {
    return static_cast<int>((a + b - 1) / b);
}

template <class... Parameters, class... Arguments>
void launch(cudaStream_t stream, dim3 grid, dim3 block, void (*kernel)(Parameters...),
            Arguments... arguments) {
    if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
#if defined(KRIGE_EMULATION)
    static_cast<void>(stream);
    krige_emulation::launch(grid, block, [&] { kernel(arguments...); });
#else
    // clang-format off
    kernel<<<grid, block, 0, stream>>>(arguments...);
    // clang-format on
#endif
}

// T name[count], of the block
#if defined(KRIGE_EMULATION)
#define KRIGE_SHARED(T, name, count)  \
    static const char name##_key = 0; \
    T* const name = static_cast<T*>(  \
        krige_emulation::shared_memory(&name##_key, sizeof(T) * static_cast<std::size_t>(count)))
#else
#define KRIGE_SHARED(T, name, count) __shared__ __align__(16) T name[count]
#endif

// --- asynchronous copies (PTX ISA, cp.async)
// --------------------------------------------------------

// two doubles to (shared) := from (global), of which the first `count` are read and the others
// zero. Both at once where `wide`: then both addresses are multiples of 16 bytes.
__device__ __forceinline__ void copy_async(double* to, const double* from, int count, bool wide) {
#if defined(KRIGE_EMULATION)
    krige_emulation::copy_later(to, from, 2 * sizeof(double),
                                static_cast<std::size_t>(count) * sizeof(double), wide ? 16 : 8);
#else
    const auto address = static_cast<unsigned>(__cvta_generic_to_shared(to));
    if (wide) {
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address), "l"(from),
                     "r"(8 * count)
                     : "memory");
    } else {
        asm volatile("cp.async.ca.shared.global [%0], [%1], 8, %2;" ::"r"(address), "l"(from),
                     "r"(count > 0 ? 8 : 0)
                     : "memory");
        asm volatile("cp.async.ca.shared.global [%0], [%1], 8, %2;" ::"r"(address + 8),
                     "l"(from + (count > 1 ? 1 : 0)), "r"(count > 1 ? 8 : 0)
                     : "memory");
    }
#endif
}

__device__ __forceinline__ void end_copies() {
#if defined(KRIGE_EMULATION)
    krige_emulation::end_group();
#else
    asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

// until all but the last `pending` groups of copies of this thread have arrived
template <int pending>
__device__ __forceinline__ void wait_for_copies() {
#if defined(KRIGE_EMULATION)
    krige_emulation::wait_for_groups(pending);
#else
    asm volatile("cp.async.wait_group %0;" ::"n"(pending) : "memory");
#endif
}

// --- the matrix units
// --------------------------------------------------------------------------------

// c += a b by a warp: a (16, 8), b (8, 8), c (16, 8). With g = lane / 4 and t = lane % 4, a lane
// holds a at (g, t), (g + 8, t), (g, t + 4), (g + 8, t + 4); b at (t, g), (t + 4, g); c at (g, 2t),
// (g, 2t + 1), (g + 8, 2t), (g + 8, 2t + 1) (PTX ISA, mma.m16n8k8 for f64).
__device__ __forceinline__ void multiply_fragments(double (&c)[4], const double (&a)[4],
                                                   const double (&b)[2]) {
#if defined(KRIGE_EMULATION)
    double mine[6] = {a[0], a[1], a[2], a[3], b[0], b[1]};
    krige_emulation::publish(mine, sizeof mine);
    const int g = krige_emulation::lane() / 4;
    const int t = krige_emulation::lane() % 4;
    for (int k = 0; k < 8; ++k) {
        const auto* left =
            static_cast<const double*>(krige_emulation::published(4 * g + k % 4)) + k / 4 * 2;
        for (int j = 0; j < 2; ++j) {
            const double right = static_cast<const double*>(
                krige_emulation::published(4 * (2 * t + j) + k % 4))[4 + k / 4];
            c[j] = std::fma(left[0], right, c[j]);
            c[2 + j] = std::fma(left[1], right, c[2 + j]);
        }
    }
    __syncwarp();
#elif __CUDA_ARCH__ >= 900
    asm("mma.sync.aligned.m16n8k8.row.col.f64.f64.f64.f64 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
        "{%8, %9}, {%0, %1, %2, %3};"
        : "+d"(c[0]), "+d"(c[1]), "+d"(c[2]), "+d"(c[3])
        : "d"(a[0]), "d"(a[1]), "d"(a[2]), "d"(a[3]), "d"(b[0]), "d"(b[1]));
#else
#pragma unroll
    for (int k = 0; k < 2; ++k) {
#pragma unroll
        for (int h = 0; h < 2; ++h)
            asm("mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64 {%0, %1}, {%2}, {%3}, {%0, %1};"
                : "+d"(c[2 * h]), "+d"(c[2 * h + 1])
                : "d"(a[2 * k + h]), "d"(b[k]));
    }
#endif
}

// --- sums
// ----------------------------------------------------------------------------------------------

// Sums of `count` values each over the lanes that differ in the bits of `span`, of which each lane
// keeps count / span: those from keep_first() on, in values[0...]. count shuffles less one instead
// of log2(span) for every value. Both are powers of two.
template <int count, int span>
__device__ __forceinline__ void share_sums(double (&values)[count], int lane) {
#pragma unroll
    for (int half = count / 2, bit = span / 2; bit >= 1; half /= 2, bit /= 2) {
        const bool upper = (lane & bit) != 0;
#pragma unroll
        for (int v = 0; v < count / 2; ++v) {
            if (v < half) {
                const double give = upper ? values[v] : values[v + half];
                const double keep = upper ? values[v + half] : values[v];
                values[v] = keep + __shfl_xor_sync(all_lanes, give, bit);
            } else if (half == 0 && v == 0) {
                values[0] += __shfl_xor_sync(all_lanes, values[0], bit);
            }
        }
    }
}

// the sum over the block's `threads` threads, in thread 0; shared holds one double per warp
template <int threads>
__device__ __forceinline__ double block_sum(double value, double* shared) {
    for (int bit = warp_lanes / 2; bit > 0; bit /= 2)
        value += __shfl_xor_sync(all_lanes, value, bit);
    const int thread = static_cast<int>(threadIdx.x);
    __syncthreads();
    if (thread % warp_lanes == 0) shared[thread / warp_lanes] = value;
    __syncthreads();
    double sum = 0.0;
    if (thread == 0)
        for (int warp = 0; warp < threads / warp_lanes; ++warp) sum += shared[warp];
    return sum;
}

}  // namespace krige_cuda
