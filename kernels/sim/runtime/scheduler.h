// scheduler.h - which thread of a block runs, and what it waits for: barriers, exchanges within a warp, the end.
#pragma once

static void fiber_main()
{
    for (;;) {  // a fiber serves one thread after another
        Worker* w = worker;
        w->launch->run(w->launch->arguments);
        w->idle.push_back(w->fiber);
        w->current = -1;
        switch_context(w->fiber->context, w->scheduler);
    }
}

static Fiber* take_fiber()
{
    Worker* w = worker;
    if (!w->idle.empty()) {
        Fiber* fiber = w->idle.back();
        w->idle.pop_back();
        return fiber;
    }
    Fiber* fiber = new_fiber(w->fibers.size(), fiber_main);
    if (!fiber) fail("memory", "there is no memory for the stacks of %zu threads", w->fibers.size() + 1);
    w->fibers.push_back(fiber);
    return fiber;
}

static inline void set_current(Worker* w, int thread)
{
    w->current = thread;
    w->threads[thread].status = RUNNING;
    sim_threadIdx = w->threads[thread].index;
}

extern "C" void sim_begin()
{
    Worker* w = worker;
    leave_if_asked(w, w->recent_pc);
    const int thread = w->order[sim_next++];
    w->threads[thread].fiber = w->fiber;
    w->threads[thread].warp_time = w->block_time;
    set_current(w, thread);
}

// Who runs next: a thread that has not started (thread = -1), or one that is ready. False: nobody can.
static bool choose(Worker* w, Fiber*& fiber, int& thread)
{
    const size_t ready = w->ready.size() - w->head;
    const bool shuffled = (w->launch->mode & ORDER) == SHUFFLED;
    thread = -1;
    if (sim_next < sim_count && (!ready || !shuffled || w->random() % 2)) {
        fiber = take_fiber();
        return true;
    }
    if (!ready) return false;
    if (shuffled) std::swap(w->ready[w->head], w->ready[w->head + w->random() % ready]);
    thread = w->ready[w->head++];
    if (w->head == w->ready.size()) {
        w->ready.clear();
        w->head = 0;
    }
    fiber = w->threads[thread].fiber;
    return true;
}

static void wait_here(Worker* w)
{
    Fiber *own = w->fiber, *next;
    int thread;
    if (!choose(w, next, thread)) {
        w->current = -1;
        switch_context(own->context, w->scheduler);
        return;
    }
    w->fiber = next;
    if (thread >= 0) set_current(w, thread);
    if (next != own) switch_context(own->context, next->context);  // chance may choose the one that yields
}

// A thread that has made many atomics without a pause may be waiting for another one: let that one go on.
extern "C" void sim_yield()
{
    Worker* w = worker;
    sim_spins = 0;
    leave_if_asked(w, w->recent_pc);
    if (sim_next >= sim_count && w->head == w->ready.size()) return;  // there is no other
    const int own = w->current;
    w->threads[own].status = READY;
    w->ready.push_back(own);
    wait_here(w);
}

// Barriers of the block ------------------------------------------------------------------------------------------------
static void tell_unset(Worker* w)
{
    if (!w->unset_pc) return;
    w->current = w->unset_by;
    fail("uninitialised", "%sread of %s at byte %zu, which nobody has written", At(w->unset_pc).text,
         NAMES[w->unset_kind], w->unset_at);
}

static void owe_nothing(Worker* w);  // see checker.h

static void open_barrier(Worker* w, int last)  // the last one to arrive, if one did, need not be woken
{
    tell_unset(w);
    w->barrier_before = w->block_time;
    w->block_time = ++w->time;
    w->waiting = 0;
    for (int i = 0; i < 3; ++i) w->results[i] = w->votes[i];
    w->votes[0] = 0, w->votes[1] = 1, w->votes[2] = 0;
    for (int i : w->order)
        if (w->threads[i].status == AT_BARRIER) {
            w->threads[i].status = READY;
            if (i != last) w->ready.push_back(i);
        }
}

static const Thread* somebody_at_barrier(Worker* w)
{
    for (auto& t : w->threads)
        if (t.status == AT_BARRIER) return &t;
    return nullptr;
}

extern "C" void sim_end()
{
    Worker* w = worker;
    owe_nothing(w);
    w->threads[w->current].status = DONE;
    w->done++;
    if (!w->waiting || w->waiting + w->done < sim_count) return;
    const Thread* t = somebody_at_barrier(w);
    if (w->launch->mode & CHECKED)
        fail("divergent barrier", "#%s:%d#%d of the block's %d threads have ended while %d wait at %s", t->file, t->line,
             w->done, sim_count, w->waiting, t->op);
    open_barrier(w, -1);
}

static void barrier(Worker* w, const char* op, const char* file, int line)
{
    Thread& me = w->threads[w->current];
    leave_if_asked(w, file, line);
    owe_nothing(w);
    if (w->launch->mode & CHECKED) {
        if (w->done)
            fail("divergent barrier", "#%s:%d#this thread waits at %s, but %d of the block's %d threads have ended", file,
                 line, op, w->done, sim_count);
        if (const Thread* t = somebody_at_barrier(w); t && (t->line != line || strcmp(t->file, file)))
            fail("divergent barrier", "#%s:%d#this thread waits at %s here, thread (%u,%u,%u) at %s in line %d", file,
                 line, op, t->index.x, t->index.y, t->index.z, t->op, t->line);
    }
    me.op = op, me.file = file, me.line = line, me.status = AT_BARRIER;
    if (++w->waiting + w->done == sim_count) {
        open_barrier(w, w->current);
        me.status = RUNNING;
    } else
        wait_here(w);
}
extern "C" void sim_syncthreads(const char* op, const char* file, int line) { barrier(worker, op, file, line); }
extern "C" int sim_vote_block(int value, int how, const char* op, const char* file, int line)
{
    Worker* w = worker;
    w->votes[0] += value, w->votes[1] &= value, w->votes[2] |= value;
    barrier(w, op, file, line);
    return w->results[how];
}

// Exchanges within a warp ----------------------------------------------------------------------------------------------
extern "C" int sim_lane() { return worker->current & 31; }

extern "C" uint32_t sim_activemask()
{
    Worker* w = worker;
    uint32_t mask = 0;
    for (int lane = 0, first = w->current & ~31; lane < 32 && first + lane < sim_count; ++lane)
        if (w->threads[first + lane].status != DONE) mask |= 1u << lane;
    return mask;
}

extern "C" const uint64_t* sim_exchange(uint32_t mask, uint64_t bits, const char* op, const char* file, int line)
{
    Worker* w = worker;
    const int own = w->current, lane = own & 31, first = own & ~31;
    const char* kind = "shuffle mask";
    leave_if_asked(w, file, line);
    owe_nothing(w);
    Thread& me = w->threads[own];
    if (!(mask >> lane & 1))
        fail(kind, "#%s:%d#lane %d calls %s with the mask 0x%08x, in which it is not", file, line, lane, op, mask);
    const uint32_t exist = sim_count - first >= 32 ? ~0u : (1u << (sim_count - first)) - 1;
    if ((w->launch->mode & CHECKED) && (mask & ~exist))
        fail(kind, "#%s:%d#%s: the mask 0x%08x names lanes that do not exist in a block of %d threads", file, line, op,
             mask, sim_count);
    mask &= exist;
    const int turn = me.turn & 1;
    w->exchanged[own >> 5][turn][lane] = bits;
    me.op = op, me.file = file, me.line = line, me.mask = mask, me.status = AT_EXCHANGE;
    uint32_t arrived = 0;
    for (int l = 0; l < 32; ++l) {
        if (!(mask >> l & 1)) continue;
        const Thread& t = w->threads[first + l];
        if (t.status == DONE)
            fail(kind, "#%s:%d#%s: lane %d of the mask 0x%08x has ended already", file, line, op, l, mask);
        if (t.status == AT_BARRIER)
            fail(kind, "#%s:%d#%s: lane %d of the mask 0x%08x waits at %s in line %d", file, line, op, l, mask, t.op, t.line);
        if (t.status != AT_EXCHANGE) continue;
        if (t.mask != mask || t.line != line || strcmp(t.op, op))
            fail(kind, "#%s:%d#%s with the mask 0x%08x: lane %d waits at %s in line %d with the mask 0x%08x", file, line,
                 op, mask, l, t.op, t.line, t.mask);
        arrived |= 1u << l;
    }
    if (arrived == mask) {
        w->time++;
        for (int l = 0; l < 32; ++l)
            if (mask >> l & 1) {
                Thread& t = w->threads[first + l];
                t.warp_time = w->time;
                if (first + l == own) continue;
                t.status = READY;
                w->ready.push_back(first + l);
            }
        me.status = RUNNING;
    } else
        wait_here(w);
    me.turn++;
    return w->exchanged[own >> 5][turn];
}

extern "C" void sim_source(uint32_t mask, int lane, const char* op, const char* file, int line)
{
    if ((worker->launch->mode & CHECKED) && !(mask >> lane & 1))
        fail("shuffle mask", "#%s:%d#%s reads from lane %d, which is not in the mask 0x%08x", file, line, op, lane, mask);
}

// Called by the scheduler: fail() comes back to it.
static void report_deadlock(Worker* w)
{
    for (int i = 0; i < sim_count; ++i) {
        const Thread& t = w->threads[i];
        if (t.status != AT_EXCHANGE) continue;
        w->current = i;
        for (int lane = 0; lane < 32; ++lane)
            if (t.mask >> lane & 1 && w->threads[(i & ~31) + lane].status == DONE)
                fail("shuffle mask", "#%s:%d#%s waits for lane %d of its mask 0x%08x, which has ended", t.file, t.line, t.op,
                     lane, t.mask);
        fail("deadlock", "#%s:%d#this thread waits at %s for others that wait elsewhere: %d at a barrier, %d have ended",
             t.file, t.line, t.op, w->waiting, w->done);
    }
}

extern "C" void sim_assert_failed(const char* condition, const char* file, int line)
{
    fail("assertion", "#%s:%d#the assertion does not hold: %s", file, line, condition);
}
