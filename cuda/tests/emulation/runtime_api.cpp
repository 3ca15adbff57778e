#include <cuda_runtime.h>

#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

struct EmulatedStream {
    int device;
};
struct EmulatedPool {
    int device;
};

namespace krige_emulation {
namespace {

constexpr std::size_t guard_size = 256;
constexpr unsigned char guard_byte = 0x5a;
constexpr unsigned char poison_byte = 0xff;  // a NaN in every floating-point type

thread_local int current_device = 0;
thread_local cudaError_t last = cudaSuccess;
thread_local std::string last_text;

std::mutex blocks_mutex;
std::unordered_map<void*, std::size_t> blocks;

// a copy, or where there is nothing to copy from a block that is given back behind others
struct Late {
    void* to;
    const void* from;
    std::size_t bytes;
};
thread_local std::vector<Late> late;

cudaError_t fail(cudaError_t status, const std::string& text = "") {
    last = status;
    last_text = text;
    return status;
}

// one more piece of work; false where the device is lost by then
bool works() {
    std::atomic<long>& left = machine().calls_until_lost;
    if (left.load() < 0) return true;
    if (left.load() == 0) return false;
    --left;
    return true;
}

cudaError_t take(void** data, std::size_t bytes) {
    Machine& all = machine();
    if (!works()) return fail(cudaErrorLaunchFailure, "lost");
    const std::size_t used = all.in_use.fetch_add(bytes) + bytes;
    if (used > all.memory.load()) {
        all.in_use -= bytes;
        return fail(cudaErrorMemoryAllocation, "out of memory");
    }
    std::size_t most = all.most_in_use.load();
    while (used > most && !all.most_in_use.compare_exchange_weak(most, used)) {
    }
    auto* raw = static_cast<unsigned char*>(std::aligned_alloc(
        guard_size, (bytes + guard_size - 1) / guard_size * guard_size + 2 * guard_size));
    std::memset(raw, guard_byte, guard_size);
    std::memset(raw + guard_size, poison_byte, bytes);
    std::memset(raw + guard_size + bytes, guard_byte, guard_size);
    *data = raw + guard_size;
    const std::lock_guard<std::mutex> lock(blocks_mutex);
    blocks[*data] = bytes;
    return cudaSuccess;
}

cudaError_t release(void* data, std::size_t bytes) {
    auto* raw = static_cast<unsigned char*>(data) - guard_size;
    bool whole = true;
    for (std::size_t i = 0; i < guard_size; ++i)
        whole = whole && raw[i] == guard_byte && raw[guard_size + bytes + i] == guard_byte;
    std::memset(data, poison_byte, bytes);
    std::free(raw);
    return whole ? cudaSuccess
                 : fail(cudaErrorIllegalAddress, "a write beyond a block of device memory");
}

cudaError_t give(void* data) {
    std::size_t bytes = 0;
    {
        const std::lock_guard<std::mutex> lock(blocks_mutex);
        const auto known = blocks.find(data);
        if (known == blocks.end()) return fail(cudaErrorInvalidValue, "not a block in use");
        bytes = known->second;
        blocks.erase(known);
    }
    machine().in_use -= bytes;
    if (late.empty()) return release(data, bytes);
    late.push_back({data, nullptr, bytes});
    return cudaSuccess;
}

}  // namespace

void finish_copies() {
    for (const Late& one : std::exchange(late, {})) {
        if (one.from == nullptr) {
            release(one.to, one.bytes);
        } else {
            std::memcpy(one.to, one.from, one.bytes);
        }
    }
}

std::size_t copies_to_come() { return late.size(); }

Machine& machine() {
    static Machine instance;
    return instance;
}

}  // namespace krige_emulation

using namespace krige_emulation;

cudaError_t cudaGetLastError() {
    const std::string fault = take_fault();
    if (!fault.empty()) fail(cudaErrorLaunchFailure, fault);
    if (!works()) fail(cudaErrorLaunchFailure, "lost");
    const cudaError_t found = last;
    last = cudaSuccess;
    return found;
}

const char* cudaGetErrorName(cudaError_t status) {
    switch (status) {
        case cudaSuccess: return "cudaSuccess";
        case cudaErrorMemoryAllocation: return "cudaErrorMemoryAllocation";
        case cudaErrorInsufficientDriver: return "cudaErrorInsufficientDriver";
        case cudaErrorNoDevice: return "cudaErrorNoDevice";
        case cudaErrorInvalidDevice: return "cudaErrorInvalidDevice";
        case cudaErrorIllegalAddress: return "cudaErrorIllegalAddress";
        case cudaErrorLaunchFailure: return "cudaErrorLaunchFailure";
        default: return "cudaErrorInvalidValue";
    }
}

const char* cudaGetErrorString(cudaError_t) { return last_text.c_str(); }

cudaError_t cudaDriverGetVersion(int* version) {
    *version = machine().driver.load();
    return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int* count) {
    *count = machine().devices.load();
    if (machine().driver.load() < CUDART_VERSION) return fail(cudaErrorInsufficientDriver);
    return *count == 0 ? fail(cudaErrorNoDevice) : cudaSuccess;
}

cudaError_t cudaGetDevice(int* device) {
    *device = current_device;
    return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
    if (device < 0 || device >= machine().devices.load()) return fail(cudaErrorInvalidDevice);
    current_device = device;
    return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
    *properties = {"an emulated GPU", machine().major.load(), 0, machine().memory.load(), 1};
    return cudaSuccess;
}

cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
    *total = machine().memory.load();
    const std::size_t used = machine().in_use.load();
    *free = *total > used ? *total - used : 0;
    return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
    *stream = new EmulatedStream{current_device};
    ++machine().streams;
    return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t) {
    finish_copies();
    return works() ? cudaSuccess : fail(cudaErrorLaunchFailure, "lost");
}

cudaError_t cudaMemPoolCreate(cudaMemPool_t* pool, const cudaMemPoolProps* properties) {
    *pool = new EmulatedPool{properties->location.id};
    return cudaSuccess;
}

cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t, cudaMemPoolAttr, void*) { return cudaSuccess; }
cudaError_t cudaMemPoolTrimTo(cudaMemPool_t, std::size_t) { return cudaSuccess; }

cudaError_t cudaMallocFromPoolAsync(void** data, std::size_t bytes, cudaMemPool_t, cudaStream_t) {
    return take(data, bytes);
}

cudaError_t cudaFreeAsync(void* data, cudaStream_t) { return give(data); }

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t) {
    if (!works()) return fail(cudaErrorLaunchFailure, "lost");
    if (kind == cudaMemcpyHostToDevice) {
        late.push_back({to, from, bytes});
        return cudaSuccess;
    }
    finish_copies();
    std::memcpy(to, from, bytes);
    return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void* to, int value, std::size_t bytes, cudaStream_t) {
    if (!works()) return fail(cudaErrorLaunchFailure, "lost");
    finish_copies();
    std::memset(to, value, bytes);
    return cudaSuccess;
}

cudaError_t cudaMemcpy2DAsync(void* to, std::size_t to_pitch, const void* from,
                              std::size_t from_pitch, std::size_t width, std::size_t height,
                              cudaMemcpyKind, cudaStream_t) {
    if (!works()) return fail(cudaErrorLaunchFailure, "lost");
    constexpr std::size_t longest = (std::size_t{1} << 31) - 1;  // cudaDeviceProp::memPitch
    if (width > to_pitch || width > from_pitch || std::max(to_pitch, from_pitch) > longest)
        return fail(cudaErrorInvalidValue, "pitch");
    finish_copies();
    for (std::size_t row = 0; row < height; ++row)
        std::memcpy(static_cast<char*>(to) + row * to_pitch,
                    static_cast<const char*>(from) + row * from_pitch, width);
    return cudaSuccess;
}

cudaError_t cudaMalloc(void** data, std::size_t bytes) { return take(data, bytes); }
cudaError_t cudaFree(void* data) { return data == nullptr ? cudaSuccess : give(data); }
cudaError_t cudaDeviceSynchronize() { return cudaStreamSynchronize(nullptr); }
