"""Every kernel against its definition in NumPy, on the shapes of ``kernels/trials.py``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .. import kernels
from ..device import is_array, to_device, to_numpy
from ..kernel_check import GEOMETRIES, TOLERANCE, described, results_of
from ..kernels.cuda import launcher
from ..kernels.trials import trials
from .report import FAILED, PASSED, Line, one_line

HEAD = ("kernel", "dtype", "calls", "largest error", "where")
NOTE = (
    "Every CUDA kernel (convolutions with cuBLAS's product) against its definition in plain NumPy, on small awkward "
    "shapes. Sums are added up in another order, so the last digits differ: an error counts as a share of the result's "
    f"largest number (at least 1), and up to {TOLERANCE[np.dtype(np.float32)]:g} in float32 and "
    f"{TOLERANCE[np.dtype(np.float64)]:g} in float64 passes. Whole numbers, infinities and NaN must be equal."
)


@dataclass
class Worst:
    """The largest error so far, as a share of the tolerance's unit, and where it was."""

    error: float = 0.0
    where: str = ""
    calls: int = 0
    wrong: int = 0

    def line(self, name: str, dtype) -> Line:
        where = (f"{self.wrong} of {self.calls} calls are wrong; the worst " if self.wrong else "") + self.where
        cells = name, np.dtype(dtype).name, str(self.calls), f"{self.error:.1e}", where
        return Line(FAILED if self.wrong else PASSED, cells)


def lines(device: str, quick: bool) -> Iterator[Line]:
    """One line for each kernel and dtype."""
    for name in kernels.KERNELS:
        for dtype in (np.float32, np.float64):
            worst = Worst()
            try:
                _try(name, dtype, device, GEOMETRIES[:1] if quick else GEOMETRIES, worst)
            except Exception as error:  # of a compiler, a launch, a fault on the device: this kernel's line says it
                where = one_line(f"{type(error).__name__}: {error}")
                yield Line(FAILED, (name, np.dtype(dtype).name, str(worst.calls), "error", where))
                continue
            yield worst.line(name, dtype)


def _try(name: str, dtype, device: str, geometries, worst: Worst) -> None:
    for arguments in trials(name, dtype):
        kernel, own = kernels.KERNELS[name], [a.copy() if is_array(a) else a for a in arguments]
        with kernels.use_room("plain"), np.errstate(all="ignore"):
            expected = results_of(kernel(*own), own)
        for block, blocks in geometries:
            theirs = [to_device(a, device) if is_array(a) else a for a in arguments]
            worst.calls += 1
            with launcher.launched_with(block, blocks):
                found = [to_numpy(a) for a in results_of(kernel(*theirs), theirs)]
            worst.wrong += not all(
                [compared(wanted, got, arguments, worst) for wanted, got in zip(expected, found, strict=True)]
            )


def compared(wanted: np.ndarray, got: np.ndarray, arguments: tuple, worst: Worst) -> bool:
    """Whether a result is right; notes its error if it is the largest so far."""
    if wanted.shape != got.shape or wanted.dtype != got.dtype:
        worst.error, worst.where = np.inf, f"{got.dtype} {got.shape} in place of {wanted.dtype} {wanted.shape}"
        return False
    if wanted.size == 0:
        return True
    largest = max(np.abs(wanted[np.isfinite(wanted)]).max(initial=1), 1)
    with np.errstate(invalid="ignore"):  # infinity - infinity
        error = np.abs(np.asarray(wanted, np.float64) - got) / largest
    error[(wanted == got) | (np.isnan(wanted) & np.isnan(got))] = 0
    error[np.isnan(error)] = np.inf  # one of them is no number
    place = np.unravel_index(error.argmax(), error.shape)
    if error[place] > worst.error:
        index = tuple(map(int, place))
        worst.error = float(error[place])
        worst.where = f"at {index} of ({described(arguments)}): {got[place]:.9g}, should be {wanted[place]:.9g}"
    return bool(error[place] <= TOLERANCE.get(wanted.dtype, 0))
