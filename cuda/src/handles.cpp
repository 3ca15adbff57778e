// Handles of cuBLAS and cuSOLVER that wait for their next use.
#include <map>
#include <mutex>
#include <tuple>

#include "krige_cuda/libraries.hpp"

namespace krige_cuda {
namespace {

struct IdleHandles {
    std::mutex mutex;
    std::map<int, std::vector<std::pair<BlasHandle, SolverHandle>>> pairs;
};

// never destroyed: the libraries may end before it would
IdleHandles& idle() {
    static IdleHandles* const made = new IdleHandles;
    return *made;
}

}  // namespace

// One that was idle, or nothing yet; afterwards it is idle, also where the set-up of a part of it
// has failed: what is missing is made at its next use.
struct Handles::Pair {
    explicit Pair(int of) : device(of) {
        IdleHandles& rest = idle();
        const std::lock_guard<std::mutex> lock(rest.mutex);
        auto& pairs = rest.pairs[device];
        if (pairs.empty()) return;
        std::tie(blas, solver) = pairs.back();
        pairs.pop_back();
    }
    ~Pair() {
        if (blas == nullptr) return;
        IdleHandles& rest = idle();
        const std::lock_guard<std::mutex> lock(rest.mutex);
        rest.pairs[device].emplace_back(blas, solver);
    }
    Pair(const Pair&) = delete;
    Pair& operator=(const Pair&) = delete;

    void complete(const Libraries& library) {
        if (blas == nullptr) {
            BlasHandle made = nullptr;
            check_library(library.cublasCreate_v2(&made), "cublasCreate");
            blas = made;
        }
        if (solver == nullptr) {
            SolverHandle made = nullptr;
            check_library(library.cusolverDnCreate(&made), "cusolverDnCreate");
            solver = made;
        }
    }

    int device;
    BlasHandle blas = nullptr;
    SolverHandle solver = nullptr;
};

Handles::Handles(const Stream& stream)
    : pair_(std::make_unique<Pair>(stream.device())), workspace_(libraries().workspace, stream) {
    const Libraries& library = libraries();
    pair_->complete(library);
    check_library(library.cublasSetStream_v2(pair_->blas, stream.get()), "cublasSetStream");
    check_library(library.cublasSetWorkspace_v2(pair_->blas, workspace_.data(),
                                                static_cast<std::size_t>(library.workspace)),
                  "cublasSetWorkspace");
    check_library(library.cusolverDnSetStream(pair_->solver, stream.get()), "cusolverDnSetStream");
}

Handles::~Handles() = default;

BlasHandle Handles::blas() const noexcept { return pair_->blas; }
SolverHandle Handles::solver() const noexcept { return pair_->solver; }

}  // namespace krige_cuda
