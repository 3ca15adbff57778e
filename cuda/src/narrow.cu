// Single precision, for the screening of candidates.
#include "krige_cuda/execution.cuh"
#include "krige_cuda/launch.hpp"

namespace krige_cuda {
namespace {

__global__ void narrow_lower_kernel(Matrices<const double> l, int n, Matrices<float> out) {
    const int row = static_cast<int>(blockIdx.x);
    for (int col = static_cast<int>(threadIdx.x); col <= row && row < n;
         col += static_cast<int>(blockDim.x))
        out.data[row * out.stride + col] = static_cast<float>(l.data[row * l.stride + col]);
}

__global__ void narrow_kernel(const double* in, index_t count, float* out) {
    const index_t at = static_cast<index_t>(blockIdx.x) * blockDim.x + threadIdx.x;
    if (at < count) out[at] = static_cast<float>(in[at]);
}

}  // namespace

void narrow_lower(cudaStream_t stream, Matrices<const double> l, int n, Matrices<float> out) {
    launch(stream, n, 256, narrow_lower_kernel, l, n, out);
}

void narrow(cudaStream_t stream, const double* in, index_t count, float* out) {
    launch(stream, ceiling_divide(count, 256), 256, narrow_kernel, in, count, out);
}

}  // namespace krige_cuda
