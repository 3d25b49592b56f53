"""Each version of a lesson is better than the one before in just what its file says: counted in the simulator."""

from __future__ import annotations

import functools
import re

import numpy as np
import pytest
from every_version import each_version, version_of

from minicnn import kernel_lessons
from minicnn.kernels.cuda import launcher
from minicnn.kernels.lessons import LESSONS
from minicnn.kernels.sim.text import without_comments


@functools.cache
def figures(name: str, number: int, dtype: str = "float32") -> kernel_lessons.Figures:
    return kernel_lessons.figures_of(LESSONS[name], version_of(name, number), np.dtype(dtype))


def lines(name: str, number: int, space: str, kind: str, array: str = "", dtype: str = "float32") -> list:
    """Lines that use one kind of memory in one way; of global memory, one array."""
    found = [line for launch in figures(name, number, dtype).report.launches for line in launch.lines]
    return [f for f in found if (f.space, f.kind) == (space, kind) and (not array or array in f.arrays)]


@each_version
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_no_conflict_above_two_way(name, number, dtype):
    """Two words of one bank at the most, and none at all where the head says so."""
    worst = figures(name, number, dtype).report.worst_conflict
    assert worst <= 2 and (worst <= 1 or name == "conv")


def gigabytes_for_1024(name: str, number: int) -> float:
    """Bytes that a product of 1024 x 1024 x 1024 asks for: loads grow with the cube of 256, stores with the square."""
    found = figures(name, number)
    stored = 256 * 256 * 4
    return ((found.bytes_asked - stored) * 4**3 + stored * 4**2) / 1e9


def test_matmul_asks_for_fewer_bytes_each_time():
    """A sixteenth of a number for a multiply-add instead of one and a quarter, then a quarter of that."""
    naive, tiled, blocked = (figures("matmul", number) for number in (1, 2, 3))
    assert 9 < naive.bytes_asked / tiled.bytes_asked < 11
    loads = [sum(f.sectors for f in lines("matmul", number, "global", "load")) for number in (2, 3)]
    assert loads[0] == 4 * loads[1]
    for number in (1, 2, 3):
        said = float(re.search(r"asks for ([\d.]+) GB", version_of("matmul", number).text)[1])
        assert gigabytes_for_1024("matmul", number) == pytest.approx(said, abs=0.006 if number > 1 else 0.06)
    assert naive.report.efficiency == tiled.report.efficiency == blocked.report.efficiency == 1


def test_matmul_reads_shared_memory_less():
    """A quarter of the reads, each without a conflict."""
    reads = [sum(f.requests for f in lines("matmul", number, "shared", "load")) for number in (2, 3)]
    assert reads[0] == 4 * reads[1] > 0


def changed_figures(name: str, number: int, changes: dict[str, str]) -> kernel_lessons.Figures:
    """Those of a changed text."""
    version = version_of(name, number)
    text = version.text
    for before, after in changes.items():
        assert before in text
        text = text.replace(before, after)
    with launcher.replaced(version.file, text):
        return kernel_lessons.figures_of(LESSONS[name], version)


def test_matmul_with_rows_along_x_wastes_sectors():
    """What the head of version 1 says: 4 of the 32 bytes of a sector are used."""
    swap = {"blockIdx.y * blockDim.y + threadIdx.y": "blockIdx.x * blockDim.x + threadIdx.x"}
    back = {"column = blockIdx.x * blockDim.x + threadIdx.x": "column = blockIdx.y * blockDim.y + threadIdx.y"}
    found = [f for launch in changed_figures("matmul", 1, back | {"row = " + k: "row = " + v for k, v in swap.items()})
             .report.launches for f in launch.lines]  # fmt: skip
    store = next(f for f in found if f.kind == "store")
    assert store.efficiency == pytest.approx(1 / 8)


def test_matmul_needs_its_padding_and_its_stride():
    """Rows of b_tile that are no longer than the tile: a conflict when they are written."""
    assert changed_figures("matmul", 3, {"[TILE + SIDE]": "[TILE]"}).report.worst_conflict == 2
    side_by_side = {"b_tile[l][tx + i * SIDE]": "b_tile[l][tx * EACH + i]"}
    assert changed_figures("matmul", 3, side_by_side).report.worst_conflict == 2  # of 16 different threads


def test_conv_picks_single_weights_then_whole_sectors():
    """Version 1: 33 sectors for a warp's multiply-adds, of the weights' an eighth is used. Then all are."""
    weights, x = lines("conv", 1, "global", "load", "weight"), lines("conv", 1, "global", "load", "x")
    assert [f.efficiency for f in weights] == [pytest.approx(1 / 8)]
    assert (sum(f.sectors for f in weights + x)) == 33 * weights[0].requests
    direct, columns, implicit = (figures("conv", number) for number in (1, 2, 3))
    assert direct.report.efficiency < 0.2 and columns.report.efficiency == implicit.report.efficiency == 1
    assert direct.bytes_asked > 50 * columns.bytes_asked


def test_conv_without_columns_moves_the_least():
    """Version 2 writes the columns and reads them back; version 3 moves what has to be moved and no more."""
    columns, implicit = figures("conv", 2), figures("conv", 3)
    x, weight, _, _ = LESSONS["conv"].report_arguments()
    size = x.size * weight.shape[1] * weight.shape[2] * x.itemsize  # stride 1: a row of 9 * C for each pixel
    assert columns.report.bytes_moved - implicit.report.bytes_moved in range(size, 2 * size + 4 * x.nbytes)
    assert implicit.report.ratio == pytest.approx(1, abs=0.01) and columns.report.ratio > 2
    assert implicit.bytes_asked < columns.bytes_asked


def test_conv_needs_its_padding():
    """Rows of 16 instead of 17: a queue of 8."""
    for number in (2, 3):
        assert changed_figures("conv", number, {"[SIDE + 1]": "[SIDE]"}).report.worst_conflict == 8


def test_gather_moves_half_of_the_scatter():
    """dx crosses to memory once, in whole sectors, without atomics; more is asked for."""
    scatter, gather = figures("max_pool_backward", 1), figures("max_pool_backward", 2)
    grad = LESSONS["max_pool_backward"].report_arguments()[0]
    assert scatter.atomic_additions == grad.size and gather.atomic_additions == 0
    assert scatter.report.bytes_moved == pytest.approx(2 * gather.report.bytes_moved, rel=0.02)
    assert gather.report.ratio == pytest.approx(1, abs=0.01)
    assert [f.efficiency for f in lines("max_pool_backward", 2, "global", "store")] == [1]
    assert max(f.efficiency for f in lines("max_pool_backward", 1, "global", "atomic")) < 0.3
    assert gather.bytes_asked > scatter.bytes_asked


def test_each_pixel_asks_two_and_a_quarter_windows():
    """The mean of 1, 2, 2 and 4, a little less at the border."""
    grad, _, (h, w), *_ = LESSONS["max_pool_backward"].report_arguments()
    asked = sum(f.lanes for f in lines("max_pool_backward", 2, "global", "load", "index"))
    assert 2.15 < asked / (h * w * grad.shape[3]) <= 2.25


def test_reduction_leaves_the_queue_then_shared_memory():
    """One atomic for each number; then 256 numbers of a block in shared memory; then 8. Bytes stay the same."""
    (x,) = LESSONS["reduction"].report_arguments()
    atomics, shared, shuffle = (figures("reduction", number) for number in (1, 2, 3))
    assert (atomics.atomic_additions, shared.atomic_additions, shuffle.atomic_additions) == (x.size, 0, 0)
    assert atomics.shared_requests == 0 and shared.shared_requests > 4 * shuffle.shared_requests > 0
    blocks = sum(launch.grid[0] for launch in shared.report.launches)
    for number, each in ((2, 256), (3, 8)):
        first = lines("reduction", number, "shared", "store")[0]
        stored = sum(f.lanes for f in lines("reduction", number, "shared", "store") if f.line == first.line)
        assert stored == each * blocks
    assert shared.bytes_asked == shuffle.bytes_asked and shared.report.ratio == pytest.approx(1, abs=0.02)


def test_barriers_that_the_heads_count():
    """9 barriers of version 2: one, and one for each of the 8 steps. One of version 3."""
    shared, shuffle = (without_comments(version_of("reduction", number).text) for number in (2, 3))
    assert shared.count("__syncthreads()") == 2 and np.log2(256) + 1 == 9
    assert shuffle.count("__syncthreads()") == 1
