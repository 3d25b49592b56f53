"""Kernels at the size of real layers, where thousands of blocks run at once, against the CPU."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .. import kernels
from ..device import is_array, to_numpy
from ..kernel_check import results_of
from ..kernels.cuda import backend
from .correctness import TOLERANCE, Worst, compared
from .report import FAILED, Line, one_line
from .workloads import Workload, workloads

HEAD = ("kernel", "dtype", "calls", "largest error", "where")
NOTE = (
    "The calls that are timed below against the same kernels on the CPU, by Numba where it works (small calls: NumPy), "
    f"tolerance {TOLERANCE[np.dtype(np.float32)]:g}, counted as above."
)


def lines(device: str, quick: bool) -> Iterator[Line]:
    """One line for each workload."""
    small = device == "sim"
    room = "plain" if small else kernels.current_room()  # what is small takes Numba longer to compile than NumPy to do
    for load in workloads(backend.array_module(device), small):
        worst = Worst()
        try:
            _try(load, room, worst)
        except Exception as error:  # this kernel's line says it; the others go on
            cells = load.title, "float32", "1", "error", one_line(f"{type(error).__name__}: {error}")
            yield Line(FAILED, cells)
            continue
        yield worst.line(load.title, np.float32)


def _try(load: Workload, room: str, worst: Worst) -> None:
    kernel, own = kernels.KERNELS[load.kernel], [to_numpy(a) if is_array(a) else a for a in load.arguments]
    theirs = [a.copy() if is_array(a) else a for a in load.arguments]  # updates change their arguments
    worst.calls = 1
    with kernels.use_room(room), np.errstate(all="ignore"):
        expected = results_of(kernel(*own), own)
    found = [to_numpy(a) for a in results_of(kernel(*theirs), theirs)]
    worst.wrong = int(
        not all([compared(wanted, got, load.arguments, worst) for wanted, got in zip(expected, found, strict=True)])
    )
