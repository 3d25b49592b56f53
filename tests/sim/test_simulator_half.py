"""half and half2 in the simulator, against NumPy's float16."""

from __future__ import annotations

import numpy as np
import pytest

from minicnn.kernels import sim

f4, f8, i4 = np.float32, np.float64, np.int32
rng = np.random.default_rng(6)


@np.errstate(over="ignore", invalid="ignore")  # signalling NaNs
def test_half_rounds_as_numpy_does():
    """All halves to float; floats to half: to the nearest, to even in between, subnormal, infinite."""
    text = """
#include <cuda_fp16.h>
extern "C" __global__ void k(const half* x, float* y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = __half2float(x[i]);
}
extern "C" __global__ void back(const float* x, half* y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = __float2half(x[i]);
}"""
    every = np.arange(65536, dtype=np.uint16).view(np.float16)
    y = np.zeros(65536, f4)
    sim.launch(text, "k", 64, 1024, [every, y, 65536])
    np.testing.assert_array_equal(y, every.astype(f4))
    finite = np.unique(every[np.isfinite(every)].astype(f4))
    between = (finite[1:].astype(f8) + finite[:-1]) / 2  # exact in float32
    floats = np.r_[
        y, between, np.nextafter(between.astype(f4), f4(9e9)), 65519, 65520, -65520, 1e30, 6e-8, 2e-8, 3e-8
    ].astype(f4)
    got = np.zeros(floats.size, np.float16)
    sim.launch(text, "back", -(-floats.size // 256), 256, [floats, got, floats.size])
    expected = floats.astype(np.float16)
    np.testing.assert_array_equal(got, expected)
    assert (np.signbit(got) == np.signbit(expected))[~np.isnan(expected)].all()


def test_half_arithmetic():
    """Operators and their names, rounded after each step; comparisons; conversions without a word."""
    text = """
#include <cuda_fp16.h>
extern "C" __global__ void k(const half* a, const half* b, half* y) {
    half u = a[threadIdx.x], v = b[threadIdx.x], sum = u + v;
    sum += __hmul(u, v);
    sum -= u / v;
    float f = sum;
    bool sorted = u < v ? __hle(u, v) && u != v : __hge(u, v) && !(u < v);
    y[threadIdx.x] = sorted ? __hadd(__hneg(-__float2half(f)), __float2half(0)) : half(99);
}"""
    a, b = rng.normal(size=(2, 64)).astype(np.float16)
    y = np.zeros(64, np.float16)
    for check in (True, False):
        sim.launch(text, "k", 1, 64, [a, b, y], check=check)
        np.testing.assert_array_equal(y, (a + b) + a * b - a / b)


def test_pairs_of_halves():
    """half2: its operations compute both halves at once, and round as one half does."""
    text = """
#include <cuda_fp16.h>
extern "C" __global__ void k(const half2* a, const __half2* b, half2* y, float* f) {
    const int i = threadIdx.x, n = blockDim.x;
    __shared__ half2 tile[64];
    tile[i] = __hadd2(a[i], b[i]);
    __syncthreads();
    half2 u = tile[i], v = b[i];
    y[i] = __hmul2(u, v);
    y[i + n] = __hfma2(u, v, __float2half2_rn(0.5f)) - a[i] / v;
    y[i + 2 * n] = __hsub2(__lowhigh2highlow(u), __halves2half2(__low2half(v), __high2half(v)));
    y[i + 3 * n] = __hlt2(a[i], b[i]);
    y[i + 4 * n] = __hmax2(-a[i], __habs2(b[i]));
    v += make_half2(u.x, u.y);
    v.x = __float2half(__high2float(u));
    y[i + 5 * n] = __shfl_xor_sync(0xffffffffu, v, 1);
    f[i] = __low2float(u) + __high2float(u) + (__hbgt2(a[i], b[i]) ? 100 : 0);
    float2 both = __half22float2(a[i]);
    y[i + 6 * n] = __floats2half2_rn(both.x * 3, both.y);
    atomicAdd(&y[7 * n], make_half2(1.f, 2.f));
}"""
    a, b = rng.normal(size=(2, 64, 2)).astype(np.float16)
    for check in (True, False):
        y, f = np.zeros((8, 64, 2), np.float16), np.zeros(64, f4)
        sim.launch(text, "k", 1, 64, [a, b, y, f], check=check)
        u = a + b
        np.testing.assert_array_equal(y[0], u * b)
        fused = (u.astype(f8) * b + 0.5).astype(np.float16)
        np.testing.assert_array_equal(y[1], fused - a / b)
        np.testing.assert_array_equal(y[2], u[:, ::-1] - b)
        np.testing.assert_array_equal(y[3], a < b)
        np.testing.assert_array_equal(y[4], np.maximum(-a, np.abs(b)))
        np.testing.assert_array_equal(y[5], np.c_[u[:, 1], (b + u)[:, 1]][np.arange(64) ^ 1])
        np.testing.assert_array_equal(f, u.astype(f4).sum(1) + 100 * (a > b).all(1))
        np.testing.assert_array_equal(y[6], np.c_[a[:, 0].astype(f4) * 3, a[:, 1]].astype(np.float16))
        assert y[7, 0].tolist() == [64, 128] and not y[7, 1:].any()


def test_pairs_of_halves_are_looked_at():
    """In check mode one element of half2 too many is out of bounds, and what nobody wrote is not read."""
    text = """
#include <cuda_fp16.h>
extern "C" __global__ void k(half2* y, int by) {
    __shared__ half2 tile[32];
    y[threadIdx.x + by] = __float2half2_rn(1);
    if (by < 0) y[threadIdx.x] = tile[3];
}"""
    for by, kind, line in ((1, "out of bounds", 5), (-1, "out of bounds", 5)):
        with pytest.raises(sim.KernelFault) as caught:
            sim.launch(text, "k", 1, 32, [np.zeros((32, 2), np.float16), by])
        assert (caught.value.kind, caught.value.line) == (kind, line)
    with pytest.raises(sim.KernelFault) as caught:
        sim.launch(text.replace("+ by", ""), "k", 1, 32, [np.zeros((32, 2), np.float16), -1])
    assert (caught.value.kind, caught.value.line) == ("uninitialised", 6)


def test_functions_of_half():
    """Computed as float, then rounded to a half."""
    text = """
#include <cuda_fp16.h>
extern "C" __global__ void k(const half* x, half* y, int* whole) {
    const int i = threadIdx.x, n = blockDim.x;
    y[i] = hexp(x[i]);
    y[i + n] = hsqrt(__habs(x[i]));
    y[i + 2 * n] = hfloor(x[i]);
    y[i + 3 * n] = hrcp(x[i]);
    y[i + 4 * n] = __ushort_as_half(__half_as_ushort(x[i]) ^ 0x8000);
    whole[i] = __half2int_rn(x[i]) * 10 + __hisnan(x[i]) + 2 * __hisinf(x[i] * half(60000.f) * half(60000.f));
}"""
    x = rng.normal(size=64).astype(np.float16) * np.float16(3)
    y, whole = np.zeros((5, 64), np.float16), np.zeros(64, i4)
    sim.launch(text, "k", 1, 64, [x, y, whole])
    wide = x.astype(f8)
    for got, exact in zip(y, (np.exp(wide), np.sqrt(np.abs(wide)), np.floor(wide), 1 / wide, -wide)):
        np.testing.assert_array_equal(got, exact.astype(f4).astype(np.float16))
    np.testing.assert_array_equal(whole, np.rint(wide) * 10 + 2 * np.sign(wide))
