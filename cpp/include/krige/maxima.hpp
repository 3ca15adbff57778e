// Where the posterior density of the hyperparameters, and an acquisition function, are largest.
#pragma once

#include "krige/descent.hpp"
#include "krige/posterior.hpp"

namespace krige {

// independent normal priors of theta = log lengthscales (d), log variance, log noise variance, each
// (d + 2), and the box that theta is kept in
struct Prior {
    const double* mean;
    const double* deviation;
    const double* lower;
    const double* upper;
};

// theta (b, d + 2): from the starts to the most probable points found, with their log posterior
// density (b), up to a constant. known (n) is the part of the noise that is not learned; of `hyper`
// only the family and the categorical flags are used.
void most_likely(ConstMatrix x, const double* y, const double* known, const Hyper& hyper,
                 const Prior& prior, const Effort& effort, Matrix theta, double* density);

// x (b, d): from the starts to the points where the acquisition is largest, with its value (b),
// each inside lower and upper (b, d)
void ascend(const Posterior& posterior, const Acquisition& acquisition, ConstMatrix lower,
            ConstMatrix upper, const Effort& effort, Matrix x, double* value);

}  // namespace krige
