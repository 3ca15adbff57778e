// Acquisition functions of many candidates at once; larger is better.
#pragma once

#include "krige/hyper.hpp"
#include "krige/view.hpp"

namespace krige {

// value (m) from mean (m) and variance (m)
void acquire(const Acquisition& acquisition, index_t m, const double* mean, const double* variance,
             double* value);

}  // namespace krige
