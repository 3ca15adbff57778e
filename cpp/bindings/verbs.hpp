// The verbs of backend/protocol.py, for a core of any kind. Arguments become views and owned values
// first; then the interpreter lock is released; results are new arrays. A failed pivot is returned
// as its index in place of the result.
//
// A Core has
//   Fitted    a factored posterior
//   Call      a verb under way, made from the core or a Fitted: without the interpreter lock
// and those verbs that are not Fitted's own: kernel, fit, likelihood, most_likely, and the static
// score and ascend.
#pragma once

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "arguments.hpp"
#include "krige/likelihood.hpp"
#include "krige/maxima.hpp"

namespace krige::bindings {

template <class Core>
struct Verbs {
    using Fitted = typename Core::Fitted;
    using Call = typename Core::Call;
    using Owner = std::unique_ptr<Fitted>;

    static Array kernel(const Core& core, const py::object& a, const py::object& b,
                        const OwnedHyper& hyper, const py::object& gradient) {
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
            const Call call(core);
            core.kernel(va, b.is_none() ? nullptr : &vb, hyper.view(),
                        static_cast<Derivative>(kind), data);
        }
        return out;
    }

    static py::object pivot_or(Owner fitted) {
        if (fitted->failed_pivot() >= 0) return py::int_(fitted->failed_pivot());
        return py::cast(std::move(fitted));
    }

    static py::object fit(const Core& core, const py::object& x, const py::object& y,
                          const py::object& noise, const OwnedHyper& hyper,
                          const py::object& jitter) {
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
            const Call call(core);
            fitted = core.fit(vx, vy, vn, hyper.view(), ridge);
        }
        return pivot_or(std::move(fitted));
    }

    static py::object extend(const Fitted& fitted, const py::object& x, const py::object& y,
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
            const Call call(fitted);
            extended = std::make_unique<Fitted>(fitted, vx, vy, vn);
        }
        return pivot_or(std::move(extended));
    }

    static py::tuple likelihood(const Core& core, const py::object& x, const py::object& y,
                                const py::object& noise, const std::vector<OwnedHyper>& hypers) {
        const auto b = static_cast<index_t>(hypers.size());
        if (b == 0) {
            throw py::value_error(
                "hypers: expected at least one setting, got none; pass a list of KernelHyper");
        }
        const index_t d = hypers[0].d();
        const Array points = rows("x", x, d, 1);
        for (const OwnedHyper& hyper : hypers) {
            if (hyper.d() == d) continue;
            throw py::value_error("lengthscales: expected shape (" + std::to_string(d) +
                                  ",), got (" + std::to_string(hyper.d()) +
                                  ",); pass one row for each point");
        }
        const index_t n = points.shape(0);
        const Array outputs = checked("y", y, {n});
        const Array variances = noise_variances(noise, {b, n});
        Array value({b});
        Array gradient({b, d + 1});
        Array by_noise({b, n});
        const ConstMatrix vx = view(points);
        const double* vy = outputs.data();
        const ConstMatrix vn = view(variances);
        const LikelihoodResults results{value.mutable_data(), gradient.mutable_data(),
                                        by_noise.mutable_data()};
        {
            const Call call(core);
            core.likelihood(vx, vy, vn, hypers, results);
        }
        return py::make_tuple(value, gradient, by_noise);
    }

    static py::tuple predict(const Fitted& fitted, const py::object& x) {
        const Array points = rows("x", x, fitted.d());
        const index_t m = points.shape(0);
        Array mean({m});
        Array variance({m});
        const ConstMatrix vx = view(points);
        double* to_mean = mean.mutable_data();
        double* to_variance = variance.mutable_data();
        {
            const Call call(fitted);
            fitted.predict(vx, to_mean, to_variance);
        }
        return py::make_tuple(mean, variance);
    }

    static Array mean(const Fitted& fitted, const py::object& x) {
        const Array points = rows("x", x, fitted.d());
        Array mean({points.shape(0)});
        const ConstMatrix vx = view(points);
        double* to_mean = mean.mutable_data();
        {
            const Call call(fitted);
            fitted.predict(vx, to_mean, nullptr);
        }
        return mean;
    }

    // with `screen` and without a gradient, single precision is enough
    static py::tuple score(const Fitted& fitted, const py::object& x, const py::object& kind,
                           const py::object& best, const py::object& beta, const py::object& xi,
                           bool gradient, bool screen) {
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
            const Call call(fitted);
            Core::score(fitted, vx, acquisition, screen && !gradient, to_value, to_gradient);
        }
        return py::make_tuple(value, slopes);
    }

    static py::object sample(const Fitted& fitted, const py::object& x, const py::object& normals,
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
            const Call call(fitted);
            failed = fitted.sample(vx, vd, ridge, to);
        }
        if (failed >= 0) return py::int_(failed);
        return out;
    }

    static py::tuple most_likely(const Core& core, const py::object& x, const py::object& y,
                                 const py::object& noise, const py::object& categorical,
                                 const py::object& family, const py::sequence& prior,
                                 const py::object& starts, const py::object& iterations,
                                 const py::object& tolerance, const py::object& reach) {
        const Array points = checked("x", x, {"n", "d"});
        const index_t n = points.shape(0);
        const index_t d = points.shape(1);
        const index_t p = d + 2;
        const Array outputs = checked("y", y, {n});
        const Array known = noise_variances(noise, {n});
        const std::vector<std::uint8_t> flags = category_flags(categorical, d);
        const Family kind = family_of(family);
        const Array mean = checked("prior.mean", prior[0], {p});
        const Array deviation = checked("prior.deviation", prior[1], {p});
        const Array lower = checked("prior.lower", prior[2], {p});
        const Array upper = checked("prior.upper", prior[3], {p});
        const double shared = number("prior.shared", prior[4]);
        const Array begin = checked("starts", starts, {"b", p});
        const Effort effort = effort_of(iterations, tolerance, reach);
        Array theta = copied(begin);
        Array density({begin.shape(0)});
        const ConstMatrix vx = view(points);
        const double* vy = outputs.data();
        const double* vn = known.data();
        const Hyper hyper{kind, d, nullptr, flags.data(), 1.0};
        const Prior believed{mean.data(), deviation.data(), lower.data(), upper.data(), shared};
        const Matrix to = writable(theta, begin.shape(0), p);
        double* to_density = density.mutable_data();
        {
            const Call call(core);
            core.most_likely(vx, vy, vn, hyper, believed, effort, to, to_density);
        }
        return py::make_tuple(theta, density);
    }

    static py::tuple ascend(const Fitted& fitted, const py::object& starts, const py::object& lower,
                            const py::object& upper, const py::object& kind, const py::object& best,
                            const py::object& beta, const py::object& xi, const py::object& penalty,
                            const py::object& iterations, const py::object& tolerance,
                            const py::object& reach) {
        const index_t d = fitted.d();
        const Array begin = rows("starts", starts, d);
        const index_t b = begin.shape(0);
        const Array from = checked("lower", lower, {b, d});
        const Array until = checked("upper", upper, {b, d});
        const Acquisition acquisition = acquisition_of(kind, best, beta, xi);
        const OwnedPenalty taken(penalty, d);
        const Effort effort = effort_of(iterations, tolerance, reach);
        Array points = copied(begin);
        Array value({b});
        const ConstMatrix low = view(from);
        const ConstMatrix high = view(until);
        const Matrix to = writable(points, b, d);
        double* to_value = value.mutable_data();
        {
            const Call call(fitted);
            Core::ascend(fitted, acquisition, taken.view(), low, high, effort, to, to_value);
        }
        return py::make_tuple(points, value);
    }
};

// Registers Hyper, Fitted and Core, made by py::init, on this module alone: another core's module
// has classes of the same name.
template <class Core, class Init>
void register_verbs(py::module_& module, const Init& init) {
    using V = Verbs<Core>;
    using py::arg;
    py::class_<OwnedHyper>(module, "Hyper", py::module_local(),
                           "Kernel hyperparameters, checked and owned.")
        .def(py::init(&make_hyper), arg("lengthscales"), arg("variance"), arg("categorical"),
             arg("family"));
    py::class_<typename Core::Fitted>(module, "Fitted", py::module_local(),
                                      "A factored posterior; immutable.")
        .def_property_readonly("count", &Core::Fitted::count, "Number of observations.")
        .def_property_readonly("log_likelihood", &Core::Fitted::log_likelihood,
                               "Log marginal likelihood.")
        .def("extend", &V::extend, arg("x"), arg("y"), arg("noise"),
             "A Fitted, or the index of the first pivot that is not positive.")
        .def("predict", &V::predict, arg("x"))
        .def("mean", &V::mean, arg("x"))
        .def("score", &V::score, arg("x"), arg("kind"), arg("best"), arg("beta"), arg("xi"),
             arg("gradient"), arg("screen"))
        .def("sample", &V::sample, arg("x"), arg("normals"), arg("jitter"),
             "Samples (s, m), or the index of the first pivot that is not positive.")
        .def("ascend", &V::ascend, arg("starts"), arg("lower"), arg("upper"), arg("kind"),
             arg("best"), arg("beta"), arg("xi"), arg("penalty"), arg("iterations"),
             arg("tolerance"), arg("reach"));
    py::class_<Core>(module, "Core", py::module_local(), "Where posteriors are made.")
        .def(init)
        .def("kernel", &V::kernel, arg("a"), arg("b"), arg("hyper"), arg("gradient"))
        .def("fit", &V::fit, arg("x"), arg("y"), arg("noise"), arg("hyper"), arg("jitter"),
             "A Fitted, or the index of the first pivot that is not positive.")
        .def("likelihood", &V::likelihood, arg("x"), arg("y"), arg("noise"), arg("hypers"))
        .def("most_likely", &V::most_likely, arg("x"), arg("y"), arg("noise"), arg("categorical"),
             arg("family"), arg("prior"), arg("starts"), arg("iterations"), arg("tolerance"),
             arg("reach"));
}

}  // namespace krige::bindings
