#include "krige/acquisition.hpp"

#include <cmath>

#include "krige/formulas.hpp"

namespace krige {

void acquire(const Acquisition& acquisition, index_t m, const double* mean, const double* variance,
             double* value) {
    for (index_t c = 0; c < m; ++c)
        value[c] = acquire(acquisition, mean[c], std::sqrt(variance[c])).value;
}

}  // namespace krige
