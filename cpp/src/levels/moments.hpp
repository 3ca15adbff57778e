// The posterior of one panel of candidates (tiles.hpp): kernel, triangular solves and sums without
// leaving the cache.
#pragma once

#include "levels/pairs.hpp"

namespace krige {

struct PosteriorView {
    PointsView x;
    MetricView metric;
    const double* alpha;  // (n rounded up to 16), zero beyond n
    ConstMatrix l;
    const double* reciprocal;  // (n) of l's diagonal
};

constexpr index_t widest_panel = 24;

// of candidates first to first + cols, cols <= panel_width()
struct CandidatePanel {
    PointsView candidates;
    index_t first;
    index_t cols;
    double* solved;  // (n rounded up to 16, panel_width())
    double* slope;   // the same shape, or null; of additive52 what the terms' slopes share
};

}  // namespace krige

// clang-format off
KRIGE_EACH_LEVEL(
    index_t panel_width();
    // solved := L^-1 k, slope := the kernel's slopes, or what they share; mean and explained (widest_panel) := alpha . k and |L^-1 k|^2
    void solve_panel(const PosteriorView& posterior, const CandidatePanel& panel, double* mean, double* explained);
    // solved := K^-1 k; sums (d, widest_panel) := by numeric place, the sum over observations of
    // (by_mean alpha + by_solved K^-1 k) slope (candidate - observation), scaled coordinates
    void panel_gradient(const PosteriorView& posterior, const CandidatePanel& panel, const double* by_mean, const double* by_solved, double* sums);
)
// clang-format on
