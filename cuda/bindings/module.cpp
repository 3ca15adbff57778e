// The extension module krigetuner.backend._cuda. It imports without a GPU, a driver or any of
// CUDA's libraries; `why_unavailable` then has the reason.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "allocation.hpp"
#include "core.hpp"
#include "krige_cuda/device.hpp"
#include "krige_cuda/libraries.hpp"

#if defined(KRIGE_EMULATION)
#include "machine.hpp"
#endif

namespace py = pybind11;
using namespace krige_cuda;

namespace {

py::dict build_info() {
    py::dict out;
    out["version"] = KRIGE_VERSION;
    out["toolkit"] =
        std::to_string(CUDART_VERSION / 1000) + "." + std::to_string(CUDART_VERSION % 1000 / 10);
    out["architectures"] = KRIGE_CUDA_ARCHITECTURES_TEXT;
    out["compiler"] = KRIGE_COMPILER;
    return out;
}

py::dict device_info(int device) {
    require(device);
    const DeviceText found = describe(device);
    py::dict out;
    out["index"] = device;
    out["name"] = found.name;
    out["compute_capability"] = py::make_tuple(found.major, found.minor);
    out["memory"] = found.memory;
    return out;
}

std::size_t checked_free_memory(int device) {
    require(device);
    return free_memory(device);
}

py::tuple load_libraries(const std::vector<std::string>& directories) {
    set_library_directories(directories);
    const Libraries& found = libraries();
    return py::make_tuple(found.blas, found.solver);
}

}  // namespace

PYBIND11_MODULE(KRIGE_MODULE, module, py::mod_gil_not_used()) {
    module.doc() = "The CUDA core: Gaussian-process verbs on one GPU.";
    py::register_exception<Unavailable>(
        module, "Unavailable", py::module_::import("krigetuner.errors").attr("BackendUnavailable"));
    register_core(module);
    register_allocation(module);
    module.def("build_info", &build_info, "Version, toolkit and architectures of this build.");
    module.def("why_unavailable", &why_unavailable,
               "Why no GPU can be used in this process, or an empty text.");
    module.def("device_count", &device_count, "Number of GPUs that the driver shows.");
    module.def("device_info", &device_info, py::arg("device"),
               "Name and size of a GPU; raises Unavailable where it cannot be used.");
    module.def("free_memory", &checked_free_memory, py::arg("device"),
               "Bytes that are free on a GPU, those in pools not among them.");
    module.def("load_libraries", &load_libraries, py::arg("directories"),
               "Finds cuBLAS and cuSOLVER; returns where.");
#if defined(KRIGE_EMULATION)
    krige_emulation::register_machine(module);
#endif
}
