#include "fiber.hpp"

#include <utility>

#if defined(__x86_64__)

// Saves what a function must keep, goes to another stack, and restores what was kept there. A
// hundred times as fast as swapcontext, which asks the kernel about signals each time.
extern "C" void krige_emulation_switch(void** save, void* load);
asm(R"(
.text
.globl krige_emulation_switch
.hidden krige_emulation_switch
.type krige_emulation_switch, @function
krige_emulation_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
.size krige_emulation_switch, .-krige_emulation_switch
)");

#endif

namespace krige_emulation {

#if defined(__x86_64__)

namespace {
thread_local Fiber* starting = nullptr;
}

void Fiber::start(std::function<void()> body) {
    body_ = std::move(body);
    if (!stack_) stack_.reset(new char[stack_size]);
    auto top = reinterpret_cast<std::uintptr_t>(stack_.get() + stack_size) / 16 * 16;
    auto* frame = reinterpret_cast<void**>(top);
    void (*const first)() = [] { run(starting); };
    *--frame = nullptr;  // where a return address would be: the stack is aligned as behind a call
    *--frame = reinterpret_cast<void*>(first);
    for (int i = 0; i < 6; ++i) *--frame = nullptr;
    inside_ = frame;
}

void Fiber::enter() {
    starting = this;
    krige_emulation_switch(&outside_, inside_);
}

void Fiber::leave() { krige_emulation_switch(&inside_, outside_); }

#else

void Fiber::start(std::function<void()> body) {
    body_ = std::move(body);
    if (!stack_) stack_.reset(new char[stack_size]);
    getcontext(&inside_);
    inside_.uc_stack.ss_sp = stack_.get();
    inside_.uc_stack.ss_size = stack_size;
    const auto self = static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(this));
    makecontext(&inside_, reinterpret_cast<void (*)()>(&Fiber::run_halves), 2,
                static_cast<unsigned>(self >> 32), static_cast<unsigned>(self));
}

void Fiber::run_halves(unsigned high, unsigned low) {
    const std::uint64_t self = (std::uint64_t{high} << 32) | low;
    run(reinterpret_cast<Fiber*>(static_cast<std::uintptr_t>(self)));
}

void Fiber::enter() { swapcontext(&outside_, &inside_); }
void Fiber::leave() { swapcontext(&inside_, &outside_); }

#endif

void Fiber::run(Fiber* self) {
    self->body_();
    self->leave();
}

}  // namespace krige_emulation
