"""What a lesson is: a computation, its definition in NumPy, and numbered CUDA versions of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from ..cuda import launcher

FOLDER = Path(__file__).parent
_FIELD = re.compile(r"// (\w+) +(.*)")  # of a header: "// Moves    2*M*N*K FLOPs ..."


def kernel(file: str, name: str, signature: str) -> launcher.Kernel:
    """A kernel of a lesson's file, such as ``"matmul/1_naive.cu"``; see :class:`.launcher.Kernel`."""
    return launcher.Kernel(file, name, signature, FOLDER)


@dataclass(frozen=True)
class Version:
    """One version of a lesson.

    Attributes
    ----------
    kernels : tuple of Kernel
        Those of its own file.
    run : callable
        ``run(*arguments, **geometry)``: the lesson's arguments, arrays on a device; returns the result.
    geometries : tuple of dict
        What ``geometry`` may be, the usual one first: results must not depend on it.
    repeats : bool
        Whether the result is the same bit by bit whatever the order in which threads come.
    """

    kernels: tuple[launcher.Kernel, ...]
    run: Callable
    geometries: tuple[dict, ...] = ({},)
    repeats: bool = True

    @property
    def file(self) -> str:
        """As ``"matmul/2_tiled.cu"``."""
        return self.kernels[0].file

    @property
    def path(self) -> Path:
        """Where the file lies."""
        return FOLDER / self.file

    @property
    def number(self) -> int:
        """1, 2, ..."""
        return int(self.path.name.partition("_")[0])

    @property
    def title(self) -> str:
        """``"2 tiled"``"""
        return self.path.stem.replace("_", " ")

    @cached_property
    def text(self) -> str:
        """The file."""
        return self.path.read_text(encoding="utf-8")

    def field(self, name: str) -> str:
        """What the head of the file says under "Threads", "Launch", "Moves" or "Improves", in one line."""
        said: list[str] = []
        here = False
        for line in self.text.splitlines():
            found = _FIELD.fullmatch(line)
            if found and not line.startswith("//  "):
                here = found[1] == name
                said += [found[2]] * here
            elif here and line.startswith("//   "):
                said.append(line[2:].strip())
            else:
                here = False
        return " ".join(said)


@dataclass(frozen=True)
class Lesson:
    """One computation and its versions.

    Attributes
    ----------
    name, title, formula : str
    definition : callable
        The same in NumPy: ``definition(*arguments)``. It says what is right.
    versions : tuple of Version
        The first is the simplest, the last the best.
    draw : callable
        ``draw(rng, dtype)``: awkward valid arguments, one tuple after another.
    workload : callable
        ``workload(rng, dtype)``: arguments of a size that is worth a report.
    flops : callable
        ``flops(*arguments)``: additions and multiplications that the definition asks for.
    """

    name: str
    title: str
    formula: str
    definition: Callable[..., np.ndarray]
    versions: tuple[Version, ...]
    draw: Callable[[np.random.Generator, np.dtype], Iterator[tuple]]
    workload: Callable[[np.random.Generator, np.dtype], tuple]
    flops: Callable[..., int]

    def trials(self, dtype=np.float32) -> Iterator[tuple]:
        """What versions are checked on: odd sizes, not square, no multiples of a tile; the same ones every time."""
        return self.draw(np.random.default_rng(0), np.dtype(dtype))

    def report_arguments(self, dtype=np.float32) -> tuple:
        """What versions are compared on."""
        return self.workload(np.random.default_rng(0), np.dtype(dtype))

    def least_bytes(self, *arguments) -> int:
        """Every argument read once and the result written once: fewer is impossible."""
        arrays = [a for a in arguments if isinstance(a, np.ndarray)]
        return sum(a.nbytes for a in arrays) + self.definition(*arguments).nbytes
