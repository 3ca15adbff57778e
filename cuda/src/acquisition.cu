#include "krige/formulas.hpp"
#include "krige_cuda/execution.cuh"
#include "krige_cuda/launch.hpp"

namespace krige_cuda {
namespace {

__global__ void acquire_kernel(Acquisition acquisition, int m, const double* mean,
                               const double* variance, double* value) {
    const int c = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    if (c < m) value[c] = krige::acquire(acquisition, mean[c], sqrt(variance[c])).value;
}

}  // namespace

void acquire(cudaStream_t stream, const Acquisition& acquisition, int m, const double* mean,
             const double* variance, double* value) {
    launch(stream, ceiling_divide(m, 128), 128, acquire_kernel, acquisition, m, mean, variance,
           value);
}

}  // namespace krige_cuda
