// Log marginal likelihood with its analytic gradient (Rasmussen and Williams 2006, eq. 2.30
// and 5.9).
#pragma once

#include "krige/hyper.hpp"
#include "krige/view.hpp"

namespace krige {

// gradient (d + 1) with respect to log lengthscales and log variance, noise_gradient (n); where the
// matrix is not positive definite the value is -inf and the gradients are zero
double log_likelihood(ConstMatrix x, const double* y, const double* noise, const Hyper& hyper,
                      double* gradient, double* noise_gradient);

}  // namespace krige
