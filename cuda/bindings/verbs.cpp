// The verbs of backend/protocol.py. Arguments become views and owned values first; then the
// interpreter lock is released; results are new arrays. A failed pivot is returned as its index in
// place of the result.
#include "verbs.hpp"

#include <pybind11/stl.h>

#include <memory>
#include <vector>

#include "arguments.hpp"
#include "krige_cuda/fitted.hpp"
#include "krige_cuda/likelihoods.hpp"
#include "krige_cuda/matrices.hpp"

namespace krige_cuda {
namespace {

namespace py = pybind11;
using namespace krige::bindings;
using krige::Effort;
using krige::Matrix;
using krige::Prior;

// A verb under way: without the interpreter lock, on its GPU.
class Call {
  public:
    explicit Call(int device) : scope_(checked_process(device)) {}

  private:
    static int checked_process(int device) {
        if (is_fork()) throw Unavailable(why_unavailable());
        return device;
    }

    py::gil_scoped_release released_;
    DeviceScope scope_;
};

Array kernel(int device, const py::object& a, const py::object& b, const OwnedHyper& hyper,
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
        const Call call(device);
        kernel_matrix(device, va, b.is_none() ? nullptr : &vb, hyper.view(),
                      static_cast<Derivative>(kind), data);
    }
    return out;
}

using Owner = std::unique_ptr<Fitted>;

py::object pivot_or(Owner fitted) {
    if (fitted->failed_pivot() >= 0) return py::int_(fitted->failed_pivot());
    return py::cast(std::move(fitted));
}

py::object fit(int device, const py::object& x, const py::object& y, const py::object& noise,
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
        const Call call(device);
        fitted = std::make_unique<Fitted>(device, vx, vy, vn, hyper.view(), ridge);
    }
    return pivot_or(std::move(fitted));
}

py::object extend(const Fitted& fitted, const py::object& x, const py::object& y,
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
        const Call call(fitted.device());
        extended = std::make_unique<Fitted>(fitted, vx, vy, vn);
    }
    return pivot_or(std::move(extended));
}

py::tuple likelihoods(int device, const py::object& x, const py::object& y, const py::object& noise,
                      const std::vector<OwnedHyper>& hypers) {
    const auto b = static_cast<index_t>(hypers.size());
    if (b == 0) {
        throw py::value_error(
            "hypers: expected at least one setting, got none; pass a list of KernelHyper");
    }
    const index_t d = hypers[0].d();
    const Array points = rows("x", x, d, 1);
    std::vector<krige::Metric> settings;
    for (const OwnedHyper& hyper : hypers) {
        if (hyper.d() != d) {
            throw py::value_error("lengthscales: expected shape (" + std::to_string(d) +
                                  ",), got (" + std::to_string(hyper.d()) +
                                  ",); pass one row for each point");
        }
        settings.emplace_back(hyper.view());
    }
    const index_t n = points.shape(0);
    const Array outputs = checked("y", y, {n});
    const Array variances = noise_variances(noise, {b, n});
    Array value({b});
    Array gradient({b, d + 1});
    Array noise_gradient({b, n});
    const ConstMatrix vx = view(points);
    const double* vy = outputs.data();
    const double* vn = variances.data();
    const LikelihoodResults results{value.mutable_data(), gradient.mutable_data(),
                                    noise_gradient.mutable_data()};
    {
        const Call call(device);
        Likelihoods(device, vx, vy).evaluate(settings, vn, results);
    }
    return py::make_tuple(value, gradient, noise_gradient);
}

py::tuple predict(const Fitted& fitted, const py::object& x) {
    const Array points = rows("x", x, fitted.d());
    const index_t m = points.shape(0);
    Array mean({m});
    Array variance({m});
    const ConstMatrix vx = view(points);
    double* to_mean = mean.mutable_data();
    double* to_variance = variance.mutable_data();
    {
        const Call call(fitted.device());
        fitted.predict(vx, to_mean, to_variance);
    }
    return py::make_tuple(mean, variance);
}

py::tuple score(const Fitted& fitted, const py::object& x, const py::object& kind,
                const py::object& best, const py::object& beta, const py::object& xi, bool gradient,
                bool screen) {
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
        const Call call(fitted.device());
        if (screen && !gradient) {
            fitted.screen(vx, acquisition, to_value);
        } else {
            fitted.score(vx, acquisition, to_value, to_gradient);
        }
    }
    return py::make_tuple(value, slopes);
}

py::object sample(const Fitted& fitted, const py::object& x, const py::object& normals,
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
        const Call call(fitted.device());
        failed = fitted.sample(vx, vd, ridge, to);
    }
    if (failed >= 0) return py::int_(failed);
    return out;
}

py::tuple most_likely_from(int device, const py::object& x, const py::object& y,
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
    const Array begin = checked("starts", starts, {"b", p});
    const Effort effort = effort_of(iterations, tolerance, reach);
    Array theta = copied(begin);
    Array density({begin.shape(0)});
    const ConstMatrix vx = view(points);
    const double* vy = outputs.data();
    const double* vn = known.data();
    const krige::Hyper hyper{kind, d, nullptr, flags.data(), 1.0};
    const Prior believed{mean.data(), deviation.data(), lower.data(), upper.data()};
    const Matrix to = writable(theta, begin.shape(0), p);
    double* to_density = density.mutable_data();
    {
        const Call call(device);
        most_likely(device, vx, vy, vn, hyper, believed, effort, to, to_density);
    }
    return py::make_tuple(theta, density);
}

py::tuple ascend_from(const Fitted& fitted, const py::object& starts, const py::object& lower,
                      const py::object& upper, const py::object& kind, const py::object& best,
                      const py::object& beta, const py::object& xi, const py::object& iterations,
                      const py::object& tolerance, const py::object& reach) {
    const index_t d = fitted.d();
    const Array begin = rows("starts", starts, d);
    const index_t b = begin.shape(0);
    const Array from = checked("lower", lower, {b, d});
    const Array until = checked("upper", upper, {b, d});
    const Acquisition acquisition = acquisition_of(kind, best, beta, xi);
    const Effort effort = effort_of(iterations, tolerance, reach);
    Array points = copied(begin);
    Array value({b});
    const ConstMatrix low = view(from);
    const ConstMatrix high = view(until);
    const Matrix to = writable(points, b, d);
    double* to_value = value.mutable_data();
    {
        const Call call(fitted.device());
        fitted.ascend(acquisition, low, high, effort, to, to_value);
    }
    return py::make_tuple(points, value);
}

}  // namespace

void register_verbs(py::module_& module) {
    // the C++ core's module registers its own class of this type
    py::class_<OwnedHyper>(module, "Hyper", py::module_local(),
                           "Kernel hyperparameters, checked and owned.")
        .def(py::init(&make_hyper), py::arg("lengthscales"), py::arg("variance"),
             py::arg("categorical"), py::arg("family"));
    py::class_<Fitted>(module, "Fitted", py::module_local(), "A factored posterior; immutable.")
        .def_property_readonly("count", &Fitted::count, "Number of observations.")
        .def_property_readonly("log_likelihood", &Fitted::log_likelihood,
                               "Log marginal likelihood.");
    module.def("kernel", &kernel, py::arg("device"), py::arg("a"), py::arg("b"), py::arg("hyper"),
               py::arg("gradient"));
    module.def("fit", &fit, py::arg("device"), py::arg("x"), py::arg("y"), py::arg("noise"),
               py::arg("hyper"), py::arg("jitter"),
               "A Fitted, or the index of the first pivot that is not positive.");
    module.def("extend", &extend, py::arg("fitted"), py::arg("x"), py::arg("y"), py::arg("noise"),
               "A Fitted, or the index of the first pivot that is not positive.");
    module.def("likelihood", &likelihoods, py::arg("device"), py::arg("x"), py::arg("y"),
               py::arg("noise"), py::arg("hypers"));
    module.def("predict", &predict, py::arg("fitted"), py::arg("x"));
    module.def("score", &score, py::arg("fitted"), py::arg("x"), py::arg("kind"), py::arg("best"),
               py::arg("beta"), py::arg("xi"), py::arg("gradient"), py::arg("screen"));
    module.def("sample", &sample, py::arg("fitted"), py::arg("x"), py::arg("normals"),
               py::arg("jitter"),
               "Samples (s, m), or the index of the first pivot that is not positive.");
    module.def("most_likely", &most_likely_from, py::arg("device"), py::arg("x"), py::arg("y"),
               py::arg("noise"), py::arg("categorical"), py::arg("family"), py::arg("prior"),
               py::arg("starts"), py::arg("iterations"), py::arg("tolerance"), py::arg("reach"));
    module.def("ascend", &ascend_from, py::arg("fitted"), py::arg("starts"), py::arg("lower"),
               py::arg("upper"), py::arg("kind"), py::arg("best"), py::arg("beta"), py::arg("xi"),
               py::arg("iterations"), py::arg("tolerance"), py::arg("reach"));
}

}  // namespace krige_cuda
