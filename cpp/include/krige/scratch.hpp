// Working memory that each thread keeps between calls.
#pragma once

#include "krige/view.hpp"

namespace krige {

enum class Scratch { left, right, triangle, reciprocal, columns, count };

// At least `count` doubles, aligned to a cache line, of this thread; invalid after the next call
// for the same use.
double* scratch(Scratch use, index_t count);

}  // namespace krige
