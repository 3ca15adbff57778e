// Views of row-major matrices: a pointer, a shape and a row stride. They own nothing.
#pragma once

#include <cstddef>

// For inline functions that SIMD level files use: never emitted as a weak symbol.
#if defined(__GNUC__) || defined(__clang__)
#define KRIGE_INLINE __attribute__((always_inline)) inline
#else
#define KRIGE_INLINE inline
#endif

namespace krige {

using index_t = std::ptrdiff_t;

// element (i, j) is data[i * stride + j]
template <class T>
struct BasicMatrix {
    T* data;
    index_t rows;
    index_t cols;
    index_t stride;

    KRIGE_INLINE T& operator()(index_t i, index_t j) const noexcept { return data[i * stride + j]; }
    KRIGE_INLINE T* row(index_t i) const noexcept { return data + i * stride; }
    KRIGE_INLINE BasicMatrix block(index_t i, index_t j, index_t height,
                                   index_t width) const noexcept {
        return {data + i * stride + j, height, width, stride};
    }
    KRIGE_INLINE operator BasicMatrix<const T>() const noexcept {
        return {data, rows, cols, stride};
    }
};

using Matrix = BasicMatrix<double>;
using ConstMatrix = BasicMatrix<const double>;

}  // namespace krige
