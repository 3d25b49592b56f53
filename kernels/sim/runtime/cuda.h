// cuda.h - makes C++ of an unchanged .cu file, so that g++ compiles it and a CPU runs it.
//
// A thread of CUDA becomes a call of the kernel's function, on a stack of its own if it ever has to wait (scheduler.h).
// What belongs to one thread is a local variable, as in CUDA. What a block shares is `thread_local`: each worker of the
// simulator computes one block at a time, so its thread-local memory is that block's shared memory. C++ takes this word
// wherever CUDA takes __shared__: inside functions, where it implies static, and behind extern.
#pragma once
#include <cstddef>
#include <cstdint>
#include <math.h>    // not <cmath>: exp, abs and the others for float and double, without std::
#include <stdlib.h>
#include <type_traits>
#include <utility>

// Not <cstring> and <cstdio>: they also have an `index`, a `remove` and others, which a .cu file may call its own.
extern "C" {
void* memcpy(void*, const void*, size_t) noexcept;
void* memset(void*, int, size_t) noexcept;
int printf(const char*, ...);
int sprintf(char*, const char*, ...) noexcept;
}

#define __global__
#define __device__
#define __host__
#define __constant__
#define __managed__
#define __shared__ thread_local
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))  // not alignas, which may not stand between the words of a type
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

// Vector types: 2 and 4 elements are aligned as a whole, up to 16 bytes, so that one instruction moves them -----------
#ifdef SIM_CHECK
// g++ shows the checker no `y[i] = f()` where f returns a struct. With an operator of its own, it is an access in
// there: of the largest pieces that one instruction moves, which is what the hardware wants aligned.
#define SIM_ASSIGNED(S)                                                                                                \
    __attribute__((always_inline)) S& operator=(const S& other)                                                        \
    {                                                                                                                  \
        constexpr int piece = sizeof(S) % 16 == 0 && alignof(S) == 16 ? 16 : int(alignof(S));                          \
        using Piece = typename sim_piece<piece>::type;                                                                 \
        for (size_t i = 0; i < sizeof(S) / piece; ++i)                                                                 \
            reinterpret_cast<Piece*>(this)[i] = reinterpret_cast<const Piece*>(&other)[i];                             \
        return *this;                                                                                                  \
    }
template <int bytes> struct sim_piece;
template <> struct sim_piece<1> { typedef uint8_t type __attribute__((may_alias)); };
template <> struct sim_piece<2> { typedef uint16_t type __attribute__((may_alias)); };
template <> struct sim_piece<4> { typedef uint32_t type __attribute__((may_alias)); };
template <> struct sim_piece<8> { typedef uint64_t type __attribute__((may_alias)); };
template <> struct sim_piece<16> { typedef unsigned __int128 type __attribute__((may_alias)); };
#else
#define SIM_ASSIGNED(S)
#endif
template <class T> struct sim_element { using type = void; };  // what a vector is made of, for table.h
#define SIM_VECTOR(T, N)                                                                                               \
    struct alignas(sizeof(T) * 2) N##2 {                                                                               \
        T x, y;                                                                                                        \
        SIM_ASSIGNED(N##2)                                                                                             \
    };                                                                                                                 \
    struct N##3 {                                                                                                      \
        T x, y, z;                                                                                                     \
        SIM_ASSIGNED(N##3)                                                                                             \
    };                                                                                                                 \
    struct alignas(sizeof(T) * 4 > 16 ? 16 : sizeof(T) * 4) N##4 {                                                     \
        T x, y, z, w;                                                                                                  \
        SIM_ASSIGNED(N##4)                                                                                             \
    };                                                                                                                 \
    template <> struct sim_element<N##2> { using type = T; };                                                          \
    template <> struct sim_element<N##3> { using type = T; };                                                          \
    template <> struct sim_element<N##4> { using type = T; };                                                          \
    SIM_FN N##2 make_##N##2(T x, T y) { return {x, y}; }                                                               \
    SIM_FN N##3 make_##N##3(T x, T y, T z) { return {x, y, z}; }                                                       \
    SIM_FN N##4 make_##N##4(T x, T y, T z, T w) { return {x, y, z, w}; }
SIM_VECTOR(int, int) SIM_VECTOR(unsigned, uint) SIM_VECTOR(float, float) SIM_VECTOR(double, double)
SIM_VECTOR(short, short) SIM_VECTOR(unsigned short, ushort)
SIM_VECTOR(signed char, char) SIM_VECTOR(unsigned char, uchar)
SIM_VECTOR(long long, longlong) SIM_VECTOR(unsigned long long, ulonglong)

struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
    constexpr dim3(uint3 v) : x(v.x), y(v.y), z(v.z) {}
    constexpr operator uint3() const { return {x, y, z}; }
};

// What the runtime gives ----------------------------------------------------------------------------------------------
extern "C" {
extern __thread uint3 sim_threadIdx, sim_blockIdx;  // the scheduler alone writes them, for which all are a sim_dim
extern dim3 sim_blockDim, sim_gridDim;
extern __thread int sim_next, sim_count;  // the next thread of this block to start, and how many there are
extern __thread unsigned sim_spins;       // atomics since somebody else ran
void sim_yield();
void sim_begin();                         // the next thread starts here and now
void sim_end();                           // it has come to its end
void sim_syncthreads(const char* op, const char* file, int line);
int sim_vote_block(int value, int how, const char* op, const char* file, int line);
// lay down 64 bits, wait until every lane of the mask has, get what all 32 lanes have laid down
const uint64_t* sim_exchange(uint32_t mask, uint64_t bits, const char* op, const char* file, int line);
void sim_source(uint32_t mask, int lane, const char* op, const char* file, int line);  // complain if not in the mask
uint32_t sim_activemask();
int sim_lane();
void sim_atomic(const volatile void* address, int bytes, const char* file, int line);  // tell the checker
void sim_cas(const volatile void* address);  // the next one is an atomicCAS
void sim_fence();
void sim_range(const void* address, size_t bytes, bool write, const char* file, int line);
void sim_assert_failed(const char* condition, const char* file, int line);
}
#define threadIdx (*const_cast<const uint3*>(&sim_threadIdx))
#define blockIdx (*const_cast<const uint3*>(&sim_blockIdx))
#define blockDim (*const_cast<const dim3*>(&sim_blockDim))
#define gridDim (*const_cast<const dim3*>(&sim_gridDim))
#define warpSize 32
#define SIM_HERE const char *file_ = __builtin_FILE(), int line_ = __builtin_LINE()  // of the caller

#ifdef SIM_CHECK  // these are calls, into which the checker does not see
SIM_FN void* sim_memcpy(void* to, const void* from, size_t bytes, SIM_HERE)
{
    sim_range(from, bytes, false, file_, line_);
    sim_range(to, bytes, true, file_, line_);
    return __builtin_memcpy(to, from, bytes);
}
SIM_FN void* sim_memset(void* to, int value, size_t bytes, SIM_HERE)
{
    sim_range(to, bytes, true, file_, line_);
    return __builtin_memset(to, value, bytes);
}
#endif

#include "sync.h"
#include "atomics.h"
#include "intrinsics.h"
#include "half.h"
#include "table.h"
#include "glue.h"
#ifdef SIM_CHECK
#define memcpy sim_memcpy
#define memset sim_memset
#endif

// A kernel cannot end the program that launched it: NVRTC knows no such functions, and here they would end Python.
#pragma GCC poison exit _exit abort
