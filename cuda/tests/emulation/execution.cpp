#include <cuda_runtime.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <random>
#include <utility>
#include <vector>

#include "fiber.hpp"

namespace krige_emulation {
namespace {

constexpr std::size_t exchange_size = 64;
constexpr std::size_t guard_size = 64;
constexpr std::size_t shared_limit = 48 * 1024;  // what a block gets without asking for more
constexpr unsigned char guard_byte = 0xa5;
constexpr unsigned char poison_byte = 0xff;  // a NaN in every floating-point type

enum class State { ready, at_block_barrier, at_warp_barrier, done };

struct Copy {
    void* to;
    const void* from;
    std::size_t size;
    std::size_t given;

    void perform() const {
        std::memcpy(to, from, given);
        std::memset(static_cast<unsigned char*>(to) + given, 0, size - given);
    }
};

struct Thread {
    Here here{};
    State state = State::done;
    int line = 0;
    alignas(16) unsigned char exchange[exchange_size];
    std::vector<std::vector<Copy>> groups;  // the last one is open
    Fiber fiber;
};

struct SharedArray {
    const void* key;
    std::size_t size;
    std::vector<unsigned char> bytes;  // with a guard on each side
};

// one multiprocessor, of one operating-system thread
class Processor {
  public:
    Order order = Order::forward;
    std::string fault;
    Thread* running = nullptr;

    void launch(dim3 grid, dim3 block, const std::function<void()>& body) {
        const std::size_t count = std::size_t{block.x} * block.y * block.z;
        if (count == 0 || count > 1024 || grid.x == 0 || grid.y == 0 || grid.z == 0 ||
            grid.y > 65535 || grid.z > 65535)
            return fail("a launch with an impossible grid or block");
        while (threads_.size() < count) threads_.push_back(std::make_unique<Thread>());
        body_ = &body;
        count_ = count;
        for (unsigned z = 0; z < grid.z; ++z)
            for (unsigned y = 0; y < grid.y; ++y)
                for (unsigned x = 0; x < grid.x; ++x) {
                    run_block({x, y, z}, grid, block);
                    if (!fault.empty()) return;
                }
    }

    void wait(State state, int line) {
        running->state = state;
        running->line = line;
        running->fiber.leave();
    }

    void* shared(const void* key, std::size_t size) {
        for (SharedArray& array : shared_)
            if (array.key == key) return array.bytes.data() + guard_size;
        std::size_t total = size;
        for (const SharedArray& array : shared_) total += array.size;
        if (total > shared_limit) fail("a block with more than 48 KiB of shared memory");
        SharedArray array{key, size, {}};
        array.bytes.assign(guard_size, guard_byte);
        array.bytes.resize(guard_size + size, poison_byte);
        array.bytes.resize(size + 2 * guard_size, guard_byte);
        shared_.push_back(std::move(array));
        return shared_.back().bytes.data() + guard_size;
    }

    Thread& of_warp(int lane) { return *threads_[warp_begin() + static_cast<std::size_t>(lane)]; }

    std::size_t linear() const {
        const Here& h = running->here;
        return h.index.x +
               std::size_t{h.block_size.x} * (h.index.y + std::size_t{h.block_size.y} * h.index.z);
    }

    void fail(const std::string& what) {
        if (fault.empty()) fault = what;
    }

  private:
    std::size_t warp_begin() const { return linear() / warp_size * warp_size; }

    void run_block(uint3 index, dim3 grid, dim3 block) {
        shared_.clear();
        for (std::size_t t = 0; t < count_; ++t) {
            const auto at = static_cast<unsigned>(t);
            Thread& thread = *threads_[t];
            thread.here = {
                {at % block.x, at / block.x % block.y, at / block.x / block.y}, index, block, grid};
            thread.state = State::ready;
            thread.groups.assign(1, {});
            thread.fiber.start([this, &thread] {
                (*body_)();
                thread.state = State::done;
            });
        }
        do {
            for (const std::size_t warp : turns(0, (count_ + warp_size - 1) / warp_size))
                run_warp(warp * warp_size, std::min((warp + 1) * warp_size, count_));
        } while (release(0, count_, State::at_block_barrier));
        running = nullptr;
        check_ends();
        check_guards();
    }

    // as far as the warp comes without the others
    void run_warp(std::size_t begin, std::size_t end) {
        do {
            for (const std::size_t t : turns(begin, end)) {
                running = threads_[t].get();
                if (running->state == State::ready) running->fiber.enter();
            }
        } while (release(begin, end, State::at_warp_barrier));
    }

    std::vector<std::size_t> turns(std::size_t begin, std::size_t end) {
        std::vector<std::size_t> out(end - begin);
        std::iota(out.begin(), out.end(), begin);
        if (order == Order::backward) std::reverse(out.begin(), out.end());
        if (order == Order::shuffled) std::shuffle(out.begin(), out.end(), random_);
        return out;
    }

    void check_ends() {
        for (std::size_t t = 0; t < count_; ++t)
            if (threads_[t]->state != State::done)
                return fail("a barrier in line " + std::to_string(threads_[t]->line) +
                            " that some threads did not reach");
    }

    // lets go of a barrier that everybody has reached
    bool release(std::size_t begin, std::size_t end, State barrier) {
        for (std::size_t t = begin; t < end; ++t)
            if (threads_[t]->state != barrier || threads_[t]->line != threads_[begin]->line)
                return false;
        for (std::size_t t = begin; t < end; ++t) threads_[t]->state = State::ready;
        return true;
    }

    void check_guards() {
        for (const SharedArray& array : shared_) {
            const unsigned char* bytes = array.bytes.data();
            for (std::size_t i = 0; i < guard_size; ++i)
                if (bytes[i] != guard_byte || bytes[guard_size + array.size + i] != guard_byte)
                    return fail("a write beyond shared memory");
        }
    }

    const std::function<void()>* body_ = nullptr;
    std::size_t count_ = 0;
    std::vector<std::unique_ptr<Thread>> threads_;
    std::vector<SharedArray> shared_;
    std::mt19937 random_{1};
};

Processor& processor() {
    static thread_local Processor instance;
    return instance;
}

}  // namespace

void set_order(Order order) { processor().order = order; }
const Here& here() { return processor().running->here; }
int lane() { return static_cast<int>(processor().linear() % warp_size); }

void launch(dim3 grid, dim3 block, const std::function<void()>& body) {
    finish_copies();
    processor().launch(grid, block, body);
}

std::string take_fault() { return std::exchange(processor().fault, {}); }

void wait_for_block(int line) { processor().wait(State::at_block_barrier, line); }
void wait_for_warp(int line) { processor().wait(State::at_warp_barrier, line); }

void publish(const void* value, std::size_t size) {
    std::memcpy(processor().running->exchange, value, std::min(size, exchange_size));
    wait_for_warp(-1);
}

const void* published(int lane) { return processor().of_warp(lane).exchange; }

void* shared_memory(const void* key, std::size_t size) { return processor().shared(key, size); }

void copy_later(void* to, const void* from, std::size_t size, std::size_t given, int alignment) {
    const auto at = reinterpret_cast<std::uintptr_t>(to) | reinterpret_cast<std::uintptr_t>(from);
    if (at % static_cast<std::uintptr_t>(alignment) != 0)
        processor().fail("a copy from or to an address that is not aligned");
    const Copy copy{to, from, size, given};
    if (processor().order == Order::backward) return copy.perform();
    processor().running->groups.back().push_back(copy);
}

void end_group() { processor().running->groups.emplace_back(); }

void wait_for_groups(int pending) {
    auto& groups = processor().running->groups;
    while (groups.size() > static_cast<std::size_t>(pending) + 1) {
        for (const Copy& copy : groups.front()) copy.perform();
        groups.erase(groups.begin());
    }
}

}  // namespace krige_emulation
