// checker.h - looks at every access to memory in check mode.
//
// g++ -fsanitize=thread calls a function before each load and store. It is made for ThreadSanitizer, but the functions
// are ours: they know which thread of which block runs, and what the block has waited for since. Two accesses to the same
// bytes race if at least one writes, they come from two threads, and nothing between them makes the one wait for the
// other: no __syncthreads (block_time), no meeting of their warp (warp_time), no end of the kernel (launch_time). That
// does not depend on the order in which threads happen to run, so one run finds them. Two writes of the same bytes are let
// pass, as CUDA does: it only leaves open which of them comes last.
#pragma once

// Handed on by an atomic behind a fence ---------------------------------------------------------------------------------
static uint64_t thread_key(uint32_t block, int thread) { return uint64_t(block) << 16 | uint64_t(thread); }

template <class Map, class Key> static bool was_told(const Map& map, Key key, uint32_t heard, uint32_t time)
{
    const auto found = map.find(key);
    return found != map.end() && found->second.at < heard && time < found->second.until;
}

// Has the current thread, or one that it has waited for since, been told that what the trace tells of was over?
static bool heard_of(const Worker* w, const Trace& t)
{
    if (t.spread == SEVERAL_BLOCKS) return false;
    for (const Heard& h : w->heard) {
        const bool same_warp = h.thread >> 5 == w->current >> 5;
        if (h.thread != w->current && h.time >= w->block_time &&
            !(same_warp && h.time < w->threads[w->current].warp_time)) continue;
        const Meeting& meeting = w->meetings.at(h.place);
        if (was_told(meeting.blocks, t.block, h.time, t.time)) return true;
        if (t.spread == ONE_THREAD && was_told(meeting.threads, thread_key(t.block, t.thread), h.time, t.time)) return true;
    }
    return false;
}

static void hear(Worker* w, uintptr_t place)  // at an atomic
{
    const auto found = w->meetings.find(place);
    if (found == w->meetings.end()) return;
    for (size_t i = w->heard.size(); i-- > 0;)
        if (w->heard[i].place == place && w->heard[i].thread == w->current && w->heard[i].time > found->second.last) return;
    w->heard.push_back({place, w->current, ++w->time});
}

static void tell(Worker* w, uintptr_t place)  // at an atomic
{
    const uint32_t fence = w->threads[w->current].fence_time;
    if (!fence) return;
    Meeting& meeting = w->meetings[place];
    Told& own = meeting.threads[thread_key(w->block, w->current)];
    const bool all = fence > w->barrier_before && meeting.blocks[w->block].until < w->block_time;
    if (own.until >= fence && !all) return;  // nothing new
    meeting.last = ++w->time;
    if (own.until < fence) own = {fence, w->time};
    if (all) meeting.blocks[w->block] = {w->block_time, w->time};
}

extern "C" void sim_fence()
{
    Worker* w = worker;
    if (w && w->current >= 0) w->threads[w->current].fence_time = ++w->time;
}

// Does the current thread know that what the trace tells of was over before?
static bool ordered_by_waiting(const Worker* w, const Trace& t, Kind kind)
{
    if (t.time < w->launch_time) return true;  // or it never happened
    if (kind >= SHARED) {
        if (t.block != w->block) return true;  // another block's shared memory is other memory
    } else if (t.block != w->block || t.spread == SEVERAL_BLOCKS)
        return false;
    if (t.time < w->block_time || (t.spread == ONE_THREAD && t.thread == w->current)) return true;
    return t.spread <= ONE_WARP && t.thread >> 5 == w->current >> 5 && t.time < w->threads[w->current].warp_time;
}
static bool ordered(const Worker* w, const Trace& t, Kind kind)
{
    return ordered_by_waiting(w, t, kind) || (!w->heard.empty() && heard_of(w, t));
}
// Atomics by which threads tell each other come one after another: who waited for the last one waited for all.
static bool ordered_atomics(const Worker* w, const Trace& t, Kind kind, uintptr_t place)
{
    if (ordered(w, t, kind)) return true;
    if (w->meetings.empty() || !w->meetings.count(place)) return false;
    Trace last = t;
    last.spread = ONE_THREAD;
    return ordered(w, last, kind);
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

// Which arrays a kernel may use: its arguments, and what a pointer in them or in the file's variables points to.
static void find_given(Worker* w)
{
    w->given.clear();
    for (uint64_t i = 0; i < w->launch->given_count; ++i)
        if (const Allocation* found = allocation_at(w->launch->given[2 * i + 1])) {
            w->given.push_back(*found);
            w->given.back().argument = int(w->launch->given[2 * i]);
        }
}

static bool points_to(Range memory, const Allocation& target)
{
    for (uintptr_t p = (memory.low + 7) / 8 * 8; p + 8 <= memory.high; p += 8)
        if (target.holds(*(const uintptr_t*)p)) return true;
    return false;
}

static bool reachable(Worker* w, const Allocation& target)
{
    bool found = points_to(w->data, target) || (w->dynamic.low && points_to(w->dynamic, target));
    for (size_t i = 0; !found && i < w->given.size(); ++i) found = points_to({w->given[i].low, w->given[i].high}, target);
    return found;
}

static const Allocation* find_array(Worker* w, uintptr_t a)  // null: of those that the kernel may use, none
{
    for (const Allocation& given : w->given)
        if (given.holds(a)) return &given;
    const Allocation* other = allocation_at(a);
    if (!other || !reachable(w, *other)) return nullptr;
    w->given.push_back(*other);
    return &w->given.back();
}

// Of an address outside of all arrays that the kernel may use: how far it is from the nearest one, in words.
struct Distance {
    char text[160];
    Distance(const Worker* w, uintptr_t a)
    {
        const Allocation* nearest = nullptr;
        uintptr_t least = uintptr_t(1) << 40;  // beyond that it says nothing: a null pointer, or not a pointer at all
        for (const Allocation& given : w->given) {
            const uintptr_t far = a < given.low ? given.low - a : a - given.high;
            if (far < least) least = far, nearest = &given;
        }
        text[0] = 0;
        if (!nearest) return;
        char which[40] = "an array";
        if (nearest->argument >= 0) snprintf(which, sizeof which, "argument %d, an array", nearest->argument);
        snprintf(text, sizeof text, "%zu bytes %s of %s of %zu bytes", size_t(least),
                 a < nearest->low ? "before the beginning" : "behind the end", which, nearest->bytes());
    }
};

[[noreturn]] static void report_outside(Worker* w, uintptr_t a, size_t bytes, const char* verb, const char* at)
{
    const char* kind = "out of bounds";
    for (Fiber* f : w->fibers)
        if (f->holds(a)) fail(kind, "%s%s of a local variable of another thread", at, verb);
    for (const Allocation& gone : freed)
        if (gone.holds(a))
            fail("use after free", "%s%s of an array of %zu bytes that has been freed", at, verb, gone.bytes());
    const Distance distance(w, a);
    if (const Allocation* other = allocation_at(a))
        fail(kind, "%s%s of %zu bytes in an array of %zu bytes that the kernel was not given%s%s", at, verb, bytes,
             other->bytes(), distance.text[0] ? ": " : "", distance.text);
    if (distance.text[0]) fail(kind, "%s%s of %zu bytes, %s", at, verb, bytes, distance.text);
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
