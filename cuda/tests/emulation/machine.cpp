#include "machine.hpp"

#include <cuda_runtime.h>

namespace krige_emulation {
namespace {

namespace py = pybind11;

template <class Value>
void dial(py::class_<Machine>& type, const char* name, std::atomic<Value> Machine::* member) {
    type.def_property(
        name, [member](const Machine& self) { return (self.*member).load(); },
        [member](Machine& self, Value value) { (self.*member).store(value); });
}

}  // namespace

void register_machine(py::module_& module) {
    py::class_<Machine> type(module, "Machine", py::module_local());
    dial(type, "driver", &Machine::driver);
    dial(type, "devices", &Machine::devices);
    dial(type, "major", &Machine::major);
    dial(type, "memory", &Machine::memory);
    dial(type, "calls_until_lost", &Machine::calls_until_lost);
    dial(type, "in_use", &Machine::in_use);
    dial(type, "most_in_use", &Machine::most_in_use);
    dial(type, "streams", &Machine::streams);
    module.attr("machine") = py::cast(machine(), py::return_value_policy::reference);
}

}  // namespace krige_emulation
