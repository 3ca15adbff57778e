// Ascent of the acquisition from several starts at once. The steps are krige::climb's, on the
// host; each asks for values and slopes of all starts in one go.
//
// A triangular solve of a few right sides is a long chain of small steps. An ascent makes more than
// a hundred of them with the same factor, so L^-1 is formed once, and each becomes one pass over
// it.
#include <algorithm>

#include "krige_cuda/fitted.hpp"

namespace krige_cuda {

// forms L^-1, unless it is there or does not fit the workspace
void Fitted::invert(const Session& session) const {
    const std::lock_guard<std::mutex> lock(inverting_);
    const index_t size = n_ * stride_;
    const index_t needed = size + invert_factor_size(n_, 1);
    const bool fits = static_cast<std::size_t>(needed) * sizeof(double) <= workspace_limit();
    if (inverse_.size() > 0 || !fits) return;
    DeviceArray<double> made(size, stream_);
    DeviceArray<double> blocks(block_inverses_size(n_, 1), stream_);
    DeviceArray<double> workspace(invert_factor_size(n_, 1), stream_);
    copy_within(made.data(), factor_.data(), size, stream_);
    invert_blocks(session.id(), factor(), n_, blocks.data());
    check_launch("invert_blocks");
    invert_factor(session.id(), {made.data(), stride_}, n_, blocks.data(), workspace.data());
    check_launch("invert_factor");
    stream_.synchronise();  // nobody shall take it for done who has another stream
    inverse_ = std::move(made);
}

// values and slopes of up to `most` starts, with memory that is taken once
struct Fitted::Climb {
    Climb(const Fitted& fitted, const Acquisition& chosen, index_t most)
        : self(fitted),
          acquisition(chosen),
          session(fitted.stream_),
          panel(2 * most * fitted.stride_, fitted.stream_),
          results(most * (3 + fitted.d()), fitted.stream_),
          workspace(posterior_gradient_size(static_cast<int>(most), fitted.n_,
                                            static_cast<int>(fitted.d())),
                    fitted.stream_),
          partial(multiply_inverse_size(fitted.n_, static_cast<int>(most)), fitted.stream_) {
        self.invert(session);
    }

    void operator()(ConstMatrix x, double* value, krige::Matrix slope) {
        if (self.inverse_.size() == 0) return self.score(x, acquisition, value, slope);
        evaluate(x, value, slope);
    }

    void evaluate(ConstMatrix x, double* value, krige::Matrix slope) {
        const Metric metric = self.metric_.view();
        const Stream& stream = self.stream_;
        HostUse use(stream);  // of points that are the search's own
        const DevicePoints<double> candidates(x, metric, stream);
        const int m = candidates.count();
        const Matrices<const double> inverse{self.inverse_.data(), self.stride_};
        const Matrices<double> kernel{panel.data(), self.stride_};
        const Matrices<double> solved{panel.data() + m * self.stride_, self.stride_};
        double* by_mean = results.data() + m;
        double* by_solved = results.data() + index_t{2} * m;
        double* slopes = results.data() + index_t{3} * m;
        kernel_panel(session.id(), metric, candidates.view(), self.points_.view(), kernel);
        check_launch("kernel_panel");
        multiply_inverse(session.id(), inverse, self.n_, kernel, m, false, partial.data(), solved);
        check_launch("multiply_inverse");
        posterior_score<double>(session.id(), metric, acquisition, solved, m, self.n_,
                                self.z_.data(), results.data(), by_mean, by_solved);
        check_launch("posterior_score");
        multiply_inverse(session.id(), inverse, self.n_, solved, m, true, partial.data(), kernel);
        check_launch("multiply_inverse");
        posterior_gradient(session.id(), metric, candidates.view(), self.points_.view(), kernel,
                           self.alpha_.data(), by_mean, by_solved, workspace.data(), slopes);
        check_launch("posterior_gradient");
        to_host(value, results.data(), m, stream);
        to_host(slope.data, slopes, m * x.cols, stream);
        use.synchronise();
    }

    const Fitted& self;
    Acquisition acquisition;
    Session session;
    DeviceArray<double> panel;      // kernel rows, then their solutions
    DeviceArray<double> results;    // value, by_mean, by_solved (m), then gradient (m, d)
    DeviceArray<double> workspace;  // of the gradient
    DeviceArray<double> partial;    // sums of multiply_inverse
};

void Fitted::ascend(const Acquisition& acquisition, const krige::Penalty* penalty,
                    ConstMatrix lower, ConstMatrix upper, const krige::Effort& effort,
                    krige::Matrix x, double* value) const {
    if (x.rows == 0) return;
    Climb climb(*this, acquisition, x.rows);
    const krige::Function score = [&climb](ConstMatrix points, double* f, krige::Matrix slope) {
        climb(points, f, slope);
    };
    krige::climb(score, penalty, lower, upper, effort, x, value);
}

}  // namespace krige_cuda
