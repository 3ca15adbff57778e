// Kernel matrices and their derivatives, from rows on the host to an array on the host.
// The GPU has to be current (DeviceScope).
#pragma once

#include "krige_cuda/algebra.hpp"
#include "krige_cuda/inputs.hpp"

namespace krige_cuda {

using krige::Derivative;

// out (n, m), (d + 1, n, m) or (d, n, m), contiguous, of rows a (n, d) and b (m, d); of a
// and itself where b is null
void kernel_matrix(int device, ConstMatrix a, const ConstMatrix* b, const krige::Hyper& hyper,
                   Derivative derivative, double* out);

}  // namespace krige_cuda
