// A factored Gaussian-process posterior that lives on a GPU: krige::Posterior's counterpart.
#pragma once

#include <mutex>

#include "krige/maxima.hpp"
#include "krige_cuda/algebra.hpp"
#include "krige_cuda/inputs.hpp"

namespace krige_cuda {

// Everything given is on the host, contiguous; every method returns when its result is there. The
// GPU has to be current (DeviceScope). Two threads may use one object: their work is queued on its
// stream.
class Fitted {
  public:
    // x (n, d), y (n), noise (n); check failed_pivot() before any other use
    Fitted(int device, ConstMatrix x, const double* y, const double* noise,
           const krige::Hyper& hyper, double jitter);

    // base with k more rows x (k, d) and their noise (k); y (n + k) replaces all outputs
    Fitted(const Fitted& base, ConstMatrix x, const double* y, const double* noise);

    index_t count() const noexcept { return n_; }
    index_t d() const noexcept { return host_metric_.d(); }
    index_t failed_pivot() const noexcept { return failed_pivot_; }  // -1: none failed
    double log_likelihood() const noexcept { return log_likelihood_; }
    int device() const noexcept { return stream_.device(); }

    // mean (m), and variance (m) unless it is null, at x (m, d)
    void predict(ConstMatrix x, double* mean, double* variance) const;

    // value (m), and gradient (m, d) unless its data is null
    void score(ConstMatrix x, const Acquisition& acquisition, double* value,
               krige::Matrix gradient) const;

    // value (m) in single precision, but for the largest few, which are as `score` has them
    void screen(ConstMatrix x, const Acquisition& acquisition, double* value) const;

    // out (s, m) := mean + normals (s, m) C^T; returns the failed pivot of the covariance or -1
    index_t sample(ConstMatrix x, ConstMatrix normals, double jitter, krige::Matrix out) const;

    // x (b, d): from the starts to the points where the acquisition, less the penalty if there is
    // one, is largest, with its value (b), each inside lower and upper (b, d)
    void ascend(const Acquisition& acquisition, const krige::Penalty* penalty, ConstMatrix lower,
                ConstMatrix upper, const krige::Effort& effort, krige::Matrix x,
                double* value) const;

  private:
    struct Climb;
    struct Narrowed {  // what screening needs, in single precision
        DeviceArray<float> factor;
        DeviceArray<float> z;
        DeviceArray<float> points;  // of the stride of the exact ones
    };

    Matrices<double> factor() noexcept { return {factor_.data(), stride_}; }
    Matrices<const double> factor() const noexcept { return {factor_.data(), stride_}; }
    void solve_outputs(const Session& session, const double* y);
    Matrices<double> kernel_rows(const Session& session, const DevicePoints<double>& candidates,
                                 DeviceArray<double>& storage) const;
    Matrices<double> solved_rows(const Session& session, const DevicePoints<double>& candidates,
                                 DeviceArray<double>& storage) const;
    void score_panel(const Session& session, ConstMatrix x, const Acquisition& acquisition,
                     DeviceArray<double>& storage, double* value, double* gradient) const;
    void screen_panel(const Session& session, ConstMatrix x, const Acquisition& acquisition,
                      const Narrowed& narrowed, double* value) const;
    void screen_all(ConstMatrix x, const Acquisition& acquisition, double* value) const;
    index_t panel_rows(index_t m, std::size_t value_size) const noexcept;
    void invert(const Session& session) const;

    Stream stream_;
    krige::Metric host_metric_;
    DeviceMetric metric_;
    DevicePoints<double> points_;
    int n_;
    index_t stride_;
    DeviceArray<double> factor_;  // (n, stride), lower triangle
    DeviceArray<double> z_;       // (n) L^-1 y
    DeviceArray<double> alpha_;   // (n) K^-1 y
    double jitter_;
    double log_likelihood_ = 0.0;
    index_t failed_pivot_ = -1;
    mutable std::mutex inverting_;
    mutable DeviceArray<double> inverse_;  // (n, stride) L^-1, made by the first ascent
};

}  // namespace krige_cuda
