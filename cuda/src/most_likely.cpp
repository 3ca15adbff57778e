// The most probable hyperparameters: krige::most_likely with the likelihoods of a GPU.
#include <cmath>

#include "krige_cuda/likelihoods.hpp"

namespace krige_cuda {
namespace {

// The negative log posterior density of thetas (b, d + 2) and its slopes, as krige::most_likely has
// them.
class Surprise {
  public:
    Surprise(int device, ConstMatrix x, const double* y, const double* known,
             const krige::Hyper& hyper, const krige::Prior& prior)
        : likelihoods_(device, x, y), n_(x.rows), known_(known), hyper_(hyper), prior_(prior) {}

    void operator()(ConstMatrix theta, double* value, krige::Matrix slope) {
        const index_t b = theta.rows;
        const index_t p = hyper_.d + 1;
        std::vector<krige::Metric> settings;
        noise_.resize(static_cast<std::size_t>(b * n_));
        by_noise_.resize(noise_.size());
        gradient_.resize(static_cast<std::size_t>(b * p));
        for (index_t i = 0; i < b; ++i) {
            settings.push_back(setting(theta.row(i)));
            const double learned = std::exp(theta(i, p));
            double* noise = noise_.data() + i * n_;
            for (index_t k = 0; k < n_; ++k) noise[k] = known_[k] + learned;
        }
        likelihoods_.evaluate(settings, noise_.data(), {value, gradient_.data(), by_noise_.data()});
        for (index_t i = 0; i < b; ++i) add_prior(theta.row(i), i, value[i], slope.row(i));
    }

  private:
    krige::Metric setting(const double* theta) {
        std::vector<double> lengthscales(static_cast<std::size_t>(hyper_.d));
        for (index_t j = 0; j < hyper_.d; ++j)
            lengthscales[static_cast<std::size_t>(j)] = std::exp(theta[j]);
        krige::Hyper one = hyper_;
        one.lengthscales = lengthscales.data();
        one.variance = std::exp(theta[hyper_.d]);
        return krige::Metric(one);
    }

    void add_prior(const double* theta, index_t i, double& value, double* slope) const {
        const index_t p = hyper_.d + 1;
        const double* by_noise = by_noise_.data() + i * n_;
        double by_learned = 0.0;
        for (index_t k = 0; k < n_; ++k) by_learned += by_noise[k];
        for (index_t j = 0; j < p; ++j) slope[j] = gradient_[static_cast<std::size_t>(i * p + j)];
        slope[p] = by_learned * std::exp(theta[p]);
        const double density = krige::add_log_density(prior_, hyper_.d, theta, slope);
        for (index_t j = 0; j <= p; ++j) slope[j] = -slope[j];
        value = -(value + density);
    }

    Likelihoods likelihoods_;
    index_t n_;
    const double* known_;
    krige::Hyper hyper_;
    krige::Prior prior_;
    std::vector<double> noise_, by_noise_, gradient_;
};

}  // namespace

void most_likely(int device, ConstMatrix x, const double* y, const double* known,
                 const krige::Hyper& hyper, const krige::Prior& prior, const krige::Effort& effort,
                 krige::Matrix theta, double* density) {
    if (theta.rows == 0) return;
    Surprise surprise(device, x, y, known, hyper, prior);
    const krige::Function function = [&surprise](ConstMatrix points, double* value,
                                                 krige::Matrix slope) {
        surprise(points, value, slope);
    };
    const ConstMatrix lower{prior.lower, theta.rows, theta.cols, 0};  // one box for every start
    const ConstMatrix upper{prior.upper, theta.rows, theta.cols, 0};
    krige::descend(function, lower, upper, effort, theta, density);
    for (index_t i = 0; i < theta.rows; ++i) density[i] = -density[i];
}

}  // namespace krige_cuda
