// checker.h - looks at every access to memory in check mode.
//
// g++ -fsanitize=thread calls a function before each load and store. It is made for ThreadSanitizer, but the functions
// are ours: they know which thread of which block runs, and what the block has waited for since. Two accesses to the same
// bytes race if at least one writes, they come from two threads, and nothing between them makes the one wait for the
// other: no __syncthreads (block_time), no meeting of their warp (warp_time), no end of the kernel (launch_time). That
// does not depend on the order in which threads happen to run, so one run finds them. Two writes of the same bytes are let
// pass, as CUDA does: it only leaves open which of them comes last.
#pragma once

[[noreturn]] static void report_race(Worker* w, const char* first, const char* then, Kind kind, uintptr_t offset,
                                     const Trace& other, size_t own)
{
    const sim_dim& t = w->threads[other.thread].index;
    w->unset_pc = 0;
    fail("race", "%sthis thread %s %s at byte %zu, which thread (%u,%u,%u) of %s %s in line %s, and neither waits for the "
         "other", At(own).text, then, NAMES[kind], size_t(offset), t.x, t.y, t.z,
         other.block == w->block ? "the same block" : "another block", first, At(other.pc).text);
}

// `old = *p; do ... old = atomicCAS(p, ...)` reads p without an atomic, and that does no harm: if the number is old, so says
// atomicCAS. Such a read races with atomics of others, but is let pass if the thread writes nothing before its atomicCAS.
static bool has_read(const Worker* w, uintptr_t a)
{
    for (unsigned i = 0; i < std::min(w->read_count, RECENT_READS); ++i)
        if (w->reads[i] == a) return true;
    return false;
}

static void owe_nothing(Worker* w)
{
    w->read_count = 0;
    if (!w->owed_at) return;
    w->owed_at = 0;
    report_race(w, "changes", "reads", w->owed_kind, w->owed_offset, w->owed, w->owed_pc);
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
    if (!w->recent.holds(a)) {
        if (w->data.holds(a)) {
            kind = VARIABLE, offset = a - w->data.low, shadow = w->data_shadow;
            return a + bytes <= w->data.high;
        }
        const Allocation* found = find_array(w, a);
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
             w->recent.bytes());
    kind = GLOBAL, offset = a - w->recent.low, shadow = w->recent.shadow;
    return shadow != nullptr;  // made before checking was switched on: bounds only
}

// g++ -ftrivial-auto-var-init=pattern fills local variables with bytes 0xfe until they are given a value. As a float that
// is -1.7e38, which stays what it is whatever ordinary numbers are added. The checker is called before a value is stored,
// so it looks at the value when it is called the next time.
static void look_at_stored(Worker* w)
{
    const uintptr_t a = w->stored;
    if (!a) return;
    w->stored = 0;
    for (size_t i = 0; w->suspect_bytes >> i; ++i)
        if (w->suspect_bytes >> i & 1 && ((const uint8_t*)a)[i] != w->suspect_before[i]) {
            w->current = w->stored_by;
            report_race(w, "writes", "writes", w->stored_kind, w->stored_offset, w->suspect, w->stored_pc);
        }
    if (w->stored_bytes < 4) return;
    const uint64_t filled = 0xfefefefefefefefeull;
    const auto is_filled = [&](uintptr_t p, size_t bytes) { return !memcmp((const void*)p, &filled, bytes); };
    if (w->stored_bytes == 16 ? !is_filled(a, 8) && !is_filled(a + 8, 8) : !is_filled(a, w->stored_bytes)) return;
    w->current = w->stored_by;
    fail("uninitialised", "%sthis thread writes to %s a value that comes from a local variable without a value (in check "
         "mode such a variable is full of bytes 0xfe)", At(w->stored_pc).text, NAMES[w->stored_kind]);
}

// Of what is about to be stored, this part was written by another thread: a race if the value is another one.
static void suspect(Worker* w, const Trace& other, size_t begin, size_t bytes)
{
    w->suspect = other;
    for (size_t i = 0; i < w->stored_bytes; ++i)
        if (w->stored_offset + i - begin < bytes) {
            w->suspect_bytes |= 1 << i;
            w->suspect_before[i] = ((const uint8_t*)w->stored)[i];
        }
}

static void look(uintptr_t a, size_t bytes, bool write, bool atomic, size_t pc)
{
    Worker* w = worker;
    if (!w || w->current < 0 || !(w->launch->mode & CHECKED) || w->fiber->holds(a)) return;
    for (const void* own : {(const void*)&sim_threadIdx, (const void*)&sim_blockIdx, (const void*)&sim_blockDim,
                            (const void*)&sim_gridDim})
        if (a - uintptr_t(own) < sizeof(sim_dim)) return;
    leave_if_asked(w, pc);
    look_at_stored(w);
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
    if (write) memset(shadow->initialised + offset, 1, bytes);
    const bool cas = atomic && w->cas_at == a, paid = cas && has_read(w, a);
    w->cas_at = 0;
    if (paid) w->owed_at = 0;
    if (write) owe_nothing(w);
    else w->reads[w->read_count++ % RECENT_READS] = a;
    if (atomic) hear(w, a);
    if (write) {
        w->stored = a, w->stored_offset = offset, w->stored_bytes = bytes, w->stored_pc = pc, w->stored_kind = kind;
        w->stored_by = w->current, w->suspect_bytes = 0;
    }

    if (shadow->shift && (a | bytes) & 3 && !shadow->split())
        fail("memory", "%sthere is no memory left to remember who used each of %zu bytes", At(pc).text, shadow->bytes);
    for (size_t i = offset >> shadow->shift, last = (offset + bytes - 1) >> shadow->shift; i <= last; ++i) {
        Cell& c = shadow->cells[i];
        const char* verb = write ? "writes" : "reads";
        const bool after_write = ordered(w, c.write, kind);
        if (!after_write && (!write || atomic)) report_race(w, "writes", verb, kind, offset, c.write, pc);
        if (!atomic && !ordered_atomics(w, c.atomic, kind, a)) {
            if (write) report_race(w, "changes", verb, kind, offset, c.atomic, pc);
            if (w->owed_at && w->owed_at != a) owe_nothing(w);
            w->owed_at = a, w->owed = c.atomic, w->owed_kind = kind, w->owed_offset = offset, w->owed_pc = pc;
            continue;
        }
        if (paid && c.read.spread == ONE_THREAD && c.read.block == w->block && c.read.thread == w->current) c.read.time = 0;
        if (write && !ordered(w, c.read, kind)) report_race(w, "reads", verb, kind, offset, c.read, pc);
        if (atomic) note(w, c.atomic, kind, pc);
        else if (!write) note(w, c.read, kind, pc);
        else {  // all that was before is over, or we would not be here, or it was a write of the same value
            c.read.time = c.atomic.time = 0;
            if (!after_write) suspect(w, c.write, i << shadow->shift, size_t(1) << shadow->shift);
            note(w, c.write, kind, pc);
        }
    }
    if (atomic) tell(w, a);
}

#define CALLER (uintptr_t(__builtin_return_address(0)) - 1 - text_base)
extern "C" {
void sim_atomic(const volatile void* p, int bytes, const char* file, int line)
{
    look(uintptr_t(p), bytes, true, true, number_of(file, line));
}
void sim_cas(const volatile void* p) { worker->cas_at = uintptr_t(p); }
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
