// What kernels and acquisition functions depend on.
#pragma once

#include <cstdint>

#include "krige/view.hpp"

namespace krige {

// additive52: the mean over the numeric dimensions of matern52 in each alone, times matern52 of the
// categorical ones, see backend/protocol.py; the others are radial functions of one distance
enum class Family : std::uint8_t { matern12, matern32, matern52, rbf, additive52 };

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
