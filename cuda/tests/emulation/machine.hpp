// Registers the emulated machine's dials, for tests in Python.
#pragma once

#include <pybind11/pybind11.h>

namespace krige_emulation {

void register_machine(pybind11::module_& module);

}  // namespace krige_emulation
