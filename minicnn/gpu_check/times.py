"""How fast: our kernels against CuPy's own operations, cuBLAS, and what memory and arithmetic allow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from .. import kernels
from ..device import is_array
from ..kernels.cuda import backend
from ..kernels.layout import UPDATED
from .report import FAILED, MEASURED, Line, one_line
from .workloads import Workload, workloads

HEAD = ("what", "shapes", "ms", "GB/s or TFLOP/s", "share of the floor", "CuPy's way, ms")
NOTE = (
    "float32, medians over {rounds} rounds by CUDA events. The floor is the time that a kernel cannot beat here: every "
    "array read or written once at the speed of the large copy in the first line, or its multiply-adds at the speed of "
    "the matrix product in the second, whichever takes longer; arrays that fit into the cache can be faster. CuPy's "
    "way computes the same, or of a convolution the product alone, by CuPy's own operations. The third line is what "
    "the shortest call takes, Python included."
)
ON_SIM = "**Simulated: these times are the simulator's and mean nothing about a GPU.** "


@dataclass(frozen=True)
class Clock:
    """Times calls on a device.

    Attributes
    ----------
    xp : module
        CuPy or its stand-in.
    rounds, calls : int
        So many times so many calls between two events.
    """

    xp: object
    rounds: int
    calls: int

    def seconds(self, call: Callable[[], object]) -> float:
        """Of one call: the median over the rounds, after one call that is not counted (it compiles)."""
        call()
        events, found = self.xp.cuda, []
        for _ in range(self.rounds):
            start, end = events.Event(), events.Event()
            start.record()
            for _ in range(self.calls):
                call()
            end.record()
            end.synchronize()
            found.append(events.get_elapsed_time(start, end) / 1e3 / self.calls)
        return float(np.median(found))


@dataclass(frozen=True)
class Speeds:
    """What this device was seen to do at most: bytes and FLOPs in a second."""

    bandwidth: float
    flops: float

    def floor(self, nbytes: float, flops: float) -> float:
        """Seconds that nothing which moves so many bytes and computes so much can take less than."""
        return max(nbytes / self.bandwidth, flops / self.flops)


def clock(device: str, quick: bool) -> Clock:
    """Long enough to be steady on a GPU, short on the simulator."""
    rounds, calls = (3, 1) if device == "sim" else (3, 5) if quick else (7, 20)
    return Clock(backend.array_module(device), rounds, calls)


def note(device: str, quick: bool) -> str:
    return (ON_SIM if device == "sim" else "") + NOTE.format(rounds=clock(device, quick).rounds)


def lines(device: str, quick: bool) -> Iterator[Line]:
    """The two speeds, then one line for each workload."""
    timer = clock(device, quick)
    small = device == "sim"  # where times mean nothing, large arrays only take long
    speeds = yield from _speeds(timer, small)
    for load in workloads(timer.xp, small):
        try:
            yield _line(load, timer, speeds)
        except Exception as error:  # this kernel's line says it; the others go on
            yield Line(FAILED, (load.title, "", "", "", "", one_line(f"{type(error).__name__}: {error}")))


def _speeds(timer: Clock, small: bool):
    xp = timer.xp
    size, side = (2**18, 128) if small else (2**26, 4096)
    x, y = xp.ones(size, "float32"), xp.empty(size, "float32")
    seconds = timer.seconds(lambda: xp.copyto(y, x))
    bandwidth = 2 * x.nbytes / seconds
    yield Line(MEASURED, ("copy (CuPy)", f"{x.nbytes / 1e6:,.0f} MB", _ms(seconds), f"{bandwidth / 1e9:,.4g} GB/s"))
    a, b = xp.ones((side, side), "float32"), xp.ones((side, side), "float32")
    out = xp.empty((side, side), "float32")
    seconds = timer.seconds(lambda: xp.matmul(a, b, out=out))
    flops = 2 * side**3 / seconds
    yield Line(MEASURED, ("matrix product (cuBLAS)", f"{side} x {side}", _ms(seconds), f"{flops / 1e12:,.3g} TFLOP/s"))
    tiny = xp.ones(1, "float32")
    seconds = timer.seconds(lambda: kernels.relu(tiny))
    yield Line(MEASURED, ("relu of one number", "1", _ms(seconds), ""))
    return Speeds(bandwidth, flops)


def _line(load: Workload, timer: Clock, speeds: Speeds) -> Line:
    kernel = kernels.KERNELS[load.kernel]
    seconds = timer.seconds(lambda: kernel(*load.arguments))
    nbytes = least_bytes(load)
    floor = speeds.floor(nbytes, load.flops)
    by_flops = load.flops / speeds.flops > nbytes / speeds.bandwidth
    speed = f"{load.flops / seconds / 1e12:,.3g} TFLOP/s" if by_flops else f"{nbytes / seconds / 1e9:,.4g} GB/s"
    other = _ms(timer.seconds(load.cupy)) if load.cupy is not None else ""
    return Line(MEASURED, (load.title, load.shapes, _ms(seconds), speed, f"{100 * floor / seconds:.0f} %", other))


def least_bytes(load: Workload) -> int:
    """Every array that goes in or comes out once; what is updated, twice."""
    kernel = kernels.KERNELS[load.kernel]
    arrays = [(a, role) for a, role in zip(load.arguments, kernel.roles) if is_array(a)]
    out = kernel(*load.arguments)
    results = out if isinstance(out, tuple) else (out,)
    read = sum(a.nbytes * (2 if role == UPDATED else 1) for a, role in arrays)
    return read + sum(a.nbytes for a in results if a is not None)


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:.3g}"
