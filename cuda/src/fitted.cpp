// Fitting and extending.
#include "krige_cuda/fitted.hpp"

#include <vector>

namespace krige_cuda {
namespace {

void copy_rows(double* to, index_t to_stride, const double* from, index_t from_stride, index_t rows,
               const Stream& stream) {
    check(cudaMemcpy2DAsync(to, static_cast<std::size_t>(to_stride) * sizeof(double), from,
                            static_cast<std::size_t>(from_stride) * sizeof(double),
                            static_cast<std::size_t>(rows) * sizeof(double),
                            static_cast<std::size_t>(rows), cudaMemcpyDeviceToDevice, stream.get()),
          "copying a factor on the GPU");
}

}  // namespace

Fitted::Fitted(int device, ConstMatrix x, const double* y, const double* noise,
               const krige::Hyper& hyper, double jitter)
    : stream_(device),
      host_metric_(hyper),
      metric_(host_metric_, stream_),
      points_(x, metric_.view(), stream_),
      n_(points_.count()),
      stride_(padded(n_)),
      factor_(n_ * stride_, stream_),
      z_(n_, stream_),
      alpha_(n_, stream_),
      jitter_(jitter) {
    const Session session(stream_);
    clear(factor_.data(), factor_.size(), stream_);  // copies take the upper half along
    DeviceArray<double> variances(n_, stream_);
    to_device(variances.data(), noise, n_, stream_);
    kernel_lower(session.id(), metric_.view(), points_.view(), variances.data(), n_, jitter_,
                 factor());
    check_launch("kernel_lower");
    failed_pivot_ = factor_and_wait(session, factor(), n_);
    if (failed_pivot_ < 0) solve_outputs(session, y);
}

Fitted::Fitted(const Fitted& base, ConstMatrix x, const double* y, const double* noise)
    : stream_(base.device()),
      host_metric_(base.host_metric_),
      metric_(host_metric_, stream_),
      points_(base.points_, x, metric_.view(), stream_),
      n_(points_.count()),
      stride_(padded(n_)),
      factor_(n_ * stride_, stream_),
      z_(n_, stream_),
      alpha_(n_, stream_),
      jitter_(base.jitter_) {
    const Session session(stream_);
    const int old = base.n_;
    const int k = n_ - old;
    clear(factor_.data(), factor_.size(), stream_);  // as above
    copy_rows(factor_.data(), stride_, base.factor_.data(), base.stride_, old, stream_);
    if (k > 0) {
        const DevicePoints<double> added(x, metric_.view(), stream_);
        DeviceArray<double> variances(k, stream_);
        to_device(variances.data(), noise, k, stream_);
        const Matrices<double> rows{factor_.data() + old * stride_, stride_};
        const Matrices<double> corner{rows.data + old, stride_};
        Points<double> before = points_.view();
        before.count = old;
        kernel_panel(session.id(), metric_.view(), added.view(), before, rows);
        check_launch("kernel_panel");
        kernel_lower(session.id(), metric_.view(), added.view(), variances.data(), k, jitter_,
                     corner);
        check_launch("kernel_lower");
        solve_rows(session, factor(), old, rows, k, false);
        subtract_product(session, rows, k, old, corner);
        failed_pivot_ = factor_and_wait(session, corner, k);
        if (failed_pivot_ >= 0) failed_pivot_ += old;
    }
    if (failed_pivot_ < 0) solve_outputs(session, y);
}

void Fitted::solve_outputs(const Session& session, const double* y) {
    to_device(z_.data(), y, n_, stream_);
    solve_vector(session, factor(), n_, z_.data(), false);
    copy_within(alpha_.data(), z_.data(), n_, stream_);
    solve_vector(session, factor(), n_, alpha_.data(), true);
    DeviceArray<double> value(1, stream_);
    const Fitted& self = *this;
    likelihood_value(session.id(), self.factor(), n_, z_.data(), nullptr, false, value.data());
    check_launch("likelihood_value");
    to_host(&log_likelihood_, value.data(), 1, stream_);
    stream_.synchronise();
}

}  // namespace krige_cuda
