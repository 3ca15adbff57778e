// Grids of threads on one processor: blocks one after the other, a block's threads as fibers that
// meet at barriers. Between two barriers a thread runs alone, and a warp goes on to the block's
// next barrier before another one begins, so what depends on the order of threads is found by
// running in several orders.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

namespace krige_emulation {

// the order in which the threads of a block take their turns
enum class Order { forward, backward, shuffled };
void set_order(Order order);  // of this operating-system thread

constexpr int warp_size = 32;

struct Here {
    uint3 index;
    uint3 block;
    dim3 block_size;
    dim3 grid_size;
};
const Here& here();  // of the running thread
int lane();

// Performs this operating-system thread's copies from the host that are still to come.
void finish_copies();
std::size_t copies_to_come();

// Runs the body once per thread of the grid. A fault ends the launch and is kept for take_fault.
void launch(dim3 grid, dim3 block, const std::function<void()>& body);

// What went wrong in launches of this operating-system thread since the last call, or nothing:
// barriers that some threads did not reach, writes beyond shared memory.
std::string take_fault();

void wait_for_block(int line);
void wait_for_warp(int line);

// A thread shows its warp up to 64 bytes; after `publish` everybody's are there, until the next
// wait_for_warp.
void publish(const void* value, std::size_t size);
const void* published(int lane);

// Shared memory of the block, by the place in the source that asks for it; holds NaN at first.
void* shared_memory(const void* key, std::size_t size);

// Copies as cp.async does: at some time before they are waited for (at once in the backward order,
// else as late as can be); the last bytes beyond `given` are zero, and both addresses are multiples
// of `alignment`.
void copy_later(void* to, const void* from, std::size_t size, std::size_t given, int alignment);
void end_group();
void wait_for_groups(int pending);

}  // namespace krige_emulation
