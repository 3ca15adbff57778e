// Errors of the GPU as one exception; its text says what was asked for, what came and what to do.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <stdexcept>
#include <string>

namespace krige_cuda {

// The GPU cannot do what it was asked to: it is absent, out of memory or lost, or a library is.
class Unavailable : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

// Throws unless `status` is success; `action` names what was tried, such as "copying to the GPU".
void check(cudaError_t status, const char* action);

// Throws if a kernel launched just before was refused.
void check_launch(const char* kernel);

// Throws unless the status of a call of cuBLAS or cuSOLVER is 0.
void check_library(int status, const char* function);

// What is thrown where `asked` bytes of device memory are not to be had.
Unavailable out_of_memory(std::size_t asked);

// "1.5 GiB"
std::string bytes_text(std::size_t bytes);

}  // namespace krige_cuda
