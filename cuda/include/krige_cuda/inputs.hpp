// What a verb is given, on the device: hyperparameters and points.
#pragma once

#include <vector>

#include "krige/kernel.hpp"
#include "krige_cuda/launch.hpp"
#include "krige_cuda/memory.hpp"

namespace krige_cuda {

using krige::ConstMatrix;

// Rows of an array on the device start at full cache lines.
constexpr index_t padded(index_t count) noexcept { return (count + 15) / 16 * 16; }

// Throws std::length_error where a library could not count so many.
int counted(const char* name, index_t count);

// Settings that share family and categorical dimensions. Waits for its stream at its end.
class DeviceMetric {
  public:
    DeviceMetric(const std::vector<krige::Metric>& settings, const Stream& stream);
    explicit DeviceMetric(const krige::Metric& setting, const Stream& stream)
        : DeviceMetric(std::vector<krige::Metric>{setting}, stream) {}

    Metric view() const noexcept;

  private:
    Family family_;
    int batch_;
    int d_;
    int numeric_;
    std::vector<int> host_order_;
    std::vector<double> host_numbers_;
    HostUse host_use_;
    DeviceArray<int> order_;
    DeviceArray<double> numbers_;  // inverse, weight (batch, d) both, variance (batch)
};

// Rows x, contiguous on the host, by place and scaled for every setting of the metric.
template <class T>
class DevicePoints {
  public:
    DevicePoints() = default;
    DevicePoints(ConstMatrix x, const Metric& metric, const Stream& stream);
    // those of `base` (of one setting), then x
    DevicePoints(const DevicePoints& base, ConstMatrix x, const Metric& metric,
                 const Stream& stream);

    Points<T> view() const noexcept;
    int count() const noexcept { return count_; }

  private:
    void place(ConstMatrix x, const Metric& metric, int first, const Stream& stream);

    int count_ = 0;
    index_t stride_ = 0;
    index_t step_ = 0;
    DeviceArray<T> values_;
};

// points (d, stride) of one setting in single precision
DeviceArray<float> narrowed(const DevicePoints<double>& points, int d, const Stream& stream);

}  // namespace krige_cuda
