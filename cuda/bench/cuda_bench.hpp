// krige_bench --cuda: every verb on a GPU beside the GPU's own rates and the C++ core.
#pragma once

#include <iosfwd>
#include <vector>

#include "krige/view.hpp"

namespace krige_cuda {

struct BenchOptions {
    double seconds;  // for each row
    std::vector<krige::index_t> sizes;
};

// Writes a table; throws Unavailable where no GPU can be used.
void bench(const BenchOptions& options, std::ostream& out);

}  // namespace krige_cuda
