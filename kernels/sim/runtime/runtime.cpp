// runtime.cpp - the launch of a kernel: blocks, spread over worker threads.
#include <algorithm>
#include <cerrno>
#include <pthread.h>
#include <thread>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif
#include "fibers.h"
#include "state.h"
#include "memory.h"
#include "signals.h"
#include "scheduler.h"
#include "order.h"
#include "outside.h"
#include "checker.h"

static void compute_block(Worker* w, uint64_t number)
{
    const sim_dim& grid = w->launch->grid;
    sim_blockIdx = {unsigned(number % grid.x), unsigned(number / grid.x % grid.y), unsigned(number / grid.x / grid.y)};
    w->block = uint32_t(number);
    w->barrier_before = w->block_time = ++w->time;
    w->owed_at = w->cas_at = w->read_count = 0;
    w->heard.clear();
    w->done = w->waiting = 0;
    w->recent_pc = w->unset_pc = w->stored = 0;
    w->votes[0] = 0, w->votes[1] = 1, w->votes[2] = 0;
    w->ready.clear();
    w->head = 0;
    w->current = -1;
    sim_next = 0;
    for (auto& t : w->threads) t.status = NEW, t.file = nullptr, t.turn = 0, t.fence_time = 0;
    if ((w->launch->mode & ORDER) == SHUFFLED) std::shuffle(w->order.begin(), w->order.end(), w->random);
    memset((void*)w->shared.low, 0xff, w->shared.high - w->shared.low);  // whatever the block before left there
    if (w->dynamic.low) memset((void*)w->dynamic.low, 0xff, w->launch->shared_bytes);
    if (w->launch->mode & CHECKED) {
        memset(w->shared_shadow->initialised, 0, w->shared_shadow->bytes);
        memset(w->dynamic_shadow->initialised, 0, w->dynamic_shadow->bytes);
        for (uint32_t i = 0; i < w->launch->guard_count; ++i)  // 0xff also says so; CUDA leaves such variables alone
            memset(w->shared_shadow->initialised + w->launch->guards[2 * i], 1, w->launch->guards[2 * i + 1]);
    }
    if (_setjmp(w->way_out)) return;  // fail() was called, on whatever stack
    while (w->done < sim_count) {
        int thread;
        Fiber* fiber;
        if (!choose(w, fiber, thread)) report_deadlock(w);
        w->fiber = fiber;
        if (thread >= 0) set_current(w, thread);
        switch_context(w->scheduler, fiber->context);
    }
    look_at_stored(w);
    tell_unset(w);
}

static void prepare(Worker* w, sim_launch* launch, std::atomic<bool>* stop)
{
    w->launch = launch, w->stop = stop, w->failed = false, w->asked = false;
    w->random.seed(launch->seed + 1);
    const sim_dim& b = launch->block;
    sim_count = b.x * b.y * b.z;
    w->threads.resize(sim_count);
    w->order.resize(sim_count);
    for (unsigned i = 0; i < unsigned(sim_count); ++i) {
        w->order[i] = (launch->mode & ORDER) == BACKWARD ? sim_count - 1 - i : i;
        w->threads[i].index = {i % b.x, i / b.x % b.y, i / (b.x * b.y)};
    }
    sim_ranges ranges;
    launch->ranges(&ranges);
    w->shared = ranges.shared, w->data = ranges.data;
    w->dynamic = {};
    if (launch->dynamic) {
        w->dynamic.low = uintptr_t(launch->dynamic());
        w->dynamic.high = w->dynamic.low + launch->shared_bytes + PAGE;  // beyond its end it is still known what it was
    }
    w->time = w->launch_time = ++last_time;
    w->recent = {};
    if (launch->mode & CHECKED) {
        delete w->shared_shadow;
        delete w->dynamic_shadow;
        w->shared_shadow = new Shadow(w->shared.high - w->shared.low);
        w->dynamic_shadow = new Shadow(launch->shared_bytes);
        w->data_shadow = shadow_of_variables(w->data);
        find_given(w);
        w->meetings.clear();
    }
}

// Blocks that all workers of a launch take from, and how to call the other workers when there is enough to do.
struct Work {
    sim_launch* launch;
    uint64_t total;
    size_t workers;
    std::atomic<uint64_t> next{0};
    std::atomic<bool> stop{false};
    std::vector<std::thread> others;
};
static std::vector<Worker*> workers;  // their stacks are used again
static void compute_blocks(Worker* w, Work* work);

static void call_others(Work* work)
{
    while (workers.size() < work->workers) workers.push_back(new Worker);
    try {
        for (size_t i = 1; i < work->workers; ++i) work->others.emplace_back(compute_blocks, workers[i], work);
    } catch (const std::system_error&) {
        work->workers = 1;  // no more threads to be had: this one computes the rest
    }
}

static double now()
{
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + 1e-9 * t.tv_nsec;
}

static void compute_blocks(Worker* w, Work* work)
{
    sim_launch* launch = work->launch;
    worker = w;
    prepare(w, launch, &work->stop);
    std::vector<char> alternative(65536);  // a fault on a full stack needs another one to be told on
    stack_t own{}, outer{};
    own.ss_sp = alternative.data(), own.ss_size = alternative.size();
    sigaltstack(&own, &outer);
    const bool timed = start_clock();
#if defined(__x86_64__)
    const unsigned control = _mm_getcsr();
    // CuPy compiles with -ftz=true: float32 below 1.2e-38 counts as 0. Here that also holds of float64 below 2e-308
    if (launch->mode & FLUSH_TO_ZERO) _mm_setcsr(control | 0x8040);
#endif
    bool alone = w == workers[0] && work->workers > 1;
    const double begin = alone ? now() : 0;
    for (uint64_t i; !work->stop && (i = work->next.fetch_add(1)) < work->total;) {
        compute_block(w, (launch->mode & ORDER) == BACKWARD ? work->total - 1 - i : i);
        if (alone && work->next < work->total && now() - begin > 1e-4) {  // starting a thread takes as long
            call_others(work);
            alone = false;
        }
    }
    if (w->failed) {  // stacks were abandoned in the middle: all begin anew
        for (size_t i = 0; i < w->fibers.size(); ++i) restart(w->fibers[i], i, fiber_main);
        w->idle = w->fibers;
    }
    w->current = -1;
#if defined(__x86_64__)
    _mm_setcsr(control);
#endif
    if (timed) timer_delete(tick);
    sigaltstack(&outer, nullptr);
    worker = nullptr;
}

// One launch at a time: Python holds a lock. Returns 0, or 1 with a report.
extern "C" int sim_run(sim_launch* launch)
{
    sim_blockDim = launch->block, sim_gridDim = launch->grid;
    launch->report[0] = 0;
    Dl_info file;
    text_base = dladdr((void*)launch->run, &file) ? uintptr_t(file.dli_fbase) : 0;
    sim_ranges ranges;
    launch->ranges(&ranges);
    text = ranges.text;
    wind_clock();
    if (workers.empty()) workers.push_back(new Worker);

    Work work;
    work.launch = launch;
    work.total = uint64_t(launch->grid.x) * launch->grid.y * launch->grid.z;
    // several workers would make the clock of check mode ambiguous, and an order of blocks meaningless
    const bool alone = launch->mode & (CHECKED | ORDER);
    work.workers = alone ? 1 : std::max<uint64_t>(1, std::min<uint64_t>(launch->workers, work.total));

    catch_signals(launch->mode & INTERRUPTIBLE);
    compute_blocks(workers[0], &work);
    for (auto& thread : work.others) thread.join();
    release_signals();
    for (Worker* w : workers) last_time = std::max(last_time, w->time);
    return launch->report[0] ? 1 : 0;
}
