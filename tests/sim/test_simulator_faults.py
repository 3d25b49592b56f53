"""The checker is checked: kernels that are wrong on purpose, each found, with its kind, its line and words about it;
and right kernels that look suspicious, in which nothing may be found."""

from __future__ import annotations

import numpy as np
import pytest
from broken_kernels import BROKEN
from right_kernels import RIGHT

from minicnn.kernels import sim


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
