#include "krige_cuda/inputs.hpp"

#include <limits>
#include <stdexcept>
#include <string>

namespace krige_cuda {

int counted(const char* name, index_t count) {
    constexpr index_t most = std::numeric_limits<int>::max() - 64;
    if (count <= most) return static_cast<int>(count);
    throw std::length_error(std::string(name) + ": expected at most " + std::to_string(most) +
                            " rows, got " + std::to_string(count) + "; pass them in parts");
}

DeviceMetric::DeviceMetric(const std::vector<krige::Metric>& settings, const Stream& stream)
    : family_(settings.front().family),
      batch_(counted("hypers", static_cast<index_t>(settings.size()))),
      d_(counted("lengthscales", settings.front().d())),
      numeric_(static_cast<int>(settings.front().numeric)),
      host_use_(stream),
      order_(d_, stream),
      numbers_(index_t{batch_} * (2 * d_ + 1), stream) {
    std::vector<int>& order = host_order_;
    for (const index_t j : settings.front().order) order.push_back(static_cast<int>(j));
    std::vector<double>& numbers = host_numbers_;
    numbers.reserve(static_cast<std::size_t>(numbers_.size()));
    for (const krige::Metric& one : settings)
        numbers.insert(numbers.end(), one.inverse.begin(), one.inverse.end());
    for (const krige::Metric& one : settings)
        numbers.insert(numbers.end(), one.weight.begin(), one.weight.end());
    for (const krige::Metric& one : settings) numbers.push_back(one.variance);
    to_device(order_.data(), order.data(), d_, stream);
    to_device(numbers_.data(), numbers.data(), numbers_.size(), stream);
}

Metric DeviceMetric::view() const noexcept {
    const index_t each = index_t{batch_} * d_;
    const double* numbers = numbers_.data();
    return {family_,           batch_, d_, numeric_, order_.data(), numbers, numbers + each,
            numbers + 2 * each};
}

template <class T>
DevicePoints<T>::DevicePoints(ConstMatrix x, const Metric& metric, const Stream& stream)
    : count_(counted("x", x.rows)),
      stride_(padded(x.rows)),
      step_(metric.d * stride_),
      values_(metric.batch * step_, stream) {
    clear(values_.data(), values_.size(), stream);  // rows are padded
    place(x, metric, 0, stream);
}

template <class T>
DevicePoints<T>::DevicePoints(const DevicePoints& base, ConstMatrix x, const Metric& metric,
                              const Stream& stream)
    : count_(counted("x", base.count_ + x.rows)),
      stride_(padded(count_)),
      step_(metric.d * stride_),
      values_(step_, stream) {
    clear(values_.data(), values_.size(), stream);
    check(cudaMemcpy2DAsync(values_.data(), static_cast<std::size_t>(stride_) * sizeof(T),
                            base.values_.data(), static_cast<std::size_t>(base.stride_) * sizeof(T),
                            static_cast<std::size_t>(base.count_) * sizeof(T),
                            static_cast<std::size_t>(metric.d), cudaMemcpyDeviceToDevice,
                            stream.get()),
          "copying points on the GPU");
    place(x, metric, base.count_, stream);
}

template <class T>
void DevicePoints<T>::place(ConstMatrix x, const Metric& metric, int first, const Stream& stream) {
    if (x.rows == 0) return;
    DeviceArray<double> rows(x.rows * x.cols, stream);
    to_device(rows.data(), x.data, rows.size(), stream);
    Points<T> out = view();
    out.values += first;
    out.count = static_cast<int>(x.rows);
    place_points(stream.get(), metric, rows.data(), out);
    check_launch("place_points");
}

template <class T>
Points<T> DevicePoints<T>::view() const noexcept {
    return {const_cast<T*>(values_.data()), stride_, step_, count_};
}

DeviceArray<float> narrowed(const DevicePoints<double>& points, int d, const Stream& stream) {
    const Points<double> exact = points.view();
    DeviceArray<float> out(d * exact.stride, stream);
    narrow(stream.get(), exact.values, out.size(), out.data());
    check_launch("narrow");
    return out;
}

template class DevicePoints<double>;
template class DevicePoints<float>;

}  // namespace krige_cuda
