// What is read off the solved right sides: mean, variance, acquisition, and its gradient.
#include "krige_cuda/pairs.cuh"

namespace krige_cuda {
namespace {

using krige::AcquisitionPoint;
using krige::radial;

// --- moments
// ------------------------------------------------------------------------------------------

constexpr int moment_threads = 128;

// The sums v . z and v . v of a row, by a block; in thread 0.
template <class T>
__device__ __forceinline__ void row_sums(const Matrices<const T>& solved, int n, const T* z,
                                         double* shared, double& mean, double& explained) {
    const T* row = solved.data + static_cast<index_t>(blockIdx.x) * solved.stride;
    double with_z = 0.0;
    double squares = 0.0;
    for (int i = static_cast<int>(threadIdx.x); i < n; i += moment_threads) {
        const auto v = static_cast<double>(row[i]);
        with_z += v * static_cast<double>(z[i]);
        squares += v * v;
    }
    mean = block_sum<moment_threads>(with_z, shared);
    explained = block_sum<moment_threads>(squares, shared);
}

// never below the floor; `held` tells whether it was (krige::posterior_variance)
__device__ __forceinline__ double held_variance(double variance, double explained, bool& held) {
    const double floor = krige::variance_floor * variance;
    held = !(variance - explained > floor);
    return held ? floor : variance - explained;
}

template <class T>
__global__ void __launch_bounds__(moment_threads)
    moments_kernel(Metric metric, Matrices<const T> solved, int n, const T* z, double* mean,
                   double* variance) {
    KRIGE_SHARED(double, shared, moment_threads / warp_lanes);
    double sum;
    double explained;
    row_sums(solved, n, z, shared, sum, explained);
    if (threadIdx.x != 0) return;
    bool held;
    mean[blockIdx.x] = sum;
    variance[blockIdx.x] = held_variance(metric.variance[0], explained, held);
}

template <class T>
__global__ void __launch_bounds__(moment_threads)
    score_kernel(Metric metric, Acquisition acquisition, Matrices<const T> solved, int n,
                 const T* z, double* value, double* by_mean, double* by_solved) {
    KRIGE_SHARED(double, shared, moment_threads / warp_lanes);
    double mean;
    double explained;
    row_sums(solved, n, z, shared, mean, explained);
    if (threadIdx.x != 0) return;
    bool held;
    const double deviation = sqrt(held_variance(metric.variance[0], explained, held));
    const AcquisitionPoint point = krige::acquire(acquisition, mean, deviation);
    value[blockIdx.x] = point.value;
    if (by_mean == nullptr) return;
    by_mean[blockIdx.x] = point.by_mean;
    // d variance = -2 k^T K^-1 dk, d deviation = d variance / (2 deviation)
    by_solved[blockIdx.x] = held ? 0.0 : -point.by_deviation / deviation;
}

// --- gradient
// -----------------------------------------------------------------------------------------

// A block has 64 candidates and every splits-th tile of observations. Its sums over them lie in
// partial (splits, candidates, d); each belongs to one thread, which adds to it tile after tile.
template <Family family>
__global__ void __launch_bounds__(pair_threads)
    gradient_kernel(Metric metric, Points<double> candidates, Points<double> x,
                    Matrices<const double> beta, const double* alpha, const double* by_mean,
                    const double* by_solved, double* partial) {
    KRIGE_SHARED(double, rows, pair_chunk* pair_tile);
    KRIGE_SHARED(double, cols, pair_chunk* pair_tile);
    const Setting setting = setting_of(metric, 0);
    const PairThread thread;
    const int m = candidates.count;
    const int splits = static_cast<int>(gridDim.y);
    const int split = static_cast<int>(blockIdx.y);
    // of the 4 rows by 8 places summed over 16 lanes, a lane keeps two places of one row
    const int kept = static_cast<int>(threadIdx.x) % 16 * 2;
    const int kept_row = thread.row(kept / pair_chunk) + static_cast<int>(blockIdx.x) * pair_tile;
    double* sums = partial + (static_cast<index_t>(split) * m + kept_row) * setting.d;
    for (int begin = split * pair_tile; begin < x.count; begin += splits * pair_tile) {
        const PairTile<double> tile(candidates, static_cast<int>(blockIdx.x) * pair_tile, x, begin,
                                    0, rows, cols);
        double weight[4][4];
        tile.squared_distances(thread, setting, weight);
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            const int row = tile.a_begin + thread.row(i);
#pragma unroll
            for (int j = 0; j < 4; ++j) {
                const int col = begin + thread.col(j);
                double value;
                double slope;
                radial<family>(weight[i][j], setting.variance, value, slope);
                const bool inside = row < m && col < x.count;
                weight[i][j] = inside
                                   ? slope * (by_mean[row] * alpha[col] +
                                              by_solved[row] * beta.data[row * beta.stride + col])
                                   : 0.0;
            }
        }
        for (int first = 0; first < setting.numeric; first += pair_chunk) {
            tile.load(first, setting.d);
            double sum[4 * pair_chunk];
#pragma unroll
            for (int p = 0; p < pair_chunk; ++p) {
#pragma unroll
                for (int i = 0; i < 4; ++i) sum[i * pair_chunk + p] = 0.0;
                tile.differences(thread, p, [&](int i, int j, double delta) {
                    sum[i * pair_chunk + p] += weight[i][j] * delta;
                });
            }
            share_sums<4 * pair_chunk, 16>(sum, static_cast<int>(threadIdx.x) % warp_lanes);
#pragma unroll
            for (int v = 0; v < 2; ++v) {
                const int place = first + kept % pair_chunk + v;
                if (kept_row >= m || place >= setting.numeric) continue;
                sums[place] = (begin == split * pair_tile ? 0.0 : sums[place]) + sum[v];
            }
        }
    }
}

// weight := by_mean alpha + by_solved beta of the thread's pairs, zero beyond the points
__device__ __forceinline__ void pair_weights(const PairTile<double>& tile, const PairThread& thread,
                                             const Matrices<const double>& beta,
                                             const double* alpha, const double* by_mean,
                                             const double* by_solved, double (&weight)[4][4]) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        const int row = tile.a_begin + thread.row(i);
#pragma unroll
        for (int j = 0; j < 4; ++j) {
            const int col = tile.b_begin + thread.col(j);
            weight[i][j] = row < tile.a.count && col < tile.b.count
                               ? by_mean[row] * alpha[col] +
                                     by_solved[row] * beta.data[row * beta.stride + col]
                               : 0.0;
        }
    }
}

// gradient_kernel of an additive kernel, whose slopes differ from place to place.
template <>
__global__ void __launch_bounds__(pair_threads) gradient_kernel<Family::additive52>(
    Metric metric, Points<double> candidates, Points<double> x, Matrices<const double> beta,
    const double* alpha, const double* by_mean, const double* by_solved, double* partial) {
    KRIGE_SHARED(double, rows, pair_chunk* pair_tile);
    KRIGE_SHARED(double, cols, pair_chunk* pair_tile);
    const Setting setting = setting_of(metric, 0);
    const PairThread thread;
    const int splits = static_cast<int>(gridDim.y);
    const int split = static_cast<int>(blockIdx.y);
    // of the 4 rows summed over 16 lanes, every fourth lane keeps one
    const int lane = static_cast<int>(threadIdx.x) % warp_lanes;
    const int kept_row = thread.row(lane % 16 / 4) + static_cast<int>(blockIdx.x) * pair_tile;
    const bool keeps = lane % 4 == 0 && kept_row < candidates.count;
    double* sums =
        partial + (static_cast<index_t>(split) * candidates.count + kept_row) * setting.d;
    for (int begin = split * pair_tile; begin < x.count; begin += splits * pair_tile) {
        const PairTile<double> tile(candidates, static_cast<int>(blockIdx.x) * pair_tile, x, begin,
                                    0, rows, cols);
        double factor[4][4];
        double weight[4][4];  // at first the slope of the factor, of which there is no use here
        tile.shared_factor(thread, setting, setting.variance / setting.numeric, factor, weight);
        pair_weights(tile, thread, beta, alpha, by_mean, by_solved, weight);
        tile.each_place(0, setting.numeric, [&](int place, int p) {
            double sum[4] = {0.0, 0.0, 0.0, 0.0};
            tile.differences(thread, p, [&](int i, int j, double delta) {
                double value;
                double slope;
                additive_term(delta, value, slope);
                sum[i] += weight[i][j] * factor[i][j] * slope * delta;
            });
            share_sums<4, 16>(sum, lane);
            if (keeps) sums[place] = (begin == split * pair_tile ? 0.0 : sums[place]) + sum[0];
        });
    }
}

__global__ void gradient_sum_kernel(Metric metric, int m, int splits, const double* partial,
                                    double* gradient) {
    const index_t size = static_cast<index_t>(m) * metric.d;
    const index_t at = static_cast<index_t>(blockIdx.x) * blockDim.x + threadIdx.x;
    if (at >= size) return;
    const int place = static_cast<int>(at % metric.d);
    double sum = 0.0;
    if (place < metric.numeric)
        for (int split = 0; split < splits; ++split) sum += partial[split * size + at];
    gradient[at - place + metric.order[place]] =
        place < metric.numeric ? -metric.inverse[place] * sum : 0.0;
}

// enough for the largest device whatever m, and the same on every device: the order of the sums
// depends on it
constexpr int gradient_blocks = 512;

int gradient_splits(int m, int n) {
    const int wanted = ceiling_divide(gradient_blocks, ceiling_divide(m, pair_tile));
    const int tiles = ceiling_divide(n, pair_tile);
    return wanted < tiles ? wanted : tiles;
}

}  // namespace

template <class T>
void posterior_moments(cudaStream_t stream, const Metric& metric, Matrices<const T> solved, int m,
                       int n, const T* z, double* mean, double* variance) {
    launch(stream, m, moment_threads, moments_kernel<T>, metric, solved, n, z, mean, variance);
}

template <class T>
void posterior_score(cudaStream_t stream, const Metric& metric, const Acquisition& acquisition,
                     Matrices<const T> solved, int m, int n, const T* z, double* value,
                     double* by_mean, double* by_solved) {
    launch(stream, m, moment_threads, score_kernel<T>, metric, acquisition, solved, n, z, value,
           by_mean, by_solved);
}

index_t posterior_gradient_size(int m, int n, int d) {
    // a bound of splits * m that does not fall as m grows
    const index_t few = static_cast<index_t>(ceiling_divide(n, pair_tile)) * m;
    const index_t many = static_cast<index_t>(gradient_blocks) * pair_tile + m;
    return (few < many ? few : many) * d;
}

void posterior_gradient(cudaStream_t stream, const Metric& metric, Points<double> candidates,
                        Points<double> x, Matrices<const double> beta, const double* alpha,
                        const double* by_mean, const double* by_solved, double* workspace,
                        double* gradient) {
    const int m = candidates.count;
    if (m == 0) return;
    const int splits = gradient_splits(m, x.count);
    for_family(metric.family, [&](auto family) {
        launch(stream, dim3(ceiling_divide(m, pair_tile), splits), pair_threads,
               gradient_kernel<family()>, metric, candidates, x, beta, alpha, by_mean, by_solved,
               workspace);
    });
    launch(stream, ceiling_divide(static_cast<index_t>(m) * metric.d, 128), 128,
           gradient_sum_kernel, metric, m, splits, workspace, gradient);
}

template void posterior_moments(cudaStream_t, const Metric&, Matrices<const double>, int, int,
                                const double*, double*, double*);
template void posterior_moments(cudaStream_t, const Metric&, Matrices<const float>, int, int,
                                const float*, double*, double*);
template void posterior_score(cudaStream_t, const Metric&, const Acquisition&,
                              Matrices<const double>, int, int, const double*, double*, double*,
                              double*);
template void posterior_score(cudaStream_t, const Metric&, const Acquisition&,
                              Matrices<const float>, int, int, const float*, double*, double*,
                              double*);

}  // namespace krige_cuda
