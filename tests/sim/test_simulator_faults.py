"""The checker is checked: kernels that are wrong on purpose, each found, with its kind, its line and words about it;
and right kernels that look suspicious, in which nothing may be found."""

from __future__ import annotations

import numpy as np
import pytest
from broken_kernels import BROKEN
from right_kernels import RIGHT

from minicnn.kernels import sim
from minicnn.kernels.sim import launching


@pytest.mark.filterwarnings("ignore::minicnn.kernels.sim.KernelWarning")  # the compiler suspects some of them, too
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
    sim.launch(
        RIGHT["guarded"][0], "k", 2, 32, [np.zeros(50, np.float32), 50]
    )  # afterwards the simulator works as before


def test_a_race_names_both_lines():
    kind, text, *launch = BROKEN["missing second barrier"]
    with pytest.raises(sim.KernelFault) as caught:
        sim.launch(text, "k", launch[0], launch[1], launch[2]())
    assert {caught.value.line, caught.value.other_line} == {5, 7} and "line 5" in str(caught.value)


def test_a_local_that_never_has_a_value():
    """What the compiler is sure of, it refuses in check mode, and names the line and the variable."""
    text = 'extern "C" __global__ void k(int* y) {\n    int i, j = 2;\n    y[0] = i + j;\n}'
    with pytest.raises(sim.CompileError, match=r"mine\.cu:3:\d+: error: 'i' is used uninitialized"):
        sim.launch(text, "k", 1, 1, [np.zeros(1, np.int32)], filename="mine.cu")


def test_a_maximum_that_begins_with_nothing():
    """Nothing that is stored gives it away, so the compiler's suspicion is passed on; also from the cache."""
    text = """
extern "C" __global__ void k(const float* x, float* y, int n) {
    float best;
    for (int i = 0; i < n; ++i)
        if (x[i] > best) best = x[i];
    y[0] = best;
}"""
    for _ in range(2):
        launching.module.cache_clear()
        with pytest.warns(sim.KernelWarning, match=r"mine\.cu:5: best may be used here without a value"):
            sim.launch(text, "k", 1, 1, [np.ones(4, np.float32), np.zeros(1, np.float32), 4], filename="mine.cu")


def test_locals_without_a_value_that_nobody_uses():
    """Declared early and set in every way that leads to a use: nothing is said."""
    text = """
extern "C" __global__ void k(const float* x, float* y, int n) {
    float v, sums[4];
    int where;
    for (int i = 0; i < 4; ++i) sums[i] = i;
    if (threadIdx.x % 2) { v = x[threadIdx.x]; where = 0; }
    else { v = 1; where = 1; }
    for (int i = 0; i < n; ++i) { float part; part = v + sums[i]; y[threadIdx.x] += part; }
    if (threadIdx.x == 0) y[0] += where;
}"""
    y = np.zeros(8, np.float32)
    sim.launch(text, "k", 1, 8, [np.arange(8, dtype=np.float32), y, 3])
    np.testing.assert_array_equal(y, [7, 6, 6, 12, 6, 18, 6, 24])


@pytest.mark.parametrize("order", ["forward", "backward", "shuffled"])
@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize("what", RIGHT)
def test_right_kernels_pass(what, check, order):
    """No false alarm, and the right numbers whatever order threads run in."""
    text, grid, block, arguments, result, expected, *shared = RIGHT[what]
    given = arguments()
    sim.launch(text, "k", grid, block, given, *shared, check=check, order=order, seed=3)
    np.testing.assert_array_equal(result(*given), expected)


@pytest.mark.parametrize("order", ["forward", "backward", "shuffled"])
@pytest.mark.parametrize("check", [True, False])
def test_many_atomics(check, order):
    """After a thousand atomics a thread lets others go on, also itself if chance says so: nothing is lost."""
    text = """
extern "C" __global__ void k(int* y, int n) {
    int before = threadIdx.x;
    for (int i = 0; i < n; ++i) atomicAdd(y + i % 7, 1);
    __syncthreads();
    atomicAdd(y + 7, before);
}"""
    y = np.zeros(8, np.int32)
    sim.launch(text, "k", 3, 40, [y, 2100], check=check, order=order, seed=5)
    np.testing.assert_array_equal(y, [36000] * 7 + [3 * 780])


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
