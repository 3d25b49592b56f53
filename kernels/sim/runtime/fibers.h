// fibers.h - a stack of its own for each thread that waits, and the switch from one stack to another.
#pragma once
#include <cstddef>
#include <cstdint>
#include <sys/mman.h>
#include <vector>

static const size_t STACK = 64 << 10, PAGE = 4096;

// A context is a place to go on from. Switching saves the registers that a called function must preserve, and where the
// stack stands. glibc's swapcontext does the same with a system call in between, seven times slower.
#if defined(__x86_64__)
extern "C" void sim_switch(void** save, void* to);
asm(R"(
.text
.globl sim_switch
.type sim_switch,@function
sim_switch:
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
.size sim_switch,.-sim_switch
)");
struct Context { void* stack_pointer = nullptr; };
static void make_context(Context& context, char* low, size_t size, void (*function)())
{
    void** top = (void**)(((uintptr_t(low) + size) & ~uintptr_t(15)) - 8);
    *top = nullptr;
    *--top = (void*)function;  // sim_switch "returns" into it, with the stack 8 bytes off 16, as the ABI wants
    for (int i = 0; i < 6; ++i) *--top = nullptr;
    context.stack_pointer = top;
}
static inline void switch_context(Context& from, Context& to) { sim_switch(&from.stack_pointer, to.stack_pointer); }
#else
#include <ucontext.h>
struct Context { ucontext_t saved; };
static void make_context(Context& context, char* low, size_t size, void (*function)())
{
    getcontext(&context.saved);
    context.saved.uc_stack.ss_sp = low;
    context.saved.uc_stack.ss_size = size;
    context.saved.uc_link = nullptr;
    makecontext(&context.saved, function, 0);
}
static inline void switch_context(Context& from, Context& to) { swapcontext(&from.saved, &to.saved); }
#endif

struct Fiber {
    Context context;
    char* low;  // lowest address of the stack; the page below it faults

    bool holds(uintptr_t address) const { return address - uintptr_t(low) < STACK; }
    bool overflowed_at(uintptr_t address) const { return address - (uintptr_t(low) - PAGE) < PAGE; }
};

// Stacks begin at different distances from their page, or the hot ends of all would fall into the same cache sets.
static size_t stagger(size_t number) { return number * 448 % 8192; }

static void restart(Fiber* fiber, size_t number, void (*function)())
{
    make_context(fiber->context, fiber->low, STACK - stagger(number), function);
}

static Fiber* new_fiber(size_t number, void (*function)())
{
    char* memory = (char*)mmap(nullptr, STACK + PAGE, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) return nullptr;
    mprotect(memory, PAGE, PROT_NONE);
    Fiber* fiber = new Fiber;
    fiber->low = memory + PAGE;
    restart(fiber, number, function);
    return fiber;
}
