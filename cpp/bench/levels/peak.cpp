#include "levels/peak.hpp"

#include "levels/vector.hpp"

namespace krige::KRIGE_LEVEL {

double multiply_adds(index_t rounds, double* sink) {
    constexpr int chains = 12;
    constexpr int repeats = 84;
    vec sums[chains];
    for (int i = 0; i < chains; ++i) sums[i] = broadcast(sink[0] + i);
    const vec factor = broadcast(sink[1]);
    const vec addend = broadcast(sink[2]);
    for (index_t round = 0; round < rounds * repeats; ++round)
        for (int i = 0; i < chains; ++i) sums[i] = fma(sums[i], factor, addend);
    for (int i = 1; i < chains; ++i) sums[0] += sums[i];
    sink[3] = lane(sums[0], 0);
    return 2.0 * chains * lanes * repeats * static_cast<double>(rounds);
}

}  // namespace krige::KRIGE_LEVEL
