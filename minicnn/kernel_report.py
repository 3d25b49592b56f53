"""``minicnn kernels report``: how a kernel uses memory on the layers of real models, as text or as JSON.

A model, not a measurement: the simulator counts what warps ask for, and formulas say what a GPU needs for it at least.
The figures themselves come from ``kernels/access.py``.
"""

from __future__ import annotations

import json
import math
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from . import columns
from .device import check_device
from .errors import ArgumentError, suggest
from .kernel_check import find
from .kernels import KERNELS
from .kernels.access import GPU_DEFAULT, Report, Used, report_on
from .kernels.access_notes import CONFLICT, EFFICIENCY, NOTES, RATIO
from .kernels.nvrtc.gpus import GPU, GPUS
from .kernels.sim.profile import LaunchProfile, LineAccess
from .kernels.workloads import Workload, workloads

LABEL = "model, not measurement"
SOURCE = 24  # letters of a line's text that are shown at least, however narrow the terminal is
HEAD = ("line", "of", "access", "requests", "sectors", "efficiency", "conflicts", "text")


@dataclass(frozen=True)
class Measured:
    """One workload and its report."""

    workload: Workload
    report: Report


def gpu_named(name: str) -> GPU:
    """The figures of a GPU. Raises ArgumentError if there are none of this name."""
    known = {each.lower(): gpu for each, gpu in GPUS.items()}
    if name.strip().lower() not in known:
        raise ArgumentError(f"there are no figures of a GPU {name!r}; {suggest(name, GPUS)}")
    return known[name.strip().lower()]


def measure(name: str, gpu: str = GPU_DEFAULT) -> Iterator[Measured]:
    """The report on each workload of a kernel.

    Raises
    ------
    ArgumentError
        There is no such kernel, or no figures of such a GPU.
    DeviceError
        The simulator cannot run here.
    """
    kernel, chosen = find(name), gpu_named(gpu)
    check_device("sim")
    for workload in workloads(kernel.name):
        yield Measured(workload, report_on(workload, chosen.name))


def measure_one(name: str, number: int, gpu: str = GPU_DEFAULT) -> Measured:
    """The report on one of a kernel's workloads, counted from 1. Raises what :func:`measure` does."""
    kernel, chosen = find(name), gpu_named(gpu)
    check_device("sim")
    found = workloads(kernel.name)
    if not 1 <= number <= len(found):
        there = ", ".join(f"{i} {w.title}" for i, w in enumerate(found, 1))
        raise ArgumentError(f"{name} has no workload {number}; it has {there}")
    return Measured(found[number - 1], report_on(found[number - 1], chosen.name))


def page(name: str, gpu: str = GPU_DEFAULT, width: int = 140) -> Iterator[str]:
    """The report as text of so many columns, in pieces as they are done."""
    chosen = gpu_named(gpu)
    gb, tflops = chosen.bandwidth / 1e9, chosen.flops32 / 1e12
    yield f"{name}: {LABEL} ({chosen.name}: {gb:,.0f} GB/s, {tflops:,.1f} TFLOP/s in float32)"
    for measured in measure(name, gpu):
        yield "\n".join(("", *_workload(measured, width)))


def _workload(measured: Measured, width: int) -> Iterator[str]:
    workload, report = measured.workload, measured.report
    yield f"== {workload.title}: {workload.shapes}"
    for launch, used in zip(report.launches, report.used):
        yield from ("", *launch_lines(launch, used, width))
    if report.library_bytes:
        yield f"cupy.matmul (cuBLAS, not looked into) moves at least {_bytes(report.library_bytes)}, by formula"
    yield ""
    yield from (textwrap.fill(text, width) for text in summary(report))
    missed = misses(report)
    if missed:
        why = NOTES.get(workload.kernel, "Nobody has explained it yet.")
        yield textwrap.fill(f"misses the aim: {', '.join(missed)}. {why}", width)


def launch_lines(launch: LaunchProfile, used: Used, width: int = 140) -> Iterator[str]:
    """One launch: its geometry, what it needs of a multiprocessor, and a table of its lines."""
    grid, block = ("x".join(map(str, size)) for size in (launch.grid, launch.block))
    yield f"{launch.kernel}, {grid} blocks of {block} threads"
    if used.resources is None:
        yield f"registers and occupancy: {used.why_not.splitlines()[0]}"
    else:
        resources = used.resources
        shared = resources.shared + launch.shared_mem
        yield f"{resources.registers} registers, {shared} bytes of shared memory, occupancy {used.occupancy}"
    rows = [_row(line) for line in launch.lines]
    taken = sum(max(map(len, column)) + 2 for column in zip(HEAD[:-1], *(row[:-1] for row in rows)))
    room = max(SOURCE, width - taken)
    rows = [(*row, text if len(text) <= room else text[: room - 1] + "…") for *row, text in rows]
    yield from columns.text(HEAD, rows, right=(3, 4, 5, 6))


def _row(line: LineAccess) -> tuple[str, ...]:
    shared = line.space == "shared"
    efficiency = "" if math.isnan(line.efficiency) else f"{line.efficiency:.0%}"
    conflicts = f"{line.conflict:.2f}, worst {line.worst_conflict}" if shared else ""
    return (
        f"{line.file}:{line.line}", ", ".join(line.arrays) or line.space, f"{line.kind} of {line.size} B",
        f"{line.requests:,}", "" if shared else f"{line.sectors:,}", efficiency, conflicts, line.source,
    )  # fmt: skip


def summary(report: Report) -> Iterator[str]:
    """Bytes, FLOPs and the roofline, in words."""
    far = report.bytes_by_blocks / report.least_bytes if report.least_bytes else math.nan
    moved, least = _bytes(report.bytes_moved), _bytes(report.least_bytes)
    yield (
        f"moves {moved}, {report.ratio:.2f} times the least possible ({least}), if the caches hold everything; "
        f"{far:.2f} times if each block had a cache of its own only"
    )
    kind = "float64" if report.in_double else "float32"
    yield (
        f"computes {report.flops / 1e6:,.2f} MFLOP in {kind}: {report.intensity:.2f} for each byte; "
        f"floor on {report.gpu.name}: {report.floor_us:.2f} microseconds, by {report.bound} "
        f"(memory {report.memory_us:.2f}, compute {report.compute_us:.2f})"
    )


def misses(report: Report) -> list[str]:
    """Aims of the project that a call misses, with both numbers."""
    found = []
    if report.efficiency < EFFICIENCY:
        found.append(f"sector efficiency {report.efficiency:.0%} (aim: {EFFICIENCY:.0%})")
    if report.ratio > RATIO:
        found.append(f"{report.ratio:.2f} times the least bytes (aim: {RATIO})")
    if report.worst_conflict > CONFLICT:
        found.append(f"bank conflicts of degree {report.worst_conflict} (aim: {CONFLICT})")
    return found


def _bytes(n: int) -> str:
    return f"{n / 1e6:,.2f} MB" if n >= 1e5 else f"{n / 1e3:,.2f} KB"


def as_json(name: str | None, gpu: str = GPU_DEFAULT) -> str:
    """A list with an entry for each workload, of one kernel or of all."""
    names = KERNELS if name is None else (name,)
    return json.dumps([as_data(measured) for one in names for measured in measure(one, gpu)], indent=1)


def as_data(measured: Measured) -> dict:
    """The report for ``--json``: whole numbers and fractions; null where there is no such figure."""
    report, workload = measured.report, measured.workload
    return {
        "label": LABEL,
        "kernel": workload.kernel,
        "workload": workload.title,
        "shapes": workload.shapes,
        "gpu": report.gpu.name,
        "efficiency": _number(report.efficiency),
        "worst_conflict": report.worst_conflict,
        "bytes_moved": report.bytes_moved,
        "bytes_by_blocks": report.bytes_by_blocks,
        "library_bytes": report.library_bytes,
        "least_bytes": report.least_bytes,
        "ratio": _number(report.ratio),
        "flops": report.flops,
        "in_double": report.in_double,
        "intensity": _number(report.intensity),
        "floor_us": report.floor_us,
        "bound": report.bound,
        "misses": misses(report),
        "why": NOTES.get(workload.kernel) if misses(report) else None,
        "launches": [_launch_data(*pair) for pair in zip(report.launches, report.used)],
    }


def _launch_data(launch: LaunchProfile, used: Used) -> dict:
    resources, occupancy = used.resources, used.occupancy
    return {
        "kernel": launch.kernel,
        "grid": launch.grid,
        "block": launch.block,
        "shared_mem": launch.shared_mem,
        "registers": resources and resources.registers,
        "occupancy": occupancy and occupancy.fraction,
        "why_not": used.why_not or None,
        "arrays": [vars(array) for array in launch.arrays],
        "lines": [
            {
                **{k: v for k, v in vars(line).items() if k != "example"},
                "efficiency": _number(line.efficiency),
                "conflict": _number(line.conflict),
            }
            for line in launch.lines
        ],
    }


def _number(x: float) -> float | None:
    return None if math.isnan(x) else round(x, 6)
