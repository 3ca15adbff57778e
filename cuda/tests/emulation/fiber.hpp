// A function that can be left in its middle and entered again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

namespace krige_emulation {

class Fiber {
  public:
    void start(std::function<void()> body);  // at the next `enter`, from the beginning
    void enter();                            // until the body leaves or returns
    void leave();                            // from within the body

  private:
    static constexpr std::size_t stack_size =
        256 * 1024;  // pages that are not touched cost nothing
    static void run(Fiber* self);

    std::function<void()> body_;
    std::unique_ptr<char[]> stack_;
#if defined(__x86_64__)
    void* inside_ = nullptr;
    void* outside_ = nullptr;
#else
    static void run_halves(unsigned high, unsigned low);
    ucontext_t inside_{};
    ucontext_t outside_{};
#endif
};

}  // namespace krige_emulation
