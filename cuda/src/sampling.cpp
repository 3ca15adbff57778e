// Joint samples of the posterior.
#include <algorithm>
#include <vector>

#include "krige_cuda/fitted.hpp"

namespace krige_cuda {

index_t Fitted::sample(ConstMatrix x, ConstMatrix normals, double jitter, krige::Matrix out) const {
    if (x.rows == 0) return -1;
    std::vector<double> mean(static_cast<std::size_t>(x.rows));
    const Session session(stream_);
    const Metric metric = metric_.view();
    const DevicePoints<double> candidates(x, metric, stream_);
    const int m = candidates.count();
    const int s = counted("normals", normals.rows);
    const index_t stride = padded(m);
    DeviceArray<double> storage(m * stride_, stream_);
    DeviceArray<double> moments(2 * x.rows, stream_);
    DeviceArray<double> covariance(m * stride, stream_);
    const Matrices<double> panel = solved_rows(session, candidates, storage);
    const Matrices<double> spread{covariance.data(), stride};
    posterior_moments<double>(session.id(), metric, panel, m, n_, z_.data(), moments.data(),
                              moments.data() + m);
    check_launch("posterior_moments");
    kernel_lower(session.id(), metric, candidates.view(), nullptr, 0,
                 jitter * host_metric_.variance, spread);
    check_launch("kernel_lower");
    subtract_product(session, panel, m, n_, spread);
    const index_t failed = factor_and_wait(session, spread, m);
    if (failed >= 0) return failed;
    DeviceArray<double> draws(normals.rows * m, stream_);
    DeviceArray<double> moved(normals.rows * m, stream_);
    to_device(draws.data(), normals.data, draws.size(), stream_);
    multiply_rows(session, spread, m, draws.data(), s, moved.data());
    to_host(mean.data(), moments.data(), m, stream_);
    to_host(out.data, moved.data(), moved.size(), stream_);
    stream_.synchronise();
    for (index_t i = 0; i < out.rows; ++i) {
        for (index_t c = 0; c < out.cols; ++c) out(i, c) += mean[static_cast<std::size_t>(c)];
    }
    return -1;
}

}  // namespace krige_cuda
