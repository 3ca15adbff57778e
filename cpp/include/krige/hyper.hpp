// What kernels and acquisition functions depend on.
#pragma once

#include <cstdint>

#include "krige/view.hpp"

namespace krige {

enum class Family : std::uint8_t { matern12, matern32, matern52, rbf };

// d dimensions; lengthscales (d), categorical (d) nonzero where a dimension holds category codes
struct Hyper {
    Family family;
    index_t d;
    const double* lengthscales;
    const std::uint8_t* categorical;
    double variance;
};

enum class AcquisitionKind : std::uint8_t { ucb, lcb, ei, logei, pi };

struct Acquisition {
    AcquisitionKind kind;
    double best;
    double beta;
    double xi;
};

constexpr double variance_floor = 1e-12;  // relative to Hyper::variance, as in backend/protocol.py

}  // namespace krige
