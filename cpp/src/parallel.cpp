#include "krige/parallel.hpp"

#include <atomic>
#include <cstdlib>
#include <exception>
#include <thread>
#include <vector>

namespace krige {
namespace {

thread_local bool inside_region = false;

int from_environment() noexcept {
    const char* text = std::getenv("KRIGETUNER_THREADS");
    const int count = text == nullptr ? 1 : std::atoi(text);
    return count < 1 ? 1 : count;
}

std::atomic<int>& setting() noexcept {
    static std::atomic<int> value{from_environment()};
    return value;
}

struct Region {
    void (*task)(void*, index_t);
    void* context;
    index_t count;
    std::atomic<index_t> next{0};
    std::atomic<bool> failed{false};
    std::exception_ptr error{};

    void work() noexcept {
        inside_region = true;
        try {
            for (index_t i = next++; i < count && !failed; i = next++) task(context, i);
        } catch (...) {
            if (!failed.exchange(true)) error = std::current_exception();
        }
        inside_region = false;
    }
};

}  // namespace

int threads() noexcept { return setting().load(std::memory_order_relaxed); }

void set_threads(int count) noexcept {
    const int processors = static_cast<int>(std::thread::hardware_concurrency());
    setting() = count < 1 ? (processors < 1 ? 1 : processors) : count;
}

void run_tasks(index_t count, void (*task)(void*, index_t), void* context) {
    const index_t wanted = threads() < count ? threads() : count;
    if (wanted <= 1 || inside_region) {
        for (index_t i = 0; i < count; ++i) task(context, i);
        return;
    }
    Region region{task, context, count};
    std::vector<std::thread> others;
    others.reserve(static_cast<std::size_t>(wanted - 1));
    try {
        while (static_cast<index_t>(others.size()) < wanted - 1)
            others.emplace_back([&region] { region.work(); });
    } catch (const std::exception&) {
        // the system gives no more threads: go on with those that started
    }
    region.work();
    for (std::thread& other : others) other.join();
    if (region.error) std::rethrow_exception(region.error);
}

}  // namespace krige
