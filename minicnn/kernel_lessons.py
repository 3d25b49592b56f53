"""Lessons at the command line: the list, the versions of one side by side, one file, and the check of a version.

The figures are a model: what a version asks of memory is counted in the simulator, and what follows for a GPU is
computed from its data sheet. Nothing is measured.
"""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from . import columns, kernel_report
from .device import check_device
from .errors import ArgumentError, suggest
from .kernel_check import Verdict, described, difference, other_parameters, standing_in
from .kernel_pages import coloured
from .kernel_report import LABEL
from .kernels import access, sim
from .kernels.cuda import backend
from .kernels.lessons import LESSONS, Lesson, Version
from .kernels.sim.profile import SECTOR

PREFIX = "lesson:"


def find(name: str) -> Lesson:
    """The lesson of this name."""
    if name not in LESSONS:
        raise ArgumentError(f"there is no lesson {name!r}; {suggest(name, LESSONS)}")
    return LESSONS[name]


def find_version(lesson: Lesson, number: int | str) -> Version:
    """One version, by its number."""
    for version in lesson.versions:
        if str(version.number) == str(number):
            return version
    numbers = ", ".join(str(v.number) for v in lesson.versions)
    raise ArgumentError(f"the lesson {lesson.name} has no version {number}; it has {numbers}")


def named(what: str) -> tuple[Lesson, Version]:
    """``"lesson:matmul/2"`` as lesson and version."""
    name, _, number = what.removeprefix(PREFIX).partition("/")
    lesson = find(name)
    if not number:
        raise ArgumentError(f"{what} names no version; {PREFIX}{name}/{lesson.versions[0].number} does")
    return lesson, find_version(lesson, number)


def listing() -> str:
    """One row for each lesson."""
    rows = [(one.name, one.title, ", ".join(v.title for v in one.versions)) for one in LESSONS.values()]
    return "\n".join(columns.text(("lesson", "what is computed", "versions"), rows))


def shown(lesson: Lesson, number: int | str, colour: bool = False) -> str:
    """The file of one version, highlighted for a terminal if Pygments is installed."""
    version = find_version(lesson, number)
    return coloured("cuda", f"// kernels/lessons/{version.file}\n{version.text.rstrip()}", colour)


def page(lesson: Lesson, gpu: str = access.GPU_DEFAULT, width: int = 100) -> str:
    """What each version improves, and the figures of all versions side by side."""
    check_device("sim")
    parts = [f"{lesson.title}: {lesson.formula}"]
    for version in lesson.versions:
        improves = f"Improves: {version.field('Improves')}"
        said = textwrap.fill(improves, width, initial_indent="    ", subsequent_indent="    ")
        parts.append(f"{version.title}: kernels/lessons/{version.file}\n{said}")
    figures = [figures_of(lesson, version, gpu=gpu) for version in lesson.versions]
    parts.append(_table(lesson, figures))
    return "\n\n".join(parts)


@dataclass(frozen=True)
class Figures:
    """What one version does on its lesson's workload, in the model.

    Attributes
    ----------
    report : access.Report
    bytes_asked : int
        Sectors that warps ask for, in bytes: what would cross to memory if there were no cache.
    shared_requests, atomic_additions : int
        Warps' reads and writes of shared memory; threads' atomics in global memory.
    """

    report: access.Report
    bytes_asked: int
    shared_requests: int
    atomic_additions: int

    @property
    def asked_ratio(self) -> float:
        """Bytes asked for, for each byte that has to be moved."""
        return self.bytes_asked / self.report.least_bytes


def line_by_line(lesson: Lesson, version: Version, gpu: str, file: str | os.PathLike | None = None) -> str:
    """The access report of one version, or of a file in its place; raises what :func:`check` does."""
    report = _measured(lesson, version, gpu, file)
    parts = [f"lesson {lesson.name}, version {version.title}: {LABEL} ({report.gpu.name})"]
    for launch, used in zip(report.launches, report.used, strict=True):
        parts.append("\n".join(kernel_report.launch_lines(launch, used)))
    return "\n\n".join([*parts, "\n".join(kernel_report.summary(report))])


def draw(lesson: Lesson, version: Version, gpu: str, path: str, file: str | os.PathLike | None = None) -> str:
    """A picture of which addresses a warp of one version touches; returns its title."""
    from . import kernel_picture

    report = _measured(lesson, version, gpu, file)
    title = f"{lesson.title}, version {version.title}: {described(lesson.report_arguments())}"
    kernel_picture.picture(title, kernel_picture.chosen_lines(report.launches), path)
    return title


def _measured(lesson: Lesson, version: Version, gpu: str, file: str | os.PathLike | None) -> access.Report:
    check_device("sim")
    with standing_in(version.file, list(version.kernels), file):
        return figures_of(lesson, version, gpu=gpu).report


def figures_of(lesson: Lesson, version: Version, dtype=np.float32, gpu: str = access.GPU_DEFAULT) -> Figures:
    """Run one version on the lesson's workload in the simulator and count.

    Raises
    ------
    ArgumentError
        If nothing is known about such a GPU.
    """
    arguments = lesson.report_arguments(dtype)
    moved = _moved(arguments)
    report = access.report(
        lambda: version.run(*moved), least_bytes=lesson.least_bytes(*arguments), flops=lesson.flops(*arguments),
        gpu=kernel_report.gpu_named(gpu).name, in_double=np.dtype(dtype) == np.float64,
    )  # fmt: skip
    lines = [line for launch in report.launches for line in launch.lines]
    return Figures(
        report,
        bytes_asked=SECTOR * sum(line.sectors for line in lines if line.space == "global"),
        shared_requests=sum(line.requests for line in lines if line.space == "shared"),
        atomic_additions=sum(line.lanes for line in lines if line.kind == "atomic" and line.space == "global"),
    )


def _moved(arguments: tuple) -> list:
    """On the device "sim", as they lie in memory: the framework's own images would be transposed on the way."""
    xp = backend.array_module("sim")
    return [xp.asarray(a) if isinstance(a, np.ndarray) else a for a in arguments]


def _table(lesson: Lesson, figures: list[Figures]) -> str:
    gpu = figures[0].report.gpu
    rows = [
        ("sector efficiency, global memory", *(f"{f.report.efficiency:.0%}" for f in figures)),
        ("bytes asked for, per least byte", *(f"{f.asked_ratio:.2f}" for f in figures)),
        ("bytes moved if caches hold all, per least byte", *(f"{f.report.ratio:.2f}" for f in figures)),
        ("FLOPs per byte asked for", *(f"{f.report.flops / f.bytes_asked:.2f}" for f in figures)),
        ("requests to shared memory", *(f"{f.shared_requests:,}" for f in figures)),
        ("worst bank conflict", *(f"{f.report.worst_conflict}-way" if f.shared_requests else "-" for f in figures)),
        ("atomic additions", *(f"{f.atomic_additions:,}" for f in figures)),
        ("registers of a thread", *(_needed(f, lambda u: f"{u.resources.registers}") for f in figures)),
        ("occupancy", *(_needed(f, lambda u: f"{u.occupancy.fraction:.0%}") for f in figures)),
        ("floor, microseconds", *(f"{f.report.floor_us:.2f} ({f.report.bound})" for f in figures)),
        ("memory alone without caches, microseconds", *(f"{1e6 * f.bytes_asked / gpu.bandwidth:.2f}" for f in figures)),
    ]
    head = (LABEL, *(v.title for v in lesson.versions))
    notes = [f"{described(lesson.report_arguments())}; the GPU is {gpu.name} ({gpu.arch})."]
    notes.append(f"{figures[0].report.flops:,} FLOPs, {figures[0].report.least_bytes:,} bytes at least.")
    notes += sorted({f"Registers and occupancy: {u.why_not}." for f in figures for u in f.report.used if u.why_not})
    return "\n".join([*columns.text(head, rows, right=range(1, len(head))), *notes])


def _needed(figures: Figures, say) -> str:
    """Of each kernel that was launched, in order and once; "?" where NVRTC is missing."""
    launches = zip(figures.report.launches, figures.report.used, strict=True)
    return ", ".join({launch.kernel: say(used) if used.resources else "?" for launch, used in launches}.values())


def check(what: str, file: str | os.PathLike | None = None) -> Iterator[Verdict]:
    """Hold one version against the lesson's definition, on all trials and geometries, in check mode.

    Parameters
    ----------
    what : str
        Such as ``"lesson:matmul/2"``.
    file : path, optional
        A .cu file that stands in for ours: with the same kernels, and launched in the same way.

    Raises
    ------
    ArgumentError, FileError
        There is no such version or file.
    DeviceError
        The simulator cannot run here.
    """
    lesson, version = named(what)
    check_device("sim")
    with sim.checking(), standing_in(version.file, list(version.kernels), file):
        for dtype in (np.float32, np.float64):
            for arguments in lesson.trials(dtype):
                for geometry in version.geometries:
                    problem, serious = _compare(lesson, version, arguments, geometry)
                    how = "".join(f", {name} {size}" for name, size in geometry.items())
                    yield Verdict(what, described(arguments) + how, problem)
                    if serious:
                        return


def _compare(lesson: Lesson, version: Version, arguments: tuple, geometry: dict) -> tuple[str, bool]:
    """What is wrong with one call, and whether it makes no sense to go on."""
    try:
        found = version.run(*_moved(arguments), **geometry).get()
    except (sim.KernelFault, sim.CompileError) as fault:
        return str(fault), True
    except (TypeError, RuntimeError) as error:  # its own kernel has other parameters than ours
        return f"{other_parameters(list(version.kernels), error)}. Launch: {version.field('Launch')}", True
    return difference(lesson.definition(*arguments), found), False
