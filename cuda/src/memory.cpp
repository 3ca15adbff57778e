#include "krige_cuda/memory.hpp"

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>

namespace krige_cuda {
namespace {

constexpr std::size_t default_limit = std::size_t{2} << 30;

std::atomic<std::size_t> limit{default_limit};

// One pool per GPU beside the default one, whose settings belong to other libraries. Beside what is
// in use it keeps as much as a workspace needs; the rest goes back to the system.
class AsyncAllocator final : public Allocator {
  public:
    Block take(std::size_t bytes, const Stream& stream) override {
        Block block{nullptr, bytes, nullptr};
        const cudaError_t status =
            cudaMallocFromPoolAsync(&block.data, bytes, pool(stream.device()), stream.get());
        if (status == cudaErrorMemoryAllocation) {
            cudaGetLastError();
            return again(bytes, stream);
        }
        check(status, "taking device memory");
        return in_use(block, stream);
    }

    void give(const Block& block, const Stream& stream) noexcept override {
        // a lost device has taken its memory with it; there is nobody to tell
        if (cudaFreeAsync(block.data, stream.get()) != cudaSuccess) cudaGetLastError();
        const std::lock_guard<std::mutex> lock(mutex_);
        Pool& from = pools_[stream.device()];
        from.used -= block.bytes;
        if (!keep(from)) cudaGetLastError();
    }

  private:
    struct Pool {
        cudaMemPool_t handle = nullptr;
        std::size_t used = 0;
    };

    // the threshold counts what is in use too, and so it moves with that
    static bool keep(const Pool& pool) noexcept {
        std::uint64_t kept = pool.used + limit.load();
        return cudaMemPoolSetAttribute(pool.handle, cudaMemPoolAttrReleaseThreshold, &kept) ==
               cudaSuccess;
    }

    Block in_use(const Block& block, const Stream& stream) {
        const std::lock_guard<std::mutex> lock(mutex_);
        Pool& from = pools_[stream.device()];
        from.used += block.bytes;
        if (!keep(from)) cudaGetLastError();  // then it gives back more than it must
        return block;
    }

    // what this process has freed may still be with the pool
    Block again(std::size_t bytes, const Stream& stream) {
        Block block{nullptr, bytes, nullptr};
        stream.synchronise();
        check(cudaMemPoolTrimTo(pool(stream.device()), 0), "trimming the pool");
        const cudaError_t status =
            cudaMallocFromPoolAsync(&block.data, bytes, pool(stream.device()), stream.get());
        if (status == cudaErrorMemoryAllocation) {
            cudaGetLastError();
            throw out_of_memory(bytes);
        }
        check(status, "taking device memory");
        return in_use(block, stream);
    }

    cudaMemPool_t pool(int device) {
        const std::lock_guard<std::mutex> lock(mutex_);
        Pool& found = pools_[device];
        if (found.handle != nullptr) return found.handle;
        cudaMemPoolProps properties{};
        properties.allocType = cudaMemAllocationTypePinned;
        properties.location.type = cudaMemLocationTypeDevice;
        properties.location.id = device;
        check(cudaMemPoolCreate(&found.handle, &properties), "making a pool of memory");
        return found.handle;
    }

    std::mutex mutex_;
    std::map<int, Pool> pools_;
};

struct Chosen {
    std::mutex mutex;
    std::shared_ptr<Allocator> own = std::make_shared<AsyncAllocator>();
    std::shared_ptr<Allocator> current = own;
};

// never destroyed: its pools would be after the driver
Chosen& chosen() {
    static Chosen* const made = new Chosen;
    return *made;
}

}  // namespace

std::shared_ptr<Allocator> allocator() {
    Chosen& all = chosen();
    const std::lock_guard<std::mutex> lock(all.mutex);
    return all.current;
}

void set_allocator(std::shared_ptr<Allocator> other) {
    Chosen& all = chosen();
    const std::lock_guard<std::mutex> lock(all.mutex);
    all.current = other ? std::move(other) : all.own;
}

std::size_t workspace_limit() noexcept { return limit.load(); }

void set_workspace_limit(std::size_t bytes) noexcept { limit.store(bytes); }

}  // namespace krige_cuda
