#include "krige/prior.hpp"

namespace krige {

double add_log_density(const Prior& prior, index_t d, const double* theta, double* slope) {
    double density = 0.0;
    double sum = 0.0;  // of the log lengthscales' distances from their means, weighted
    double weight = prior.shared > 0.0 ? 1.0 / (prior.shared * prior.shared) : 0.0;
    for (index_t i = 0; i < d + 2; ++i) {
        const double z = (theta[i] - prior.mean[i]) / prior.deviation[i];
        density -= 0.5 * z * z;
        slope[i] -= z / prior.deviation[i];
        if (i < d) {
            sum += z / prior.deviation[i];
            weight += 1.0 / (prior.deviation[i] * prior.deviation[i]);
        }
    }
    if (!(prior.shared > 0.0)) return density;
    const double shift = sum / weight;  // the most probable one
    for (index_t i = 0; i < d; ++i) slope[i] += shift / (prior.deviation[i] * prior.deviation[i]);
    return density + 0.5 * sum * shift;
}

}  // namespace krige
