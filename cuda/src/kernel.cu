// Kernel matrices: tiles of 64 by 64 pairs, the lower triangle's tiles only once.
#include <algorithm>

#include "krige_cuda/pairs.cuh"

namespace krige_cuda {
namespace {

using krige::radial;

template <class T>
__global__ void place_kernel(Metric metric, const double* x, Points<T> out) {
    const index_t at = static_cast<index_t>(blockIdx.x) * blockDim.x + threadIdx.x;
    if (at >= static_cast<index_t>(metric.d) * out.count) return;
    const int place = static_cast<int>(at / out.count);
    const int point = static_cast<int>(at % out.count);
    const int s = static_cast<int>(blockIdx.y);
    const Setting setting = setting_of(metric, s);
    double value = x[static_cast<index_t>(point) * metric.d + metric.order[place]];
    if (place < setting.numeric) {
        constexpr auto limit = static_cast<double>(coordinate_limit<T>);
        value = fmin(fmax(value * fmin(setting.inverse[place], limit), -limit), limit);
    }
    out.values[s * out.step + place * out.stride + point] = static_cast<T>(value);
}

// Writes the pairs of a tile that are in the lower triangle, and their mirror images; where all of
// them are `below` the diagonal, none is looked at.
template <bool below>
__device__ __forceinline__ void store_lower(const PairTile<double>& tile, const PairThread& thread,
                                            const double (&values)[4][4], const double* noise,
                                            double jitter, double* matrix, index_t stride,
                                            bool mirror) {
    const index_t first_col = tile.b_begin + thread.col(0);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        const index_t row = tile.a_begin + thread.row(i);
        double* line = matrix + row * stride + first_col;
        double* image = matrix + first_col * stride + row;
#pragma unroll
        for (int j = 0; j < 4; ++j) {
            const int step = thread.col(j) - thread.col(0);
            const index_t col = first_col + step;
            if (!below && (row >= tile.a.count || col > row)) continue;
            const bool diagonal = !below && row == col;
            double value = values[i][j];
            if (diagonal) value += (noise == nullptr ? 0.0 : noise[row]) + jitter;
            line[step] = value;
            if (mirror && !diagonal) image[step * stride] = value;
        }
    }
}

template <Family family>
__global__ void __launch_bounds__(pair_threads)
    lower_kernel(Metric metric, Points<double> x, const double* noise, index_t noise_step,
                 double jitter, Matrices<double> out, bool mirror) {
    KRIGE_SHARED(double, rows, pair_chunk* pair_tile);
    KRIGE_SHARED(double, cols, pair_chunk* pair_tile);
    int tile_row;
    int tile_col;
    lower_tile(static_cast<int>(blockIdx.x), tile_row, tile_col);
    const int s = static_cast<int>(blockIdx.y);
    const Setting setting = setting_of(metric, s);
    const PairThread thread;
    const PairTile<double> tile(x, tile_row * pair_tile, x, tile_col * pair_tile, s, rows, cols);
    double u[4][4];
    tile.template kernel_arguments<family>(thread, setting, u);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
#pragma unroll
        for (int j = 0; j < 4; ++j) u[i][j] = kernel_value<family>(u[i][j], setting.variance);
    }
    double* matrix = out.data + s * out.step;
    const double* own = noise == nullptr ? nullptr : noise + s * noise_step;
    if (tile_row > tile_col && tile.a_begin + pair_tile <= x.count) {
        store_lower<true>(tile, thread, u, own, jitter, matrix, out.stride, mirror);
    } else {
        store_lower<false>(tile, thread, u, own, jitter, matrix, out.stride, mirror);
    }
}

template <Family family, class T>
__global__ void __launch_bounds__(pair_threads)
    panel_kernel(Metric metric, Points<T> a, Points<T> b, Matrices<T> out) {
    KRIGE_SHARED(T, rows, pair_chunk * pair_tile);
    KRIGE_SHARED(T, cols, pair_chunk * pair_tile);
    const Setting setting = setting_of(metric, 0);
    const auto variance = static_cast<T>(setting.variance);
    const PairThread thread;
    const PairTile<T> tile(a, static_cast<int>(blockIdx.x) * pair_tile, b,
                           static_cast<int>(blockIdx.y) * pair_tile, 0, rows, cols);
    T u[4][4];
    tile.template kernel_arguments<family>(thread, setting, u);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
#pragma unroll
        for (int j = 0; j < 4; ++j) {
            const int row = tile.a_begin + thread.row(i);
            const int col = tile.b_begin + thread.col(j);
            const T value = kernel_value<family>(u[i][j], variance);
            if (row < a.count && col < b.count) out.data[row * out.stride + col] = value;
        }
    }
}

// points i of a and c of b
struct Pair {
    const Setting& setting;
    const Points<double>& a;
    const Points<double>& b;
    int i;
    int c;

    // scaled, at one place; in a categorical one its square is what counts
    __device__ __forceinline__ double difference(int place) const {
        const double delta = a.values[place * a.stride + i] - b.values[place * b.stride + c];
        if (place < setting.numeric) return delta;
        return delta == 0.0 ? 0.0 : setting.inverse[place];
    }

    // scaled, over the places from `from` on
    __device__ __forceinline__ double squared_distance(int from) const {
        double u = 0.0;
        for (int place = from; place < setting.d; ++place) {
            const double delta = difference(place);
            u += delta * delta;
        }
        return u;
    }

    // by a hyperparameter, or with `query` by a coordinate of a
    template <bool query>
    __device__ __forceinline__ double derivative(int place, double slope) const {
        const double delta = difference(place);
        const double factor = !query                    ? delta
                              : place < setting.numeric ? -setting.inverse[place]
                                                        : 0.0;
        return slope == 0.0 ? 0.0 : slope * delta * factor;
    }
};

// by the hyperparameters, or with `query` by the coordinates of the rows of a; a thread per pair
template <Family family, bool query>
__global__ void derivative_kernel(Metric metric, Points<double> a, Points<double> b, double* out) {
    const index_t pairs = static_cast<index_t>(a.count) * b.count;
    const index_t at = static_cast<index_t>(blockIdx.x) * blockDim.x + threadIdx.x;
    if (at >= pairs) return;
    const Setting setting = setting_of(metric, 0);
    const Pair pair{setting, a, b, static_cast<int>(at / b.count), static_cast<int>(at % b.count)};
    double value = 0.0;
    double slope = 0.0;
    int place = 0;
    if constexpr (family == Family::additive52) {
        double shared;
        double fall;
        radial<Family::matern52>(pair.squared_distance(setting.numeric),
                                 setting.variance / setting.numeric, shared, fall);
        for (; place < setting.numeric; ++place) {
            double one;
            double own;
            additive_term(pair.difference(place), one, own);
            out[metric.order[place] * pairs + at] = pair.derivative<query>(place, shared * own);
            value += one;
        }
        slope = fall * value;  // that of every categorical place
        value *= shared;
    } else {
        radial<family>(pair.squared_distance(0), setting.variance, value, slope);
    }
    for (; place < setting.d; ++place)
        out[metric.order[place] * pairs + at] = pair.derivative<query>(place, slope);
    if (!query) out[setting.d * pairs + at] = value;
}

template <bool query>
void derivatives(cudaStream_t stream, const Metric& metric, Points<double> a, Points<double> b,
                 double* out) {
    constexpr int threads = 128;
    const int blocks = ceiling_divide(static_cast<index_t>(a.count) * b.count, threads);
    for_family(metric.family, [&](auto family) {
        launch(stream, blocks, threads, derivative_kernel<family(), query>, metric, a, b, out);
    });
}

}  // namespace

template <class T>
void place_points(cudaStream_t stream, const Metric& metric, const double* x, Points<T> out) {
    constexpr int threads = 256;
    const int blocks = ceiling_divide(static_cast<index_t>(metric.d) * out.count, threads);
    launch(stream, dim3(blocks, metric.batch), threads, place_kernel<T>, metric, x, out);
}

void kernel_lower(cudaStream_t stream, const Metric& metric, Points<double> x, const double* noise,
                  index_t noise_step, double jitter, Matrices<double> out, bool mirror) {
    for_family(metric.family, [&](auto family) {
        launch(stream, dim3(lower_tiles(x.count), metric.batch), pair_threads,
               lower_kernel<family()>, metric, x, noise, noise_step, jitter, out, mirror);
    });
}

template <class T>
void kernel_panel(cudaStream_t stream, const Metric& metric, Points<T> a, Points<T> b,
                  Matrices<T> out) {
    constexpr index_t widest = index_t{65535} * pair_tile;  // blocks in a grid's second direction
    for (index_t first = 0; first < b.count; first += widest) {
        const int cols = static_cast<int>(std::min(widest, b.count - first));
        const dim3 grid(ceiling_divide(a.count, pair_tile), ceiling_divide(cols, pair_tile));
        const Points<T> part{b.values + first, b.stride, b.step, cols};
        const Matrices<T> to{out.data + first, out.stride};
        for_family(metric.family, [&](auto family) {
            launch(stream, grid, pair_threads, panel_kernel<family(), T>, metric, a, part, to);
        });
    }
}

void kernel_by_hyper(cudaStream_t stream, const Metric& metric, Points<double> a, Points<double> b,
                     double* out) {
    derivatives<false>(stream, metric, a, b, out);
}

void kernel_by_query(cudaStream_t stream, const Metric& metric, Points<double> a, Points<double> b,
                     double* out) {
    derivatives<true>(stream, metric, a, b, out);
}

template void place_points(cudaStream_t, const Metric&, const double*, Points<double>);
template void place_points(cudaStream_t, const Metric&, const double*, Points<float>);
template void kernel_panel(cudaStream_t, const Metric&, Points<double>, Points<double>,
                           Matrices<double>);
template void kernel_panel(cudaStream_t, const Metric&, Points<float>, Points<float>,
                           Matrices<float>);

}  // namespace krige_cuda
