// order.h - does a thread know that an access of another one was over before? By barriers, or by an atomic behind a fence.
#pragma once

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
        if (t.spread != ONE_THREAD) continue;
        if (was_told(meeting.threads, thread_key(t.block, t.thread), h.time, t.time)) return true;
    }
    return false;
}

static void hear(Worker* w, uintptr_t place)  // at an atomic
{
    const auto found = w->meetings.find(place);
    if (found == w->meetings.end()) return;
    for (const Heard& h : w->heard)
        if (h.place == place && h.thread == w->current && h.time > found->second.last) return;  // nothing new
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
