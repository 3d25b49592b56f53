// cuda.h - makes C++ of an unchanged .cu file, so that g++ compiles it and a CPU runs it.
//
// A thread of CUDA becomes a call of the kernel's function, on a stack of its own if it ever has to wait (scheduler.h).
// What belongs to one thread is a local variable, as in CUDA. What a block shares is `thread_local`: each worker of the
// simulator computes one block at a time, so its thread-local memory is that block's shared memory. C++ takes this word
// wherever CUDA takes __shared__: inside functions, where it implies static, and behind extern.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <math.h>    // not <cmath>: exp, abs and the others for float and double, without std::
#include <stdlib.h>
#include <type_traits>
#include <utility>

#define __global__
#define __device__
#define __host__
#define __constant__
#define __managed__
#define __shared__ thread_local
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __align__(n) alignas(n)
#define __restrict__ __restrict
#define __MINICNN_SIM__ 1

// NVRTC knows none of these, so a file that uses them must not pass here either.
#undef INFINITY
#undef NAN
#undef HUGE_VAL
#undef HUGE_VALF
#undef M_PI
#undef M_E
#undef M_SQRT2
#undef INT_MAX
#undef INT_MIN
#undef UINT_MAX
#undef LLONG_MAX
#undef FLT_MAX
#undef FLT_MIN
#undef FLT_EPSILON
#undef DBL_MAX
#undef DBL_EPSILON

// In check mode g++ calls the checker before every access to memory (checker.h); the helpers below are not asked.
#define SIM_UNCHECKED __attribute__((no_sanitize("thread", "undefined")))
#ifdef SIM_CHECK
#define SIM_FN static SIM_UNCHECKED __attribute__((noinline, unused))
#else
#define SIM_FN static inline __attribute__((unused))
#endif

// Vector types: 2 and 4 elements are aligned as a whole, up to 16 bytes, so that one instruction moves them -------------
#define SIM_VECTOR(T, N)                                                                                                \
    struct alignas(sizeof(T) * 2) N##2 { T x, y; };                                                                     \
    struct N##3 { T x, y, z; };                                                                                         \
    struct alignas(sizeof(T) * 4 > 16 ? 16 : sizeof(T) * 4) N##4 { T x, y, z, w; };                                     \
    SIM_FN N##2 make_##N##2(T x, T y) { return {x, y}; }                                                                \
    SIM_FN N##3 make_##N##3(T x, T y, T z) { return {x, y, z}; }                                                        \
    SIM_FN N##4 make_##N##4(T x, T y, T z, T w) { return {x, y, z, w}; }
SIM_VECTOR(int, int) SIM_VECTOR(unsigned, uint) SIM_VECTOR(float, float) SIM_VECTOR(double, double)
SIM_VECTOR(short, short) SIM_VECTOR(signed char, char) SIM_VECTOR(unsigned char, uchar) SIM_VECTOR(long long, longlong)

struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

// What the runtime gives -----------------------------------------------------------------------------------------------
extern "C" {
struct sim_dim { unsigned x, y, z; };
extern __thread sim_dim sim_threadIdx, sim_blockIdx;  // the scheduler alone writes them
extern sim_dim sim_blockDim, sim_gridDim;
extern __thread int sim_next, sim_count;  // the next thread of this block to start, and how many there are
void sim_begin();                         // the next thread starts here and now
void sim_end();                           // it has come to its end
void sim_syncthreads(const char* op, const char* file, int line);
int sim_vote_block(int value, int how, const char* op, const char* file, int line);
// lay down 64 bits, wait until every lane of the mask has, get what all 32 lanes have laid down
const uint64_t* sim_exchange(uint32_t mask, uint64_t bits, const char* op, const char* file, int line);
void sim_source(uint32_t mask, int lane, const char* op, const char* file, int line);  // complain if it is not in the mask
uint32_t sim_activemask();
int sim_lane();
void sim_atomic(const volatile void* address, int bytes, const char* file, int line);  // tell the checker
void sim_assert_failed(const char* condition, const char* file, int line);
}
#define threadIdx (*const_cast<const sim_dim*>(&sim_threadIdx))
#define blockIdx (*const_cast<const sim_dim*>(&sim_blockIdx))
#define blockDim (*const_cast<const sim_dim*>(&sim_blockDim))
#define gridDim (*const_cast<const sim_dim*>(&sim_gridDim))
#define warpSize 32
#define SIM_HERE const char *file_ = __builtin_FILE(), int line_ = __builtin_LINE()  // of the caller

#include "sync.h"
#include "atomics.h"
#include "intrinsics.h"
#include "half.h"
#include "table.h"
