// The functions of cuBLAS and cuSOLVER that are used, computed by the C++ core: every other value
// of their arguments than those in use is refused.
#include "krige_cuda/libraries.hpp"

#include <algorithm>
#include <vector>

#include "krige/cholesky.hpp"
#include "krige/matmul.hpp"

namespace krige_cuda {
namespace {

using krige::ConstMatrix;
using krige::Matrix;

constexpr int not_initialised = 1;  // CUBLAS_STATUS_NOT_INITIALIZED
constexpr int invalid = 7;          // CUBLAS_STATUS_INVALID_VALUE

struct Tag {};
Tag tag;

// one more call that sets a library up: its status
int set_up() {
    std::atomic<long>& left = krige_emulation::machine().set_ups_until_lost;
    if (left.load() < 0) return 0;
    if (left.load() == 0) return not_initialised;
    --left;
    return 0;
}

template <class Handle>
int create(Handle* handle) {
    const int status = set_up();
    if (status != 0) return status;
    *handle = reinterpret_cast<Handle>(&tag);
    ++krige_emulation::machine().handles;
    return 0;
}
int set_blas_stream(BlasHandle handle, cudaStream_t) {
    return handle == nullptr ? invalid : set_up();
}
int set_solver_stream(SolverHandle handle, cudaStream_t) {
    return handle == nullptr ? invalid : set_up();
}
int set_workspace(BlasHandle handle, void* data, std::size_t bytes) {
    return handle == nullptr || data == nullptr || bytes == 0 ? invalid : set_up();
}

// columns of b (n, m), column-major, are rows of a row-major panel
int dtrsm(BlasHandle, int side, int fill, int operation, int diagonal, int n, int m,
          const double* alpha, const double* a, int lda, double* b, int ldb) {
    krige_emulation::finish_copies();
    if (side != left || fill != fill_upper || diagonal != non_unit || *alpha != 1.0 || lda < n ||
        ldb < n)
        return invalid;
    std::vector<double> columns(static_cast<std::size_t>(n) * static_cast<std::size_t>(m));
    const Matrix right{columns.data(), n, m, m};
    for (int c = 0; c < m; ++c)
        for (int i = 0; i < n; ++i) right(i, c) = b[index_t{c} * ldb + i];
    const ConstMatrix l{a, n, n, lda};
    if (operation == transposed) {
        krige::solve_lower(l, right);
    } else {
        krige::solve_lower_transposed(l, right);
    }
    for (int c = 0; c < m; ++c)
        for (int i = 0; i < n; ++i) b[index_t{c} * ldb + i] = right(i, c);
    return 0;
}

int strsm(BlasHandle, int side, int fill, int operation, int diagonal, int n, int m,
          const float* alpha, const float* a, int lda, float* b, int ldb) {
    krige_emulation::finish_copies();
    if (side != left || fill != fill_upper || diagonal != non_unit || *alpha != 1.0F ||
        operation != transposed || lda < n || ldb < n)
        return invalid;
    for (int c = 0; c < m; ++c) {
        float* column = b + index_t{c} * ldb;
        for (int i = 0; i < n; ++i) {
            float sum = column[i];
            for (int k = 0; k < i; ++k) sum -= a[index_t{i} * lda + k] * column[k];
            column[i] = sum / a[index_t{i} * lda + i];
        }
    }
    return 0;
}

int dtrsv(BlasHandle handle, int fill, int operation, int diagonal, int n, const double* a, int lda,
          double* x, int step) {
    const double one = 1.0;
    if (step != 1) return invalid;
    return dtrsm(handle, left, fill, operation, diagonal, n, 1, &one, a, lda, x, n);
}

int dtrmm(BlasHandle, int side, int fill, int operation, int diagonal, int n, int m,
          const double* alpha, const double* a, int lda, const double* b, int ldb, double* c,
          int ldc) {
    krige_emulation::finish_copies();
    if (side != left || fill != fill_upper || diagonal != non_unit || *alpha != 1.0 ||
        operation != transposed || lda < n || ldb < n || ldc < n)
        return invalid;
    for (int column = 0; column < m; ++column) {
        for (int i = 0; i < n; ++i) {
            double sum = 0.0;
            for (int k = 0; k <= i; ++k)
                sum += a[index_t{i} * lda + k] * b[index_t{column} * ldb + k];
            c[index_t{column} * ldc + i] = sum;
        }
    }
    return 0;
}

int dsyrk(BlasHandle, int fill, int operation, int n, int k, const double* alpha, const double* a,
          int lda, const double* beta, double* c, int ldc) {
    krige_emulation::finish_copies();
    if (fill != fill_upper || operation != transposed || *beta != 1.0 || lda < k || ldc < n)
        return invalid;
    krige::rank_update_lower(*alpha, {a, n, k, lda}, krige::Op::none, {c, n, n, ldc});
    return 0;
}

int dgemm(BlasHandle, int, int, int, int, int, const double*, const double*, int, const double*,
          int, const double*, double*, int) {
    return invalid;  // of the benchmark only
}

int workspace_size(SolverHandle, int fill, int n, double*, int lda, int* size) {
    *size = 1;
    return fill != fill_upper || lda < n ? invalid : 0;
}

int dpotrf(SolverHandle, int fill, int n, double* a, int lda, double* workspace, int size,
           int* info) {
    krige_emulation::finish_copies();
    if (fill != fill_upper || lda < n || workspace == nullptr || size < 1) return invalid;
    *info = static_cast<int>(krige::cholesky({a, n, n, lda})) + 1;
    return 0;
}

int dpotri(SolverHandle, int fill, int n, double* a, int lda, double* workspace, int size,
           int* info) {
    krige_emulation::finish_copies();
    if (fill != fill_upper || lda < n || workspace == nullptr || size < 1) return invalid;
    std::vector<double> inverse(static_cast<std::size_t>(n) * static_cast<std::size_t>(n));
    krige::inverse_from_cholesky({a, n, n, lda}, {inverse.data(), n, n, n});
    for (int i = 0; i < n; ++i)
        std::copy_n(inverse.data() + index_t{i} * n, i + 1, a + index_t{i} * lda);
    *info = 0;
    return 0;
}

Libraries table() {
    Libraries out;
    out.blas = out.solver = "emulation";
    out.workspace = 256;
    out.cublasCreate_v2 = create<BlasHandle>;
    out.cublasSetStream_v2 = set_blas_stream;
    out.cublasSetWorkspace_v2 = set_workspace;
    out.cublasDgemm_v2 = dgemm;
    out.cublasDtrsm_v2 = dtrsm;
    out.cublasStrsm_v2 = strsm;
    out.cublasDtrsv_v2 = dtrsv;
    out.cublasDtrmm_v2 = dtrmm;
    out.cublasDsyrk_v2 = dsyrk;
    out.cusolverDnCreate = create<SolverHandle>;
    out.cusolverDnSetStream = set_solver_stream;
    out.cusolverDnDpotrf_bufferSize = workspace_size;
    out.cusolverDnDpotrf = dpotrf;
    out.cusolverDnDpotri_bufferSize = workspace_size;
    out.cusolverDnDpotri = dpotri;
    return out;
}

}  // namespace

const Libraries& libraries() {
    static const Libraries made = table();
    return made;
}

void set_library_directories(std::vector<std::string>) {}

}  // namespace krige_cuda
