// Device memory that frees itself, from CuPy's pool where the binding has set one, else from a pool
// of our own (cudaMallocFromPoolAsync).
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <memory>
#include <utility>

#include "krige/view.hpp"
#include "krige_cuda/device.hpp"

namespace krige_cuda {

using krige::index_t;

// A block in use: where it is, and what its allocator needs to take it back.
struct Block {
    void* data = nullptr;
    std::size_t bytes = 0;
    void* token = nullptr;
};

// Gives and takes memory in the order of a stream's work: what is given back may be given out again
// to the same stream while that still works on it.
class Allocator {
  public:
    virtual ~Allocator() = default;
    // throws Unavailable, naming the bytes asked and free, where there is not enough
    virtual Block take(std::size_t bytes, const Stream& stream) = 0;
    virtual void give(const Block& block, const Stream& stream) noexcept = 0;
};

// The allocator of what follows in this process; never null. What was taken before goes back to
// where it came from.
std::shared_ptr<Allocator> allocator();
void set_allocator(std::shared_ptr<Allocator> chosen);  // null: the pool of our own

// Bytes that workspaces may take at most: KRIGETUNER_CUDA_MEMORY, or 2 GiB. Results of `fit` come
// on top.
std::size_t workspace_limit() noexcept;
void set_workspace_limit(std::size_t bytes) noexcept;

// Uninitialised device memory for `count` values; the stream must outlive it.
template <class T>
class DeviceArray {
  public:
    DeviceArray() = default;
    DeviceArray(index_t count, const Stream& stream)
        : source_(allocator()),
          stream_(&stream),
          count_(count),
          block_(
              source_->take(static_cast<std::size_t>(count > 0 ? count : 1) * sizeof(T), stream)) {}
    DeviceArray(DeviceArray&& other) noexcept { swap(other); }
    DeviceArray& operator=(DeviceArray&& other) noexcept {
        DeviceArray moved(std::move(other));
        swap(moved);
        return *this;
    }
    ~DeviceArray() {
        if (block_.data != nullptr && !is_fork()) source_->give(block_, *stream_);
    }

    T* data() noexcept { return static_cast<T*>(block_.data); }
    const T* data() const noexcept { return static_cast<const T*>(block_.data); }
    index_t size() const noexcept { return count_; }

  private:
    void swap(DeviceArray& other) noexcept {
        std::swap(source_, other.source_);
        std::swap(stream_, other.stream_);
        std::swap(count_, other.count_);
        std::swap(block_, other.block_);
    }

    std::shared_ptr<Allocator> source_;
    const Stream* stream_ = nullptr;
    index_t count_ = 0;
    Block block_;
};

// Waits at its end for the stream, so that memory of the host which is older may go: also where an
// exception has left copies of it behind.
class HostUse {
  public:
    explicit HostUse(const Stream& stream) noexcept : stream_(&stream) {}
    ~HostUse() {
        if (waiting_) stream_->wait();
    }
    HostUse(const HostUse&) = delete;
    HostUse& operator=(const HostUse&) = delete;

    // waits now
    void synchronise() {
        stream_->synchronise();
        waiting_ = false;
    }

  private:
    const Stream* stream_;
    bool waiting_ = true;
};

// Where the GPU reads the memory of the host itself, `from` may be read until the stream is
// synchronised.
template <class T>
void to_device(T* to, const T* from, index_t count, const Stream& stream) {
    if (count == 0) return;
    check(cudaMemcpyAsync(to, from, static_cast<std::size_t>(count) * sizeof(T),
                          cudaMemcpyHostToDevice, stream.get()),
          "copying to the GPU");
}

// Not complete before the stream is synchronised.
template <class T>
void to_host(T* to, const T* from, index_t count, const Stream& stream) {
    if (count == 0) return;
    check(cudaMemcpyAsync(to, from, static_cast<std::size_t>(count) * sizeof(T),
                          cudaMemcpyDeviceToHost, stream.get()),
          "copying from the GPU");
}

template <class T>
void clear(T* values, index_t count, const Stream& stream) {
    if (count == 0) return;
    check(cudaMemsetAsync(values, 0, static_cast<std::size_t>(count) * sizeof(T), stream.get()),
          "clearing memory on the GPU");
}

template <class T>
void copy_within(T* to, const T* from, index_t count, const Stream& stream) {
    if (count == 0) return;
    check(cudaMemcpyAsync(to, from, static_cast<std::size_t>(count) * sizeof(T),
                          cudaMemcpyDeviceToDevice, stream.get()),
          "copying on the GPU");
}

}  // namespace krige_cuda
