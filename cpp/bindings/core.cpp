// The C++ core as the verbs see it.
#include "core.hpp"

#include "krige/likelihood.hpp"
#include "krige/parallel.hpp"
#include "verbs.hpp"

namespace krige {
namespace {

using namespace bindings;

struct Core {
    using Fitted = Posterior;

    class Call {
      public:
        explicit Call(const Core&) {}
        explicit Call(const Posterior&) {}

      private:
        py::gil_scoped_release released_;
    };

    void kernel(ConstMatrix a, const ConstMatrix* b, const Hyper& hyper, Derivative derivative,
                double* out) const {
        const ConstMatrix right = b != nullptr ? *b : a;
        const Matrix to{out, a.rows, right.rows, right.rows};
        if (derivative == Derivative::hyper) return kernel_by_hyper(a, right, hyper, out);
        if (derivative == Derivative::query) return kernel_by_query(a, right, hyper, out);
        if (b != nullptr) return kernel_matrix(a, right, hyper, to);
        kernel_symmetric(a, hyper, to);
    }

    std::unique_ptr<Posterior> fit(ConstMatrix x, const double* y, const double* noise,
                                   const Hyper& hyper, double jitter) const {
        return std::make_unique<Posterior>(x, y, noise, hyper, jitter);
    }

    void likelihood(ConstMatrix x, const double* y, ConstMatrix noise,
                    const std::vector<OwnedHyper>& hypers, const LikelihoodResults& results) const {
        const index_t width = x.cols + 1;
        const auto one = [&](index_t i) {
            results.value[i] =
                log_likelihood(x, y, noise.row(i), hypers[static_cast<std::size_t>(i)].view(),
                               results.gradient + i * width, results.by_noise + i * x.rows);
        };
        if (noise.rows > 1) return parallel_for(noise.rows, one);
        one(0);
    }

    void most_likely(ConstMatrix x, const double* y, const double* known, const Hyper& hyper,
                     const Prior& prior, const Effort& effort, Matrix theta,
                     double* density) const {
        krige::most_likely(x, y, known, hyper, prior, effort, theta, density);
    }

    static void score(const Posterior& fitted, ConstMatrix x, const Acquisition& acquisition,
                      bool /*screen*/, double* value, Matrix gradient) {
        fitted.score(x, acquisition, value, gradient);
    }

    static void ascend(const Posterior& fitted, const Acquisition& acquisition,
                       const Penalty* penalty, ConstMatrix lower, ConstMatrix upper,
                       const Effort& effort, Matrix x, double* value) {
        krige::ascend(fitted, acquisition, penalty, lower, upper, effort, x, value);
    }
};

}  // namespace

void register_core(py::module_& module) { register_verbs<Core>(module, py::init<>()); }

}  // namespace krige
