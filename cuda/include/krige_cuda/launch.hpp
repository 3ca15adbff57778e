// What runs on the device: plain functions that put kernels on a stream. They allocate nothing,
// wait for nothing and need no library; every pointer is device memory. Errors of a launch are left
// for cudaGetLastError.
//
// Matrices are row-major, so the lower factor L is "upper" to a column-major library. A panel (m,
// n) has one row per candidate. Nothing is reduced with atomics: the same input gives the same
// bits.
#pragma once

#include <cuda_runtime.h>

#include <type_traits>

#include "krige/hyper.hpp"

namespace krige_cuda {

using krige::Acquisition;
using krige::Family;
using krige::index_t;

// A batch of matrices: element (i, j) of matrix s is data[s * step + i * stride + j].
template <class T>
struct Matrices {
    T* data;
    index_t stride;
    index_t step = 0;
    int batch = 1;

    template <class U = T, class = std::enable_if_t<!std::is_const_v<U>>>
    operator Matrices<const U>() const {
        return {data, stride, step, batch};
    }
};

// The hyperparameters of a batch of settings that share family and categorical dimensions, as
// krige::Metric makes them: by place, numeric dimensions before categorical ones.
struct Metric {
    Family family;
    int batch;
    int d;
    int numeric;
    const int* order;        // (d) the dimension at each place
    const double* inverse;   // (batch, d) sqrt(distance_scale) / lengthscale
    const double* weight;    // (batch, d) its square
    const double* variance;  // (batch)
};

// Points by place: coordinate j of point i in setting s is values[s * step + j * stride + i];
// numeric ones are times Metric::inverse, categorical ones are codes. T is double, or float to
// screen.
template <class T>
struct Points {
    T* values;
    index_t stride;  // at least count
    index_t step;    // between settings, at least d * stride
    int count;
};

// --- kernel.cu
// ------------------------------------------------------------------------------------

// out, from rows x (count, d), contiguous, for every setting. Setting out.values further on
// appends.
template <class T>
void place_points(cudaStream_t stream, const Metric& metric, const double* x, Points<T> out);

// Lower triangles of K + diag(noise + jitter); noise (batch, n), noise_step apart, may be null.
// With `mirror` the upper triangles too, otherwise they are left as they were.
void kernel_lower(cudaStream_t stream, const Metric& metric, Points<double> x, const double* noise,
                  index_t noise_step, double jitter, Matrices<double> out, bool mirror = false);

// out (a.count, b.count), of one setting
template <class T>
void kernel_panel(cudaStream_t stream, const Metric& metric, Points<T> a, Points<T> b,
                  Matrices<T> out);

// out (d + 1, n, m), contiguous: by the log lengthscales, in the order of the dimensions, then by
// log variance
void kernel_by_hyper(cudaStream_t stream, const Metric& metric, Points<double> a, Points<double> b,
                     double* out);

// out (d, n, m), contiguous: by the coordinates of the rows of a
void kernel_by_query(cudaStream_t stream, const Metric& metric, Points<double> a, Points<double> b,
                     double* out);

// --- cholesky.cu
// ----------------------------------------------------------------------------------

// Diagonal blocks of a factor are inverted beside it: (batch, ceil(n / 64), 64, 64) doubles.
index_t block_inverses_size(int n, int batch);

// a := L, lower triangles; failed (batch) := -1, or the index of the first pivot that is not
// positive. A system that failed holds finite numbers and no factor. Fills block_inverses.
void factor(cudaStream_t stream, Matrices<double> a, int n, int* failed, double* block_inverses);

// --- inverse.cu
// -----------------------------------------------------------------------------------

// block_inverses of factors made elsewhere
void invert_blocks(cudaStream_t stream, Matrices<const double> l, int n, double* block_inverses);

// l := L^-1, lower triangles; workspace of invert_factor_size doubles
index_t invert_factor_size(int n, int batch);
void invert_factor(cudaStream_t stream, Matrices<double> l, int n, const double* block_inverses,
                   double* workspace);

// lower triangles of out := K^-1 = L^-T L^-1, from l_inverse = L^-1
void inverse_product(cudaStream_t stream, Matrices<const double> l_inverse, int n,
                     Matrices<double> out);

// out (m, n) := in (m, n) times L^-T (each row b becomes L^-1 b), or with `transposed` times L^-1
// (L^-T b), from one l_inverse = L^-1. For few candidates: one pass over L^-1 for every 64 of them,
// by as many blocks as it takes to fill the device, whose sums lie in a workspace of
// multiply_inverse_size doubles, which serves every smaller m too.
index_t multiply_inverse_size(int n, int m);
void multiply_inverse(cudaStream_t stream, Matrices<const double> l_inverse, int n,
                      Matrices<const double> in, int m, bool transposed, double* workspace,
                      Matrices<double> out);

// out (batch, n) := L^-1 v, or L^-T v, for vectors v (batch, n), v_step apart (0: one for all)
void multiply_vector(cudaStream_t stream, Matrices<const double> l_inverse, int n, const double* v,
                     index_t v_step, bool transposed, double* out);

// --- narrow.cu
// ------------------------------------------------------------------------------------

// lower triangle of out (float) := that of l
void narrow_lower(cudaStream_t stream, Matrices<const double> l, int n, Matrices<float> out);
void narrow(cudaStream_t stream, const double* in, index_t count, float* out);

// --- likelihood.cu
// --------------------------------------------------------------------------------

// value (batch) := log likelihoods from z (batch, n) = L^-1 y and the diagonals of L, or of L^-1
// where `inverted`; -inf where failed (batch; may be null) is not -1
void likelihood_value(cudaStream_t stream, Matrices<const double> l, int n, const double* z,
                      const int* failed, bool inverted, double* value);

// by_place (batch, d) := sum over i > j of (alpha_i alpha_j - inverse_ij) slope_ij delta^2 w, from
// the lower triangles of K^-1 and alpha (batch, n); workspace of contract_hyper_size doubles
index_t contract_hyper_size(int n, int d, int batch);
void contract_hyper(cudaStream_t stream, const Metric& metric, Points<double> x,
                    Matrices<const double> inverse, const double* alpha, double* workspace,
                    double* by_place);

// out (n) := the diagonal of one matrix
void diagonal(cudaStream_t stream, Matrices<const double> a, int n, double* out);

// A batch of log marginal likelihoods with gradients, whole: every stage above in turn.
struct LikelihoodTask {
    Points<double> x;     // of every setting
    const double* y;      // (n)
    const double* noise;  // (batch, n)
    double* value;        // (batch); -inf where the matrix is not positive definite
    double* gradient;     // (batch, d + 1) by log lengthscales, in the order of the dimensions, and
                          // log variance; zeros where the value is -inf
    double* by_noise;     // (batch, n); likewise
    int* failed;          // (batch) as in `factor`
};
index_t likelihood_size(int n, int d,
                        int batch);  // of the workspace, in doubles; about 2 batch n^2
void likelihood(cudaStream_t stream, const Metric& metric, const LikelihoodTask& task,
                double* workspace);

// --- posterior.cu
// ---------------------------------------------------------------------------------

// mean (m) and variance (m) from solved (m, n), whose row c is L^-1 k_c, and z (n) = L^-1 y:
// mean = v . z, variance = metric.variance - v . v, held at variance_floor. T is double or float;
// sums are taken in double.
template <class T>
void posterior_moments(cudaStream_t stream, const Metric& metric, Matrices<const T> solved, int m,
                       int n, const T* z, double* mean, double* variance);

// The acquisition behind the same sums; by_mean and by_solved (m) may be null: what
// posterior_gradient needs.
template <class T>
void posterior_score(cudaStream_t stream, const Metric& metric, const Acquisition& acquisition,
                     Matrices<const T> solved, int m, int n, const T* z, double* value,
                     double* by_mean, double* by_solved);

// gradient (m, d), contiguous, in the order of the dimensions: sums over the observations i of
// (by_mean alpha_i + by_solved beta_i) dk_i, where row c of beta (m, n) is L^-T L^-1 k_c; workspace
// of posterior_gradient_size doubles, which serves every smaller m too
index_t posterior_gradient_size(int m, int n, int d);
void posterior_gradient(cudaStream_t stream, const Metric& metric, Points<double> candidates,
                        Points<double> x, Matrices<const double> beta, const double* alpha,
                        const double* by_mean, const double* by_solved, double* workspace,
                        double* gradient);

// --- acquisition.cu
// -------------------------------------------------------------------------------

// value (m) from mean (m) and variance (m)
void acquire(cudaStream_t stream, const Acquisition& acquisition, int m, const double* mean,
             const double* variance, double* value);

}  // namespace krige_cuda
