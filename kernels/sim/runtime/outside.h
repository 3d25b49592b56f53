// outside.h - which arrays a kernel may use, and what is said of an address outside of them.
#pragma once

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
