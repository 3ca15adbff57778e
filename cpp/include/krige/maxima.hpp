// Where the posterior density of the hyperparameters, and an acquisition function, are largest.
#pragma once

#include "krige/descent.hpp"
#include "krige/posterior.hpp"
#include "krige/prior.hpp"

namespace krige {

// theta (b, d + 2): from the starts to the most probable points found, with their log posterior
// density (b), up to a constant. known (n) is the part of the noise that is not learned; of `hyper`
// only the family and the categorical flags are used.
void most_likely(ConstMatrix x, const double* y, const double* known, const Hyper& hyper,
                 const Prior& prior, const Effort& effort, Matrix theta, double* density);

// what is taken from an acquisition outside the box between lower and upper (d): strength times the
// squared distance to it
struct Penalty {
    const double* lower;
    const double* upper;
    double strength;
};

// x (b, d): from the starts to the points where a score, less the penalty if there is one, is
// largest, with its value (b), each inside lower and upper (b, d)
void climb(const Function& score, const Penalty* penalty, ConstMatrix lower, ConstMatrix upper,
           const Effort& effort, Matrix x, double* value);

// the same for an acquisition
void ascend(const Posterior& posterior, const Acquisition& acquisition, const Penalty* penalty,
            ConstMatrix lower, ConstMatrix upper, const Effort& effort, Matrix x, double* value);

}  // namespace krige
