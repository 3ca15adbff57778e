// The problems of cpp/tests as device memory, where every write beyond an array is found.
#pragma once

#include <doctest/doctest.h>

#include <limits>
#include <vector>

#include "../../cpp/tests/problem.hpp"
#include "krige/kernel.hpp"
#include "krige_cuda/launch.hpp"

namespace krige_cuda::tests {

using krige::ConstMatrix;
using krige::Hyper;
using krige::Matrix;
using krige::tests::Doubles;
using krige::tests::Problem;

// An array with guards on both sides, holding NaN at first.
template <class T>
class Array {
  public:
    explicit Array(index_t size)
        : storage_(static_cast<std::size_t>(size + 2 * guard), guard_value) {
        std::fill(storage_.begin() + guard, storage_.end() - guard,
                  std::numeric_limits<T>::has_quiet_NaN ? std::numeric_limits<T>::quiet_NaN()
                                                        : std::numeric_limits<T>::max());
    }
    template <class Values>
    static Array of(const Values& values) {
        Array out(static_cast<index_t>(values.size()));
        std::copy(values.begin(), values.end(), out.storage_.begin() + guard);
        return out;
    }

    T* data() { return storage_.data() + guard; }
    const T* data() const { return storage_.data() + guard; }
    index_t size() const { return static_cast<index_t>(storage_.size()) - 2 * guard; }
    T& operator[](index_t i) { return data()[i]; }
    T operator[](index_t i) const { return data()[i]; }
    std::vector<T> values() const { return {data(), data() + size()}; }
    bool intact() const {
        for (index_t i = 0; i < guard; ++i)
            if (data()[-1 - i] != guard_value || data()[size() + i] != guard_value) return false;
        return true;
    }

  private:
    static constexpr index_t guard = 16;
    static constexpr T guard_value = T(77);
    std::vector<T> storage_;
};

// a krige::Metric per hyper, on the device
class DeviceMetric {
  public:
    explicit DeviceMetric(const std::vector<Hyper>& hypers)
        : first_(hypers.front()),
          order_(first_.d()),
          inverse_(first_.d() * static_cast<index_t>(hypers.size())),
          weight_(inverse_.size()),
          variance_(static_cast<index_t>(hypers.size())) {
        for (std::size_t s = 0; s < hypers.size(); ++s) {
            const krige::Metric metric(hypers[s]);
            const auto at = static_cast<index_t>(s) * first_.d();
            std::copy(metric.order.begin(), metric.order.end(), order_.data());
            std::copy(metric.inverse.begin(), metric.inverse.end(), inverse_.data() + at);
            std::copy(metric.weight.begin(), metric.weight.end(), weight_.data() + at);
            variance_[static_cast<index_t>(s)] = metric.variance;
        }
    }
    explicit DeviceMetric(const Problem& p) : DeviceMetric(std::vector<Hyper>{p.hyper()}) {}

    Metric view() const {
        return {first_.family,
                static_cast<int>(variance_.size()),
                static_cast<int>(first_.d()),
                static_cast<int>(first_.numeric),
                order_.data(),
                inverse_.data(),
                weight_.data(),
                variance_.data()};
    }

  private:
    krige::Metric first_;
    Array<int> order_;
    Array<double> inverse_, weight_, variance_;
};

// rows x (count, d) by place, for every setting
template <class T>
class DevicePoints {
  public:
    DevicePoints(const DeviceMetric& metric, const Doubles& x, index_t count)
        : count_(static_cast<int>(count)),
          step_(metric.view().d * (count + 3)),
          values_(step_ * metric.view().batch) {
        const Array<double> rows = Array<double>::of(x);
        place_points(nullptr, metric.view(), rows.data(), view());
        CHECK(values_.intact());
    }
    Points<T> view() { return {values_.data(), count_ + 3, step_, count_}; }

  private:
    int count_;
    index_t step_;
    Array<T> values_;
};

// (rows, cols) with padded rows, zero or more of them in a batch
template <class T>
class DeviceMatrices {
  public:
    DeviceMatrices(index_t rows, index_t cols, int batch = 1)
        : rows_(rows), cols_(cols), batch_(batch), values_(rows * (cols + 5) * batch) {}

    Matrices<T> view() { return {values_.data(), cols_ + 5, rows_ * (cols_ + 5), batch_}; }
    T operator()(index_t i, index_t j, index_t s = 0) const {
        return values_[(s * rows_ + i) * (cols_ + 5) + j];
    }
    T& at(index_t i, index_t j, index_t s = 0) {
        return values_[(s * rows_ + i) * (cols_ + 5) + j];
    }
    bool intact() const {
        for (index_t i = 0; i < rows_ * batch_; ++i)
            for (index_t j = cols_; j < cols_ + 5; ++j)
                if (!std::isnan(values_[i * (cols_ + 5) + j])) return false;
        return values_.intact();
    }
    // the lower triangle of one matrix, zero above
    Doubles lower(index_t s = 0) const {
        Doubles out(static_cast<std::size_t>(rows_ * cols_), 0.0);
        for (index_t i = 0; i < rows_; ++i)
            for (index_t j = 0; j <= i; ++j)
                out[static_cast<std::size_t>(i * cols_ + j)] = (*this)(i, j, s);
        return out;
    }
    // nothing was written above the diagonal
    bool upper_untouched() const {
        for (index_t s = 0; s < batch_; ++s)
            for (index_t i = 0; i < rows_; ++i)
                for (index_t j = i + 1; j < cols_; ++j)
                    if (!std::isnan((*this)(i, j, s))) return false;
        return true;
    }

  private:
    index_t rows_, cols_;
    int batch_;
    Array<T> values_;
};

// the largest difference, relative to the largest expected number; NaN where one is
inline double error(const Doubles& found, const Doubles& expected) {
    REQUIRE(found.size() == expected.size());
    double worst = 0.0;
    double scale = 0.0;
    for (std::size_t i = 0; i < found.size(); ++i) {
        const double difference = std::fabs(found[i] - expected[i]);
        if (!(difference <= worst)) worst = difference;
        scale = std::max(scale, std::fabs(expected[i]));
    }
    return scale > 0.0 ? worst / scale : worst;
}

// f() with threads taking turns in every order: the same bits, no fault
template <class F>
Doubles in_every_order(F&& f) {
    using krige_emulation::Order;
    Doubles first;
    for (const Order order : {Order::forward, Order::backward, Order::shuffled}) {
        krige_emulation::set_order(order);
        const Doubles found = f();
        CHECK(krige_emulation::take_fault() == "");
        if (order == Order::forward) {
            first = found;
        } else {
            CHECK(krige::tests::same_bits(found, first));
        }
    }
    krige_emulation::set_order(Order::forward);
    return first;
}

}  // namespace krige_cuda::tests
