"""Kernels with races that hide well, and the same pictures without the mistake."""

from __future__ import annotations

import numpy as np


def floats(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.float32)


# the kernel (HERE marks the line), grid, block, arguments
RACES = {
    "bytes that share a word": ("""
extern "C" __global__ void k(unsigned char* y) {
    __shared__ unsigned char tile[64];
    tile[threadIdx.x] = threadIdx.x;                                                 // EITHER
    y[threadIdx.x] = tile[(threadIdx.x / 4 * 4 + 8) % 64 + threadIdx.x % 4];         // EITHER
}""", 1, 64, lambda: [np.zeros(64, np.uint8)]),
    "the first of two halves of a word": ("""
extern "C" __global__ void k(unsigned short* y) {
    if (threadIdx.x < 2) y[threadIdx.x] = 1;
    if (threadIdx.x == 40) y[2] = y[0];                                              // HERE
}""", 1, 64, lambda: [np.zeros(4, np.uint16)]),
    "two blocks read, the second writes": ("""
extern "C" __global__ void k(float* y) {
    float v = y[0];
    __syncthreads();
    if (blockIdx.x == 1 && threadIdx.x == 0) y[0] = v + 1;                           // HERE
}""", 2, 32, lambda: [floats(1)]),
    "a plain write, then atomics of two warps": ("""
extern "C" __global__ void k(int* y) {
    if (threadIdx.x == 0) y[0] = 1;
    __syncwarp();
    if (threadIdx.x % 32 == 1) atomicAdd(y, 1);                                      // HERE
}""", 1, 64, lambda: [np.zeros(1, np.int32)]),
    "an atomic of another warp, then a plain read": ("""
extern "C" __global__ void k(int* y) {
    if (threadIdx.x % 32 == 0) atomicAdd(y, 1);                                      // EITHER
    __syncwarp();
    if (threadIdx.x == 33) y[1] = y[0];                                              // EITHER
}""", 1, 64, lambda: [np.zeros(2, np.int32)]),
    "the result of an atomic, read by another block": ("""
extern "C" __global__ void k(int* y) {
    if (threadIdx.x == 0) atomicAdd(y, 1);                                           // EITHER
    __syncthreads();
    y[1 + blockIdx.x * 32 + threadIdx.x] = y[0];                                     // EITHER
}""", 2, 32, lambda: [np.zeros(65, np.int32)]),
    "a device variable": ("""
__device__ float total;
extern "C" __global__ void k(const float* x) {
    total += x[threadIdx.x];                                                         // HERE
}""", 1, 32, lambda: [floats(32)]),
    "one of two arrays in dynamic memory": ("""
extern "C" __global__ void k(float* y) {
    extern __shared__ float room[];
    float* first = room;
    float* second = room + 31;
    first[threadIdx.x] = 1;                                                          // EITHER
    second[threadIdx.x] = 2;                                                         // EITHER
    __syncthreads();
    y[threadIdx.x] = first[threadIdx.x] + second[threadIdx.x];
}""", 1, 32, lambda: [floats(32)], 256),
    "a helper called from two threads": ("""
__device__ void put(float* where, float v) {
    *where = v;                                                                      // HERE
}
extern "C" __global__ void k(float* y) { put(y + threadIdx.x / 2, threadIdx.x); }
""", 1, 4, lambda: [floats(2)]),
    "through float4": ("""
extern "C" __global__ void k(float4* y) {
    if (threadIdx.x == 0) y[0] = make_float4(1, 2, 3, 4);
    if (threadIdx.x == 32) ((float*)y)[3] = 5;                                       // HERE
}""", 1, 64, lambda: [floats(4)]),
    "halves by one thread each, two by another": ("""
#include <cuda_fp16.h>
extern "C" __global__ void k(half* y) {
    y[threadIdx.x] = __float2half(1);                                                // EITHER
    if (threadIdx.x == 0) y[40] = __float2half(2);                                   // EITHER
}""", 1, 64, lambda: [np.zeros(64, np.float16)]),
    "structs of three": ("""
extern "C" __global__ void k(float* y) {
    ((float3*)y)[threadIdx.x / 2] = make_float3(1, 2, threadIdx.x);                  // HERE
}""", 1, 4, lambda: [floats(6)]),
    "the same value, but in one byte": ("""
extern "C" __global__ void k(unsigned char* y) {
    y[1] = threadIdx.x == 40;                                                        // HERE
}""", 1, 64, lambda: [np.zeros(4, np.uint8)]),
    "the same value, and somebody reads it": ("""
extern "C" __global__ void k(int* y) {
    if (threadIdx.x != 9) y[0] = 1;                                                  // EITHER
    else y[1] = y[0];                                                                // EITHER
}""", 1, 64, lambda: [np.zeros(2, np.int32)]),
    "half of a float4 by somebody else": ("""
extern "C" __global__ void k(float4* y) {
    if (threadIdx.x == 0) y[0] = make_float4(1, 2, 3, 4);
    if (threadIdx.x == 32) ((float2*)y)[1] = make_float2(3, 5);                      // HERE
}""", 1, 64, lambda: [floats(4)]),
    "a plain read, and atomicAdd": ("""
extern "C" __global__ void k(int* y) {
    int old = y[0];                                                                  // EITHER
    atomicAdd(y, old + 1);                                                           // EITHER
}""", 1, 64, lambda: [np.zeros(1, np.int32)]),
    "a plain read, its number kept, then atomicCAS": ("""
extern "C" __global__ void k(int* y) {
    int old = y[0];                                                                  // EITHER
    y[1 + threadIdx.x] = old;                                                        // EITHER
    atomicCAS(y, old, old + 1);                                                      // EITHER
}""", 1, 64, lambda: [np.zeros(65, np.int32)]),
    "the last block, without a fence": ("""
extern "C" __global__ void k(float* y, float* parts, unsigned* finished) {
    parts[blockIdx.x] = blockIdx.x;                                                  // EITHER
    if (atomicAdd(finished, 1u) == gridDim.x - 1)
        for (int i = 0; i < gridDim.x; ++i) y[0] += parts[i];                        // EITHER
}""", 6, 1, lambda: [floats(1), floats(6), np.zeros(1, np.uint32)]),
    "the last block, written behind the fence": ("""
extern "C" __global__ void k(float* y, float* parts, unsigned* finished) {
    __threadfence();
    parts[blockIdx.x] = blockIdx.x;                                                  // EITHER
    if (atomicAdd(finished, 1u) == gridDim.x - 1)
        for (int i = 0; i < gridDim.x; ++i) y[0] += parts[i];                        // EITHER
}""", 6, 1, lambda: [floats(1), floats(6), np.zeros(1, np.uint32)]),
    "the last block, handed on without a barrier": ("""
extern "C" __global__ void k(float* y, float* parts, unsigned* finished) {
    __shared__ bool last;
    parts[blockIdx.x * 64 + threadIdx.x] = 1;                                        // EITHER
    if (threadIdx.x == 0) {
        __threadfence();
        last = atomicAdd(finished, 1u) == gridDim.x - 1;
    }
    __syncthreads();
    if (last) y[threadIdx.x] = parts[(blockIdx.x + 1) % gridDim.x * 64 + threadIdx.x];  // EITHER
}""", 6, 64, lambda: [floats(64), floats(384), np.zeros(1, np.uint32)]),
    "not the last block": ("""
extern "C" __global__ void k(float* y, float* parts, unsigned* finished) {
    parts[blockIdx.x] = blockIdx.x;                                                  // EITHER
    __threadfence();
    if (atomicAdd(finished, 1u) == gridDim.x - 2)
        for (int i = 0; i < gridDim.x; ++i) y[0] += parts[i];                        // EITHER
}""", 6, 1, lambda: [floats(1), floats(6), np.zeros(1, np.uint32)]),
    "unlocked without a fence": ("""
extern "C" __global__ void k(float* y, int* lock) {
    while (atomicCAS(lock, 0, 1)) {}
    y[0] += 1;                                                                       // HERE
    atomicExch(lock, 0);
}""", 4, 1, lambda: [floats(1), np.zeros(1, np.int32)]),
    "copied by memcpy": ("""
extern "C" __global__ void k(float* y) {
    if (threadIdx.x == 40) y[0] = 1;                                                 // EITHER
    if (threadIdx.x == 0) memcpy(y + 2, y, 8);                                       // EITHER
}""", 1, 64, lambda: [floats(4)]),
    "swapped in place": ("""
extern "C" __global__ void k(float* y, int n) {
    int i = threadIdx.x;
    float v = y[n - 1 - i];                                                          // EITHER
    y[i] = v;                                                                        // EITHER
}""", 1, 64, lambda: [floats(64), 64]),
}  # fmt: skip

# the same pictures without the mistake
CLEAN = {
    "bytes, each thread its own": ("""
extern "C" __global__ void k(unsigned char* y) {
    __shared__ unsigned char tile[64];
    tile[threadIdx.x] = threadIdx.x;
    __syncthreads();
    y[threadIdx.x] = tile[63 - threadIdx.x];
}""", 1, 64, lambda: [np.zeros(64, np.uint8)], np.arange(64)[::-1]),
    "a word, then its bytes": ("""
extern "C" __global__ void k(unsigned char* y) {
    __shared__ unsigned int word;
    if (threadIdx.x == 0) word = 0x04030201u;
    __syncthreads();
    y[threadIdx.x] = ((unsigned char*)&word)[threadIdx.x];
    __syncthreads();
    if (threadIdx.x == 3) word = 0;
}""", 1, 4, lambda: [np.zeros(4, np.uint8)], [1, 2, 3, 4]),
    "many blocks read the same": ("""
extern "C" __global__ void k(float* y) {
    float v = y[0];
    __syncthreads();
    y[1 + blockIdx.x * 32 + threadIdx.x] = v + 1;
}""", 2, 32, lambda: [floats(65)], np.r_[0, np.ones(64)]),
    "atomics, a barrier, a plain read": ("""
extern "C" __global__ void k(int* y) {
    __shared__ int count;
    if (threadIdx.x == 0) count = 0;
    __syncthreads();
    atomicAdd(&count, 2);
    __syncthreads();
    y[threadIdx.x] = count;
    __syncthreads();
    if (threadIdx.x == 1) count = 7;
}""", 1, 64, lambda: [np.zeros(64, np.int32)], np.full(64, 128)),
    "a device variable changed atomically": ("""
__device__ int total;
extern "C" __global__ void k(int* y) {
    atomicAdd(&total, 1);
    y[threadIdx.x] = 1;
}""", 1, 32, lambda: [np.zeros(32, np.int32)], np.ones(32)),
    "several threads store the same value": ("""
__device__ int seen;
extern "C" __global__ void k(float* y, int n) {
    __shared__ int any, both;
    __shared__ float4 four;
    any = 0;
    __syncthreads();
    if (threadIdx.x % 3 == 0) any = 1;
    four = make_float4(1, 2, 3, 4);
    both = 7;
    ((unsigned char*)&both)[3] = 0;
    __syncthreads();
    seen = 1;
    y[blockIdx.x] = any + four.w + both;
    y[2] = n;
}""", 2, 64, lambda: [floats(3), 9], [12, 12, 9]),
    "atomicCAS after a plain read": ("""
__device__ float maximum(float* address, float v) {
    int* place = (int*)address;
    int old = *place, seen;
    do {
        seen = old;
        old = atomicCAS(place, seen, __float_as_int(fmaxf(v, __int_as_float(seen))));
    } while (old != seen);
    return __int_as_float(old);
}
extern "C" __global__ void k(float* y, const float* x) { maximum(y + 1, x[threadIdx.x % 4] + blockIdx.x); }
""", 3, 64, lambda: [floats(2), np.arange(4, dtype=np.float32)], [0, 5]),
    "atomicCAS on 8 bytes": ("""
extern "C" __global__ void k(double* y, const double* x) {
    unsigned long long* place = (unsigned long long*)y;
    unsigned long long old = *place, seen;
    do {
        seen = old;
        old = atomicCAS(place, seen, __double_as_longlong(x[threadIdx.x] + __longlong_as_double(seen)));
    } while (seen != old);
}""", 2, 64, lambda: [np.zeros(1), np.ones(64)], [128]),
    "the last block adds up": ("""
__device__ unsigned finished = 0;
extern "C" __global__ void k(float* y, float* parts) {
    __shared__ float s[64];
    __shared__ bool last;
    s[threadIdx.x] = threadIdx.x;
    __syncthreads();
    if (threadIdx.x == 0) {
        float sum = 0;
        for (int i = 0; i < 64; ++i) sum += s[i];
        parts[blockIdx.x] = sum;
        __threadfence();
        last = atomicAdd(&finished, 1u) == gridDim.x - 1;
    }
    __syncthreads();
    if (last && threadIdx.x < 2) {
        float sum = 0;
        for (int i = threadIdx.x; i < gridDim.x; i += 2) sum += parts[i];
        y[threadIdx.x] = sum;
        if (threadIdx.x == 0) finished = 0;
    }
}""", 6, 64, lambda: [floats(2), floats(6)], [6048, 6048]),
    "the last block, all threads hand on": ("""
__device__ unsigned finished;
extern "C" __global__ void k(float* y, float* parts) {
    parts[blockIdx.x * blockDim.x + threadIdx.x] = 1;
    __threadfence();
    __syncthreads();
    __shared__ unsigned ticket;
    if (threadIdx.x == 0) ticket = atomicInc(&finished, gridDim.x - 1);
    __syncthreads();
    if (ticket != gridDim.x - 1) return;
    for (int b = 0; b < gridDim.x; ++b) y[threadIdx.x] += parts[b * blockDim.x + (threadIdx.x + 1) % 64];
}""", 5, 64, lambda: [floats(64), floats(320)], np.full(64, 5)),
    "a lock": ("""
__device__ int lock;
extern "C" __global__ void k(float* y) {
    if (threadIdx.x % 32 == 0) {
        while (atomicCAS(&lock, 0, 1)) {}
        y[0] += 1;
        __threadfence();
        atomicExch(&lock, 0);
    }
}""", 4, 64, lambda: [floats(1)], [8]),
    "waiting for a flag of another warp": ("""
extern "C" __global__ void k(float* y) {
    __shared__ int flag;
    __shared__ float value;
    if (threadIdx.x == 0) flag = 0;
    __syncthreads();
    if (threadIdx.x == 40) {
        value = 5;
        __threadfence_block();
        atomicExch(&flag, 1);
    }
    if (threadIdx.x == 0 || threadIdx.x == 70) {
        while (atomicAdd(&flag, 0) == 0) {}
        y[threadIdx.x / 64] = value;
    }
}""", 2, 96, lambda: [floats(2)], [5, 5]),
    "broadcast within each warp": ("""
extern "C" __global__ void k(float* y) {
    __shared__ float s[2];
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    for (int round = 0; round < 3; ++round) {
        if (lane == round) s[warp] = 10 * warp + round;
        __syncwarp();
        y[threadIdx.x] = s[warp];
        __syncwarp();
    }
}""", 1, 64, lambda: [floats(64)], np.repeat([2, 12], 32)),
}  # fmt: skip
