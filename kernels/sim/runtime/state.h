// state.h - what the simulator knows while a kernel runs.
#pragma once
#include <atomic>
#include <csetjmp>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <dlfcn.h>
#include <map>
#include <mutex>
#include <random>
#include <unordered_map>
#include <vector>

struct sim_dim { unsigned x, y, z; };

enum Mode : uint32_t {
    ORDER = 3, FORWARD = 0, BACKWARD = 1, SHUFFLED = 2, CHECKED = 4, FLUSH_TO_ZERO = 8, INTERRUPTIBLE = 16
};

struct Range {
    uintptr_t low, high;
    bool holds(uintptr_t address) const { return address >= low && address < high; }
};
// Of the compiled .cu file: the block's static shared memory (of the calling worker), its other variables, its code.
struct sim_ranges { Range shared, data, text; };

// What Python asks for. `run` and `ranges` come from the compiled .cu file, see table.h and glue.h.
struct sim_launch {
    void (*run)(void**);
    void** arguments;
    sim_dim grid, block;
    uint64_t shared_bytes;  // dynamic shared memory
    uint32_t mode, workers;
    uint64_t seed;
    void (*ranges)(sim_ranges*);
    void* (*dynamic)();      // where the calling worker's dynamic shared memory is; null: the file mentions none
    const uint64_t* guards;  // offset and size of C++'s notes that a variable in shared memory has been initialised
    uint32_t guard_count, report_bytes;
    double seconds;          // of a worker's CPU time, then it is taken for a hang
    char* report;            // "" if all went well
    const uint64_t* given;   // number of an argument and an address in it: the arrays that the kernel was handed
    uint64_t given_count;
};

extern "C" {
__thread sim_dim sim_threadIdx, sim_blockIdx;
sim_dim sim_blockDim, sim_gridDim;
__thread int sim_next, sim_count;
__thread unsigned sim_spins;
}

enum Kind { GLOBAL, VARIABLE, SHARED, DYNAMIC };  // the last two belong to one block
static const char* NAMES[] = {"global memory", "the file's own variables", "shared memory", "dynamic shared memory"};

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
    uint32_t fence_time; // of its last __threadfence in this block; 0: there was none
};

// Accesses of one kind to the same bytes: the last one, and whether others were there that it did not wait for.
enum Spread : uint8_t { ONE_THREAD, ONE_WARP, ONE_BLOCK, SEVERAL_BLOCKS };
struct Trace {
    uint32_t time, block, pc;  // time 0: there was none
    uint16_t thread;
    Spread spread;
};
struct Cell { Trace write, atomic, read; };

// A place by which threads tell each other: one writes, calls __threadfence and changes the place by an atomic; whoever
// changes it by an atomic later knows what had been written.
struct Told { uint32_t until, at; };  // at this time, what had happened until then
struct Meeting {
    std::unordered_map<uint64_t, Told> threads;  // by block and thread: what it itself did before its fence
    std::unordered_map<uint32_t, Told> blocks;   // by block: what all of it did before its last barrier
    uint32_t last = 0;
};
struct Heard { uintptr_t place; int thread; uint32_t time; };

// What check mode remembers of some memory. A cell stands for 4 bytes, or for 1 as soon as one access is smaller.
struct Shadow {
    size_t bytes;
    int shift = 2;
    Cell* cells;
    uint8_t* initialised;  // by byte

    explicit Shadow(size_t bytes) : bytes(bytes)
    {
        cells = new_cells();
        initialised = (uint8_t*)calloc(bytes + 16, 1);
    }
    Shadow(const Shadow&) = delete;
    ~Shadow()
    {
        if (cells) munmap(cells, cell_bytes());
        free(initialised);
    }
    bool good() const { return cells && initialised; }  // else there was not enough memory
    bool split()
    {
        Cell* coarse = cells;
        const size_t coarse_bytes = cell_bytes();
        shift = 0;
        cells = new_cells();
        for (size_t i = 0; cells && i < bytes; ++i) cells[i] = coarse[i >> 2];
        munmap(coarse, coarse_bytes);
        return cells;
    }
    void forget() { memset(cells, 0, cell_bytes()); }

private:
    size_t cell_bytes() const { return ((bytes >> shift) + 2) * sizeof(Cell); }
    Cell* new_cells()  // pages that nobody touches cost nothing, and large ones are cheaper to touch
    {
        void* made = mmap(nullptr, cell_bytes(), PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (made == MAP_FAILED) return nullptr;
        madvise(made, cell_bytes(), MADV_HUGEPAGE);
        return (Cell*)made;
    }
};

struct Map {  // a gap, some pages for an array, a gap
    char* low;
    size_t gap, body;
    size_t bytes() const { return body + 2 * gap; }
};
struct Allocation {
    uintptr_t low, high;
    Shadow* shadow;  // null: made while checking was off
    Map map;
    int argument = -1;  // of the launch; -1: reached through a pointer in memory
    bool holds(uintptr_t address) const { return address >= low && address < high; }
    size_t bytes() const { return high - low; }
};
static std::map<uintptr_t, Allocation> allocations;  // by their ends
static std::deque<Allocation> freed;                 // not given back yet, so that a use is seen
static std::map<uintptr_t, Shadow*> variables;       // of __device__ and __constant__ variables, by the file's data
static std::mutex allocations_lock;

static const unsigned RECENT_READS = 8;

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
    volatile int current = -1;               // the thread that runs; -1: none, so a fault is not the kernel's
    int done = 0, waiting = 0;               // how many have ended; how many are at the barrier
    uint64_t exchanged[32][2][32];           // by warp, turn, lane
    int votes[3], results[3];                // count, and, or
    uint32_t block = 0;
    uint32_t time = 1, launch_time = 1, block_time = 1;  // counts meetings; start of the launch; last __syncthreads
    Range shared{}, data{}, dynamic{};
    Shadow *shared_shadow = nullptr, *dynamic_shadow = nullptr, *data_shadow = nullptr;
    size_t recent_pc = 0;                    // of the last access that was looked at
    size_t unset_pc = 0, unset_at = 0;       // a read of what nobody had written, told when the block next meets
    Kind unset_kind = GLOBAL;
    int unset_by = 0;
    uintptr_t stored = 0;                    // the last address written to, 0 once the value there was looked at
    size_t stored_bytes = 0, stored_pc = 0, stored_offset = 0;
    Kind stored_kind = GLOBAL;
    int stored_by = 0;
    Trace suspect{};                         // another thread's write that this one may race with,
    uint16_t suspect_bytes = 0;              // in which of the bytes,
    uint8_t suspect_before[16];              // and what lay there: if it still does, both wrote the same
    std::unordered_map<uintptr_t, Meeting> meetings;  // by address
    std::vector<Heard> heard;                // by threads of this block, at meetings
    uint32_t barrier_before = 1;             // block_time before the last barrier
    uintptr_t cas_at = 0;                    // the next atomic is an atomicCAS, and there
    uintptr_t reads[RECENT_READS];           // what this thread has read since it last wrote
    unsigned read_count = 0;
    uintptr_t owed_at = 0;                   // a read that races with an atomic, unless an atomicCAS follows
    Trace owed{};
    size_t owed_offset = 0, owed_pc = 0;
    Kind owed_kind = GLOBAL;
    std::vector<Allocation> given;           // the arrays that the kernel may use
    Allocation recent{};                     // most accesses go where the last one went
    std::minstd_rand random;
    std::atomic<bool> asked{false};          // to leave, by a signal that came at a bad moment: see signals.h
};
static __thread Worker* worker;
static uint32_t last_time = 1;  // over all launches
static uintptr_t text_base;     // of the compiled .cu file: addresses in reports count from here
static Range text;

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

// End the kernel with a report: kind, then the sentence. Python turns an address in it, @0x1234@, into file:line.
[[noreturn]] static void fail(const char* kind, const char* format, ...)
{
    Worker* w = worker;
    char sentence[2048];
    va_list values;
    va_start(values, format);
    vsnprintf(sentence, sizeof sentence, format, values);
    va_end(values);
    if (w->unset_pc && !strcmp(kind, "out of bounds")) {  // the wrong index may well be what nobody had written
        kind = "uninitialised";
        w->current = w->unset_by;
        snprintf(sentence, sizeof sentence, "%sread of %s at byte %zu, which nobody has written; then an access out of "
                 "bounds", At(w->unset_pc).text, NAMES[w->unset_kind], w->unset_at);
    }
    if (!w->stop->exchange(true)) {  // of several workers, the first tells
        const int n = snprintf(w->launch->report, w->launch->report_bytes, "%s|%s", kind, sentence);
        if (w->current >= 0) {
            const sim_dim &b = sim_blockIdx, &t = w->threads[w->current].index;
            snprintf(w->launch->report + n, w->launch->report_bytes - n, "|%u,%u,%u|%u,%u,%u", b.x, b.y, b.z, t.x, t.y,
                     t.z);
        }
    }
    w->failed = true;
    longjmp(w->way_out, 1);  // the kernel's stacks are left as they are
}
