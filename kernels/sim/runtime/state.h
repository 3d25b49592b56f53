// state.h - what the simulator knows while a kernel runs.
#pragma once
#include <atomic>
#include <csetjmp>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <dlfcn.h>
#include <map>
#include <mutex>
#include <random>
#include <vector>

struct sim_dim { unsigned x, y, z; };

enum Mode : uint32_t { ORDER = 3, FORWARD = 0, BACKWARD = 1, SHUFFLED = 2, CHECKED = 4, FLUSH_TO_ZERO = 8 };

// What Python asks for. `run` and `shared_range` come from the compiled .cu file, see table.h and module.py.
struct sim_launch {
    void (*run)(void**);
    void** arguments;
    sim_dim grid, block;
    uint64_t shared_bytes;  // dynamic shared memory
    uint32_t mode, workers;
    uint64_t seed;
    void (*shared_range)(void** low, void** high);  // static shared memory of the calling worker
    void* (*dynamic)();                             // and its dynamic shared memory, or null
    double seconds;                                 // of CPU time, then it is taken for a hang
    char* report;                                   // "" if all went well
    uint32_t report_bytes;
};

extern "C" {
__thread sim_dim sim_threadIdx, sim_blockIdx;
sim_dim sim_blockDim, sim_gridDim;
__thread int sim_next, sim_count;
}

enum Kind { GLOBAL, SHARED, DYNAMIC };
static const char* NAMES[] = {"global", "shared", "dynamic shared"};

enum Status : uint8_t { NEW, RUNNING, READY, AT_BARRIER, AT_EXCHANGE, DONE };

struct Thread {
    sim_dim index;
    Status status;
    Fiber* fiber;
    const char *op, *file;  // where it waits
    int line;
    uint32_t mask;       // of the exchange it waits at
    uint32_t warp_time;  // when its warp last met: what lanes did before is visible
    int turn;            // counts exchanges: results of two in a row lie in two buffers
};

// Of each 4 bytes of memory: who wrote and who read them last, and when. Only in check mode.
struct Cell {
    uint32_t write_time, read_time, write_block, read_block, write_pc, read_pc;
    uint16_t writer, reader;
    uint8_t written, read;  // which of the 4 bytes
    bool atomic;            // the write was
    uint8_t readers;        // 0: one thread; 1: several of one warp; 2: of several warps
};
struct Shadow {
    std::vector<Cell> cells;
    std::vector<uint8_t> initialised;  // by byte
    void resize(size_t bytes)
    {
        cells.assign((bytes + 7) / 4, Cell{});
        initialised.assign(bytes + 8, 0);
    }
};
struct Allocation { uintptr_t low, high; Shadow* shadow; void* map; size_t map_bytes; };
static std::map<uintptr_t, Allocation> allocations;  // by their ends
static std::mutex allocations_lock;

// One per worker thread: it computes one block at a time.
struct Worker {
    sim_launch* launch = nullptr;
    std::atomic<bool>* stop = nullptr;
    bool failed = false;
    std::vector<Thread> threads;
    std::vector<int> order;                  // in which threads start
    std::vector<int> ready; size_t head = 0; // threads that may go on; a queue
    std::vector<Fiber*> fibers, idle;
    Fiber* fiber = nullptr;
    Context scheduler;
    jmp_buf way_out;                         // of compute_block
    int current = -1, done = 0, waiting = 0; // thread that runs; how many have ended; how many are at the barrier
    uint64_t exchanged[32][2][32];           // by warp, turn, lane
    int votes[3], results[3];                // count, and, or
    uint32_t block = 0;
    uint32_t time = 1, launch_time = 1, block_time = 1;  // counts meetings; start of the launch; last __syncthreads
    uintptr_t shared_low = 0, shared_high = 0, dynamic_low = 0, dynamic_high = 0;
    Shadow shared, dynamic;
    size_t recent_pc = 0;                    // of the last access that was looked at
    size_t unset_pc = 0, unset_at = 0;       // a read of what nobody had written, told when the block next meets
    Kind unset_kind = GLOBAL;
    int unset_by = 0;
    Allocation recent{};  // most accesses go where the last one went
    std::minstd_rand random;
    pthread_t thread;
};
static __thread Worker* worker;
static uint32_t last_time = 1;  // over all launches
static uintptr_t text_base;     // of the compiled .cu file: addresses in reports count from here

// End the kernel with a report: kind, then the sentence. An address in it, @0x1234@, is turned into file:line by Python.
[[noreturn]] static void fail(const char* kind, const char* format, ...)
{
    Worker* w = worker;
    if (!w->failed) {
        char* to = w->launch->report;
        size_t left = w->launch->report_bytes;
        size_t n = snprintf(to, left, "%s|", kind);
        va_list values;
        va_start(values, format);
        n += vsnprintf(to + n, left - n, format, values);
        va_end(values);
        if (n < left && w->current >= 0) {
            const sim_dim &b = sim_blockIdx, &t = w->threads[w->current].index;
            snprintf(to + n, left - n, "|%u,%u,%u|%u,%u,%u", b.x, b.y, b.z, t.x, t.y, t.z);
        }
    }
    w->failed = true;
    *w->stop = true;
    longjmp(w->way_out, 1);  // the kernel's stacks are left as they are
}

// A place in the .cu file: the address of a machine instruction, or, for atomics, the number of a place that C++ told.
static const size_t TOLD = size_t(1) << 31;
static std::vector<std::pair<const char*, int>> told;

static size_t number_of(const char* file, int line)
{
    for (size_t i = told.size(); i-- > 0;)
        if (told[i].second == line && told[i].first == file) return TOLD | i;
    told.push_back({file, line});
    return TOLD | (told.size() - 1);
}

struct At {  // as text for a report
    char text[280];
    At(size_t place)
    {
        if (place & TOLD) snprintf(text, sizeof text, "#%s:%d#", told[place & ~TOLD].first, told[place & ~TOLD].second);
        else snprintf(text, sizeof text, "@%#zx@", place);
    }
};

static uintptr_t base_of(uintptr_t pc)
{
    Dl_info found;
    return dladdr((void*)pc, &found) ? uintptr_t(found.dli_fbase) : 0;
}
