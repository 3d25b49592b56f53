// checker.h - looks at every access to memory in check mode.
//
// g++ -fsanitize=thread calls a function before each load and store. It is made for ThreadSanitizer, but the functions
// are ours: they know which thread of which block runs, and what the block has waited for since. Two accesses to the same
// bytes race if at least one writes, they come from two threads, and nothing between them makes the one wait for the
// other: no __syncthreads (block_time), no meeting of their warp (warp_time), no end of the kernel (launch_time). That
// does not depend on the order in which threads happen to run, so one run finds them.
#pragma once

// Did thread `other` of block `block`, at time `time`, do it before the current thread could know? `other` = -1: several
// threads of several warps; -2 - w: several threads of warp w.
static bool ordered(const Worker* w, uint32_t time, uint32_t block, int other, Kind kind)
{
    if (time < w->launch_time) return true;
    if (block != w->block) return kind != GLOBAL;  // another block's shared memory is other memory
    if (other == w->current || time < w->block_time) return true;
    const int warp = other >= 0 ? other >> 5 : -2 - other;
    return other != -1 && warp == w->current >> 5 && time < w->threads[w->current].warp_time;
}

static int as_other(const Cell& c) { return c.readers == 0 ? c.reader : c.readers == 1 ? -2 - (c.reader >> 5) : -1; }

[[noreturn]] static void report_race(Worker* w, const char* first, const char* then, Kind kind, uintptr_t offset,
                                     uint32_t thread, uint32_t block, uint32_t pc, size_t own)
{
    const sim_dim& t = w->threads[thread].index;
    fail("race", "%sthis thread %s %s memory at byte %zu, which thread (%u,%u,%u) of %s %s in line %s, and neither "
         "waits for the other", At(own).text, then, NAMES[kind], size_t(offset), t.x, t.y, t.z,
         block == w->block ? "the same block" : "another block", first, At(pc).text);
}

// Where an address lies: fills in kind, offset, shadow. False: in what the checker does not look after.
static bool place(Worker* w, uintptr_t a, size_t bytes, bool write, size_t pc, Kind& kind, uintptr_t& offset, Shadow*& shadow)
{
    const char* verb = write ? "write" : "read";
    if (a >= w->shared_low && a + bytes <= w->shared_high) {
        kind = SHARED, offset = a - w->shared_low, shadow = &w->shared;
        return true;
    }
    if (a >= w->dynamic_low && a < w->dynamic_high) {
        kind = DYNAMIC, offset = a - w->dynamic_low, shadow = &w->dynamic;
        if (offset + bytes > w->launch->shared_bytes)
            fail("out of bounds", "%s%s of byte %zu of dynamic shared memory; the launch gave it %zu bytes", At(pc).text, verb,
                 size_t(offset + bytes - 1), size_t(w->launch->shared_bytes));
        return true;
    }
    if (a < w->recent.low || a >= w->recent.high) {
        auto next = allocations.upper_bound(a);
        if (next == allocations.end() || a < next->second.low) {
            for (Fiber* f : w->fibers)
                if (f->holds(a)) fail("out of bounds", "%s%s of a local variable of another thread", At(pc).text, verb);
            if (base_of(a) == text_base) return false;  // a __constant__ or __device__ variable
            if (next != allocations.end() && next->second.low - a <= 4096)
                fail("out of bounds", "%s%s of %zu bytes, %zu bytes before the beginning of an array of %zu bytes", At(pc).text,
                     verb, bytes, size_t(next->second.low - a), size_t(next->second.high - next->second.low));
            if (next != allocations.begin() && a - std::prev(next)->second.high < 4096)
                fail("out of bounds", "%s%s of %zu bytes, %zu bytes behind the end of an array of %zu bytes", At(pc).text, verb,
                     bytes, size_t(a - std::prev(next)->second.high),
                     size_t(std::prev(next)->second.high - std::prev(next)->second.low));
            fail("out of bounds", "%s%s of %zu bytes at address %#zx, where no array lies; freed, or never made?", At(pc).text,
                 verb, bytes, size_t(a));
        }
        w->recent = next->second;
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
    if (!w || w->current < 0 || !(w->launch->mode & CHECKED) || w->fiber->holds(a)) return;
    for (const void* own : {(const void*)&sim_threadIdx, (const void*)&sim_blockIdx, (const void*)&sim_blockDim,
                            (const void*)&sim_gridDim})
        if (a - uintptr_t(own) < sizeof(sim_dim)) return;
    w->recent_pc = pc;
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
    if (write) memset(&shadow->initialised[offset], 1, bytes);

    for (size_t i = 0; i < bytes;) {
        Cell& c = shadow->cells[(offset + i) >> 2];
        const int first = (offset + i) & 3, count = std::min<size_t>(4 - first, bytes - i);
        const uint8_t mask = ((1 << count) - 1) << first;
        i += count;
        if ((c.written & mask) && !(atomic && c.atomic) && !ordered(w, c.write_time, c.write_block, c.writer, kind))
            report_race(w, "writes", write ? "writes" : "reads", kind, offset, c.writer, c.write_block, c.write_pc, pc);
        if (write && (c.read & mask) && !ordered(w, c.read_time, c.read_block, as_other(c), kind))
            report_race(w, "reads", "writes", kind, offset, c.reader, c.read_block, c.read_pc, pc);
        if (write) {
            c.write_time = w->time, c.write_block = w->block, c.writer = w->current, c.write_pc = pc;
            c.written = mask, c.atomic = atomic;
            if (!atomic) c.read = 0;
            continue;
        }
        if (!(c.read & mask) || ordered(w, c.read_time, c.read_block, as_other(c), kind)) c.readers = 0;
        else if (c.read_block != w->block || c.reader >> 5 != w->current >> 5 || c.readers == 2) c.readers = 2;
        else if (c.reader != w->current) c.readers = 1;
        c.read_time = w->time, c.read_block = w->block, c.reader = w->current, c.read_pc = pc, c.read = mask;
    }
}

#define CALLER (uintptr_t(__builtin_return_address(0)) - 1 - text_base)
extern "C" {
void sim_atomic(const volatile void* p, int bytes, const char* file, int line)
{
    look(uintptr_t(p), bytes, true, true, number_of(file, line));
}
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
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
void __tsan_read_range(void* p, size_t n)
{
    for (size_t i = 0; i < n; i += 4) look(uintptr_t(p) + i, n - i < 4 ? 1 : 4, false, false, CALLER);
}
void __tsan_write_range(void* p, size_t n)
{
    for (size_t i = 0; i < n; i += 4) look(uintptr_t(p) + i, n - i < 4 ? 1 : 4, true, false, CALLER);
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
