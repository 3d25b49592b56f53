"""Races that hide well: in single bytes, between blocks, behind atomics, in a file's own variables."""

from __future__ import annotations

import numpy as np
import pytest
from racing_kernels import CLEAN, RACES, floats

from minicnn.kernels import sim


@pytest.mark.parametrize("order", ["forward", "backward", "shuffled"])
@pytest.mark.parametrize("what", RACES)
def test_found_in_every_order(what, order):
    """A race is a race whichever thread happens to come first."""
    text, grid, block, arguments, *shared = RACES[what]
    with pytest.raises(sim.KernelFault) as caught:
        sim.launch(text, "k", grid, block, arguments(), *shared, order=order, seed=1)
    fault = caught.value
    lines = text.splitlines()
    assert fault.kind == "race" and fault.line and fault.other_line, str(fault)
    if order == "forward":
        marked = {i for i, line in enumerate(lines, 1) if "HERE" in line or "EITHER" in line}
        assert fault.line in marked, str(fault)


@pytest.mark.parametrize("order", ["forward", "backward", "shuffled"])
@pytest.mark.parametrize("what", CLEAN)
def test_no_false_alarm(what, order):
    """What is right passes, with the right numbers, and without the checker, too."""
    text, grid, block, arguments, expected = CLEAN[what]
    for check in (True, False):
        given = arguments()
        sim.launch(text, "k", grid, block, given, order=order, seed=2, check=check, seconds=20)
        np.testing.assert_array_equal(given[0], expected)


def test_one_launch_after_another_is_no_race():
    """A launch waits for the one before it, so what that wrote may be read and written by any thread."""
    text = """
__device__ float kept[32];
extern "C" __global__ void store(const float* x) { kept[threadIdx.x] = x[threadIdx.x]; }
extern "C" __global__ void turn(float* y) { y[threadIdx.x] = kept[31 - threadIdx.x]; kept[31 - threadIdx.x] = 0; }
"""
    x, y = np.arange(32, dtype=np.float32), floats(32)
    for _ in range(3):
        sim.launch(text, "store", 1, 32, [x])
        sim.launch(text, "turn", 1, 32, [y])
        np.testing.assert_array_equal(y, x[::-1])


def test_both_lines_and_threads_are_named():
    text, grid, block, arguments = RACES["through float4"]
    with pytest.raises(sim.KernelFault, match=r"mine\.cu:4: race in k: block \(0,0,0\), thread \(32,0,0\): this thread "
                       r"writes global memory .* thread \(0,0,0\) of the same block writes in line 3"):  # fmt: skip
        sim.launch(text, "k", grid, block, arguments(), filename="mine.cu")


@pytest.mark.parametrize("name", ["plain", "generic<float, 64>"])
def test_shared_variables_are_named(name):
    """Not a byte of all shared memory, but of the variable; also the second of its name, and in templates."""
    text = """
template <typename T, int N> __device__ void fill(T* y) {
    __shared__ T first[N];
    { __shared__ int tile[4]; tile[threadIdx.x % 4] = 0; }
    __syncthreads();
    if (threadIdx.x == 0) first[0] = 2;
    { __shared__ T tile[N]; tile[threadIdx.x] = 1; y[threadIdx.x] = tile[(threadIdx.x + 1) % N]; }
}
template <typename T, int N> __global__ void generic(T* y) { if (threadIdx.x < 4) fill<T, N>(y); else __syncthreads(); }
extern "C" __global__ void plain(float* y) {
    __shared__ float other[9], tile_2[64];
    tile_2[threadIdx.x] = 1;
    y[threadIdx.x] = tile_2[(threadIdx.x + 1) % 64] + (threadIdx.x < 0 ? other[0] : 0);
}"""
    with pytest.raises(sim.KernelFault) as caught:
        sim.launch(text, name, 1, 64 if name == "plain" else 4, [floats(64)])
    assert caught.value.kind == "race"
    variable = "tile_2" if name == "plain" else "tile"
    assert f"shared memory at byte 4 of {variable}, which thread" in str(caught.value), str(caught.value)
