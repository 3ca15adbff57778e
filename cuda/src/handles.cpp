// Handles of cuBLAS and cuSOLVER that wait for their next use.
#include <map>
#include <mutex>

#include "krige_cuda/libraries.hpp"

namespace krige_cuda {
struct Handles::Pair {
    BlasHandle blas = nullptr;
    SolverHandle solver = nullptr;
};

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

Handles::Handles(const Stream& stream)
    : pair_(std::make_unique<Pair>()),
      device_(stream.device()),
      workspace_(libraries().workspace, stream) {
    const Libraries& library = libraries();
    {
        IdleHandles& rest = idle();
        const std::lock_guard<std::mutex> lock(rest.mutex);
        auto& pairs = rest.pairs[device_];
        if (!pairs.empty()) {
            pair_->blas = pairs.back().first;
            pair_->solver = pairs.back().second;
            pairs.pop_back();
        }
    }
    if (pair_->blas == nullptr) {
        check_library(library.cublasCreate_v2(&pair_->blas), "cublasCreate");
        check_library(library.cusolverDnCreate(&pair_->solver), "cusolverDnCreate");
    }
    check_library(library.cublasSetStream_v2(pair_->blas, stream.get()), "cublasSetStream");
    check_library(library.cublasSetWorkspace_v2(pair_->blas, workspace_.data(),
                                                static_cast<std::size_t>(library.workspace)),
                  "cublasSetWorkspace");
    check_library(library.cusolverDnSetStream(pair_->solver, stream.get()), "cusolverDnSetStream");
}

Handles::~Handles() {
    IdleHandles& rest = idle();
    const std::lock_guard<std::mutex> lock(rest.mutex);
    rest.pairs[device_].emplace_back(pair_->blas, pair_->solver);
}

BlasHandle Handles::blas() const noexcept { return pair_->blas; }
SolverHandle Handles::solver() const noexcept { return pair_->solver; }

}  // namespace krige_cuda
