// runtime.cpp - device memory, and the launch of a kernel: blocks on worker threads, faults of the hardware.
#include <algorithm>
#include <csignal>
#include <pthread.h>
#include <sys/time.h>
#include <thread>
#include <ucontext.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif
#include "fibers.h"
#include "state.h"
#include "scheduler.h"
#include "checker.h"

// Device memory: an array ends where a page ends that must not be touched, so that one step too far is a fault ----------
// Fresh pages cost more than most kernels: what was freed is kept for the next array of its size, up to a gigabyte.
// Not in check mode, where whoever still uses freed memory shall be found.
static std::multimap<size_t, void*> spare;
static size_t spare_bytes;
static const size_t MOST_SPARE = size_t(1) << 30;

static char* take_map(size_t map_bytes)
{
    std::lock_guard<std::mutex> lock(allocations_lock);
    if (auto found = spare.find(map_bytes); found != spare.end()) {
        char* map = (char*)found->second;
        spare.erase(found);
        spare_bytes -= map_bytes;
        return map;
    }
    char* map = (char*)mmap(nullptr, map_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED) return nullptr;
    mprotect(map, PAGE, PROT_NONE);
    mprotect(map + map_bytes - PAGE, PAGE, PROT_NONE);
    return map;
}

extern "C" void* sim_malloc(size_t bytes, int checked)
{
    const size_t rounded = (bytes + 15) / 16 * 16, map_bytes = (rounded + PAGE - 1) / PAGE * PAGE + 2 * PAGE;
    char* map = take_map(map_bytes);
    if (!map) return nullptr;
    char* p = map + map_bytes - PAGE - rounded;
    Allocation made{uintptr_t(p), uintptr_t(p) + bytes, nullptr, map, map_bytes};
    if (checked) {
        memset(p, 0xff, rounded);  // NaN, if anybody reads it
        made.shadow = new Shadow;
        made.shadow->resize(bytes);
    }
    std::lock_guard<std::mutex> lock(allocations_lock);
    allocations[made.high] = made;
    return p;
}
extern "C" void sim_free(void* p, size_t bytes)
{
    std::lock_guard<std::mutex> lock(allocations_lock);
    auto found = allocations.find(uintptr_t(p) + bytes);
    if (found == allocations.end()) return;
    const Allocation old = found->second;
    allocations.erase(found);
    delete old.shadow;
    if (old.shadow || spare_bytes + old.map_bytes > MOST_SPARE) {
        munmap(old.map, old.map_bytes);
        return;
    }
    spare.insert({old.map_bytes, old.map});
    spare_bytes += old.map_bytes;
}
extern "C" void sim_mark(void* p, size_t bytes)  // the host has written here
{
    std::lock_guard<std::mutex> lock(allocations_lock);
    auto found = allocations.upper_bound(uintptr_t(p));
    if (found == allocations.end() || !found->second.shadow || uintptr_t(p) < found->second.low) return;
    memset(&found->second.shadow->initialised[uintptr_t(p) - found->second.low], 1, bytes);
}

// Faults ---------------------------------------------------------------------------------------------------------------
static std::vector<Worker*> active;  // workers of the launch that runs
static std::atomic<double> deadline;

static double cpu_seconds()
{
    timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec + 1e-9 * t.tv_nsec;
}

static const int SIGNALS[] = {SIGSEGV, SIGBUS, SIGFPE, SIGVTALRM};
static struct sigaction before[4];

static void on_signal(int number, siginfo_t* info, void* context)
{
    Worker* w = worker;
    if (number == SIGVTALRM && cpu_seconds() < deadline) return;
    if (!w || w->current < 0) {
        if (number == SIGVTALRM) {
            for (Worker* other : active)  // the clock rang in a thread that computes nothing: tell those that do
                if (!pthread_equal(other->thread, pthread_self())) pthread_kill(other->thread, SIGVTALRM);
            return;
        }
        for (int i = 0; i < 4; ++i)  // not a kernel's doing: let it happen again without us
            if (SIGNALS[i] == number) sigaction(number, &before[i], nullptr);
        return;
    }
    uintptr_t pc = 0;
#if defined(__x86_64__)
    pc = ((ucontext_t*)context)->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
    pc = ((ucontext_t*)context)->uc_mcontext.pc;
#endif
    const size_t at = base_of(pc) == text_base ? pc - text_base : w->recent_pc;  // else in a library's or our function
    if (number == SIGVTALRM) fail("hang", "%s%sthe kernel does not end: it has computed for %g seconds", At(at).text, At(w->recent_pc).text,
             w->launch->seconds);
    if (number == SIGFPE) fail("division", "%sa whole number is divided by zero", At(at).text);
    for (Fiber* f : w->fibers)
        if (f->overflowed_at(uintptr_t(info->si_addr)))
            fail("stack", "%sthe thread's local variables need more than its stack of %zu KB", At(at).text, STACK >> 10);
    fail("out of bounds", "%saccess to address %p, where no array lies", At(at).text, info->si_addr);
}

// Launch ---------------------------------------------------------------------------------------------------------------
static void compute_block(Worker* w, uint64_t number)
{
    const sim_dim& grid = w->launch->grid;
    const bool checked = w->launch->mode & CHECKED;
    sim_blockIdx = {unsigned(number % grid.x), unsigned(number / grid.x % grid.y), unsigned(number / grid.x / grid.y)};
    w->block = uint32_t(number);
    w->block_time = ++w->time;
    w->done = w->waiting = 0;
    w->recent_pc = w->unset_pc = 0;
    w->votes[0] = 0, w->votes[1] = 1, w->votes[2] = 0;
    w->ready.clear();
    w->head = 0;
    w->current = -1;
    sim_next = 0;
    for (auto& t : w->threads) t.status = NEW, t.turn = 0;
    if ((w->launch->mode & ORDER) == SHUFFLED) std::shuffle(w->order.begin(), w->order.end(), w->random);
    memset((void*)w->shared_low, 0xff, w->shared_high - w->shared_low);  // whatever the block before left there
    memset((void*)w->dynamic_low, 0xff, w->launch->shared_bytes);
    if (checked) {
        std::fill(w->shared.initialised.begin(), w->shared.initialised.end(), 0);
        std::fill(w->dynamic.initialised.begin(), w->dynamic.initialised.end(), 0);
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
    tell_unset(w);
}

static void prepare(Worker* w, sim_launch* launch, std::atomic<bool>* stop)
{
    w->launch = launch, w->stop = stop, w->failed = false;
    w->thread = pthread_self();
    w->random.seed(launch->seed + 1);
    const sim_dim& b = launch->block;
    sim_count = b.x * b.y * b.z;
    w->threads.resize(sim_count);
    w->order.resize(sim_count);
    for (unsigned i = 0; i < unsigned(sim_count); ++i) {
        w->order[i] = (launch->mode & ORDER) == BACKWARD ? sim_count - 1 - i : i;
        w->threads[i].index = {i % b.x, i / b.x % b.y, i / (b.x * b.y)};
    }
    launch->shared_range((void**)&w->shared_low, (void**)&w->shared_high);
    w->dynamic_low = launch->dynamic ? uintptr_t(launch->dynamic()) : 0;
    w->dynamic_high = w->dynamic_low + (launch->dynamic ? launch->shared_bytes + 4096 : 0);
    w->time = w->launch_time = ++last_time;
    w->recent = {};
    if (launch->mode & CHECKED) {
        w->shared.resize(w->shared_high - w->shared_low);
        w->dynamic.resize(launch->shared_bytes);
    }
}

static void compute_blocks(Worker* w, sim_launch* launch, std::atomic<uint64_t>* next, std::atomic<bool>* stop)
{
    worker = w;
    prepare(w, launch, stop);
    std::vector<char> alternative(32768);  // a fault on a full stack needs another one to be told on
    stack_t own{}, outer{};
    own.ss_sp = alternative.data(), own.ss_size = alternative.size();
    sigaltstack(&own, &outer);
#if defined(__x86_64__)
    const unsigned control = _mm_getcsr();
    if (launch->mode & FLUSH_TO_ZERO) _mm_setcsr(control | 0x8040);  // CuPy compiles with -ftz=true
#endif
    const uint64_t total = uint64_t(launch->grid.x) * launch->grid.y * launch->grid.z;
    for (uint64_t i; !*stop && (i = next->fetch_add(1)) < total;)
        compute_block(w, (launch->mode & ORDER) == BACKWARD ? total - 1 - i : i);
    if (w->failed) {  // stacks were abandoned in the middle: all begin anew
        for (size_t i = 0; i < w->fibers.size(); ++i) restart(w->fibers[i], i, fiber_main);
        w->idle = w->fibers;
    }
    w->current = -1;
#if defined(__x86_64__)
    _mm_setcsr(control);
#endif
    sigaltstack(&outer, nullptr);
    worker = nullptr;
}

// One launch at a time: Python holds a lock. Returns 0, or 1 with a report.
extern "C" int sim_run(sim_launch* launch)
{
    static std::vector<Worker*> workers;  // their stacks are used again
    sim_blockDim = launch->block, sim_gridDim = launch->grid;
    launch->report[0] = 0;
    text_base = base_of(uintptr_t(launch->run));
    const uint64_t total = uint64_t(launch->grid.x) * launch->grid.y * launch->grid.z;
    // several workers would make the clock of check mode ambiguous, and an order of blocks meaningless
    const bool alone = launch->mode & (CHECKED | ORDER);
    const size_t count = alone ? 1 : std::max<uint64_t>(1, std::min<uint64_t>(launch->workers, total));
    while (workers.size() < count) workers.push_back(new Worker);
    active.assign(workers.begin(), workers.begin() + count);
    for (Worker* w : active) w->thread = pthread_self();

    struct sigaction ours{};
    ours.sa_sigaction = on_signal;
    ours.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER | SA_RESTART;
    for (int i = 0; i < 4; ++i) sigaction(SIGNALS[i], &ours, &before[i]);
    deadline = cpu_seconds() + launch->seconds * count;
    itimerval ring{{0, 250000}, {0, 250000}}, off{};
    setitimer(ITIMER_VIRTUAL, &ring, nullptr);

    std::atomic<uint64_t> next{0};
    std::atomic<bool> stop{false};
    std::vector<std::thread> others;
    for (size_t i = 1; i < count; ++i) others.emplace_back(compute_blocks, workers[i], launch, &next, &stop);
    compute_blocks(workers[0], launch, &next, &stop);
    for (auto& thread : others) thread.join();

    setitimer(ITIMER_VIRTUAL, &off, nullptr);
    for (int i = 0; i < 4; ++i) sigaction(SIGNALS[i], &before[i], nullptr);
    for (Worker* w : active) last_time = std::max(last_time, w->time);
    return launch->report[0] ? 1 : 0;
}
