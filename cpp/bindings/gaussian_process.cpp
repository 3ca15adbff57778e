// The verbs of backend/protocol.py, but for the searches (maxima.cpp). Arguments become views and
// owned values first; then the interpreter lock is released; results are new arrays. A failed pivot
// is returned as its index in place of the result.
#include "gaussian_process.hpp"

#include <pybind11/stl.h>

#include <memory>
#include <vector>

#include "arguments.hpp"
#include "krige/kernel.hpp"
#include "krige/likelihood.hpp"
#include "krige/parallel.hpp"
#include "krige/posterior.hpp"

namespace krige {
namespace {

using namespace bindings;

Array kernel(const py::object& a, const py::object& b, const OwnedHyper& hyper,
             const py::object& gradient) {
    const index_t d = hyper.d();
    const Array left = rows("a", a, d);
    const Array right = b.is_none() ? left : rows("b", b, d);
    const int kind = one_of("gradient", gradient, {"none", "hyper", "query"});
    const index_t n = left.shape(0);
    const index_t m = right.shape(0);
    Array out = kind == 0 ? Array({n, m}) : Array({kind == 1 ? d + 1 : d, n, m});
    double* data = out.mutable_data();
    const ConstMatrix va = view(left);
    const ConstMatrix vb = view(right);
    {
        const py::gil_scoped_release released;
        if (kind == 0 && b.is_none()) kernel_symmetric(va, hyper.view(), {data, n, m, m});
        if (kind == 0 && !b.is_none()) kernel_matrix(va, vb, hyper.view(), {data, n, m, m});
        if (kind == 1) kernel_by_hyper(va, vb, hyper.view(), data);
        if (kind == 2) kernel_by_query(va, vb, hyper.view(), data);
    }
    return out;
}

using Owner = std::unique_ptr<Posterior>;

py::object pivot_or(Owner fitted) {
    if (fitted->failed_pivot() >= 0) return py::int_(fitted->failed_pivot());
    return py::cast(std::move(fitted));
}

py::object fit(const py::object& x, const py::object& y, const py::object& noise,
               const OwnedHyper& hyper, const py::object& jitter) {
    const Array points = rows("x", x, hyper.d(), 1);
    const index_t n = points.shape(0);
    const Array outputs = checked("y", y, {n});
    const Array variances = noise_variances(noise, {n});
    const double ridge = number("jitter", jitter);
    const ConstMatrix vx = view(points);
    const double* vy = outputs.data();
    const double* vn = variances.data();
    Owner fitted;
    {
        const py::gil_scoped_release released;
        fitted = std::make_unique<Posterior>(vx, vy, vn, hyper.view(), ridge);
    }
    return pivot_or(std::move(fitted));
}

py::object extend(const Posterior& fitted, const py::object& x, const py::object& y,
                  const py::object& noise) {
    const Array points = rows("x", x, fitted.d());
    const index_t k = points.shape(0);
    const Array outputs = checked("y", y, {fitted.count() + k});
    const Array variances = noise_variances(noise, {k});
    const ConstMatrix vx = view(points);
    const double* vy = outputs.data();
    const double* vn = variances.data();
    Owner extended;
    {
        const py::gil_scoped_release released;
        extended = std::make_unique<Posterior>(fitted, vx, vy, vn);
    }
    return pivot_or(std::move(extended));
}

py::tuple likelihood(const py::object& x, const py::object& y, const py::object& noise,
                     const std::vector<OwnedHyper>& hypers) {
    const auto b = static_cast<index_t>(hypers.size());
    if (b == 0) {
        throw py::value_error(
            "hypers: expected at least one setting, got none; pass a list of KernelHyper");
    }
    const index_t d = hypers[0].d();
    const Array points = rows("x", x, d, 1);
    for (const OwnedHyper& hyper : hypers) {
        if (hyper.d() == d) continue;
        throw py::value_error("lengthscales: expected shape (" + std::to_string(d) + ",), got (" +
                              std::to_string(hyper.d()) + ",); pass one row for each point");
    }
    const index_t n = points.shape(0);
    const Array outputs = checked("y", y, {n});
    const Array variances = noise_variances(noise, {b, n});
    Array value({b});
    Array gradient({b, d + 1});
    Array noise_gradient({b, n});
    const ConstMatrix vx = view(points);
    const double* vy = outputs.data();
    const ConstMatrix vn = view(variances);
    double* v = value.mutable_data();
    const Matrix g = writable(gradient, b, d + 1);
    const Matrix ng = writable(noise_gradient, b, n);
    {
        const py::gil_scoped_release released;
        const auto one = [&](index_t i) {
            const Hyper hyper = hypers[static_cast<std::size_t>(i)].view();
            v[i] = log_likelihood(vx, vy, vn.row(i), hyper, g.row(i), ng.row(i));
        };
        if (b > 1) {
            parallel_for(b, one);
        } else {
            one(0);
        }
    }
    return py::make_tuple(value, gradient, noise_gradient);
}

py::tuple predict(const Posterior& fitted, const py::object& x) {
    const Array points = rows("x", x, fitted.d());
    const index_t m = points.shape(0);
    Array mean({m});
    Array variance({m});
    const ConstMatrix vx = view(points);
    double* to_mean = mean.mutable_data();
    double* to_variance = variance.mutable_data();
    {
        const py::gil_scoped_release released;
        fitted.predict(vx, to_mean, to_variance);
    }
    return py::make_tuple(mean, variance);
}

py::tuple score(const Posterior& fitted, const py::object& x, const py::object& kind,
                const py::object& best, const py::object& beta, const py::object& xi,
                bool gradient) {
    const Array points = rows("x", x, fitted.d());
    const Acquisition acquisition = acquisition_of(kind, best, beta, xi);
    const index_t m = points.shape(0);
    const index_t d = fitted.d();
    Array value({m});
    py::object slopes = py::none();
    Matrix to_gradient{nullptr, m, d, d};
    if (gradient) {
        Array out({m, d});
        to_gradient.data = out.mutable_data();
        slopes = std::move(out);
    }
    const ConstMatrix vx = view(points);
    double* to_value = value.mutable_data();
    {
        const py::gil_scoped_release released;
        fitted.score(vx, acquisition, to_value, to_gradient);
    }
    return py::make_tuple(value, slopes);
}

py::object sample(const Posterior& fitted, const py::object& x, const py::object& normals,
                  const py::object& jitter) {
    const Array points = rows("x", x, fitted.d());
    const index_t m = points.shape(0);
    const Array draws = checked("normals", normals, {"s", m});
    const double ridge = number("jitter", jitter);
    Array out({draws.shape(0), m});
    const ConstMatrix vx = view(points);
    const ConstMatrix vd = view(draws);
    const Matrix to = writable(out, draws.shape(0), m);
    index_t failed = -1;
    {
        const py::gil_scoped_release released;
        failed = fitted.sample(vx, vd, ridge, to);
    }
    if (failed >= 0) return py::int_(failed);
    return out;
}

}  // namespace

void register_gaussian_process(py::module_& module) {
    py::class_<OwnedHyper>(module, "Hyper", "Kernel hyperparameters, checked and owned.")
        .def(py::init(&make_hyper), py::arg("lengthscales"), py::arg("variance"),
             py::arg("categorical"), py::arg("family"));
    py::class_<Posterior>(module, "Fitted", "A factored posterior; immutable.")
        .def_property_readonly("count", &Posterior::count, "Number of observations.")
        .def_property_readonly("log_likelihood", &Posterior::log_likelihood,
                               "Log marginal likelihood.");
    module.def("kernel", &kernel, py::arg("a"), py::arg("b"), py::arg("hyper"),
               py::arg("gradient"));
    module.def("fit", &fit, py::arg("x"), py::arg("y"), py::arg("noise"), py::arg("hyper"),
               py::arg("jitter"),
               "A Fitted, or the index of the first pivot that is not positive.");
    module.def("extend", &extend, py::arg("fitted"), py::arg("x"), py::arg("y"), py::arg("noise"),
               "A Fitted, or the index of the first pivot that is not positive.");
    module.def("likelihood", &likelihood, py::arg("x"), py::arg("y"), py::arg("noise"),
               py::arg("hypers"));
    module.def("predict", &predict, py::arg("fitted"), py::arg("x"));
    module.def("score", &score, py::arg("fitted"), py::arg("x"), py::arg("kind"), py::arg("best"),
               py::arg("beta"), py::arg("xi"), py::arg("gradient"));
    module.def("sample", &sample, py::arg("fitted"), py::arg("x"), py::arg("normals"),
               py::arg("jitter"),
               "Samples (s, m), or the index of the first pivot that is not positive.");
}

}  // namespace krige
