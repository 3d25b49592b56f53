"""The checker is checked: kernels that are wrong on purpose, each found, with its kind, its line and words about it;
and right kernels that look suspicious, in which nothing may be found."""

from __future__ import annotations

import numpy as np
import pytest

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


@pytest.mark.parametrize("what", BROKEN)
def test_found(what):
    """The kind, the line, who it was, and what to do."""
    kind, text, grid, block, arguments, *shared = BROKEN[what]
    seconds = 0.3 if kind == "hang" else None
    with pytest.raises(sim.KernelFault) as caught:
        sim.launch(text, "k", grid, block, arguments(), *shared, filename="mine.cu", seconds=seconds)
    fault = caught.value
    assert fault.kind == kind and "What to do: " in str(fault) and "mine.cu:" in str(fault)
    lines = text.splitlines()
    if any("HERE" in line for line in lines):
        assert "HERE" in lines[fault.line - 1], str(fault)
    else:  # several lines are to blame
        assert fault.line is not None and 1 <= fault.line <= len(lines)
    assert fault.block is not None and len(fault.thread) == 3
    sim.launch(RIGHT["guarded"][0], "k", 2, 32, [floats(50), 50])  # afterwards the simulator works as before


def test_a_race_names_both_lines():
    kind, text, *launch = BROKEN["missing second barrier"]
    with pytest.raises(sim.KernelFault) as caught:
        sim.launch(text, "k", launch[0], launch[1], launch[2]())
    assert {caught.value.line, caught.value.other_line} == {5, 7} and "line 5" in str(caught.value)


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


@pytest.mark.parametrize("order", ["forward", "backward", "shuffled"])
@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize("what", RIGHT)
def test_right_kernels_pass(what, check, order):
    """No false alarm, and the right numbers whatever order threads run in."""
    text, grid, block, arguments, result, expected, *shared = RIGHT[what]
    given = arguments()
    sim.launch(text, "k", grid, block, given, *shared, check=check, order=order, seed=3)
    np.testing.assert_array_equal(result(*given), expected)


def test_templates_have_shared_memory_of_their_own():
    """Two instances, and the checked and the unchecked library, do not share what a template keeps."""
    text = """
template <typename T, int N> __global__ void turned(T* y) {
    __shared__ T tile[N];
    tile[threadIdx.x] = y[threadIdx.x];
    __syncthreads();
    y[threadIdx.x] = tile[N - 1 - threadIdx.x];
}"""
    for dtype, name in ((np.float32, "turned<float, 32>"), (np.float64, "turned<double, 32>")):
        for check in (True, False, True):
            y = np.arange(32, dtype=dtype)
            sim.launch(text, name, 1, 32, [y], check=check)
            np.testing.assert_array_equal(y, np.arange(32)[::-1])
