// The linear algebra by itself, for tests and benchmarks.
#include "linear_algebra.hpp"

#include <pybind11/numpy.h>

#include "krige/cholesky.hpp"
#include "krige/matmul.hpp"

namespace py = pybind11;

namespace krige {
namespace {

using Array = py::array_t<double, py::array::c_style>;

ConstMatrix matrix(const Array& array, const char* name) {
    if (array.ndim() != 2)
        throw py::value_error(std::string(name) + ": expected a matrix, got " +
                              std::to_string(array.ndim()) + " dimensions; reshape it");
    return {array.data(), array.shape(0), array.shape(1), array.shape(1)};
}

void require(bool condition, const char* message) {
    if (!condition) throw py::value_error(message);
}

// an owned copy that later becomes the result
struct Copy {
    Array array;
    Matrix view;
    explicit Copy(ConstMatrix source)
        : array({source.rows, source.cols}),
          view{array.mutable_data(), source.rows, source.cols, source.cols} {
        for (index_t i = 0; i < source.rows * source.cols; ++i) view.data[i] = source.data[i];
    }
};

std::pair<Array, index_t> factor_copy(const Array& a) {
    const ConstMatrix source = matrix(a, "a");
    require(source.rows == source.cols, "a: expected a square matrix; pass a covariance matrix");
    Copy copy(source);
    index_t failed = -1;
    {
        const py::gil_scoped_release released;
        failed = cholesky(copy.view);
        for (index_t i = 0; i < source.rows; ++i)
            for (index_t j = i + 1; j < source.cols; ++j) copy.view(i, j) = 0;
    }
    return {copy.array, failed};
}

Array solve_copy(const Array& l, const Array& b, bool transposed) {
    const ConstMatrix factor = matrix(l, "l");
    const ConstMatrix right = matrix(b, "b");
    require(factor.rows == factor.cols, "l: expected a square matrix; pass a Cholesky factor");
    require(factor.rows == right.rows, "b: expected as many rows as l; pass one row per row of l");
    Copy copy(right);
    {
        const py::gil_scoped_release released;
        transposed ? solve_lower_transposed(factor, copy.view) : solve_lower(factor, copy.view);
    }
    return copy.array;
}

Array product(const Array& a, const Array& b) {
    const ConstMatrix left = matrix(a, "a");
    const ConstMatrix right = matrix(b, "b");
    require(left.cols == right.rows, "b: expected as many rows as a has columns; check the shapes");
    Array out({left.rows, right.cols});
    const Matrix view{out.mutable_data(), left.rows, right.cols, right.cols};
    {
        const py::gil_scoped_release released;
        for (index_t i = 0; i < view.rows * view.cols; ++i) view.data[i] = 0;
        multiply_add(1.0, left, Op::none, right, Op::none, view);
    }
    return out;
}

}  // namespace

void register_linear_algebra(py::module_& module) {
    module.def("cholesky", &factor_copy, py::arg("a").noconvert(),
               "Lower factor of a, and -1 or the index of the first pivot that is not positive.");
    module.def("solve_lower", &solve_copy, py::arg("l").noconvert(), py::arg("b").noconvert(),
               py::arg("transposed") = false, "L^-1 b, or L^-T b.");
    module.def("multiply", &product, py::arg("a").noconvert(), py::arg("b").noconvert(),
               "The product a b.");
}

}  // namespace krige
