// Minimisation inside a box, from several starts in one batch.
//
// Dense quasi-Newton (BFGS, Nocedal and Wright 2006, eq. 6.17) with projection on the bounds
// (Bertsekas 1982) and Armijo backtracking. All starts move at once, so that a step costs one
// batched call of the function. The twin of backend/descent.py, operation by operation.
#pragma once

#include <functional>

#include "krige/view.hpp"

namespace krige {

// value (k) and slope (k, p) at points x (k, p); a value of +inf refuses a point
using Function = std::function<void(ConstMatrix x, double* value, Matrix slope)>;

// steps at most; a start ends when no free slope exceeds the tolerance, or when a step gains less
// than its square; reach is the longest move of one variable in one step
struct Effort {
    index_t iterations;
    double tolerance;
    double reach;
};

// x (b, p): from the starts to the lowest points found, with their value (b); lower, upper (b, p)
void descend(const Function& function, ConstMatrix lower, ConstMatrix upper, const Effort& effort,
             Matrix x, double* value);

}  // namespace krige
