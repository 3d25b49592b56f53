"""CUDA kernels in the simulator against Numba's kernels, on the same arrays: ``make bench-sim``.

Every line is the simulator's time over Numba's, without and with the checker, best of several rounds. Neither says
anything about a GPU. The first line is the bound that the simulator is held to: im2col of 64x32x32x32, 3x3, within 30.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from minicnn import kernels
from minicnn.kernels import sim
from minicnn.kernels.cuda import backend

GEOMETRY = ((3, 3), (1, 1), (1, 1, 1, 1), (1, 1))
POOL = ((2, 2), (2, 2), (0, 0, 0, 0))


def image(*shape: int) -> np.ndarray:
    """(N, C, H, W), channels side by side in memory."""
    n, c, h, w = shape
    return np.random.default_rng(0).standard_normal((n, h, w, c)).astype(np.float32).transpose(0, 3, 1, 2)


def calls():
    """(what, kernel, arguments)"""
    x, small = image(64, 32, 32, 32), image(8, 16, 16, 16)
    yield "im2col 64x32x32x32 3x3", "im2col", (x, *GEOMETRY)
    yield "max_pool2d 64x32x32x32", "max_pool2d", (x, *POOL, (1, 1), (16, 16))
    yield "channel_stats 64x32x32x32", "channel_stats", (x,)
    yield "relu 64x32x32x32", "relu", (x,)
    yield "local_response_norm 8x16x16x16", "local_response_norm", (small, 5, 1e-4, 0.75, 2.0)
    yield "depthwise conv2d 8x16x16x16", "conv2d", (small, image(16, 1, 3, 3), None, *GEOMETRY[1:], 16)


def best(call: Callable[[], object], rounds: int) -> float:
    """Milliseconds of the fastest round, after one to compile."""
    call()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return 1e3 * min(times)


def main() -> None:
    xp = backend.array_module("sim")
    print(f"{kernels.get_num_threads()} threads\n{'':<34}{'numba ms':>10}{'sim ms':>10}{'ratio':>8}{'checked ms':>12}")
    for what, name, arguments in calls():
        kernel = kernels.KERNELS[name]
        there = [_moved(xp, a) if isinstance(a, np.ndarray) else a for a in arguments]
        numba, simulated = best(lambda: kernel(*arguments), 10), best(lambda: kernel(*there), 5)  # noqa: B023
        with sim.checking():
            checked = best(lambda: kernel(*there), 1)  # noqa: B023
        print(f"{what:<34}{numba:>10.2f}{simulated:>10.2f}{simulated / numba:>8.1f}{checked:>12.0f}")


def _moved(xp, array: np.ndarray):
    """On the simulator, in the same memory layout."""
    return xp.asarray(np.ascontiguousarray(array.transpose(0, 2, 3, 1))).transpose(0, 3, 1, 2)


if __name__ == "__main__":
    main()
