"""The gate: every kernel, compiled for every architecture, uses no more of a GPU than it has to.

It holds that NVIDIA's compiler takes every kernel without a warning; that no registers are spilled and no local memory
is used; that a block gets its registers at all; and that no change lets a multiprocessor hold fewer threads at once
than the stored figures say (:mod:`.baseline`).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from . import compiler, library
from .occupancy import LIMITS, REGISTERS, Occupancy, occupancy
from .resources import Resources

ELEMENTS = (np.dtype(np.float32), np.dtype(np.float64))  # what T of a template is compiled for


@dataclass(frozen=True)
class Program:
    """A .cu text, and which kernels of it are wanted: also instances of templates, such as ``"relu<float>"``."""

    file: str
    text: str
    names: tuple[str, ...]


@dataclass(frozen=True, order=True)
class Geometry:
    """How a kernel is launched: threads of a block, and bytes of dynamic shared memory."""

    threads: int
    shared_mem: int = 0


#: (file, kernel) -> architecture -> what it needs
Table = dict[tuple[str, str], dict[str, Resources]]


def programs(kernels: Iterable) -> list[Program]:
    """One for each .cu file: all instances of its declared kernels (:class:`kernels.cuda.launcher.Kernel`)."""
    from ..cuda.launcher import source

    names: dict[str, list[str]] = {}
    for kernel in kernels:
        elements = ELEMENTS if kernel.takes_t else (None,)
        names.setdefault(kernel.file, []).extend(kernel.instance(element) for element in elements)
    return [Program(file, source(file), tuple(found)) for file, found in names.items()]


def compile_all(
    wanted: Iterable[Program], archs: Sequence[str] | None = None, options: Sequence[str] | None = None
) -> Table:
    """Compile each for each architecture, on as many threads as there are processors.

    Parameters
    ----------
    wanted : iterable of Program
    archs : sequence of str, optional
        All that NVRTC knows, if not given.
    options : sequence of str, optional
        Instead of CuPy's.

    Raises
    ------
    CompileError
        With file and line, for an error and for a warning.
    """
    pairs = [(program, arch) for program in wanted for arch in archs or library.architectures()]
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as threads:  # NVRTC does not hold Python's lock
        compiled = threads.map(lambda p: compiler.compile(p[0].text, p[0].file, p[0].names, p[1], options), pairs)
        table: Table = {}
        for (program, arch), made in zip(pairs, compiled):
            for name, resources in made.resources.items():
                table.setdefault((program.file, name), {})[arch] = resources
    return table


def worst_occupancy(resources: Resources, launches: Iterable[Geometry], arch: str) -> Occupancy | None:
    """Of the ways in which a kernel is launched, the one that fills a multiprocessor least; None: limits unknown."""
    if arch not in LIMITS:
        return None
    found = (occupancy(resources, launch.threads, launch.shared_mem, arch) for launch in launches)
    return min(found, key=lambda o: o.fraction)


def findings(
    table: Table,
    launches: Mapping[tuple[str, str], Iterable[Geometry]],
    baseline: Mapping[tuple[str, str], Mapping[str, float]],
    excused: Mapping[tuple[str, str], str] | None = None,
) -> list[str]:
    """What is wrong, one sentence each.

    Parameters
    ----------
    table : dict
        From :func:`compile_all`.
    launches : mapping of (file, kernel)
        How each is launched.
    baseline : mapping of (file, kernel) to mapping of architecture to fraction
        Occupancy that it had.
    excused : mapping of (file, kernel) to str, optional
        Kernels that may use local memory, and why.
    """
    found = []
    for key, by_arch in table.items():
        kernel = f"{key[1]} of {key[0]}"
        if key not in launches:
            found.append(f"{kernel}: it is not known how it is launched; no trial in kernels/trials.py reaches it")
            continue
        for arch, resources in by_arch.items():
            for problem in _problems(resources, sorted(launches[key]), arch, key in (excused or {})):
                found.append(f"{kernel} on {arch}: {problem}")
            now, before = worst_occupancy(resources, launches[key], arch), baseline.get(key, {}).get(arch)
            if now is not None and before is None:
                found.append(f"{kernel} on {arch}: there is no stored occupancy; it has {now}; store it")
            elif now is not None and now.fraction < before - 1e-3:  # stored with four digits
                found.append(f"{kernel} on {arch}: occupancy was {before:.0%} and is {now}")
    gone = [f"{name} of {file}: stored, and there is no such kernel" for file, name in baseline.keys() - table.keys()]
    return found + sorted(gone)


def _problems(used: Resources, launches: Sequence[Geometry], arch: str, excused: bool) -> Iterable[str]:
    """What needs no stored figures."""
    if used.spill_stores or used.spill_loads:
        yield (
            f"{used.spill_stores} bytes of registers are spilled to device memory and {used.spill_loads} read back, in "
            "each thread; keep fewer values at once, or relax __launch_bounds__"
        )
    elif used.stack and not excused:
        yield (
            f"each thread uses {used.stack} bytes of local memory, which is device memory; indices of a local array "
            "must be known when compiling (unrolled loops)"
        )
    for launch in launches:
        if used.registers * launch.threads > REGISTERS:
            yield (
                f"a block of {launch.threads} threads with {used.registers} registers each needs more than the "
                f"{REGISTERS} that there are, so its launch fails; add __launch_bounds__({launch.threads})"
            )


def read_text(path: str | os.PathLike, names: Sequence[str]) -> Program:
    """A program of a .cu file anywhere, under its own name."""
    path = Path(path)
    return Program(path.name, f'#line 1 "{path.name}"\n{path.read_text(encoding="utf-8")}', tuple(names))
