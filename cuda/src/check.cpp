#include "krige_cuda/check.hpp"

#include <array>
#include <cstdio>

namespace krige_cuda {
namespace {

constexpr const char* other_cores = "or compute on the processor: KRIGETUNER_BACKEND=cpp";

// after these the process cannot use the GPU any more
bool is_lost(cudaError_t status) {
    constexpr std::array<cudaError_t, 8> lost = {
        cudaErrorIllegalAddress,     cudaErrorLaunchFailure,      cudaErrorECCUncorrectable,
        cudaErrorIllegalInstruction, cudaErrorMisalignedAddress,  cudaErrorHardwareStackError,
        cudaErrorLaunchTimeout,      cudaErrorDeviceUninitialized};
    for (const cudaError_t one : lost)
        if (status == one) return true;
    return false;
}

std::string remedy(cudaError_t status) {
    if (is_lost(status)) {
        return std::string("the GPU is lost to this process: start it again, ") + other_cores;
    }
    if (status == cudaErrorNoKernelImageForDevice) {
        return std::string("build for this GPU: CMAKE_CUDA_ARCHITECTURES=native, ") + other_cores;
    }
    return std::string("see nvidia-smi, ") + other_cores;
}

}  // namespace

std::string bytes_text(std::size_t bytes) {
    static constexpr std::array<const char*, 5> units = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    double size = static_cast<double>(bytes);
    std::size_t unit = 0;
    while (size >= 1024.0 && unit + 1 < units.size()) {
        size /= 1024.0;
        ++unit;
    }
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), unit == 0 ? "%.0f %s" : "%.1f %s", size, units[unit]);
    return text.data();
}

Unavailable out_of_memory(std::size_t asked) {
    std::size_t free = 0;
    std::size_t total = 0;
    if (cudaMemGetInfo(&free, &total) != cudaSuccess) cudaGetLastError();
    return Unavailable("GPU memory: expected " + bytes_text(asked) + ", got " + bytes_text(free) +
                       " free of " + bytes_text(total) +
                       "; end other programs on this GPU, lower KRIGETUNER_CUDA_MEMORY, choose "
                       "another with KRIGETUNER_CUDA_DEVICE, " +
                       other_cores);
}

void check(cudaError_t status, const char* action) {
    if (status == cudaSuccess) return;
    cudaGetLastError();  // the next call shall not report it again
    throw Unavailable(std::string("GPU: expected ") + action + " to work, got " +
                      cudaGetErrorName(status) + " (" + cudaGetErrorString(status) + "); " +
                      remedy(status));
}

void check_launch(const char* kernel) { check(cudaGetLastError(), kernel); }

void check_library(int status, const char* function) {
    if (status == 0) return;
    std::size_t free = 0;
    std::size_t total = 0;
    if (cudaMemGetInfo(&free, &total) != cudaSuccess) cudaGetLastError();
    throw Unavailable(std::string(function) + ": expected status 0, got " + std::to_string(status) +
                      " with " + bytes_text(free) + " free of " + bytes_text(total) +
                      "; the GPU may be lost or out of memory: see nvidia-smi, " + other_cores);
}

}  // namespace krige_cuda
