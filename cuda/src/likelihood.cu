// Log marginal likelihoods with their gradients (Rasmussen and Williams 2006, eq. 2.30 and 5.9).
#include "krige_cuda/pairs.cuh"

namespace krige_cuda {
namespace {

using krige::radial;

constexpr int sum_threads = 256;

__global__ void __launch_bounds__(sum_threads)
    value_kernel(Matrices<const double> l, int n, const double* z, const int* failed, bool inverted,
                 double* value) {
    KRIGE_SHARED(double, shared, sum_threads / warp_lanes);
    const auto s = static_cast<index_t>(blockIdx.x);
    double fit = 0.0;
    double logs = 0.0;
    for (int i = static_cast<int>(threadIdx.x); i < n; i += sum_threads) {
        fit += z[s * n + i] * z[s * n + i];
        logs += log(l.data[s * l.step + i * l.stride + i]);
    }
    fit = block_sum<sum_threads>(fit, shared);
    logs = block_sum<sum_threads>(logs, shared);
    if (threadIdx.x != 0) return;
    const bool valid = failed == nullptr || failed[s] < 0;
    value[s] = valid ? -0.5 * fit - (inverted ? -logs : logs) - n * krige::log_sqrt_2pi
                     : -static_cast<double>(INFINITY);
}

// A tile of the lower triangle: partial (tiles, d) of its setting := the tile's sums by place.
template <Family family>
__global__ void __launch_bounds__(pair_threads)
    contract_kernel(Metric metric, Points<double> x, Matrices<const double> inverse,
                    const double* alpha, double* partial) {
    KRIGE_SHARED(double, rows, pair_chunk* pair_tile);
    KRIGE_SHARED(double, cols, pair_chunk* pair_tile);
    KRIGE_SHARED(double, warp_sums, pair_threads / warp_lanes * pair_chunk);
    int tile_row;
    int tile_col;
    lower_tile(static_cast<int>(blockIdx.x), tile_row, tile_col);
    const int s = static_cast<int>(blockIdx.y);
    const Setting setting = setting_of(metric, s);
    const PairThread thread;
    const PairTile<double> tile(x, tile_row * pair_tile, x, tile_col * pair_tile, s, rows, cols);
    double weight[4][4];
    tile.squared_distances(thread, setting, weight);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        const int row = tile.a_begin + thread.row(i);
#pragma unroll
        for (int j = 0; j < 4; ++j) {
            const int col = tile.b_begin + thread.col(j);
            double value;
            double slope;
            radial<family>(weight[i][j], setting.variance, value, slope);
            const bool below = row < x.count && col < row;
            const index_t at = static_cast<index_t>(s) * x.count;
            weight[i][j] =
                below ? slope * (alpha[at + row] * alpha[at + col] -
                                 inverse.data[s * inverse.step + row * inverse.stride + col])
                      : 0.0;
        }
    }
    const int lane = static_cast<int>(threadIdx.x) % warp_lanes;
    const int warp = static_cast<int>(threadIdx.x) / warp_lanes;
    double* sums = partial + (static_cast<index_t>(s) * gridDim.x + blockIdx.x) * setting.d;
    for (int first = 0; first < setting.d; first += pair_chunk) {
        tile.load(first, setting.d);
        double sum[pair_chunk];
#pragma unroll
        for (int p = 0; p < pair_chunk; ++p) {
            sum[p] = 0.0;
            if (first + p < setting.numeric) {
                tile.differences(thread, p, [&](int i, int j, double delta) {
                    sum[p] += weight[i][j] * delta * delta;
                });
            } else if (first + p < setting.d) {
                tile.differences(thread, p, [&](int i, int j, double delta) {
                    sum[p] += delta == 0.0 ? 0.0 : weight[i][j];
                });
                sum[p] *= setting.weight[first + p];
            }
        }
        share_sums<pair_chunk, warp_lanes>(sum, lane);
        if (lane % 4 == 0) warp_sums[warp * pair_chunk + lane / 4] = sum[0];
        __syncthreads();
        const int p = static_cast<int>(threadIdx.x);
        if (p < pair_chunk && first + p < setting.d) {
            double total = 0.0;
            for (int w = 0; w < pair_threads / warp_lanes; ++w)
                total += warp_sums[w * pair_chunk + p];
            sums[first + p] = total;
        }
    }
}

// weight := alpha alpha^T - K^-1 at the thread's pairs below the diagonal, zero at the others
__device__ __forceinline__ void pair_weights(const PairTile<double>& tile, const PairThread& thread,
                                             int n, int s, const Matrices<const double>& inverse,
                                             const double* alpha, double (&weight)[4][4]) {
    const index_t at = static_cast<index_t>(s) * n;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        const int row = tile.a_begin + thread.row(i);
#pragma unroll
        for (int j = 0; j < 4; ++j) {
            const int col = tile.b_begin + thread.col(j);
            weight[i][j] = row < n && col < row
                               ? alpha[at + row] * alpha[at + col] -
                                     inverse.data[s * inverse.step + row * inverse.stride + col]
                               : 0.0;
        }
    }
}

// contract_kernel of an additive kernel, whose slopes differ from numeric place to place; that of
// every categorical place is in the factor which all terms share.
template <>
__global__ void __launch_bounds__(pair_threads) contract_kernel<Family::additive52>(
    Metric metric, Points<double> x, Matrices<const double> inverse, const double* alpha,
    double* partial) {
    KRIGE_SHARED(double, rows, pair_chunk* pair_tile);
    KRIGE_SHARED(double, cols, pair_chunk* pair_tile);
    KRIGE_SHARED(double, warp_sums, pair_threads / warp_lanes);
    int tile_row;
    int tile_col;
    lower_tile(static_cast<int>(blockIdx.x), tile_row, tile_col);
    const int s = static_cast<int>(blockIdx.y);
    const Setting setting = setting_of(metric, s);
    const PairThread thread;
    const PairTile<double> tile(x, tile_row * pair_tile, x, tile_col * pair_tile, s, rows, cols);
    double* sums = partial + (static_cast<index_t>(s) * gridDim.x + blockIdx.x) * setting.d;
    double factor[4][4];
    double fall[4][4];
    double total[4][4];
    tile.shared_factor(thread, setting, setting.variance / setting.numeric, factor, fall);
    pair_weights(tile, thread, x.count, s, inverse, alpha, total);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
#pragma unroll
        for (int j = 0; j < 4; ++j) {
            factor[i][j] *= total[i][j];
            fall[i][j] *= total[i][j];
        }
    }
    clear(total);
    tile.each_place(0, setting.numeric, [&](int place, int p) {
        double sum = 0.0;
        tile.differences(thread, p, [&](int i, int j, double delta) {
            double value;
            double slope;
            additive_term(delta, value, slope);
            total[i][j] += value;
            sum += factor[i][j] * slope * delta * delta;
        });
        sum = block_sum<pair_threads>(sum, warp_sums);
        if (threadIdx.x == 0) sums[place] = sum;
    });
    tile.each_place(setting.numeric, setting.d, [&](int place, int p) {
        double sum = 0.0;
        tile.differences(thread, p, [&](int i, int j, double delta) {
            sum += delta == 0.0 ? 0.0 : fall[i][j] * total[i][j];
        });
        sum = block_sum<pair_threads>(sum, warp_sums);
        if (threadIdx.x == 0) sums[place] = sum * setting.weight[place];
    });
}

// by_place (batch, d) := sums of partial (batch, tiles, d) over the tiles
__global__ void __launch_bounds__(sum_threads)
    contract_sum_kernel(int d, int tiles, const double* partial, double* by_place) {
    KRIGE_SHARED(double, shared, sum_threads / warp_lanes);
    const int place = static_cast<int>(blockIdx.x);
    const auto s = static_cast<index_t>(blockIdx.y);
    double sum = 0.0;
    for (int t = static_cast<int>(threadIdx.x); t < tiles; t += sum_threads)
        sum += partial[(s * tiles + t) * d + place];
    sum = block_sum<sum_threads>(sum, shared);
    if (threadIdx.x == 0) by_place[s * d + place] = sum;
}

// half the trace of (alpha alpha^T - K^-1) dK, and for the variance tr((alpha alpha^T - K^-1) K) =
// fit - n, of which the noise's part is taken off
__global__ void __launch_bounds__(sum_threads)
    assemble_kernel(Metric metric, int n, Matrices<const double> inverse, const double* y,
                    const double* alpha, const double* noise, const double* by_place,
                    const int* failed, double* gradient, double* by_noise) {
    KRIGE_SHARED(double, shared, sum_threads / warp_lanes);
    const auto s = static_cast<index_t>(blockIdx.x);
    const bool valid = failed[s] < 0;
    double by_variance = 0.0;
    for (int i = static_cast<int>(threadIdx.x); i < n; i += sum_threads) {
        const double a = alpha[s * n + i];
        const double weight = a * a - inverse.data[s * inverse.step + i * inverse.stride + i];
        by_noise[s * n + i] = valid ? 0.5 * weight : 0.0;
        by_variance += y[i] * a - weight * noise[s * n + i];
    }
    by_variance = block_sum<sum_threads>(by_variance, shared);
    double* out = gradient + s * (metric.d + 1);
    for (int place = static_cast<int>(threadIdx.x); place < metric.d; place += sum_threads)
        out[metric.order[place]] = valid ? by_place[s * metric.d + place] : 0.0;
    if (threadIdx.x == 0) out[metric.d] = valid ? 0.5 * (by_variance - n) : 0.0;
}

__global__ void diagonal_kernel(Matrices<const double> a, int n, double* out) {
    const index_t i = static_cast<index_t>(blockIdx.x) * blockDim.x + threadIdx.x;
    if (i < n) out[i] = a.data[i * a.stride + i];
}

// the parts of a likelihood's workspace
struct Workspace {
    Workspace(int n, int d, int batch, double* at) : begin(at) {
        const index_t stride = (static_cast<index_t>(n) + 15) / 16 * 16;
        const auto take = [&](index_t size) {
            double* const part = at;
            at += (size + 15) / 16 * 16;
            return part;
        };
        l = {take(batch * stride * n), stride, stride * n, batch};
        inverse = {take(batch * stride * n), stride, stride * n, batch};
        block_inverses = take(block_inverses_size(n, batch));
        contract = take(contract_hyper_size(n, d, batch));
        z = take(static_cast<index_t>(batch) * n);
        alpha = take(static_cast<index_t>(batch) * n);
        by_place = take(static_cast<index_t>(batch) * d);
        size = at - begin;
    }

    double* begin;
    Matrices<double> l;
    Matrices<double> inverse;
    double *block_inverses, *contract, *z, *alpha, *by_place;
    index_t size;
};

}  // namespace

void likelihood_value(cudaStream_t stream, Matrices<const double> l, int n, const double* z,
                      const int* failed, bool inverted, double* value) {
    launch(stream, l.batch, sum_threads, value_kernel, l, n, z, failed, inverted, value);
}

index_t contract_hyper_size(int n, int d, int batch) {
    return static_cast<index_t>(batch) * lower_tiles(n) * d;
}

void contract_hyper(cudaStream_t stream, const Metric& metric, Points<double> x,
                    Matrices<const double> inverse, const double* alpha, double* workspace,
                    double* by_place) {
    const int tiles = lower_tiles(x.count);
    for_family(metric.family, [&](auto family) {
        launch(stream, dim3(tiles, metric.batch), pair_threads, contract_kernel<family()>, metric,
               x, inverse, alpha, workspace);
    });
    launch(stream, dim3(metric.d, metric.batch), sum_threads, contract_sum_kernel, metric.d, tiles,
           workspace, by_place);
}

void diagonal(cudaStream_t stream, Matrices<const double> a, int n, double* out) {
    launch(stream, ceiling_divide(n, sum_threads), sum_threads, diagonal_kernel, a, n, out);
}

index_t likelihood_size(int n, int d, int batch) { return Workspace(n, d, batch, nullptr).size; }

void likelihood(cudaStream_t stream, const Metric& metric, const LikelihoodTask& task,
                double* workspace) {
    const int n = task.x.count;
    const Workspace w(n, metric.d, metric.batch, workspace);
    kernel_lower(stream, metric, task.x, task.noise, n, 0.0, w.l);
    factor(stream, w.l, n, task.failed, w.block_inverses);
    invert_factor(stream, w.l, n, w.block_inverses, w.inverse.data);  // which is not yet needed
    multiply_vector(stream, w.l, n, task.y, 0, false, w.z);
    multiply_vector(stream, w.l, n, w.z, n, true, w.alpha);
    likelihood_value(stream, w.l, n, w.z, task.failed, true, task.value);
    inverse_product(stream, w.l, n, w.inverse);
    contract_hyper(stream, metric, task.x, w.inverse, w.alpha, w.contract, w.by_place);
    launch(stream, metric.batch, sum_threads, assemble_kernel, metric, n,
           Matrices<const double>(w.inverse), task.y, static_cast<const double*>(w.alpha),
           task.noise, static_cast<const double*>(w.by_place), static_cast<const int*>(task.failed),
           task.gradient, task.by_noise);
}

}  // namespace krige_cuda
