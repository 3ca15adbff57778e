#include "krige_cuda/device.hpp"

#include <unistd.h>

#include <atomic>
#include <map>
#include <mutex>
#include <vector>

namespace krige_cuda {
namespace {

constexpr int oldest_major = 8;  // sm_80: what the kernels are compiled for at least

std::atomic<pid_t> user{0};  // the process that used CUDA first

std::string version_text(int version) {
    return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

void remember_process() {
    pid_t none = 0;
    user.compare_exchange_strong(none, getpid());
}

// idle streams by GPU; never destroyed, since a static object's end comes after the driver's
struct Idle {
    std::mutex mutex;
    std::map<int, std::vector<cudaStream_t>> streams;
};

Idle& idle() {
    static Idle* const made = new Idle;
    return *made;
}

}  // namespace

bool is_fork() noexcept {
    const pid_t first = user.load();
    return first != 0 && first != getpid();
}

std::string why_unavailable() {
    if (is_fork()) {
        return "GPU: expected the process that first used it, got a fork of it; start processes "
               "with multiprocessing.get_context('spawn')";
    }
    remember_process();
    int driver = 0;
    if (cudaDriverGetVersion(&driver) != cudaSuccess || driver == 0) {
        cudaGetLastError();
        return "GPU: expected an NVIDIA driver, got none; install one, or use backend 'cpp'";
    }
    int count = 0;
    const cudaError_t status = cudaGetDeviceCount(&count);
    if (status != cudaSuccess) cudaGetLastError();
    if (status == cudaErrorInsufficientDriver || driver / 1000 < CUDART_VERSION / 1000) {
        return "GPU: expected a driver for CUDA " + version_text(CUDART_VERSION) +
               ", got one for CUDA " + version_text(driver) +
               "; install a newer driver, or build with an older toolkit";
    }
    if (status == cudaErrorInitializationError) {  // in a fork, another library was first
        return "GPU: expected CUDA to begin, got a process that cannot, such as a fork of one that "
               "had used it; start processes with multiprocessing.get_context('spawn')";
    }
    if (status != cudaSuccess && status != cudaErrorNoDevice) {
        return std::string("GPU: expected to count them, got ") + cudaGetErrorName(status) + " (" +
               cudaGetErrorString(status) + "); see nvidia-smi";
    }
    if (count == 0) {
        return "GPU: expected at least one, got none; see nvidia-smi and CUDA_VISIBLE_DEVICES";
    }
    return "";
}

int device_count() noexcept {
    int count = 0;
    if (is_fork()) return 0;
    remember_process();
    if (cudaGetDeviceCount(&count) != cudaSuccess) {
        cudaGetLastError();
        return 0;
    }
    return count;
}

DeviceText describe(int device) {
    cudaDeviceProp properties{};
    check(cudaGetDeviceProperties(&properties, device), "asking for a GPU's properties");
    return {properties.name, properties.major, properties.minor, properties.totalGlobalMem};
}

std::size_t free_memory(int device) {
    const DeviceScope scope(device);
    std::size_t free = 0;
    std::size_t total = 0;
    check(cudaMemGetInfo(&free, &total), "asking for a GPU's free memory");
    return free;
}

void require(int device) {
    const std::string reason = why_unavailable();
    if (!reason.empty()) throw Unavailable(reason);
    const int count = device_count();
    if (device < 0 || device >= count) {
        throw Unavailable("KRIGETUNER_CUDA_DEVICE: expected a GPU from 0 to " +
                          std::to_string(count - 1) + ", got " + std::to_string(device) +
                          "; nvidia-smi -L lists them, CUDA_VISIBLE_DEVICES hides some");
    }
    const DeviceText found = describe(device);
    if (found.major < oldest_major) {
        throw Unavailable("GPU: expected compute capability 8.0 or above, got " +
                          std::to_string(found.major) + "." + std::to_string(found.minor) + " (" +
                          found.name + "); use another GPU, or backend 'cpp'");
    }
}

DeviceScope::DeviceScope(int device) : device_(device) {
    check(cudaGetDevice(&former_), "asking for the current GPU");
    check(cudaSetDevice(device), "choosing a GPU");
}

DeviceScope::~DeviceScope() {
    // a former GPU that is lost or another's alone is no fault of this one, which goes on
    if (former_ != device_ && cudaSetDevice(former_) != cudaSuccess) cudaGetLastError();
}

Stream::Stream(int device) : device_(device) {
    {
        Idle& rest = idle();
        const std::lock_guard<std::mutex> lock(rest.mutex);
        std::vector<cudaStream_t>& streams = rest.streams[device];
        if (!streams.empty()) {
            stream_ = streams.back();
            streams.pop_back();
            return;
        }
    }
    const DeviceScope scope(device);
    check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "making a stream");
}

Stream::~Stream() {
    if (is_fork()) return;
    Idle& rest = idle();
    const std::lock_guard<std::mutex> lock(rest.mutex);
    rest.streams[device_].push_back(stream_);
}

void Stream::synchronise() const {
    check(cudaStreamSynchronize(stream_), "finishing the work of a stream");
}

void Stream::wait() const noexcept {
    if (!is_fork() && cudaStreamSynchronize(stream_) != cudaSuccess) cudaGetLastError();
}

}  // namespace krige_cuda
