// Log marginal likelihood with its analytic gradient (Rasmussen and Williams 2006, eq. 2.30
// and 5.9).
#pragma once

#include "krige/hyper.hpp"
#include "krige/view.hpp"

namespace krige {

// Where those of b settings go: value (b), -inf where a matrix is not positive definite, gradient
// (b, d + 1) and by_noise (b, n), zeros there.
struct LikelihoodResults {
    double* value;
    double* gradient;
    double* by_noise;
};

// gradient (d + 1) with respect to log lengthscales and log variance, noise_gradient (n); where the
// matrix is not positive definite the value is -inf and the gradients are zero
double log_likelihood(ConstMatrix x, const double* y, const double* noise, const Hyper& hyper,
                      double* gradient, double* noise_gradient);

}  // namespace krige
