"""What several experiments share."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np


def tidy(*panels) -> None:
    """Axes without the lines above and to the right."""
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)


def furthest(a: np.ndarray, b: np.ndarray) -> float:
    """Largest |a - b|, in units of the largest |b|; 0 only if all numbers are the same."""
    return float(np.abs(a - b).max() / np.abs(b).max())


def milliseconds(call: Callable[[], object], repeats: int = 5) -> float:
    """The shortest of several runs, after one that does not count (kernels compile, memory is fetched)."""
    call()
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return 1000 * min(taken)
