// Log marginal likelihoods with gradients of many settings at once, and the search for the most
// probable one.
// The GPU has to be current (DeviceScope).
#pragma once

#include <vector>

#include "krige/likelihood.hpp"
#include "krige/maxima.hpp"
#include "krige_cuda/algebra.hpp"
#include "krige_cuda/inputs.hpp"

namespace krige_cuda {

using krige::LikelihoodResults;  // on the host

// One set of data, x (n, d) contiguous and y (n), on a GPU.
class Likelihoods {
  public:
    Likelihoods(int device, ConstMatrix x, const double* y);

    // noise (b, n) of b settings
    void evaluate(const std::vector<krige::Metric>& settings, const double* noise,
                  const LikelihoodResults& results);

  private:
    using Settings = std::vector<krige::Metric>;

    void batch(const Session& session, const Settings& settings, const double* noise,
               const LikelihoodResults& results);
    void alone(const Session& session, const krige::Metric& setting, const double* noise,
               const LikelihoodResults& results);
    struct Solved {              // of one setting, on the device
        const double* diagonal;  // of K^-1
        const double* alpha;
        const double* by_place;
        const double* value;
    };
    void finish(const krige::Metric& setting, const double* noise, const Solved& solved,
                const LikelihoodResults& results);
    index_t settings_at_once() const;
    double* workspace(index_t size);

    Stream stream_;
    ConstMatrix x_;
    int n_;
    DeviceArray<double> y_;
    DeviceArray<double> workspace_;  // kept between calls: a search makes many
    HostUse use_;                    // of the caller's y
};

// As krige::most_likely, every start in one batch.
void most_likely(int device, ConstMatrix x, const double* y, const double* known,
                 const krige::Hyper& hyper, const krige::Prior& prior, const krige::Effort& effort,
                 krige::Matrix theta, double* density);

}  // namespace krige_cuda
