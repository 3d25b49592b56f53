// signals.h - what the operating system says while a kernel runs: faults of the hardware, the clock, Ctrl-C.
//
// A fault is answered at once. The clock and Ctrl-C may come while this thread is inside of the C library or of the
// simulator, which must not be left in the middle. Then the worker is only asked to leave, which it does when it next
// calls the simulator or when the clock next rings inside of the kernel itself.
#pragma once
#include <csignal>
#include <ctime>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>
#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

static std::atomic<bool> interrupted;  // by Ctrl-C

static double cpu_seconds()  // of this thread
{
    timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec + 1e-9 * t.tv_nsec;
}

static __thread double started;     // cpu_seconds() at the launch
static __thread timer_t tick;       // rings in this thread, by its own CPU time
static const long TICK = 50000000;  // nanoseconds

static void ring_every(long nanoseconds)
{
    const timespec t{0, nanoseconds};
    const itimerspec ring{t, t};
    timer_settime(tick, 0, &ring, nullptr);
}

static bool start_clock()
{
    started = cpu_seconds();
    sigevent event{};
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = SIGVTALRM;
    event.sigev_notify_thread_id = pid_t(syscall(SYS_gettid));
    if (timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &tick)) return false;
    ring_every(TICK);
    return true;
}

[[noreturn]] static void leave(Worker* w, const char* place)
{
    if (interrupted) fail("interrupted", "%sby the user", place);
    fail("hang", "%sthe kernel does not end: it has computed for %g seconds", place, w->launch->seconds);
}
static inline void leave_if_asked(Worker* w, size_t pc)
{
    if (__builtin_expect(w->asked.load(std::memory_order_relaxed), 0)) leave(w, At(pc).text);
}
static inline void leave_if_asked(Worker* w, const char* file, int line)
{
    if (__builtin_expect(!w->asked.load(std::memory_order_relaxed), 1)) return;
    char place[600];
    snprintf(place, sizeof place, "#%s:%d#", file, line);
    leave(w, place);
}

static const int SIGNALS[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGVTALRM, SIGINT};
static const int SIGNAL_COUNT = 6;
static struct sigaction before[SIGNAL_COUNT];

static void as_before(int number, siginfo_t* info, void* context)
{
    for (int i = 0; i < SIGNAL_COUNT; ++i) {
        if (SIGNALS[i] != number) continue;
        if (number != SIGINT && number != SIGVTALRM) {
            sigaction(number, &before[i], nullptr);  // not a kernel's doing: it happens again, without us
        } else if (before[i].sa_flags & SA_SIGINFO) {
            before[i].sa_sigaction(number, info, context);
        } else if (before[i].sa_handler != SIG_DFL && before[i].sa_handler != SIG_IGN) {
            before[i].sa_handler(number);
        }
    }
}

static size_t kernel_pc(void* context)  // where the kernel was; 0 if this thread was inside of something else
{
#if defined(__x86_64__)
    const uintptr_t pc = ((ucontext_t*)context)->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
    const uintptr_t pc = ((ucontext_t*)context)->uc_mcontext.pc;
#else
    const uintptr_t pc = 0;
#endif
    return text.holds(pc) ? pc - text_base : 0;
}

static void on_clock(Worker* w, void* context)
{
    if (!interrupted && cpu_seconds() - started < w->launch->seconds) return;
    char place[900], waited[300] = "";
    const size_t pc = kernel_pc(context);
    const Thread& t = w->threads[w->current];  // at a barrier, pc lies in a helper of ours
    if (t.file) snprintf(waited, sizeof waited, "#%s:%d#", t.file, t.line);
    snprintf(place, sizeof place, "%s%s%s", At(pc).text, At(w->recent_pc).text, waited);
    if (pc) leave(w, place);
    w->asked = true;
    ring_every(TICK / 50);
}

static void on_signal(int number, siginfo_t* info, void* context)
{
    const int error = errno;
    Worker* w = worker;
    const bool computing = w && w->current >= 0;
    if (number == SIGINT) {
        interrupted = true;
        as_before(number, info, context);  // Python takes note; each worker will see it when its clock rings
    } else if (number == SIGVTALRM && info->si_code == SI_TIMER) {
        if (computing) on_clock(w, context);
    } else if (!computing || info->si_code <= 0) {  // or sent by somebody: not a fault
        as_before(number, info, context);
    } else {
        const size_t pc = kernel_pc(context);
        const At at(pc ? pc : w->recent_pc);
        if (number == SIGFPE) fail("division", "%sa whole number is divided by zero", at.text);
        if (number == SIGILL)
            fail("undefined", "%sthe compiler could see that this can only go wrong, as a division by zero does",
                 at.text);
        for (Fiber* f : w->fibers)
            if (f->overflowed_at(uintptr_t(info->si_addr)))
                fail("stack", "%sthe thread's local variables need more than its stack of %zu KB", at.text,
                     STACK >> 10);
        fail("out of bounds", "%saccess to address %p, where no array lies", at.text, info->si_addr);
    }
    errno = error;
}

static void catch_signals(bool interruptible)
{
    struct sigaction ours{};
    ours.sa_sigaction = on_signal;
    ours.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER | SA_RESTART;
    interrupted = false;
    for (int i = 0; i < SIGNAL_COUNT; ++i) {
        sigaction(SIGNALS[i], nullptr, &before[i]);
        const bool handled = (before[i].sa_flags & SA_SIGINFO) || before[i].sa_handler > SIG_IGN;
        if (SIGNALS[i] != SIGINT || (interruptible && handled)) sigaction(SIGNALS[i], &ours, nullptr);
    }
}
static void release_signals()
{
    for (int i = 0; i < SIGNAL_COUNT; ++i) {
        struct sigaction now;
        sigaction(SIGNALS[i], nullptr, &now);
        if (now.sa_sigaction == on_signal) sigaction(SIGNALS[i], &before[i], nullptr);
    }
}
