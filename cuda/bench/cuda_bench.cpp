// Times are medians. The kernel matrix, the factorization alone, the matrix product and the copy
// are timed on the device, by events; verbs by the clock, with what they copy from and to the host.
#include "cuda_bench.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <iomanip>
#include <ostream>
#include <random>
#include <string>

#include "krige/likelihood.hpp"
#include "krige/parallel.hpp"
#include "krige/posterior.hpp"
#include "krige_cuda/fitted.hpp"
#include "krige_cuda/likelihoods.hpp"

namespace krige_cuda {
namespace {

using Values = std::vector<double>;
using Work = std::function<void()>;

constexpr int device = 0;
constexpr index_t candidates = 100000;
constexpr index_t starts = 16;
constexpr int restarts = 32;
constexpr index_t largest_for_restarts = 2000;
constexpr index_t largest_for_core = 3000;  // beyond it the processor takes minutes

std::size_t size(index_t count) { return static_cast<std::size_t>(count); }

double median(Values values) {
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
}

// seconds of work(), by a measuring function
double typical(double budget, const std::function<double()>& measure) {
    Values times;
    double spent = 0.0;
    measure();
    while (times.size() < 3 || (spent < budget && times.size() < 1000)) {
        times.push_back(measure());
        spent += times.back();
    }
    return median(times);
}

double by_clock(const Work& work) {
    const auto start = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

class Events {
  public:
    Events() {
        check(cudaEventCreate(&begin_), "making an event");
        check(cudaEventCreate(&end_), "making an event");
    }
    ~Events() {
        cudaEventDestroy(begin_);
        cudaEventDestroy(end_);
    }
    Events(const Events&) = delete;
    Events& operator=(const Events&) = delete;

    double seconds(const Stream& stream, const Work& work) {
        check(cudaEventRecord(begin_, stream.get()), "recording an event");
        work();
        check(cudaEventRecord(end_, stream.get()), "recording an event");
        check(cudaEventSynchronize(end_), "waiting for an event");
        float milliseconds = 0.0F;
        check(cudaEventElapsedTime(&milliseconds, begin_, end_), "reading an event");
        return 1e-3 * static_cast<double>(milliseconds);
    }

  private:
    cudaEvent_t begin_ = nullptr;
    cudaEvent_t end_ = nullptr;
};

struct Problem {
    index_t n, d;
    Values x, y, noise, lengthscales, more;
    std::vector<std::uint8_t> categorical;
    krige::Hyper hyper;

    Problem(index_t points, index_t dimensions)
        : n(points),
          d(dimensions),
          x(size(points * dimensions)),
          y(size(points)),
          noise(size(points), 0.01),
          lengthscales(size(dimensions), 0.3 * std::sqrt(static_cast<double>(dimensions))),
          more(size(candidates * dimensions)),
          categorical(size(dimensions), 0),
          hyper{Family::matern52, dimensions, lengthscales.data(), categorical.data(), 1.0} {
        std::mt19937_64 engine(7);
        std::uniform_real_distribution<double> uniform(0, 1);
        for (Values* values : {&x, &y, &more})
            for (double& value : *values) value = uniform(engine);
    }

    ConstMatrix points() const { return {x.data(), n, d, d}; }
    ConstMatrix queries(index_t m) const { return {more.data(), m, d, d}; }
};

class Bench {
  public:
    Bench(const BenchOptions& options, std::ostream& out)
        : options_(options), out_(out), stream_(device), session_(stream_) {}

    void rates() {
        constexpr int n = 8192;
        const double one = 1.0;
        const double zero = 0.0;
        DeviceArray<double> a(index_t{n} * n, stream_);
        DeviceArray<double> b(index_t{n} * n, stream_);
        DeviceArray<double> c(index_t{n} * n, stream_);
        // zeros would need less power, and be multiplied faster than numbers are
        std::mt19937_64 engine(7);
        std::uniform_real_distribution<double> uniform(0, 1);
        Values numbers(size(a.size()));
        for (double& value : numbers) value = uniform(engine);
        for (auto* array : {&a, &b}) to_device(array->data(), numbers.data(), a.size(), stream_);
        const double product = timed([&] {
            check_library(
                libraries().cublasDgemm_v2(session_.blas(), as_is, transposed, n, n, n, &one,
                                           a.data(), n, b.data(), n, &zero, c.data(), n),
                "cublasDgemm");
        });
        const double copy = timed([&] { copy_within(c.data(), a.data(), a.size(), stream_); });
        gemm_ = 2.0 * n * n * static_cast<double>(n) / product;
        bandwidth_ = 2.0 * sizeof(double) * static_cast<double>(a.size()) / copy;
        out_ << std::fixed << std::setprecision(1) << describe(device).name << ": dgemm "
             << gemm_ * 1e-12 << " TFLOP/s, copy " << bandwidth_ * 1e-12
             << " TB/s read and written; C++ core with " << krige::threads() << " threads\n\n";
        out_ << std::left << std::setw(32) << "" << std::right << std::setw(7) << "n"
             << std::setw(4) << "d" << std::setw(12) << "ms" << std::setw(12) << "GFLOP/s"
             << std::setw(11) << "of bound" << std::setw(14) << "C++ core, ms" << '\n';
    }

    void run(index_t n, index_t d) {
        const Problem p(n, d);
        const krige::Metric host(p.hyper);
        kernel_and_factor(p, host);
        fit(p);
        likelihood(p, host);
        scoring(p);
    }

  private:
    double timed(const Work& work) {
        return typical(options_.seconds, [&] { return events_.seconds(stream_, work); });
    }

    double clocked(const Work& work) {
        return typical(options_.seconds, [&] { return by_clock(work); });
    }

    // bound: seconds that the GPU's own rates allow; core: the C++ core's seconds, or 0
    void row(const std::string& name, const Problem& p, double seconds, double flops, double bound,
             double core = 0.0) {
        out_ << std::left << std::setw(32) << name << std::right << std::setw(7) << p.n
             << std::setw(4) << p.d << std::setprecision(3) << std::setw(12) << seconds * 1e3
             << std::setprecision(0) << std::setw(12) << flops / seconds * 1e-9 << std::setw(9)
             << 100.0 * bound / seconds << " %";
        if (core > 0.0) out_ << std::setprecision(3) << std::setw(14) << core * 1e3;
        out_ << std::endl;
    }

    void kernel_and_factor(const Problem& p, const krige::Metric& host) {
        const int n = static_cast<int>(p.n);
        const DeviceMetric metric(host, stream_);
        const DevicePoints<double> points(p.points(), metric.view(), stream_);
        DeviceArray<double> noise(p.n, stream_);
        to_device(noise.data(), p.noise.data(), p.n, stream_);
        const index_t stride = padded(p.n);
        DeviceArray<double> matrix(p.n * stride, stream_);
        const Matrices<double> view{matrix.data(), stride};
        const Work fill = [&] {
            kernel_lower(stream_.get(), metric.view(), points.view(), noise.data(), p.n, 0.0, view);
            check_launch("kernel_lower");
        };
        const double entries = 0.5 * static_cast<double>(p.n) * static_cast<double>(p.n + 1);
        const double flops = entries * static_cast<double>(3 * p.d + 34);
        // the vector units reach half of what the matrix units do
        const double bound = std::max(8.0 * entries / bandwidth_, flops / (0.5 * gemm_));
        row("kernel matrix, lower", p, timed(fill), flops, bound);
        const double cube = std::pow(static_cast<double>(p.n), 3) / 3.0;
        alone_ = typical(options_.seconds, [&] {
            fill();
            return events_.seconds(stream_, [&] { factor_and_wait(session_, view, n); });
        });
        row("Cholesky alone", p, alone_, cube, cube / gemm_);
    }

    void fit(const Problem& p) {
        const double seconds = clocked([&] {
            const Fitted fitted(device, p.points(), p.y.data(), p.noise.data(), p.hyper, 0.0);
        });
        double core = 0.0;
        if (p.n <= largest_for_core) {
            core = clocked([&] {
                const krige::Posterior fitted(p.points(), p.y.data(), p.noise.data(), p.hyper, 0.0);
            });
        }
        row("fit, share of Cholesky alone", p, seconds, std::pow(static_cast<double>(p.n), 3) / 3.0,
            alone_, core);
    }

    void likelihood(const Problem& p, const krige::Metric& host) {
        const int b = p.n <= largest_for_restarts ? restarts : 1;
        const std::vector<krige::Metric> settings(static_cast<std::size_t>(b), host);
        Values noise(size(b * p.n), 0.01);
        Values value(size(b));
        Values gradient(size(b * (p.d + 1)));
        Values by_noise(size(b * p.n));
        Likelihoods likelihoods(device, p.points(), p.y.data());
        const double seconds = clocked([&] {
            likelihoods.evaluate(settings, noise.data(),
                                 {value.data(), gradient.data(), by_noise.data()});
        });
        double core = 0.0;
        if (p.n <= largest_for_restarts) {
            core = clocked([&] {
                krige::parallel_for(b, [&](index_t i) {
                    krige::log_likelihood(p.points(), p.y.data(), noise.data(), p.hyper,
                                          gradient.data() + i * (p.d + 1),
                                          by_noise.data() + i * p.n);
                });
            });
        }
        const double flops = b * std::pow(static_cast<double>(p.n), 3);
        row("likelihood, gradient, b = " + std::to_string(b), p, seconds, flops, flops / gemm_,
            core);
    }

    void scoring(const Problem& p) {
        const Fitted fitted(device, p.points(), p.y.data(), p.noise.data(), p.hyper, 0.0);
        const Acquisition ei{krige::AcquisitionKind::ei, 0.1, 0.0, 0.0};
        Values value(size(candidates));
        Values slope(size(candidates * p.d));
        const double square = static_cast<double>(p.n) * static_cast<double>(p.n);
        const double flops = 2.0 * square * static_cast<double>(candidates);
        row("EI, gradient, m = 100000", p, clocked([&] {
                fitted.score(p.queries(candidates), ei, value.data(),
                             {slope.data(), candidates, p.d, p.d});
            }),
            flops, flops / gemm_);
        row("EI in single precision", p,
            clocked([&] { fitted.screen(p.queries(candidates), ei, value.data()); }), 0.5 * flops,
            0.5 * flops / gemm_);
        const Values lower(size(starts * p.d), 0.0);
        const Values upper(size(starts * p.d), 1.0);
        Values rows(p.more.begin(), p.more.begin() + static_cast<std::ptrdiff_t>(starts * p.d));
        const Values begin = rows;
        row("ascent, 16 starts, 60 steps", p, clocked([&] {
                rows = begin;
                fitted.ascend(ei, nullptr, {lower.data(), starts, p.d, p.d},
                              {upper.data(), starts, p.d, p.d}, {60, 1e-6, 1.0},
                              {rows.data(), starts, p.d, p.d}, value.data());
            }),
            0.0, 0.0);
    }

    const BenchOptions& options_;
    std::ostream& out_;
    Stream stream_;
    Session session_;
    Events events_;
    double gemm_ = 1.0;
    double bandwidth_ = 1.0;
    double alone_ = 0.0;
};

}  // namespace

void bench(const BenchOptions& options, std::ostream& out) {
    require(device);
    const DeviceScope scope(device);
    krige::set_threads(0);
    Bench all(options, out);
    all.rates();
    for (const index_t n : options.sizes)
        for (const index_t d : {index_t{8}, index_t{32}}) all.run(n, d);
}

}  // namespace krige_cuda
