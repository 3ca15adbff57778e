// What crosses from Python, checked once: float64, C-contiguous, of the right shape, finite. Errors
// name the argument, what was expected and what came; the texts are those of backend/checks.py.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <initializer_list>
#include <string>

#include "krige/view.hpp"

namespace krige::bindings {

namespace py = pybind11;
using Array = py::array_t<double, py::array::c_style>;

inline std::string text(const py::handle& value) { return py::str(value).cast<std::string>(); }
inline std::string shown(const py::handle& value) { return py::repr(value).cast<std::string>(); }

// a length of an axis, or a letter under which any length is allowed
struct Extent {
    Extent(index_t count) : length(count) {}
    Extent(const char* any) : letter(any) {}
    std::string name() const { return letter != nullptr ? letter : std::to_string(length); }
    bool fits(index_t actual) const { return letter != nullptr || actual == length; }

    index_t length = 0;
    const char* letter = nullptr;
};

[[noreturn]] inline void refuse_shape(const char* name, const py::array& value,
                                      std::initializer_list<Extent> shape) {
    std::string wanted;
    for (const Extent& extent : shape) wanted += (wanted.empty() ? "" : ", ") + extent.name();
    if (shape.size() == 1) wanted += ",";
    throw py::value_error(std::string(name) + ": expected shape (" + wanted + "), got " +
                          text(value.attr("shape")) + "; pass one row for each point");
}

inline void require_finite(const char* name, const double* data, index_t rows, index_t cols,
                           bool matrix) {
    bool fine = true;
    for (index_t i = 0; i < rows * cols; ++i) fine &= data[i] - data[i] == 0.0;
    if (fine) return;
    for (index_t i = 0; i < rows * cols; ++i) {
        if (data[i] - data[i] == 0.0) continue;
        std::string where = "row " + std::to_string(i / cols);
        if (matrix) where += ", column " + std::to_string(i % cols);
        throw py::value_error(std::string(name) + ": expected finite numbers, got " +
                              text(py::float_(data[i])) + " at " + where + "; leave such rows out");
    }
}

inline Array checked(const char* name, const py::handle& value,
                     std::initializer_list<Extent> shape) {
    if (!py::isinstance<py::array>(value)) {
        throw py::type_error(std::string(name) + ": expected a numpy array of float64, got " +
                             text(py::type::handle_of(value).attr("__name__")) +
                             "; convert it with np.array(..., dtype=np.float64)");
    }
    const auto array = py::reinterpret_borrow<py::array>(value);
    if (!array.dtype().equal(py::dtype::of<double>())) {
        throw py::type_error(std::string(name) + ": expected dtype float64, got " +
                             text(array.dtype()) + "; use .astype(np.float64)");
    }
    bool fits = array.ndim() == static_cast<index_t>(shape.size());
    index_t axis = 0;
    for (const Extent& extent : shape) fits = fits && extent.fits(array.shape(axis++));
    if (!fits) refuse_shape(name, array, shape);
    if ((array.flags() & py::array::c_style) == 0) {
        throw py::value_error(std::string(name) + ": expected a C-contiguous array, got strides " +
                              text(array.attr("strides")) + "; copy it");
    }
    auto out = py::reinterpret_borrow<Array>(value);
    const index_t rows = array.shape(0);
    require_finite(name, out.data(), rows, rows > 0 ? array.size() / rows : 0, shape.size() > 1);
    return out;
}

inline ConstMatrix view(const Array& array) {
    const index_t cols = array.ndim() > 1 ? array.shape(1) : 1;
    return {array.data(), array.shape(0), cols, cols};
}

inline Array rows(const char* name, const py::handle& value, index_t d, index_t at_least = 0) {
    Array out = checked(name, value, {"m", d});
    if (out.shape(0) < at_least) {
        throw py::value_error(std::string(name) + ": expected at least " +
                              std::to_string(at_least) + " row, got " +
                              std::to_string(out.shape(0)) + "; none can be fitted");
    }
    return out;
}

inline Array noise_variances(const py::handle& value, std::initializer_list<Extent> shape) {
    Array out = checked("noise", value, shape);
    const double* data = out.data();
    index_t lowest = 0;
    index_t first = -1;
    for (index_t i = 0; i < out.size(); ++i) {
        if (data[i] < 0.0 && first < 0) first = i;
        if (data[i] < data[lowest]) lowest = i;
    }
    if (first < 0) return out;
    throw py::value_error("noise: expected variances of at least 0, got " +
                          text(py::float_(data[lowest])) + " at row " +
                          std::to_string(first % out.shape(out.ndim() - 1)) + "; pass squares");
}

// a finite number that is not negative, or positive
inline double number(const char* name, const py::handle& value, bool positive = false) {
    const double out = PyFloat_AsDouble(value.ptr());
    const bool failed = PyErr_Occurred() != nullptr;
    if (failed) PyErr_Clear();
    if (!failed && out - out == 0.0 && (positive ? out > 0.0 : out >= 0.0)) return out;
    throw py::value_error(
        std::string(name) + ": expected " +
        (positive ? "a positive finite number" : "a finite number of at least 0") + ", got " +
        shown(value) + "; choose another");
}

// the index of a name in a list
inline int one_of(const char* name, const py::handle& value,
                  std::initializer_list<const char*> allowed) {
    const bool is_text = py::isinstance<py::str>(value);
    const std::string given = is_text ? value.cast<std::string>() : std::string();
    int index = 0;
    std::string all;
    for (const char* candidate : allowed) {
        if (is_text && given == candidate) return index;
        all += (index++ == 0 ? "'" : ", '") + std::string(candidate) + "'";
    }
    throw py::value_error(std::string(name) + ": expected one of " + all + ", got " + shown(value) +
                          "; choose one of these");
}

}  // namespace krige::bindings
