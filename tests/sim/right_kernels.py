"""Right kernels that look suspicious: each with what it computes."""

from __future__ import annotations

import numpy as np


def floats(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.float32)


# the kernel, grid, block, arguments, which of them is the result, the result, dynamic shared memory
RIGHT = {
    "guarded": ("""
extern "C" __global__ void k(float* y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = i;
}""", 2, 32, lambda: [floats(50), 50], lambda y, n: y, np.arange(50)),
    "reversed by shared memory": ("""
extern "C" __global__ void k(float* y, int n) {
    __shared__ float tile[64];
    for (int i = 0; i < n; i += 64) {
        tile[threadIdx.x] = i + threadIdx.x;
        __syncthreads();
        y[i + threadIdx.x] = tile[63 - threadIdx.x];
        __syncthreads();
    }
}""", 1, 64, lambda: [floats(128), 128], lambda y, n: y, np.r_[np.arange(64)[::-1], np.arange(64, 128)[::-1]]),
    "double buffer": ("""
extern "C" __global__ void k(float* y, int steps) {
    __shared__ float buffer[2][64];
    buffer[0][threadIdx.x] = threadIdx.x;
    __syncthreads();
    for (int s = 0; s < steps; ++s) {
        buffer[1 - s % 2][threadIdx.x] = buffer[s % 2][(threadIdx.x + 1) % 64];
        __syncthreads();
    }
    y[threadIdx.x] = buffer[steps % 2][threadIdx.x];
}""", 1, 64, lambda: [floats(64), 5], lambda y, n: y, (np.arange(64) + 5) % 64),
    "sum of a warp by shuffles": ("""
extern "C" __global__ void k(float* y) {
    float v = threadIdx.x;
    for (int d = 16; d; d /= 2) v += __shfl_down_sync(0xffffffffu, v, d);
    if (threadIdx.x % 32 == 0) y[threadIdx.x / 32] = v;
}""", 1, 64, lambda: [floats(2)], lambda y: y, [496, 1520]),
    "sum of a warp by shared memory": ("""
extern "C" __global__ void k(float* y) {
    __shared__ float s[32];
    s[threadIdx.x] = threadIdx.x;
    __syncwarp();
    for (int d = 16; d; d /= 2) {
        float v = s[threadIdx.x] + (threadIdx.x < d ? s[threadIdx.x + d] : 0);
        __syncwarp();
        s[threadIdx.x] = v;
        __syncwarp();
    }
    y[threadIdx.x] = s[0];
}""", 1, 32, lambda: [floats(32)], lambda y: y, np.full(32, 496)),
    "all lanes read, one writes after syncwarp": ("""
extern "C" __global__ void k(float* y) {
    __shared__ float s;
    if (threadIdx.x == 0) s = 4;
    __syncwarp();
    float v = s;
    __syncwarp();
    if (threadIdx.x == 5) s = 6;
    __syncwarp();
    y[threadIdx.x] = v + s;
}""", 1, 32, lambda: [floats(32)], lambda y: y, np.full(32, 10)),
    "half a warp with its own mask": ("""
extern "C" __global__ void k(float* y) {
    float v = threadIdx.x;
    if (threadIdx.x < 16) v = __shfl_xor_sync(0x0000ffffu, v, 1);
    y[threadIdx.x] = v;
}""", 1, 32, lambda: [floats(32)], lambda y: y, [i ^ 1 if i < 16 else i for i in range(32)]),
    "shuffles of segments": ("""
extern "C" __global__ void k(float* y) {
    float v = threadIdx.x;
    y[threadIdx.x] = __shfl_sync(0xffffffffu, v, 2, 8) + 100 * __shfl_up_sync(0xffffffffu, v, 1, 8);
}""", 1, 32, lambda: [floats(32)], lambda y: y,
        [i // 8 * 8 + 2 + 100 * (i - 1 if i % 8 else i) for i in range(32)]),
    "votes": ("""
extern "C" __global__ void k(int* y) {
    unsigned b = __ballot_sync(0xffffffffu, threadIdx.x % 3 == 0);
    y[threadIdx.x] = __popc(b) + 100 * __any_sync(0xffffffffu, threadIdx.x == 40)
        + 1000 * __all_sync(0xffffffffu, threadIdx.x < 32);
}""", 1, 64, lambda: [np.zeros(64, np.int32)], lambda y: y,
        [11 + 1000 if i < 32 else 11 + 100 - (1 if i < 0 else 0) for i in range(64)]),
    "votes of a block": ("""
extern "C" __global__ void k(int* y) {
    int count = __syncthreads_count(threadIdx.x < 10), all = __syncthreads_and(threadIdx.x < 64),
        any = __syncthreads_or(threadIdx.x == 63);
    y[threadIdx.x] = count + 100 * all + 1000 * any;
}""", 1, 64, lambda: [np.zeros(64, np.int32)], lambda y: y, np.full(64, 1110)),
    "atomics": ("""
extern "C" __global__ void k(int* y, float* f, double* d) {
    atomicAdd(&y[0], 1); atomicMax(&y[1], (int)threadIdx.x); atomicSub(&y[2], 2); atomicOr(&y[3], 1 << threadIdx.x % 8);
    atomicAdd(f, 0.5f); atomicAdd(d, 0.25);
}""", 3, 32, lambda: [np.zeros(4, np.int32), floats(1), np.zeros(1)], lambda y, f, d: np.r_[y, f, d],
        [96, 31, -192, 255, 48, 24]),
    "sum of a block in dynamic memory": ("""
extern "C" __global__ void k(float* y) {
    extern __shared__ float part[];
    part[threadIdx.x] = threadIdx.x;
    __syncthreads();
    for (int d = blockDim.x / 2; d; d /= 2) {
        if (threadIdx.x < d) part[threadIdx.x] += part[threadIdx.x + d];
        __syncthreads();
    }
    if (threadIdx.x == 0) y[blockIdx.x] = part[0];
}""", 2, 128, lambda: [floats(2)], lambda y: y, [8128, 8128], 512),
    "constant and device variables": ("""
__constant__ float weights[3] = {1, 2, 4};
__device__ float twice(float v) { return 2 * v; }
extern "C" __global__ void k(float* y) { y[threadIdx.x] = twice(weights[threadIdx.x % 3]); }
""", 1, 6, lambda: [floats(6)], lambda y: y, [2, 4, 8, 2, 4, 8]),
    "float4": ("""
extern "C" __global__ void k(float4* y) {
    y[threadIdx.x] = make_float4(threadIdx.x, 1, 2, 3);
}""", 1, 4, lambda: [floats(16)], lambda y: y[::4], [0, 1, 2, 3]),
    "half": ("""
#include <cuda_fp16.h>
extern "C" __global__ void k(const __half* x, __half* y, int n) {
    int i = threadIdx.x;
    if (i < n) y[i] = __float2half(2 * __half2float(x[i])) + x[i];
}""", 1, 32, lambda: [np.arange(20, dtype=np.float16), np.zeros(20, np.float16), 20], lambda x, y, n: y,
        3 * np.arange(20)),
    "three dimensions": ("""
extern "C" __global__ void k(int* y) {
    int block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    int thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
    y[block * blockDim.x * blockDim.y * blockDim.z + thread] = 100 * block + thread;
}""", (2, 3, 2), (2, 2, 3), lambda: [np.zeros(144, np.int32)], lambda y: y,
        [100 * (i // 12) + i % 12 for i in range(144)]),
}  # fmt: skip
