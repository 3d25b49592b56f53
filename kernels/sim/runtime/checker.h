// checker.h - looks at every access to memory in check mode.
//
// g++ -fsanitize=thread calls a function before each load and store. It is made for ThreadSanitizer, but the functions
// are ours: they know which thread of which block runs, and what the block has waited for since. Two accesses to the same
// bytes race if at least one writes, they come from two threads, and nothing between them makes the one wait for the
// other: no __syncthreads (block_time), no meeting of their warp (warp_time), no end of the kernel (launch_time). That
// does not depend on the order in which threads happen to run, so one run finds them.
#pragma once

// Does the current thread know that what the trace tells of was over before?
static bool ordered(const Worker* w, const Trace& t, Kind kind)
{
    if (t.time < w->launch_time) return true;  // or it never happened
    if (kind >= SHARED) {
        if (t.block != w->block) return true;  // another block's shared memory is other memory
    } else if (t.block != w->block || t.spread == SEVERAL_BLOCKS)
        return false;
    if (t.time < w->block_time || (t.spread == ONE_THREAD && t.thread == w->current)) return true;
    return t.spread <= ONE_WARP && t.thread >> 5 == w->current >> 5 && t.time < w->threads[w->current].warp_time;
}

static void note(const Worker* w, Trace& t, Kind kind, size_t pc)
{
    Spread spread = ONE_THREAD;
    if (!ordered(w, t, kind)) {  // so both count
        if (t.block != w->block || t.spread == SEVERAL_BLOCKS) spread = SEVERAL_BLOCKS;
        else if (t.thread >> 5 != w->current >> 5 || t.spread == ONE_BLOCK) spread = ONE_BLOCK;
        else spread = ONE_WARP;
    }
    t = {w->time, w->block, uint32_t(pc), uint16_t(w->current), spread};
}

[[noreturn]] static void report_race(Worker* w, const char* first, const char* then, Kind kind, uintptr_t offset,
                                     const Trace& other, size_t own)
{
    const sim_dim& t = w->threads[other.thread].index;
    w->unset_pc = 0;
    fail("race", "%sthis thread %s %s at byte %zu, which thread (%u,%u,%u) of %s %s in line %s, and neither waits for the "
         "other", At(own).text, then, NAMES[kind], size_t(offset), t.x, t.y, t.z,
         other.block == w->block ? "the same block" : "another block", first, At(other.pc).text);
}

[[noreturn]] static void report_outside(Worker* w, uintptr_t a, size_t bytes, const char* verb, const char* at)
{
    const char* kind = "out of bounds";
    for (Fiber* f : w->fibers)
        if (f->holds(a)) fail(kind, "%s%s of a local variable of another thread", at, verb);
    for (const Allocation& gone : freed)
        if (a >= gone.low && a < gone.high)
            fail("use after free", "%s%s of an array of %zu bytes that has been freed", at, verb,
                 size_t(gone.high - gone.low));
    const auto next = allocations.upper_bound(a);
    if (next != allocations.end() && next->second.low - a <= PAGE)
        fail(kind, "%s%s of %zu bytes, %zu bytes before the beginning of an array of %zu bytes", at, verb, bytes,
             size_t(next->second.low - a), size_t(next->second.high - next->second.low));
    if (next != allocations.begin() && a - std::prev(next)->second.high < PAGE)
        fail(kind, "%s%s of %zu bytes, %zu bytes behind the end of an array of %zu bytes", at, verb, bytes,
             size_t(a - std::prev(next)->second.high), size_t(std::prev(next)->second.high - std::prev(next)->second.low));
    fail(kind, "%s%s of %zu bytes at address %#zx, where no array lies", at, verb, bytes, size_t(a));
}

// Where an address lies: fills in kind, offset, shadow. False: in what the checker does not look after.
static bool place(Worker* w, uintptr_t a, size_t bytes, bool write, size_t pc, Kind& kind, uintptr_t& offset,
                  Shadow*& shadow)
{
    const char* verb = write ? "write" : "read";
    if (a >= w->shared.low && a + bytes <= w->shared.high) {
        kind = SHARED, offset = a - w->shared.low, shadow = w->shared_shadow;
        return true;
    }
    if (w->dynamic.holds(a)) {
        kind = DYNAMIC, offset = a - w->dynamic.low, shadow = w->dynamic_shadow;
        if (offset + bytes > w->launch->shared_bytes)
            fail("out of bounds", "%s%s of byte %zu of dynamic shared memory; the launch gave it %zu bytes", At(pc).text, verb,
                 size_t(offset + bytes - 1), size_t(w->launch->shared_bytes));
        return true;
    }
    if (!(a >= w->recent.low && a < w->recent.high)) {
        if (w->data.holds(a)) {
            kind = VARIABLE, offset = a - w->data.low, shadow = w->data_shadow;
            return a + bytes <= w->data.high;
        }
        const Allocation* found = allocation_at(a);
        if (!found) {
            if (text.holds(a)) return false;
            Dl_info file;  // a table of numbers that the compiler has made is read-only data
            if (!write && dladdr((void*)a, &file) && uintptr_t(file.dli_fbase) == text_base) return false;
            report_outside(w, a, bytes, verb, At(pc).text);
        }
        w->recent = *found;
    }
    if (a + bytes > w->recent.high)
        fail("out of bounds", "%s%s of %zu bytes across the end of an array of %zu bytes", At(pc).text, verb, bytes,
             size_t(w->recent.high - w->recent.low));
    kind = GLOBAL, offset = a - w->recent.low, shadow = w->recent.shadow;
    return shadow != nullptr;  // made before checking was switched on: bounds only
}

static void look(uintptr_t a, size_t bytes, bool write, bool atomic, size_t pc)
{
    Worker* w = worker;
    if (!w || w->current < 0 || !(w->launch->mode & (CHECKED | PROFILED)) || w->fiber->holds(a)) return;
    for (const void* own : {(const void*)&sim_threadIdx, (const void*)&sim_blockIdx, (const void*)&sim_blockDim,
                            (const void*)&sim_gridDim})
        if (a - uintptr_t(own) < sizeof(sim_dim)) return;
    leave_if_asked(w, pc);
    w->recent_pc = pc;
    if (w->launch->mode & PROFILED) return profile_access(w, a, bytes, write, atomic, pc);
    Kind kind;
    uintptr_t offset;
    Shadow* shadow;
    if (!place(w, a, bytes, write, pc, kind, offset, shadow)) return;
    if (a & (bytes - 1))
        fail("misaligned", "%s%s of %zu bytes at an address that is no multiple of %zu", At(pc).text, write ? "write" : "read",
             bytes, bytes);
    if (!write || atomic)
        for (size_t i = 0; i < bytes; ++i)
            if (!shadow->initialised[offset + i] && !w->unset_pc)  // if another thread is yet to write it, that is a race
                w->unset_pc = pc, w->unset_at = offset, w->unset_kind = kind, w->unset_by = w->current;
    if (write) memset(shadow->initialised + offset, 1, bytes);

    if (shadow->shift && (a | bytes) & 3 && !shadow->split())
        fail("memory", "%sthere is no memory left to remember who used each of %zu bytes", At(pc).text, shadow->bytes);
    for (size_t i = offset >> shadow->shift, last = (offset + bytes - 1) >> shadow->shift; i <= last; ++i) {
        Cell& c = shadow->cells[i];
        const char* verb = write ? "writes" : "reads";
        if (!ordered(w, c.write, kind)) report_race(w, "writes", verb, kind, offset, c.write, pc);
        if (!atomic && !ordered(w, c.atomic, kind)) report_race(w, "changes", verb, kind, offset, c.atomic, pc);
        if (write && !ordered(w, c.read, kind)) report_race(w, "reads", verb, kind, offset, c.read, pc);
        if (atomic) note(w, c.atomic, kind, pc);
        else if (!write) note(w, c.read, kind, pc);
        else {  // all that was before is over, or we would not be here
            c.read.time = c.atomic.time = 0;
            c.write = {w->time, w->block, uint32_t(pc), uint16_t(w->current), ONE_THREAD};
        }
    }
}

#define CALLER (uintptr_t(__builtin_return_address(0)) - 1 - text_base)
extern "C" {
void sim_atomic(const volatile void* p, int bytes, const char* file, int line)
{
    look(uintptr_t(p), bytes, true, true, number_of(file, line));
}
void __tsan_init() {}
void __tsan_vptr_update(void*, void*) {}
void __tsan_vptr_read(void*) {}
#define SIM_ACCESS(n)                                                                                                   \
    void __tsan_read##n(void* p) { look(uintptr_t(p), n, false, false, CALLER); }                                       \
    void __tsan_write##n(void* p) { look(uintptr_t(p), n, true, false, CALLER); }
SIM_ACCESS(1) SIM_ACCESS(2) SIM_ACCESS(4) SIM_ACCESS(8) SIM_ACCESS(16)
#define SIM_UNALIGNED(n)  /* g++ does not know the alignment; the hardware would insist on it */                        \
    void __tsan_unaligned_read##n(void* p) { look(uintptr_t(p), n, false, false, CALLER); }                             \
    void __tsan_unaligned_write##n(void* p) { look(uintptr_t(p), n, true, false, CALLER); }
SIM_UNALIGNED(2) SIM_UNALIGNED(4) SIM_UNALIGNED(8) SIM_UNALIGNED(16)
static void look_at_range(uintptr_t a, size_t n, bool write, size_t pc)
{
    while (n) {
        const size_t bytes = n >= 4 && a % 4 == 0 ? 4 : 1;
        look(a, bytes, write, false, pc);
        a += bytes, n -= bytes;
    }
}
void __tsan_read_range(void* p, size_t n) { look_at_range(uintptr_t(p), n, false, CALLER); }
void __tsan_write_range(void* p, size_t n) { look_at_range(uintptr_t(p), n, true, CALLER); }

void sim_range(const void* p, size_t n, bool write, const char* file, int line)
{
    look_at_range(uintptr_t(p), n, write, number_of(file, line));
}

// g++ -fsanitize=bounds,shift,signed-integer-overflow,integer-divide-by-zero calls these; each begins with its place.
struct sim_place { const char* file; uint32_t line, column; };
#define SIM_UNDEFINED(name, kind, words)                                                                                \
    void __ubsan_handle_##name##_abort(sim_place* p, ...) { fail(kind, "#%s:%u#" words, p->file, p->line); }
SIM_UNDEFINED(out_of_bounds, "out of bounds", "an index lies outside of the array that it is used on")
SIM_UNDEFINED(add_overflow, "overflow", "the sum does not fit into a signed integer")
SIM_UNDEFINED(sub_overflow, "overflow", "the difference does not fit into a signed integer")
SIM_UNDEFINED(mul_overflow, "overflow", "the product does not fit into a signed integer")
SIM_UNDEFINED(negate_overflow, "overflow", "the negative does not fit into a signed integer")
SIM_UNDEFINED(divrem_overflow, "division", "a whole number is divided by zero")
SIM_UNDEFINED(shift_out_of_bounds, "overflow", "bits are shifted by a negative number, or by more than there are")
}
