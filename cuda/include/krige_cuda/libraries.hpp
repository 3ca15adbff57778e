// cuBLAS and cuSOLVER, found at run time: nothing of theirs is needed to build or to import. The
// declarations are those of their documented C interfaces; matrices are column-major there, so that
// our lower row-major triangle is their upper one.
#pragma once

#include <cuda_runtime.h>

#include <memory>
#include <string>
#include <vector>

#include "krige_cuda/memory.hpp"

struct cublasContext;
struct cusolverDnContext;

namespace krige_cuda {

using BlasHandle = cublasContext*;
using SolverHandle = cusolverDnContext*;

// values of cublasFillMode_t, cublasOperation_t, cublasSideMode_t, cublasDiagType_t
enum Fill : int { fill_lower = 0, fill_upper = 1 };
enum Operation : int { as_is = 0, transposed = 1 };
enum Side : int { left = 0, right = 1 };
enum Diagonal : int { non_unit = 0, unit = 1 };

// name, then parameters; each returns 0 where it worked
#define KRIGE_BLAS_FUNCTIONS(X)                                                                    \
    X(cublasCreate_v2, BlasHandle*)                                                                \
    X(cublasSetStream_v2, BlasHandle, cudaStream_t)                                                \
    X(cublasSetWorkspace_v2, BlasHandle, void*, std::size_t)                                       \
    X(cublasDgemm_v2, BlasHandle, int, int, int, int, int, const double*, const double*, int,      \
      const double*, int, const double*, double*, int)                                             \
    X(cublasDtrsm_v2, BlasHandle, int, int, int, int, int, int, const double*, const double*, int, \
      double*, int)                                                                                \
    X(cublasStrsm_v2, BlasHandle, int, int, int, int, int, int, const float*, const float*, int,   \
      float*, int)                                                                                 \
    X(cublasDtrsv_v2, BlasHandle, int, int, int, int, const double*, int, double*, int)            \
    X(cublasDtrmm_v2, BlasHandle, int, int, int, int, int, int, const double*, const double*, int, \
      const double*, int, double*, int)                                                            \
    X(cublasDsyrk_v2, BlasHandle, int, int, int, int, const double*, const double*, int,           \
      const double*, double*, int)
#define KRIGE_SOLVER_FUNCTIONS(X)                                                 \
    X(cusolverDnCreate, SolverHandle*)                                            \
    X(cusolverDnSetStream, SolverHandle, cudaStream_t)                            \
    X(cusolverDnDpotrf_bufferSize, SolverHandle, int, int, double*, int, int*)    \
    X(cusolverDnDpotrf, SolverHandle, int, int, double*, int, double*, int, int*) \
    X(cusolverDnDpotri_bufferSize, SolverHandle, int, int, double*, int, int*)    \
    X(cusolverDnDpotri, SolverHandle, int, int, double*, int, double*, int, int*)

struct Libraries {
#define KRIGE_MEMBER(name, ...) int (*name)(__VA_ARGS__) = nullptr;
    KRIGE_BLAS_FUNCTIONS(KRIGE_MEMBER)
    KRIGE_SOLVER_FUNCTIONS(KRIGE_MEMBER)
#undef KRIGE_MEMBER
    std::string blas;  // where each was found
    std::string solver;
    // Bytes that cuBLAS is given for each verb: what it asks for on a GPU of compute capability 9.
    // With a workspace of the caller's it takes none of its own, and two streams cannot meet in
    // one.
    index_t workspace = index_t{32} << 20;
};

// Loaded at the first call: those that are in the process already, else by name, else from the
// directories. Throws Unavailable, naming the package that has what is missing.
const Libraries& libraries();

// Where to look, in order, when the loader does not find them by name.
void set_library_directories(std::vector<std::string> directories);

// Handles of one verb in flight, borrowed from those that are idle, bound to a stream.
class Handles {
  public:
    explicit Handles(const Stream& stream);
    ~Handles();
    Handles(const Handles&) = delete;
    Handles& operator=(const Handles&) = delete;

    BlasHandle blas() const noexcept;
    SolverHandle solver() const noexcept;

  private:
    struct Pair;
    std::unique_ptr<Pair> pair_;
    DeviceArray<char> workspace_;
};

}  // namespace krige_cuda
