// The two searches of backend/protocol.py: from starts to maxima, all in native code.
#include "maxima.hpp"

#include "arguments.hpp"
#include "krige/maxima.hpp"

namespace krige {
namespace {

using namespace bindings;

py::tuple most_likely_from(const py::object& x, const py::object& y, const py::object& noise,
                           const py::object& categorical, const py::object& family,
                           const py::sequence& prior, const py::object& starts,
                           const py::object& iterations, const py::object& tolerance,
                           const py::object& reach) {
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
    const Hyper hyper{kind, d, nullptr, flags.data(), 1.0};
    const Prior believed{mean.data(), deviation.data(), lower.data(), upper.data()};
    const Matrix to = writable(theta, begin.shape(0), p);
    double* to_density = density.mutable_data();
    {
        const py::gil_scoped_release released;
        most_likely(vx, vy, vn, hyper, believed, effort, to, to_density);
    }
    return py::make_tuple(theta, density);
}

py::tuple ascend_from(const Posterior& fitted, const py::object& starts, const py::object& lower,
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
        const py::gil_scoped_release released;
        ascend(fitted, acquisition, low, high, effort, to, to_value);
    }
    return py::make_tuple(points, value);
}

}  // namespace

void register_maxima(py::module_& module) {
    module.def("most_likely", &most_likely_from, py::arg("x"), py::arg("y"), py::arg("noise"),
               py::arg("categorical"), py::arg("family"), py::arg("prior"), py::arg("starts"),
               py::arg("iterations"), py::arg("tolerance"), py::arg("reach"));
    module.def("ascend", &ascend_from, py::arg("fitted"), py::arg("starts"), py::arg("lower"),
               py::arg("upper"), py::arg("kind"), py::arg("best"), py::arg("beta"), py::arg("xi"),
               py::arg("iterations"), py::arg("tolerance"), py::arg("reach"));
}

}  // namespace krige
