// A factored Gaussian-process posterior.
#pragma once

#include "krige/buffer.hpp"
#include "krige/cholesky.hpp"
#include "krige/kernel.hpp"

namespace krige {

class Posterior {
  public:
    // x (n, d), y (n), noise (n); check failed_pivot() before any other use
    Posterior(ConstMatrix x, const double* y, const double* noise, const Hyper& hyper,
              double jitter);

    // base with k more rows x (k, d) and their noise (k); y (n + k) replaces all outputs
    Posterior(const Posterior& base, ConstMatrix x, const double* y, const double* noise);

    index_t count() const noexcept { return points_.count; }
    index_t d() const noexcept { return metric_.d(); }
    index_t failed_pivot() const noexcept {
        return failed_pivot_;
    }  // -1 where the factorization succeeded
    double log_likelihood() const noexcept { return log_likelihood_; }
    double variance() const noexcept { return metric_.variance; }
    ConstMatrix factor() const noexcept { return {factor_.data(), count(), count(), stride_}; }
    const double* alpha() const noexcept { return alpha_.data(); }

    // mean (m), and variance (m) unless it is null, at x (m, d)
    void predict(ConstMatrix x, double* mean, double* variance) const;

    // value (m), and gradient (m, d) unless its data is null
    void score(ConstMatrix x, const Acquisition& acquisition, double* value, Matrix gradient) const;

    // out (s, m) := mean + normals (s, m) C^T; returns the failed pivot of the covariance or -1
    index_t sample(ConstMatrix x, ConstMatrix normals, double jitter, Matrix out) const;

  private:
    Posterior(const Posterior& base, const Points& added, const double* y, const double* noise);
    void allocate(index_t n);
    void solve_alpha(const double* y);
    void predict_block(ConstMatrix x, double* mean, double* variance) const;
    void predict_large_block(ConstMatrix x, double* mean, double* variance) const;
    void score_block(ConstMatrix x, const Acquisition& acquisition, double* value,
                     Matrix gradient) const;

    Metric metric_;
    Points points_;
    index_t stride_ = 0;
    Buffer factor_;      // (n, stride), lower triangle
    Buffer alpha_;       // (n rounded up to 16), zero beyond n
    Buffer reciprocal_;  // (n) of the factor's diagonal
    double jitter_ = 0.0;
    double log_likelihood_ = 0.0;
    index_t failed_pivot_ = -1;
};

// variance of a point given the sum of squares of L^-1 k; never below variance_floor, `held` tells
// whether it was
inline double posterior_variance(double variance, double explained, bool& held) noexcept {
    const double floor = variance_floor * variance;
    held = !(variance - explained > floor);
    return held ? floor : variance - explained;
}

}  // namespace krige
