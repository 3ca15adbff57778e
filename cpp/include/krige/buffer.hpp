// Uninitialised, cache-line aligned storage for doubles.
#pragma once

#include <memory>
#include <new>

#include "krige/view.hpp"

namespace krige {

class Buffer {
  public:
    Buffer() = default;
    explicit Buffer(index_t count) : data_(allocate(count)), count_(count) {}

    double* data() noexcept { return data_.get(); }
    const double* data() const noexcept { return data_.get(); }
    index_t size() const noexcept { return count_; }
    double& operator[](index_t i) noexcept { return data_.get()[i]; }
    double operator[](index_t i) const noexcept { return data_.get()[i]; }

    // grows without keeping the content
    void reserve(index_t count) {
        if (count > count_) *this = Buffer(count);
    }

  private:
    static constexpr std::align_val_t alignment{64};
    struct Free {
        void operator()(double* p) const noexcept { ::operator delete(p, alignment); }
    };
    using Storage = std::unique_ptr<double, Free>;

    static Storage allocate(index_t count) {
        const auto bytes = static_cast<std::size_t>(count > 0 ? count : 1) * sizeof(double);
        return Storage(static_cast<double*>(::operator new(bytes, alignment)));
    }

    Storage data_;
    index_t count_ = 0;
};

// row stride for `cols` columns: full cache lines, and never a multiple of a page, which would
// crowd one cache set
inline index_t padded_stride(index_t cols) noexcept {
    const index_t stride = (cols + 7) / 8 * 8;
    return stride % 64 == 0 ? stride + 8 : stride;
}

}  // namespace krige
