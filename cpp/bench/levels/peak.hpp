// Multiply-adds in registers and nothing else: the most that one core can do at a level.
#pragma once

#include "krige/simd.hpp"
#include "krige/view.hpp"

// clang-format off
KRIGE_EACH_LEVEL(
    // runs about 1000 * rounds vector multiply-adds; returns the floating-point operations done
    double multiply_adds(index_t rounds, double* sink);
)
// clang-format on
