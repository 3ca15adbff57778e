// The core's kernels beside the machine's multiply-add peak, one core unless --threads is given:
//   krige_bench [--json] [--peak] [--large] [--threads N] [--seconds S] [n ...]
//   krige_bench --cuda [--seconds S] [n ...]     the CUDA core, where it is built (KRIGE_CUDA=ON)
// Every time is the tenth percentile of as many runs as fit into S seconds (default 0.2): processor
// time of the thread, or wall time with more than one thread. Floating-point operations are counted
// as the algorithms need them (flops below), not as executed.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <functional>
#include <iomanip>
#include <iostream>
#include <random>
#include <string>
#include <vector>

#include "krige/cholesky.hpp"
#include "krige/hyper.hpp"
#include "krige/kernel.hpp"
#include "krige/likelihood.hpp"
#include "krige/matmul.hpp"
#include "krige/parallel.hpp"
#include "krige/posterior.hpp"
#include "krige/simd.hpp"
#include "levels/peak.hpp"
#ifdef KRIGE_CUDA
#include "cuda_bench.hpp"
#endif

namespace {

using namespace krige;
using Values = std::vector<double>;

struct Options {
    bool json = false;
    bool large = false;
    bool peak_only = false;
    bool cuda = false;
    double seconds = 0.2;
    std::vector<index_t> sizes;
};

struct Row {
    std::string name;
    index_t n;
    index_t d;
    double seconds;
    double flops;
    double entries;  // kernel entries built, or 0
};

double now() {
#if defined(CLOCK_THREAD_CPUTIME_ID)
    if (threads() == 1) {
        timespec time{};
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
        return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
    }
#endif
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

// time of work(), in seconds: the tenth percentile, since the least one of a shared machine is
// sometimes too small to be true; prepare() before each run is not counted
double typical_time(double budget, const std::function<void()>& prepare,
                    const std::function<void()>& work) {
    Values times;
    double spent = 0;
    for (int run = 0; run < 3 || (spent < budget && run < 100000); ++run) {
        prepare();
        const double start = now();
        work();
        const double taken = now() - start;
        spent += std::max(taken, 1e-7);
        if (run > 0) times.push_back(taken);
    }
    const auto tenth = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 10);
    std::nth_element(times.begin(), tenth, times.end());
    return *tenth;
}

double peak(double budget) {
    double sink[4] = {1.0, 0.999999, 1e-6, 0.0};
    double flops = 0;
    const double seconds =
        typical_time(budget, [] {}, [&] { flops = KRIGE_CALL(multiply_adds)(400, sink); });
    return flops / seconds;
}

// A problem of n points in d dimensions.
struct Problem {
    index_t n, d;
    Values x, y, noise, lengthscales;
    std::vector<std::uint8_t> categorical;
    Hyper hyper;

    Problem(index_t points, index_t dimensions)
        : n(points),
          d(dimensions),
          x(count(points * dimensions)),
          y(count(points)),
          noise(count(points), 0.01),
          lengthscales(count(dimensions), 0.3 * std::sqrt(static_cast<double>(dimensions))),
          categorical(count(dimensions), 0),
          hyper{Family::matern52, dimensions, lengthscales.data(), categorical.data(), 1.0} {
        std::mt19937_64 engine(7);
        std::uniform_real_distribution<double> uniform(0, 1);
        for (double& value : x) value = uniform(engine);
        for (double& value : y) value = uniform(engine) - 0.5;
    }

    static std::size_t count(index_t size) { return static_cast<std::size_t>(size); }
    ConstMatrix points() const { return {x.data(), n, d, d}; }
};

class Bench {
  public:
    Bench(const Options& options, std::vector<Row>& rows) : options_(options), rows_(rows) {}

    void run(index_t n) {
        kernel(n, 8);
        kernel(n, 32);
        linear_algebra(n);
        likelihood(n);
        posterior(n);
    }

  private:
    void add(
        const char* name, index_t n, index_t d, double flops, double entries,
        const std::function<void()>& work, const std::function<void()>& prepare = [] {}) {
        rows_.push_back(
            {name, n, d, typical_time(options_.seconds, prepare, work), flops, entries});
    }

    void kernel(index_t n, index_t d) {
        const Problem problem(n, d);
        const Metric metric(problem.hyper);
        const Points points(problem.points(), metric);
        const index_t stride = padded_stride(n);
        Values out(Problem::count(n * stride));
        const double entries = static_cast<double>(n * (n + 1) / 2);
        add("kernel, lower", n, d, entries * static_cast<double>(3 * d + 34), entries,
            [&] { kernel_lower(points, metric, {out.data(), n, n, stride}); });
    }

    void linear_algebra(index_t n) {
        const index_t stride = padded_stride(n);
        constexpr index_t sides = 256;
        std::mt19937_64 engine(3);
        std::uniform_real_distribution<double> uniform(-0.5, 0.5);
        Values covariance(Problem::count(n * stride));
        for (double& value : covariance)
            value = uniform(engine) / std::sqrt(static_cast<double>(n));
        for (index_t i = 0; i < n; ++i) covariance[Problem::count(i * stride + i)] = 3;
        Values factor = covariance;
        Values right(Problem::count(n * sides), 0.5);
        Values inverse(covariance.size());
        Values work = right;
        const Matrix l{factor.data(), n, n, stride};
        const Matrix b{work.data(), n, sides, sides};
        const double cube = std::pow(static_cast<double>(n), 3);
        const double square = static_cast<double>(n * n);
        add("cholesky", n, 0, cube / 3, 0, [&] { cholesky(l); }, [&] { factor = covariance; });
        add(
            "solve, 256 sides", n, 0, square * sides, 0, [&] { solve_lower(l, b); },
            [&] { work = right; });
        add("inverse from factor", n, 0, 2 * cube / 3, 0,
            [&] { inverse_from_cholesky(l, {inverse.data(), n, n, stride}); });
    }

    void likelihood(index_t n) {
        const Problem p(n, 8);
        Values gradient(Problem::count(p.d + 1));
        Values by_noise(Problem::count(n));
        const double size = static_cast<double>(n);
        const double flops = size * size * size + 2 * size * size +
                             size * size / 2 * static_cast<double>(6 * p.d + 40);
        add("likelihood, gradient", n, p.d, flops, 0, [&] {
            log_likelihood(p.points(), p.y.data(), p.noise.data(), p.hyper, gradient.data(),
                           by_noise.data());
        });
    }

    void posterior(index_t n) {
        constexpr index_t many = 10000;
        constexpr index_t few = 16;
        const Problem p(n, 8);
        const Problem candidates(many, p.d);
        const Posterior fitted(p.points(), p.y.data(), p.noise.data(), p.hyper, 1e-10);
        Values mean(many);
        Values variance(many);
        Values gradient(Problem::count(few * p.d));
        const double size = static_cast<double>(n);
        const double dimensions = static_cast<double>(p.d);
        add("posterior, 10000 points", n, p.d, many * (size * size + size * (3 * dimensions + 38)),
            0, [&] { fitted.predict(candidates.points(), mean.data(), variance.data()); });
        const ConstMatrix start = candidates.points().block(0, 0, few, p.d);
        add("EI, gradient, 16 points", n, p.d,
            few * (2 * size * size + size * (6 * dimensions + 40)), 0, [&] {
                fitted.score(start, {AcquisitionKind::ei, -0.1, 0, 0}, mean.data(),
                             {gradient.data(), few, p.d, p.d});
            });
    }

    const Options& options_;
    std::vector<Row>& rows_;
};

void print_table(std::ostream& out, const std::vector<Row>& rows, double best) {
    out << std::left << std::setw(26) << "" << std::right << std::setw(6) << "n" << std::setw(4)
        << "d" << std::setw(13) << "microseconds" << std::setw(10) << "GFLOP/s" << std::setw(9)
        << "of peak" << std::setw(10) << "ns/entry" << '\n';
    for (const Row& row : rows) {
        out << std::left << std::setw(26) << row.name << std::right << std::setw(6) << row.n
            << std::setw(4) << row.d << std::fixed << std::setprecision(1) << std::setw(13)
            << row.seconds * 1e6 << std::setw(10) << row.flops / row.seconds * 1e-9 << std::setw(7)
            << std::setprecision(0) << 100 * row.flops / row.seconds / best << " %";
        if (row.entries > 0)
            out << std::setprecision(2) << std::setw(10) << row.seconds / row.entries * 1e9;
        out << '\n';
    }
}

void print_json(std::ostream& out, const std::vector<Row>& rows, double best, const Values& peaks) {
    out << "{\"level\": \"" << simd::name(simd::level()) << "\", \"threads\": " << threads()
        << ", \"peak_gflops\": " << best / threads() * 1e-9 << ", \"peaks\": {";
    for (std::size_t i = 0; i < peaks.size(); ++i)
        out << (i ? ", " : "") << '"' << simd::name(static_cast<simd::Level>(i))
            << "\": " << peaks[i];
    out << "}, \"rows\": [";
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const Row& row = rows[i];
        out << (i ? ",\n  " : "\n  ") << "{\"name\": \"" << row.name << "\", \"n\": " << row.n
            << ", \"d\": " << row.d << ", \"seconds\": " << row.seconds
            << ", \"flops\": " << row.flops
            << ", \"share_of_peak\": " << row.flops / row.seconds / best << "}";
    }
    out << "\n]}\n";
}

Options parse(int count, char** words) {
    Options options;
    for (int i = 1; i < count; ++i) {
        const std::string word = words[i];
        const char* next = i + 1 < count ? words[i + 1] : "0";
        if (word == "--json")
            options.json = true;
        else if (word == "--large")
            options.large = true;
        else if (word == "--peak")
            options.peak_only = true;
        else if (word == "--cuda")
            options.cuda = true;
        else if (word == "--threads")
            set_threads(std::atoi(next)), ++i;
        else if (word == "--seconds")
            options.seconds = std::atof(next), ++i;
        else if (std::atol(word.c_str()) > 0)
            options.sizes.push_back(std::atol(word.c_str()));
    }
    if (options.sizes.empty() && options.cuda)
        options.sizes = {300, 1000, 2000, 3000, 5000, 10000, 20000};
    if (options.sizes.empty()) options.sizes = {50, 100, 300, 1000, 2000};
    if (options.large) options.sizes.push_back(3000);
    return options;
}

int bench_cuda(const Options& options) {
#ifdef KRIGE_CUDA
    try {
        krige_cuda::bench({options.seconds, options.sizes}, std::cout);
        return 0;
    } catch (const std::exception& error) {
        std::cerr << error.what() << '\n';
    }
#else
    std::cerr << "the CUDA core is not built (" << options.sizes.size()
              << " sizes asked for): configure with -DKRIGE_CUDA=ON\n";
#endif
    return 1;
}

}  // namespace

int main(int count, char** words) {
    std::ostream& out = std::cout;
    const Options options = parse(count, words);
    if (options.cuda) return bench_cuda(options);
    const simd::Level level = simd::level();
    Values peaks;
    for (int i = 0; i <= static_cast<int>(simd::supported_level()); ++i) {
        simd::set_level(static_cast<simd::Level>(i));
        peaks.push_back(peak(options.seconds));
        if (!options.json)
            out << "multiply-add peak, one core, " << simd::name(simd::level()) << ": "
                << std::fixed << std::setprecision(1) << peaks.back() * 1e-9 << " GFLOP/s\n";
    }
    simd::set_level(level);
    const double best = peaks[static_cast<std::size_t>(level)] * threads();
    if (!options.json) out << "level " << simd::name(level) << ", threads " << threads() << "\n\n";
    std::vector<Row> rows;
    Bench bench(options, rows);
    if (!options.peak_only)
        for (index_t n : options.sizes) bench.run(n);
    if (options.json)
        print_json(out, rows, best, peaks);
    else if (!rows.empty())
        print_table(out, rows, best);
    return 0;
}
