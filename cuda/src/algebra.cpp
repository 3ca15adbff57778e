#include "krige_cuda/algebra.hpp"

#include <limits>
#include <stdexcept>
#include <string>

namespace krige_cuda {
namespace {

constexpr int solver_from = 1024;  // below it one launch of ours costs less than cuSOLVER's many
constexpr int largest_square = 46336;  // whose rows are padded to multiples of 16 numbers
constexpr double one = 1.0;
constexpr double minus_one = -1.0;

// the strides of a library's calls are int
int leading(index_t stride) { return static_cast<int>(stride); }

// cuSOLVER's functions count a matrix's numbers, and those of their workspace, in an int
void require_countable(Matrices<double> a, int n) {
    if (n * a.stride <= std::numeric_limits<int>::max()) return;
    throw std::length_error("cuSOLVER: expected a matrix of at most 2147483647 numbers, such as " +
                            std::to_string(largest_square) + " rows of as many, got " +
                            std::to_string(n) + " rows of " + std::to_string(a.stride) +
                            "; take fewer points, or compute on the processor: "
                            "KRIGETUNER_BACKEND=cpp");
}

index_t first_failed(const Session& session, const DeviceArray<int>& status, int offset) {
    int found = 0;
    to_host(&found, status.data(), 1, session.stream());
    session.stream().synchronise();
    return found + offset;
}

index_t factor_small(const Session& session, Matrices<double> a, int n) {
    DeviceArray<int> failed(1, session.stream());
    DeviceArray<double> blocks(block_inverses_size(n, 1), session.stream());
    factor(session.id(), a, n, failed.data(), blocks.data());
    check_launch("factor");
    return first_failed(session, failed, 0);
}

}  // namespace

index_t factor_and_wait(const Session& session, Matrices<double> a, int n) {
    if (n < solver_from) return factor_small(session, a, n);
    require_countable(a, n);
    const Libraries& library = libraries();
    const int stride = leading(a.stride);
    int size = 0;
    check_library(
        library.cusolverDnDpotrf_bufferSize(session.solver(), fill_upper, n, a.data, stride, &size),
        "cusolverDnDpotrf_bufferSize");
    DeviceArray<double> workspace(size, session.stream());
    DeviceArray<int> info(1, session.stream());
    check_library(library.cusolverDnDpotrf(session.solver(), fill_upper, n, a.data, stride,
                                           workspace.data(), size, info.data()),
                  "cusolverDnDpotrf");
    return first_failed(session, info, -1);  // 0 is success there, and counting starts from 1
}

void invert_from_factor(const Session& session, Matrices<double> l, int n) {
    require_countable(l, n);
    const Libraries& library = libraries();
    const int stride = leading(l.stride);
    int size = 0;
    check_library(
        library.cusolverDnDpotri_bufferSize(session.solver(), fill_upper, n, l.data, stride, &size),
        "cusolverDnDpotri_bufferSize");
    DeviceArray<double> workspace(size, session.stream());
    DeviceArray<int> info(1, session.stream());
    check_library(library.cusolverDnDpotri(session.solver(), fill_upper, n, l.data, stride,
                                           workspace.data(), size, info.data()),
                  "cusolverDnDpotri");
}

void solve_rows(const Session& session, Matrices<const double> l, int n, Matrices<double> panel,
                int m, bool transpose) {
    if (m == 0) return;
    check_library(libraries().cublasDtrsm_v2(
                      session.blas(), left, fill_upper, transpose ? as_is : transposed, non_unit, n,
                      m, &one, l.data, leading(l.stride), panel.data, leading(panel.stride)),
                  "cublasDtrsm");
}

void solve_rows(const Session& session, Matrices<const float> l, int n, Matrices<float> panel,
                int m, bool transpose) {
    if (m == 0) return;
    const float one_float = 1.0F;
    check_library(libraries().cublasStrsm_v2(
                      session.blas(), left, fill_upper, transpose ? as_is : transposed, non_unit, n,
                      m, &one_float, l.data, leading(l.stride), panel.data, leading(panel.stride)),
                  "cublasStrsm");
}

void solve_vector(const Session& session, Matrices<const double> l, int n, double* v,
                  bool transpose) {
    check_library(
        libraries().cublasDtrsv_v2(session.blas(), fill_upper, transpose ? as_is : transposed,
                                   non_unit, n, l.data, leading(l.stride), v, 1),
        "cublasDtrsv");
}

void subtract_product(const Session& session, Matrices<const double> a, int m, int n,
                      Matrices<double> c) {
    check_library(
        libraries().cublasDsyrk_v2(session.blas(), fill_upper, transposed, m, n, &minus_one, a.data,
                                   leading(a.stride), &one, c.data, leading(c.stride)),
        "cublasDsyrk");
}

void multiply_rows(const Session& session, Matrices<const double> l, int m, const double* rows,
                   int s, double* out) {
    if (s == 0) return;
    check_library(
        libraries().cublasDtrmm_v2(session.blas(), left, fill_upper, transposed, non_unit, m, s,
                                   &one, l.data, leading(l.stride), rows, m, out, m),
        "cublasDtrmm");
}

}  // namespace krige_cuda
