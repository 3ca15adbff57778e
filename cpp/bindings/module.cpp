// The extension module krigetuner.backend._cpp.
#include <pybind11/pybind11.h>

#include "core.hpp"
#include "krige/parallel.hpp"
#include "krige/simd.hpp"
#include "linear_algebra.hpp"

namespace py = pybind11;

namespace {

py::dict build_info() {
    py::dict out;
    out["version"] = KRIGE_VERSION;
    out["compiler"] = KRIGE_COMPILER;
    out["type"] = KRIGE_BUILD_TYPE;
    out["flags"] = KRIGE_FLAGS;
    out["levels"] = KRIGE_LEVELS;
#ifdef NDEBUG
    out["ndebug"] = true;
#else
    out["ndebug"] = false;
#endif
    out["pybind11"] =
        PYBIND11_TOSTRING(PYBIND11_VERSION_MAJOR) "." PYBIND11_TOSTRING(PYBIND11_VERSION_MINOR);
    return out;
}

}  // namespace

PYBIND11_MODULE(_cpp, module, py::mod_gil_not_used()) {
    module.doc() = "The native core: Gaussian-process verbs in float64.";
    krige::register_core(module);
    krige::register_linear_algebra(module);
    module.def("build_info", &build_info, "Version, compiler and kind of this build.");
    module.def(
        "simd_level", [] { return krige::simd::name(krige::simd::level()); },
        "The SIMD level in use.");
    module.def("cpu_features", &krige::simd::cpu_features,
               "What this processor has of what the levels ask for.");
    module.def("threads", &krige::threads, "Threads that large problems may use.");
    module.def("set_threads", &krige::set_threads, py::arg("count"),
               "Sets them; count < 1 means all processors.");
}
