#include "krige/scratch.hpp"

#include "krige/buffer.hpp"

namespace krige {

double* scratch(Scratch use, index_t count) {
    static thread_local Buffer buffers[static_cast<int>(Scratch::count)];
    Buffer& buffer = buffers[static_cast<int>(use)];
    buffer.reserve(count);
    return buffer.data();
}

}  // namespace krige
