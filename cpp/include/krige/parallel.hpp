// Threads for large problems. Off by default, and never visible in the results: tasks write
// disjoint outputs, each of which is computed the same way whatever thread does it.
#pragma once

#include <type_traits>

#include "krige/view.hpp"

namespace krige {

// The number of threads that parallel regions may use: 1 by default, or the environment variable
// KRIGETUNER_THREADS.
int threads() noexcept;

// count < 1 means all processors.
void set_threads(int count) noexcept;

// Calls task(context, i) for i in [0, count) on up to threads() threads, in no fixed order;
// serially inside another parallel region. The first exception that a task throws is rethrown here
// after all threads have ended.
void run_tasks(index_t count, void (*task)(void* context, index_t i), void* context);

// Starting threads costs some 20 us; a region smaller than this many floating-point operations
// stays serial.
constexpr index_t parallel_work = 4000000;

// Calls task(i) for i in [0, count); work is about the number of floating-point operations of the
// whole region. Internal linkage, so that SIMD level files may use it.
template <class Task>
static inline void parallel_for(index_t count, index_t work, Task&& task) {
    if (count <= 1 || work < parallel_work || threads() <= 1) {
        for (index_t i = 0; i < count; ++i) task(i);
        return;
    }
    using Callable = std::remove_reference_t<Task>;
    void* context = const_cast<void*>(static_cast<const void*>(&task));
    run_tasks(count, [](void* p, index_t i) { (*static_cast<Callable*>(p))(i); }, context);
}

template <class Task>
static inline void parallel_for(index_t count, Task&& task) {
    parallel_for(count, parallel_work, task);
}

}  // namespace krige
