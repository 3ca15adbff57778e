// The CUDA core as the verbs see it: one GPU.
#include "core.hpp"

#include "krige_cuda/fitted.hpp"
#include "krige_cuda/likelihoods.hpp"
#include "krige_cuda/matrices.hpp"
#include "verbs.hpp"

namespace krige_cuda {
namespace {

namespace py = pybind11;
using krige::Effort;
using krige::Hyper;
using krige::Matrix;
using krige::Penalty;
using krige::Prior;
using krige::bindings::OwnedHyper;

class Core {
  public:
    using Fitted = krige_cuda::Fitted;

    // the GPU is current meanwhile
    class Call {
      public:
        explicit Call(const Core& core) : scope_(checked_process(core.device_)) {}
        explicit Call(const Fitted& fitted) : scope_(checked_process(fitted.device())) {}

      private:
        static int checked_process(int device) {
            if (is_fork()) throw Unavailable(why_unavailable());
            return device;
        }

        py::gil_scoped_release released_;
        DeviceScope scope_;
    };

    explicit Core(int device) : device_(device) {}

    void kernel(ConstMatrix a, const ConstMatrix* b, const Hyper& hyper, Derivative derivative,
                double* out) const {
        kernel_matrix(device_, a, b, hyper, derivative, out);
    }

    std::unique_ptr<Fitted> fit(ConstMatrix x, const double* y, const double* noise,
                                const Hyper& hyper, double jitter) const {
        return std::make_unique<Fitted>(device_, x, y, noise, hyper, jitter);
    }

    void likelihood(ConstMatrix x, const double* y, ConstMatrix noise,
                    const std::vector<OwnedHyper>& hypers, const LikelihoodResults& results) const {
        std::vector<krige::Metric> settings;
        for (const OwnedHyper& hyper : hypers) settings.emplace_back(hyper.view());
        Likelihoods(device_, x, y).evaluate(settings, noise.data, results);
    }

    void most_likely(ConstMatrix x, const double* y, const double* known, const Hyper& hyper,
                     const Prior& prior, const Effort& effort, Matrix theta,
                     double* density) const {
        krige_cuda::most_likely(device_, x, y, known, hyper, prior, effort, theta, density);
    }

    static void score(const Fitted& fitted, ConstMatrix x, const Acquisition& acquisition,
                      bool screen, double* value, Matrix gradient) {
        if (screen) return fitted.screen(x, acquisition, value);
        fitted.score(x, acquisition, value, gradient);
    }

    static void ascend(const Fitted& fitted, const Acquisition& acquisition, const Penalty* penalty,
                       ConstMatrix lower, ConstMatrix upper, const Effort& effort, Matrix x,
                       double* value) {
        fitted.ascend(acquisition, penalty, lower, upper, effort, x, value);
    }

  private:
    int device_;
};

}  // namespace

void register_core(py::module_& module) {
    krige::bindings::register_verbs<Core>(module, py::init<int>());
}

}  // namespace krige_cuda
