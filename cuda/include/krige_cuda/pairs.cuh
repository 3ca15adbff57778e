// Tiles of 64 by 64 pairs of points, worked on by 256 threads with 4 by 4 pairs each.
//
// The tile and its shape: a chunk of 8 places of both point sets is 8 KiB of shared memory; a
// thread reads 8 numbers of it for 16 pairs, so that loads take less time than the 32 operations on
// them; 16 distances and the evaluation of the radial function stay below 128 registers, which lets
// two blocks share a multiprocessor. The trace of an additive kernel, with three numbers for each
// pair, takes more.
#pragma once

#include "krige/formulas.hpp"
#include "krige_cuda/execution.cuh"
#include "krige_cuda/launch.hpp"

namespace krige_cuda {

constexpr int pair_tile = 64;
constexpr int pair_threads = 256;
constexpr int pair_chunk = 8;  // places in shared memory at a time

// keeps squared distances finite, as in cpp/src/kernel.cpp
template <class T>
constexpr T coordinate_limit = T(1e150);
template <>
constexpr float coordinate_limit<float> = 1e16f;

// a setting of the batch, as a kernel sees it
struct Setting {
    int d;
    int numeric;
    const double* inverse;
    const double* weight;
    double variance;
};

__device__ __forceinline__ Setting setting_of(const Metric& metric, int s) {
    const index_t at = static_cast<index_t>(s) * metric.d;
    return {metric.d, metric.numeric, metric.inverse + at, metric.weight + at, metric.variance[s]};
}

// The rows and columns of the tile that a thread works on: rows are neighbours, columns 16 apart,
// so that a half-warp reads shared memory without conflicts and writes whole lines.
struct PairThread {
    int first_row;
    int first_col;

    __device__ PairThread()
        : first_row(static_cast<int>(threadIdx.x) / 16 * 4),
          first_col(static_cast<int>(threadIdx.x) % 16) {}
    __device__ int row(int i) const { return first_row + i; }
    __device__ int col(int j) const { return first_col + 16 * j; }
};

// chunk (pair_chunk, pair_tile) := places first... of the points from begin on, zero beyond them
template <class T>
__device__ __forceinline__ void load_chunk(const Points<T>& points, const T* values, int begin,
                                           int first, int d, T* chunk) {
#pragma unroll
    for (int part = 0; part < pair_chunk * pair_tile / pair_threads; ++part) {
        const unsigned e = part * pair_threads + threadIdx.x;
        const int place = first + static_cast<int>(e / pair_tile);
        const int point = begin + static_cast<int>(e % pair_tile);
        chunk[e] = place < d && point < points.count ? values[place * points.stride + point] : T(0);
    }
}

template <class T>
__device__ __forceinline__ void clear(T (&pairs)[4][4]) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
#pragma unroll
        for (int j = 0; j < 4; ++j) pairs[i][j] = T(0);
    }
}

// krige::term of a scaled difference
template <class T>
__device__ __forceinline__ void additive_term(T delta, T& value, T& slope) {
    const T s = fabs(delta);
    krige::term(s, krige::exp_minus(s), value, slope);
}

// A tile of pairs: rows from a, columns from b.
template <class T>
struct PairTile {
    Points<T> a;
    Points<T> b;
    int a_begin;
    int b_begin;
    T* a_chunk;
    T* b_chunk;
    const T* a_values;
    const T* b_values;

    __device__ PairTile(const Points<T>& a_, int a_begin_, const Points<T>& b_, int b_begin_, int s,
                        T* a_chunk_, T* b_chunk_)
        : a(a_),
          b(b_),
          a_begin(a_begin_),
          b_begin(b_begin_),
          a_chunk(a_chunk_),
          b_chunk(b_chunk_),
          a_values(a_.values + s * a_.step),
          b_values(b_.values + s * b_.step) {}

    // Loads the chunk of places from `first` on; a barrier on each side.
    __device__ __forceinline__ void load(int first, int d) const {
        __syncthreads();
        load_chunk(a, a_values, a_begin, first, d, a_chunk);
        load_chunk(b, b_values, b_begin, first, d, b_chunk);
        __syncthreads();
    }

    // term(i, j, delta) for the thread's pairs at the loaded place p
    template <class Term>
    __device__ __forceinline__ void differences(const PairThread& thread, int p,
                                                Term&& term) const {
        T row[4];
        T col[4];
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            row[i] = a_chunk[p * pair_tile + thread.row(i)];
            col[i] = b_chunk[p * pair_tile + thread.col(i)];
        }
#pragma unroll
        for (int i = 0; i < 4; ++i) {
#pragma unroll
            for (int j = 0; j < 4; ++j) term(i, j, row[i] - col[j]);
        }
    }

    // scaled squared distances, the sum over the places from `from` on in their order
    __device__ __forceinline__ void squared_distances(const PairThread& thread,
                                                      const Setting& setting, T (&u)[4][4],
                                                      int from = 0) const {
        clear(u);
        constexpr auto limit = static_cast<double>(coordinate_limit<T>);
        for (int first = from; first < setting.d; first += pair_chunk) {
            load(first, setting.d);
            const int places = min(pair_chunk, setting.d - first);
            const int numeric = min(places, max(setting.numeric - first, 0));
            // two loops: of one with both sums the compiler makes products and then sums
            for (int p = 0; p < numeric; ++p)
                differences(thread, p, [&](int i, int j, T delta) { u[i][j] += delta * delta; });
            for (int p = numeric; p < places; ++p) {
                const auto weight = static_cast<T>(fmin(setting.weight[first + p], limit * limit));
                differences(thread, p, [&](int i, int j, T delta) {
                    u[i][j] += delta == T(0) ? T(0) : weight;
                });
            }
        }
    }

    // call(place, p) for the places from... to, each loaded at p; for work that is long enough not
    // to be unrolled, as the terms of an additive kernel are
    template <class Call>
    __device__ __forceinline__ void each_place(int from, int to, Call&& call) const {
        for (int first = from; first < to; first += pair_chunk) {
            load(first, to);
            const int places = min(pair_chunk, to - first);
#pragma unroll 1
            for (int p = 0; p < places; ++p) call(first + p, p);
        }
    }

    // what an additive kernel's terms are multiplied by, and its slope
    __device__ __forceinline__ void shared_factor(const PairThread& thread, const Setting& setting,
                                                  T variance, T (&factor)[4][4],
                                                  T (&fall)[4][4]) const {
        squared_distances(thread, setting, factor, setting.numeric);
#pragma unroll
        for (int i = 0; i < 4; ++i) {
#pragma unroll
            for (int j = 0; j < 4; ++j)
                krige::radial<Family::matern52>(factor[i][j], variance, factor[i][j], fall[i][j]);
        }
    }

    // what kernel_value makes a kernel of: squared distances, or the mean of an additive kernel's
    // terms times the factor that they share
    template <Family family>
    __device__ __forceinline__ void kernel_arguments(const PairThread& thread,
                                                     const Setting& setting, T (&u)[4][4]) const {
        if constexpr (family == Family::additive52) {
            clear(u);
            each_place(0, setting.numeric, [&](int, int p) {
                differences(thread, p, [&](int i, int j, T delta) {
                    T value;
                    T slope;
                    additive_term(delta, value, slope);
                    u[i][j] += value;
                });
            });
            T factor[4][4];
            T fall[4][4];
            shared_factor(thread, setting, T(1), factor, fall);
#pragma unroll
            for (int i = 0; i < 4; ++i) {
#pragma unroll
                for (int j = 0; j < 4; ++j)
                    u[i][j] = u[i][j] / static_cast<T>(setting.numeric) * factor[i][j];
            }
        } else {
            squared_distances(thread, setting, u);
        }
    }
};

// An additive kernel's terms are one where points meet, so that it is exactly the variance there.
template <Family family, class T>
__device__ __forceinline__ T kernel_value(T u, T variance) {
    if constexpr (family == Family::additive52) return variance * u;
    T value;
    T slope;
    krige::radial<family>(u, variance, value, slope);
    return value;
}

// the tile (row, column) of a lower triangle with the given number, row by row
__device__ __forceinline__ void lower_tile(int number, int& row, int& col) {
    row = static_cast<int>((sqrt(8.0 * number + 1.0) - 1.0) * 0.5);
    if (row * (row + 1) / 2 > number) --row;
    if ((row + 1) * (row + 2) / 2 <= number) ++row;
    col = number - row * (row + 1) / 2;
}

constexpr int lower_tiles(int n) {
    const int tiles = ceiling_divide(n, pair_tile);
    return tiles * (tiles + 1) / 2;
}

// calls with the kernel's family as a compile-time constant
template <class Call>
void for_family(Family family, Call&& call) {
    using krige::Family;
    switch (family) {
        case Family::matern12: call(std::integral_constant<Family, Family::matern12>{}); break;
        case Family::matern32: call(std::integral_constant<Family, Family::matern32>{}); break;
        case Family::matern52: call(std::integral_constant<Family, Family::matern52>{}); break;
        case Family::rbf: call(std::integral_constant<Family, Family::rbf>{}); break;
        case Family::additive52: call(std::integral_constant<Family, Family::additive52>{}); break;
    }
}

}  // namespace krige_cuda
