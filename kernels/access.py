"""The access report: how a call uses memory, line by line, and what that costs at least on some GPU. A model, not a
measurement: nothing here has run on a GPU.

>>> from kernels.access import report  # doctest: +SKIP
>>> found = report(lambda: sim.launch(text, "matmul", grid, block, [a, b, c, n]), least_bytes=3 * a.nbytes,
...                flops=2 * n**3, gpu="H100")  # doctest: +SKIP
>>> found.bytes_moved, found.ratio, found.efficiency, found.worst_conflict, found.floor_us  # doctest: +SKIP

Of the same object every launch has its lines (:class:`.sim.profile.LaunchProfile`) and, if NVRTC is installed, what it
needs of a multiprocessor (:attr:`Report.used`). Two versions of a kernel are two reports side by side.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

from . import formulas
from .nvrtc import compiler, library
from .nvrtc.gpus import GPU
from .nvrtc.gpus import gpu as gpu_named
from .nvrtc.occupancy import LIMITS, Occupancy, occupancy
from .nvrtc.resources import Resources
from .sim.profile import LaunchProfile, profiling
from .sim.text import named_file
from .workloads import Workload

GPU_DEFAULT = "H100"


@dataclass(frozen=True)
class Used:
    """What a launch needs of a multiprocessor, by NVIDIA's compiler; or why that is not known."""

    resources: Resources | None = None
    occupancy: Occupancy | None = None
    why_not: str = ""


@dataclass(frozen=True)
class Report:
    """One call.

    Attributes
    ----------
    launches : list of LaunchProfile
        Kernels that it launched, in order, with the lines of each.
    used : list of Used
        For each launch.
    least_bytes, flops : int
        What the call has to move and to compute, by formula.
    library_bytes : int
        What it has NVIDIA's libraries move (cuBLAS), by formula.
    gpu : GPU
    in_double : bool
        Whether it computes in double.
    results : object
        What the call returned.
    """

    launches: list[LaunchProfile]
    used: list[Used]
    least_bytes: int
    flops: int
    library_bytes: int
    gpu: GPU
    in_double: bool
    results: object = None

    @property
    def bytes_moved(self) -> int:
        """Sectors that launches touch, in bytes, each counted once for each launch; and the library's bytes."""
        return sum(launch.bytes_moved for launch in self.launches) + self.library_bytes

    @property
    def bytes_by_blocks(self) -> int:
        """The same if a cache holds only what one block uses: between the two lies the truth."""
        return sum(launch.bytes_by_blocks for launch in self.launches) + self.library_bytes

    @property
    def ratio(self) -> float:
        """Bytes moved for each byte that has to be."""
        return self.bytes_moved / self.least_bytes if self.least_bytes else math.nan

    @property
    def efficiency(self) -> float:
        """Sector efficiency of all accesses to global memory, 0 to 1; nan without launches."""
        lines = [line for launch in self.launches for line in launch.lines if line.space == "global"]
        sectors = sum(line.sectors for line in lines)
        return sum(line.least_sectors for line in lines) / sectors if sectors else math.nan

    @property
    def worst_conflict(self) -> int:
        """Degree of the worst bank conflict: 1 is none, 0 means that shared memory is not used."""
        return max((launch.worst_conflict for launch in self.launches), default=0)

    @property
    def intensity(self) -> float:
        """FLOPs for each byte moved."""
        return self.flops / self.bytes_moved if self.bytes_moved else math.nan

    @property
    def memory_us(self) -> float:
        """Microseconds that the GPU's memory needs for the bytes moved."""
        return 1e6 * self.bytes_moved / self.gpu.bandwidth

    @property
    def compute_us(self) -> float:
        """Microseconds that the FLOPs take at the GPU's peak."""
        return 1e6 * self.flops / (self.gpu.flops64 if self.in_double else self.gpu.flops32)

    @property
    def floor_us(self) -> float:
        """The roofline: it cannot be faster than the slower of the two."""
        return max(self.memory_us, self.compute_us)

    @property
    def bound(self) -> str:
        """What the floor comes from: "memory" or "compute"."""
        return "memory" if self.memory_us >= self.compute_us else "compute"


def report(
    call: Callable[[], object], *, least_bytes: int | Callable = 0, flops: int | Callable = 0,
    library_bytes: int | Callable = 0, gpu: str = GPU_DEFAULT, in_double: bool = False,
) -> Report:  # fmt: skip
    """Run a call in the simulator, count its accesses to memory, and hold them against what it needs at least.

    Parameters
    ----------
    call : function without arguments
        Launches kernels by ``sim.launch``, or calls kernels on arrays of the device "sim".
    least_bytes, flops, library_bytes : int or function
        See :class:`Report`; a function is given what ``call`` returned.
    gpu : str
        As in :data:`.nvrtc.gpus.GPUS`.
    in_double : bool
        Whether the FLOPs are float64's.

    Raises
    ------
    ValueError
        If no figures of such a GPU are known.
    KernelFault, CompileError
        As for any launch in the simulator.
    """
    chosen = gpu_named(gpu)
    with profiling() as launches:
        results = call()
    number = lambda n: int(n(results)) if callable(n) else int(n)  # noqa: E731
    used = [resources_of(launch, chosen.arch) for launch in launches]
    return Report(launches, used, number(least_bytes), number(flops), number(library_bytes), chosen, in_double, results)


def report_on(workload: Workload, gpu: str = GPU_DEFAULT) -> Report:
    """The report on one of :func:`.workloads.workloads`, with its formulas."""
    name, arguments = workload.kernel, workload.arguments
    formula = lambda f: lambda results: f(name, arguments, results)  # noqa: E731
    return report(
        workload,
        least_bytes=formula(formulas.least_bytes),
        flops=formula(formulas.flops),
        library_bytes=formula(formulas.library_bytes),
        gpu=gpu,
        in_double=name in formulas.IN_DOUBLE,
    )


def resources_of(launch: LaunchProfile, arch: str) -> Used:
    """Registers, shared memory and occupancy of a launch, if NVRTC is installed and knows the architecture."""
    if why := library.why_not():
        return Used(why_not=why)
    if arch not in LIMITS or arch not in library.architectures():
        return Used(why_not=f"this NVRTC does not compile for {arch}")
    try:
        found = _compiled(launch.source, arch, launch.together)[launch.kernel]
    except compiler.CompileError as error:
        return Used(why_not=str(error))
    return Used(found, occupancy(found, math.prod(launch.block), launch.shared_mem, arch))


@functools.lru_cache(maxsize=64)
def _compiled(source: str, arch: str, kernels: tuple[str, ...]) -> dict[str, Resources]:
    options = (*compiler.CUPY, "--disable-warnings")  # those are the gate's business
    return compiler.compile(source, named_file(source, "kernel.cu"), kernels, arch, options).resources
