// The loops of kernel.cpp that are compiled once per SIMD level. Plain structures cross: a source
// compiled for a newer processor must not emit an inline function that the linker might choose for
// all.
#pragma once

#include "krige/kernel.hpp"
#include "krige/simd.hpp"

namespace krige {

struct PointsView {
    const double* values;
    index_t stride;
    index_t count;
    index_t places;
};

struct MetricView {
    Family family;
    double variance;
    double share;  // of one term of additive52
    index_t numeric;
    index_t d;
    const double* weight;
};

inline PointsView view(const Points& points) {
    return {points.values.data(), points.stride, points.count, points.places};
}

inline MetricView view(const Metric& metric) {
    const double share =
        metric.variance / static_cast<double>(metric.numeric > 0 ? metric.numeric : 1);
    return {metric.family,  metric.variance, share,
            metric.numeric, metric.d(),      metric.weight.data()};
}

constexpr index_t tile_cols = 16;  // columns of a register tile; sums are kept per column of a tile

}  // namespace krige

// clang-format off
KRIGE_EACH_LEVEL(
    void pair_panel(const PointsView& a, const PointsView& b, const MetricView& metric, const Panel& panel);
    // rows begin to end of the lower triangle
    void pair_lower(const PointsView& x, const MetricView& metric, index_t begin, index_t end, Matrix out);
    // sums (d, tile_cols) += terms of rows begin to end
    void pair_traces(const PointsView& x, const MetricView& metric, ConstMatrix inverse, const double* alpha,
                     index_t begin, index_t end, double* sums);
)
// clang-format on
