#include "krige_cuda/matrices.hpp"

#include <algorithm>

namespace krige_cuda {
namespace {

// One call, in bands of rows of a that fit the workspace.
class Bands {
  public:
    Bands(const Stream& stream, const Metric& metric, ConstMatrix a, ConstMatrix b,
          Derivative derivative)
        : stream_(stream),
          metric_(metric),
          a_(a),
          columns_(b, metric, stream),
          derivative_(derivative),
          layers_(derivative == Derivative::none    ? 1
                  : derivative == Derivative::hyper ? metric.d + 1
                                                    : metric.d) {}

    void run(double* out) {
        const index_t m = columns_.count();
        if (a_.rows == 0 || m == 0) return;
        const auto row = static_cast<std::size_t>(layers_ * m) * sizeof(double);
        const auto fit = static_cast<index_t>(workspace_limit() / row);
        const index_t height = std::min(std::max(fit, index_t{1}), a_.rows);
        DeviceArray<double> band(layers_ * height * m, stream_);
        for (index_t first = 0; first < a_.rows; first += height) {
            const index_t rows = std::min(height, a_.rows - first);
            const DevicePoints<double> points(a_.block(first, 0, rows, a_.cols), metric_, stream_);
            compute(points.view(), m, band.data());
            // one by one: as rows of one copy, whole matrices would be longer than it allows
            for (index_t layer = 0; layer < layers_; ++layer)
                to_host(out + (layer * a_.rows + first) * m, band.data() + layer * rows * m,
                        rows * m, stream_);
        }
        stream_.synchronise();
    }

  private:
    void compute(Points<double> rows, index_t m, double* band) {
        if (derivative_ == Derivative::none) {
            kernel_panel(stream_.get(), metric_, rows, columns_.view(), {band, m});
        } else if (derivative_ == Derivative::hyper) {
            kernel_by_hyper(stream_.get(), metric_, rows, columns_.view(), band);
        } else {
            kernel_by_query(stream_.get(), metric_, rows, columns_.view(), band);
        }
        check_launch("the kernel matrix");
    }

    const Stream& stream_;
    Metric metric_;
    ConstMatrix a_;
    DevicePoints<double> columns_;
    Derivative derivative_;
    index_t layers_;
};

}  // namespace

void kernel_matrix(int device, ConstMatrix a, const ConstMatrix* b, const krige::Hyper& hyper,
                   Derivative derivative, double* out) {
    const Stream stream(device);
    const DeviceMetric metric(krige::Metric(hyper), stream);
    const index_t size = a.rows * a.rows;
    const bool fits = static_cast<std::size_t>(size) * sizeof(double) <= workspace_limit();
    if (b != nullptr || derivative != Derivative::none || !fits || size == 0) {
        Bands(stream, metric.view(), a, b == nullptr ? a : *b, derivative).run(out);
        return;
    }
    const DevicePoints<double> points(a, metric.view(), stream);
    DeviceArray<double> matrix(size, stream);
    kernel_lower(stream.get(), metric.view(), points.view(), nullptr, 0, 0.0,
                 {matrix.data(), a.rows}, true);
    check_launch("kernel_lower");
    to_host(out, matrix.data(), size, stream);
    stream.synchronise();
}

}  // namespace krige_cuda
