// Device memory from a Python library's pool, which other libraries of the process share.
#include "allocation.hpp"

#include <cstdint>

#include "krige_cuda/memory.hpp"

namespace krige_cuda {
namespace {

namespace py = pybind11;

// Takes from a callable (bytes, stream, device) -> object with the attribute `ptr`, which gives the
// memory back when it is released.
class PythonAllocator final : public Allocator {
  public:
    explicit PythonAllocator(py::object take) : take_(take.release().ptr()) {}

    ~PythonAllocator() override {
        const py::gil_scoped_acquire held;
        Py_DECREF(take_);
    }

    Block take(std::size_t bytes, const Stream& stream) override {
        const py::gil_scoped_acquire held;
        try {
            const py::object block = py::reinterpret_borrow<py::object>(take_)(
                bytes, reinterpret_cast<std::uintptr_t>(stream.get()), stream.device());
            const auto address = block.attr("ptr").cast<std::uintptr_t>();
            return {reinterpret_cast<void*>(address), bytes, py::object(block).release().ptr()};
        } catch (py::error_already_set& error) {
            if (!error.matches(PyExc_Exception)) throw;  // Ctrl-C and the like: no fault of the GPU
            if (error.matches(PyExc_MemoryError)) throw out_of_memory(bytes);
            throw Unavailable("GPU memory: expected " + bytes_text(bytes) +
                              " from CuPy's pool, got " + error.what() +
                              "; set KRIGETUNER_CUDA_POOL=own to do without CuPy");
        }
    }

    void give(const Block& block, const Stream&) noexcept override {
        if (Py_IsInitialized() == 0) return;  // the process ends, and its memory with it
        const py::gil_scoped_acquire held;
        Py_XDECREF(static_cast<PyObject*>(block.token));
    }

  private:
    PyObject* take_;
};

void use_python_allocator(const py::object& take) {
    set_allocator(take.is_none() ? nullptr : std::make_shared<PythonAllocator>(take));
}

}  // namespace

void register_allocation(py::module_& module) {
    module.def("set_allocator", &use_python_allocator, py::arg("take"),
               "Device memory comes from take(bytes, stream, device), or from CUDA where None.");
    module.def("set_workspace_limit", &set_workspace_limit, py::arg("bytes"),
               "Bytes that workspaces may take at most.");
    module.def("workspace_limit", &workspace_limit, "Bytes that workspaces may take at most.");
}

}  // namespace krige_cuda
