// Kernel hyperparameters and acquisition functions as they cross from Python, checked once.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "arrays.hpp"
#include "krige/hyper.hpp"
#include "krige/maxima.hpp"

namespace krige::bindings {

// kernel hyperparameters, owned
struct OwnedHyper {
    std::vector<double> lengthscales;
    std::vector<std::uint8_t> categorical;
    double variance = 1.0;
    Family family = Family::matern52;

    index_t d() const noexcept { return static_cast<index_t>(lengthscales.size()); }
    Hyper view() const noexcept {
        return {family, d(), lengthscales.data(), categorical.data(), variance};
    }
};

inline std::vector<double> positive_lengthscales(const py::object& value) {
    const Array array = checked("lengthscales", value, {"d"});
    if (array.size() == 0) {
        throw py::value_error(
            "lengthscales: expected at least one dimension, got none; a space without one needs no "
            "model");
    }
    std::vector<double> out(array.data(), array.data() + array.size());
    const auto lowest = std::min_element(out.begin(), out.end());
    if (*lowest > 0.0) return out;
    throw py::value_error("lengthscales: expected positive numbers, got " +
                          text(py::float_(*lowest)) + " at row " +
                          std::to_string(lowest - out.begin()) + "; pass exp of their logs");
}

inline std::vector<std::uint8_t> category_flags(const py::object& value, index_t d) {
    const bool is_array = py::isinstance<py::array>(value);
    const auto array = is_array ? py::reinterpret_borrow<py::array>(value) : py::array();
    const bool fine =
        is_array && array.dtype().kind() == 'b' && (array.flags() & py::array::c_style) != 0;
    if (!fine) {
        const std::string got = is_array ? "dtype " + text(array.dtype())
                                         : text(py::type::handle_of(value).attr("__name__"));
        throw py::type_error("categorical: expected a contiguous array of bool, got " + got +
                             "; use np.array(..., dtype=bool)");
    }
    if (array.ndim() != 1 || array.shape(0) != d) {
        throw py::value_error("categorical: expected shape (" + std::to_string(d) + ",), got " +
                              text(array.attr("shape")) + "; one flag for each lengthscale");
    }
    const auto* data = static_cast<const std::uint8_t*>(array.data());
    return {data, data + d};
}

inline Family family_of(const py::object& family) {
    return static_cast<Family>(
        one_of("family", family, {"matern12", "matern32", "matern52", "rbf", "additive52"}));
}

inline OwnedHyper make_hyper(const py::object& lengthscales, const py::object& variance,
                             const py::object& categorical, const py::object& family) {
    OwnedHyper out;
    out.lengthscales = positive_lengthscales(lengthscales);
    out.variance = number("variance", variance, true);
    out.categorical = category_flags(categorical, out.d());
    out.family = family_of(family);
    return out;
}

inline Effort effort_of(const py::object& iterations, const py::object& tolerance,
                        const py::object& reach) {
    return {static_cast<index_t>(number("iterations", iterations)),
            number("tolerance", tolerance, true), number("reach", reach, true)};
}

// a penalty from a tuple of lower, upper (d) and strength, whose arrays are kept; none from None
struct OwnedPenalty {
    OwnedPenalty(const py::object& penalty, index_t d) {
        if (penalty.is_none()) return;
        const auto parts = py::cast<py::sequence>(penalty);
        lower_ = checked("penalty.lower", parts[0], {d});
        upper_ = checked("penalty.upper", parts[1], {d});
        penalty_ = {lower_.data(), upper_.data(), number("penalty.strength", parts[2])};
    }

    const Penalty* view() const { return penalty_.lower != nullptr ? &penalty_ : nullptr; }

  private:
    Array lower_, upper_;
    Penalty penalty_{};
};

// a new array with the same rows
inline Array copied(const Array& from) {
    Array out({from.shape(0), from.shape(1)});
    std::copy_n(from.data(), from.size(), out.mutable_data());
    return out;
}

inline Matrix writable(Array& array, index_t rows, index_t cols) {
    return {array.mutable_data(), rows, cols, cols};
}

inline double finite_best(const py::object& best) {
    const double out = PyFloat_AsDouble(best.ptr());
    if (PyErr_Occurred() != nullptr) throw py::error_already_set();
    if (out - out == 0.0) return out;
    throw py::value_error("best: expected a finite number, got " + shown(best) +
                          "; pass the lowest finite y");
}

inline Acquisition acquisition_of(const py::object& kind, const py::object& best,
                                  const py::object& beta, const py::object& xi) {
    Acquisition out{};
    out.kind = static_cast<AcquisitionKind>(
        one_of("acquisition", kind, {"ucb", "lcb", "ei", "logei", "pi"}));
    out.beta = number("beta", beta);
    out.xi = number("xi", xi);
    out.best = finite_best(best);
    return out;
}

}  // namespace krige::bindings
