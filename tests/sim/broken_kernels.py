"""Kernels that are wrong on purpose: what each of them does wrong, and where (HERE marks the line)."""

from __future__ import annotations

import numpy as np

from minicnn.kernels import sim


def floats(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.float32)


# kind, then the kernel (HERE marks the line), grid, block, arguments, dynamic shared memory
BROKEN = {
    "missing second barrier": ("race", """
extern "C" __global__ void k(float* y, int n) {
    __shared__ float tile[64];
    for (int i = 0; i < n; i += 64) {
        tile[threadIdx.x] = y[i + threadIdx.x];
        __syncthreads();
        y[i + threadIdx.x] = tile[63 - threadIdx.x];  // HERE
    }
}""", 1, 64, lambda: [floats(128), 128]),
    "missing barrier": ("race", """
extern "C" __global__ void k(float* y) {
    __shared__ float tile[64];
    tile[threadIdx.x] = threadIdx.x;
    y[threadIdx.x] = tile[(threadIdx.x + 63) % 64];  // HERE
}""", 1, 64, lambda: [floats(64)]),
    "all write one place": ("race", """
extern "C" __global__ void k(float* y) {
    y[0] = threadIdx.x;                              // HERE
}""", 1, 64, lambda: [floats(1)]),
    "sum without atomics": ("race", """
extern "C" __global__ void k(const float* x, float* sum) {
    *sum += x[threadIdx.x];                          // HERE
}""", 1, 64, lambda: [floats(64), floats(1)]),
    "blocks write one place": ("race", """
extern "C" __global__ void k(float* y) {
    y[threadIdx.x] = blockIdx.x;                     // HERE
}""", 2, 32, lambda: [floats(32)]),
    "a block reads what another writes": ("race", """
extern "C" __global__ void k(float* y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    y[i] = y[(i + 32) % n];                          // HERE
}""", 2, 32, lambda: [floats(64), 64]),
    "atomic beside plain": ("race", """
extern "C" __global__ void k(int* y) {
    if (threadIdx.x) atomicAdd(y, 1); else *y = 5;   // HERE
}""", 1, 64, lambda: [np.zeros(1, np.int32)]),
    "warps without a barrier": ("race", """
extern "C" __global__ void k(float* y) {
    __shared__ float tile[64];
    tile[threadIdx.x] = 1;                           // EITHER
    __syncwarp();
    y[threadIdx.x] = tile[(threadIdx.x + 32) % 64];
}""", 1, 64, lambda: [floats(64)]),
    "lanes without syncwarp": ("race", """
extern "C" __global__ void k(float* y) {
    __shared__ float s[32];
    s[threadIdx.x] = threadIdx.x;                    // EITHER
    if (threadIdx.x < 16) s[threadIdx.x] += s[threadIdx.x + 16];
    y[threadIdx.x] = s[threadIdx.x];
}""", 1, 32, lambda: [floats(32)]),
    "read by all, written by one": ("race", """
extern "C" __global__ void k(float* y) {
    __shared__ float s;
    if (threadIdx.x == 0) s = 1;
    __syncthreads();
    y[threadIdx.x] = s;
    if (threadIdx.x == 40) s = 2;                    // HERE
}""", 1, 64, lambda: [floats(64)]),
    "no guard": ("out of bounds", """
extern "C" __global__ void k(float* y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    y[i] = 1;                                        // HERE
}""", 2, 32, lambda: [floats(50), 50]),
    "guard one off": ("out of bounds", """
extern "C" __global__ void k(float* y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i <= n) y[i] = 1;                            // HERE
}""", 2, 32, lambda: [floats(50), 50]),
    "before the beginning": ("out of bounds", """
extern "C" __global__ void k(const float* x, float* y) {
    y[threadIdx.x] = x[(int)threadIdx.x - 1];        // HERE
}""", 1, 32, lambda: [floats(32), floats(32)]),
    "far away": ("out of bounds", """
extern "C" __global__ void k(float* y, long long far) {
    y[far] = 1;                                      // HERE
}""", 1, 1, lambda: [floats(4), 10**10]),
    "null": ("out of bounds", """
extern "C" __global__ void k(float* y, long long zero) {
    *(float*)zero = 1;                               // HERE
}""", 1, 1, lambda: [floats(1), 0]),
    "shared array too small": ("out of bounds", """
extern "C" __global__ void k(float* y) {
    __shared__ float tile[32];
    tile[threadIdx.x] = 1;                           // HERE
    __syncthreads();
    y[threadIdx.x] = tile[threadIdx.x];
}""", 1, 33, lambda: [floats(33)]),
    "local array too small": ("out of bounds", """
extern "C" __global__ void k(float* y, int n) {
    float best[4];
    for (int i = 0; i <= n; ++i) best[i] = i;        // HERE
    y[threadIdx.x] = best[n / 2];
}""", 1, 1, lambda: [floats(1), 4]),
    "less dynamic memory than used": ("out of bounds", """
extern "C" __global__ void k(float* y) {
    extern __shared__ float room[];
    room[threadIdx.x] = 1;                           // HERE
    __syncthreads();
    y[threadIdx.x] = room[threadIdx.x];
}""", 1, 32, lambda: [floats(32)], 100),
    "another thread's local": ("out of bounds", """
extern "C" __global__ void k(float* y) {
    __shared__ float* theirs;
    float own = threadIdx.x;
    if (threadIdx.x == 0) theirs = &own;
    __syncthreads();
    y[threadIdx.x] = *theirs + own;                  // HERE
}""", 1, 32, lambda: [floats(32)]),
    "shared memory never written": ("uninitialised", """
extern "C" __global__ void k(float* y) {
    __shared__ float tile[32];
    if (threadIdx.x != 7) tile[threadIdx.x] = 1;
    __syncthreads();
    y[threadIdx.x] = tile[threadIdx.x];              // HERE
}""", 1, 32, lambda: [floats(32)]),
    "result added to, never set": ("uninitialised", """
extern "C" __global__ void k(float* y) {
    y[threadIdx.x] += 1;                             // HERE
}""", 1, 32, lambda: [sim.empty(32)]),
    "atomics on memory never set": ("uninitialised", """
extern "C" __global__ void k(float* y) {
    atomicAdd(y, 1.f);                               // HERE
}""", 1, 32, lambda: [sim.empty(1)]),
    "shared memory of the block before": ("uninitialised", """
extern "C" __global__ void k(float* y) {
    __shared__ float kept;
    if (blockIdx.x == 0 && threadIdx.x == 0) kept = 3;
    __syncthreads();
    y[blockIdx.x * blockDim.x + threadIdx.x] = kept; // HERE
}""", 2, 32, lambda: [floats(64)]),
    "a sum that begins with nothing": ("uninitialised", """
extern "C" __global__ void k(const float* x, float* y, int n) {
    float sum;
    for (int i = 0; i < n; ++i) sum += x[i];
    y[threadIdx.x] = sum;                            // HERE
}""", 1, 32, lambda: [floats(8), floats(32), 8]),
    "sums of a local array": ("uninitialised", """
extern "C" __global__ void k(const double* x, double* y, int n) {
    double sums[3];
    for (int i = 0; i < n; ++i) sums[i % 3] += x[i];
    for (int i = 0; i < 3; ++i) atomicAdd(y + i, sums[i]);                                // HERE
}""", 1, 32, lambda: [np.ones(8), np.zeros(3), 8]),
    "a local set in one case only": ("uninitialised", """
extern "C" __global__ void k(const float* x, float* y) {
    float v;
    if (threadIdx.x != 7) v = x[threadIdx.x];
    y[threadIdx.x] = v;                              // HERE
}""", 1, 32, lambda: [floats(32), floats(32)]),
    "part of a float4": ("uninitialised", """
extern "C" __global__ void k(float4* y) {
    float4 v;
    v.x = v.y = threadIdx.x;
    y[threadIdx.x] = v;                              // HERE
}""", 1, 4, lambda: [floats(16)]),
    "float4 in the middle": ("misaligned", """
extern "C" __global__ void k(const float* x, float* y) {
    float4 v = *(const float4*)(x + 1);              // HERE
    y[0] = v.x + v.y + v.z + v.w;
}""", 1, 1, lambda: [floats(8), floats(1)]),
    "double in the middle": ("misaligned", """
extern "C" __global__ void k(float* y) {
    *(double*)(y + 1) = 1;                           // HERE
}""", 1, 1, lambda: [floats(4)]),
    "barrier inside an if": ("divergent barrier", """
extern "C" __global__ void k(float* y) {
    if (threadIdx.x < 16) __syncthreads();           // HERE
    y[threadIdx.x] = 1;
}""", 1, 32, lambda: [floats(32)]),
    "return before a barrier": ("divergent barrier", """
extern "C" __global__ void k(float* y, int n) {
    if (threadIdx.x >= n) return;
    __syncthreads();                                 // HERE
    y[threadIdx.x] = 1;
}""", 1, 32, lambda: [floats(32), 20]),
    "two barriers in two branches": ("divergent barrier", """
extern "C" __global__ void k(float* y) {
    if (threadIdx.x < 16) __syncthreads();
    else __syncthreads();                            // EITHER
    y[threadIdx.x] = 1;
}""", 1, 32, lambda: [floats(32)]),
    "barrier in a loop of different lengths": ("divergent barrier", """
extern "C" __global__ void k(float* y) {
    for (unsigned i = 0; i < threadIdx.x; ++i) __syncthreads();  // HERE
    y[threadIdx.x] = 1;
}""", 1, 8, lambda: [floats(8)]),
    "lane not in its mask": ("shuffle mask", """
extern "C" __global__ void k(float* y) {
    y[threadIdx.x] = __shfl_down_sync(0x0000ffffu, y[threadIdx.x], 1);  // HERE
}""", 1, 32, lambda: [floats(32)]),
    "full mask, half a warp": ("shuffle mask", """
extern "C" __global__ void k(float* y) {
    y[threadIdx.x] = __shfl_xor_sync(0xffffffffu, y[threadIdx.x], 1);   // HERE
}""", 1, 16, lambda: [floats(16)]),
    "some lanes have returned": ("shuffle mask", """
extern "C" __global__ void k(float* y, int n) {
    if (threadIdx.x >= n) return;
    y[threadIdx.x] = __shfl_down_sync(0xffffffffu, y[threadIdx.x], 16); // HERE
}""", 1, 32, lambda: [floats(32), 20]),
    "from a lane outside the mask": ("shuffle mask", """
extern "C" __global__ void k(float* y) {
    if (threadIdx.x < 16) y[threadIdx.x] = __shfl_sync(0x0000ffffu, y[threadIdx.x], 20);  // HERE
}""", 1, 32, lambda: [floats(32)]),
    "two shuffles in two branches": ("shuffle mask", """
extern "C" __global__ void k(float* y) {
    float v = y[threadIdx.x];
    if (threadIdx.x < 16) v = __shfl_xor_sync(0xffffffffu, v, 1);
    else v = __shfl_xor_sync(0xffffffffu, v, 2);     // EITHER
    y[threadIdx.x] = v;
}""", 1, 32, lambda: [floats(32)]),
    "a barrier beside a shuffle": ("shuffle mask", """
extern "C" __global__ void k(float* y) {
    if (threadIdx.x == 0) __syncthreads();
    else y[threadIdx.x] = __shfl_sync(0xffffffffu, 1.f, 1);             // HERE
}""", 1, 32, lambda: [floats(32)]),
    "waits for a lane that waits elsewhere": ("deadlock", """
extern "C" __global__ void k(float* y) {
    if (threadIdx.x == 0) __syncwarp(0x3u);          // HERE
    else __syncthreads();
    y[threadIdx.x] = 1;
}""", 1, 64, lambda: [floats(64)]),
    "a loop without an end": ("hang", """
extern "C" __global__ void k(float* y, int n) {
    volatile int i = 1;
    while (i < n) i = i;                             // EITHER
    y[0] = i;
}""", 1, 1, lambda: [floats(1), 9]),
    "spinning on another block": ("hang", """
extern "C" __global__ void k(int* flag) {
    if (blockIdx.x == 0) while (atomicAdd(flag, 0) == 0) {}             // EITHER
    else atomicExch(flag, 1);
}""", 2, 1, lambda: [np.zeros(1, np.int32)]),
    "sum too large for an int": ("overflow", """
extern "C" __global__ void k(int* y, int n) {
    y[0] = n + 1;                                    // HERE
}""", 1, 1, lambda: [np.zeros(1, np.int32), 2**31 - 1]),
    "offset too large for an int": ("overflow", """
extern "C" __global__ void k(long long* y, int n, int hw) {
    y[0] = n * hw;                                   // HERE
}""", 1, 1, lambda: [np.zeros(1, np.int64), 70000, 50000]),
    "shift too far": ("overflow", """
extern "C" __global__ void k(int* y, int by) {
    y[0] = 1 << by;                                  // HERE
}""", 1, 1, lambda: [np.zeros(1, np.int32), 32]),
    "stride 0": ("division", """
extern "C" __global__ void k(int* y, int stride) {
    y[0] = 7 / stride;                               // HERE
}""", 1, 1, lambda: [np.zeros(1, np.int32), 0]),
    "assertion": ("assertion", """
extern "C" __global__ void k(float* y, int n) {
    assert(n % 4 == 0);                              // HERE
    y[0] = n;
}""", 1, 1, lambda: [floats(1), 6]),
    "too many locals": ("stack", """
__device__ float deep(float* y, int n) {
    volatile float room[1000];
    room[n % 1000] = n;
    return n == 0 ? room[0] : deep(y, n - 1) + room[n % 1000];          // EITHER
}
extern "C" __global__ void k(float* y, int n) {
    y[0] = deep(y, n);
}""", 1, 1, lambda: [floats(1), 1000]),
}  # fmt: skip
