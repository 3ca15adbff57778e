// What is believed of hyperparameters: a normal prior of their logarithms.
#pragma once

#include "krige/view.hpp"

namespace krige {

// theta (d + 2) = log lengthscales (d), log variance, log noise variance: independent but for a
// shift that all log lengthscales have in common, and the box that theta is kept in
struct Prior {
    const double* mean;       // (d + 2)
    const double* deviation;  // (d + 2), without the shift
    const double* lower;      // (d + 2)
    const double* upper;      // (d + 2)
    double shared;            // deviation of the shift, at least 0
};

// the log density of theta (d + 2), up to a constant, whose slope (d + 2) is added to one that is
// there
double add_log_density(const Prior& prior, index_t d, const double* theta, double* slope);

}  // namespace krige
