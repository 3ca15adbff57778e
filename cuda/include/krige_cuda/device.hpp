// Which GPU computes, whether one can, and its streams.
#pragma once

#include <cuda_runtime.h>

#include <memory>
#include <string>

#include "krige_cuda/check.hpp"

namespace krige_cuda {

// Why no GPU can be used in this process, or an empty text: no driver, an old one, no GPU, a GPU
// older than what was compiled for, a fork of a process that had used one.
std::string why_unavailable();

int device_count() noexcept;

struct DeviceText {
    std::string name;
    int major;
    int minor;
    std::size_t memory;
};
DeviceText describe(int device);

// Bytes that are free on a GPU, whoever has the others: what a pool keeps is not free.
std::size_t free_memory(int device);

// Throws Unavailable unless this GPU can be used here: the reasons above, or an index out of range.
void require(int device);

// Makes a GPU current for this thread, and the former one again at its end.
class DeviceScope {
  public:
    explicit DeviceScope(int device);
    ~DeviceScope();
    DeviceScope(const DeviceScope&) = delete;
    DeviceScope& operator=(const DeviceScope&) = delete;

  private:
    int device_;
    int former_ = 0;
};

// A stream of a GPU that waits for no other, borrowed from those that are idle: pools of memory
// keep blocks per stream, so that streams are used again, never destroyed.
class Stream {
  public:
    explicit Stream(int device);
    ~Stream();
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;

    int device() const noexcept { return device_; }
    cudaStream_t get() const noexcept { return stream_; }
    void synchronise() const;
    void wait() const noexcept;  // the same, in silence: for the end of what the stream works on

  private:
    int device_;
    cudaStream_t stream_ = nullptr;
};

// True in a process that was forked from one that had used the GPU: nothing of CUDA works there,
// not even giving memory back.
bool is_fork() noexcept;

}  // namespace krige_cuda
