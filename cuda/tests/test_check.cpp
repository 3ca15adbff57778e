#include <doctest/doctest.h>

#include <string>

#include "krige_cuda/check.hpp"

using namespace krige_cuda;

namespace {

std::string told(cudaError_t status) {
    try {
        check(status, "choosing a GPU");
    } catch (const Unavailable& error) {
        return error.what();
    }
    return "";
}

}  // namespace

TEST_CASE("what to do about a GPU that fails") {
    CHECK(told(cudaSuccess) == "");
    CHECK(told(cudaErrorLaunchFailure).find("lost to this process: start it again") !=
          std::string::npos);
    CHECK(told(cudaErrorNoKernelImageForDevice).find("CMAKE_CUDA_ARCHITECTURES=native") !=
          std::string::npos);
    // another process has it for itself: a new start of this one would change nothing
    CHECK(told(cudaErrorDevicesUnavailable).find("see nvidia-smi") != std::string::npos);
}
