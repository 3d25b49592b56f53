"""An exercise: a folder with its task, stub, solution, checks and planted mistakes. See README.md beside this file."""

from __future__ import annotations

import functools
import importlib.util
import pathlib
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ..errors import ArgumentError, FileError, suggest

FOLDER = pathlib.Path(__file__).parent / "exercises"
HINTS = ("none", "category", "full")


@dataclass(frozen=True)
class Check:
    """One check: what it looks at, what it is worth, and what a student may be told."""

    name: str
    points: int
    category: str
    hint: str
    run: Callable  # (student, variant, rng) -> None; raises Wrong


@dataclass
class Exercise:
    """What ``checks.py`` declares as ``EXERCISE``.

    Parameters
    ----------
    title : str
    asks : tuple of str
        Names that a submission must define: functions, classes, constants.
    variants : dict of str to str
        Name -> one sentence that says what is different. The first is what a release has if the teacher names none: it
        should not be what minicnn does itself.
    forbidden : tuple of str
        Ops of ``minicnn.functional`` and kernels that raise "this is the op you were asked to write".
    simulator : bool
        Checks launch CUDA kernels, which needs g++ on Linux.
    """

    title: str
    asks: tuple[str, ...]
    variants: dict[str, str]
    forbidden: tuple[str, ...] = ()
    simulator: bool = False
    checks: list[Check] = field(default_factory=list)
    name: str = ""
    folder: pathlib.Path = FOLDER

    def check(self, points: int, category: str, hint: str) -> Callable[[Callable], Callable]:
        """Decorator: a check is a function ``(student, variant, rng)`` that raises Wrong where something is.

        Parameters
        ----------
        points : int
        category : str
            A few words that a student may see when hints are "category": where to look, not what is wrong.
        hint : str
            A sentence that a student sees when hints are "full", after what the check itself says.
        """

        def add(run: Callable[[object, str, np.random.Generator], None]) -> Callable:
            self.checks.append(Check(run.__name__, points, category, hint, run))
            return run

        return add

    @property
    def points(self) -> int:
        """All points that there are."""
        return sum(check.points for check in self.checks)

    @property
    def number(self) -> str:
        """``"ex05"``"""
        return self.name.partition("_")[0]

    def text(self, file: str, variant: str | None = None) -> str:
        """A file of the folder; with a variant, as it is for that variant."""
        text = (self.folder / file).read_text(encoding="utf-8")
        if variant is None:
            return text
        return only_variant(text, variant) if file.endswith(".md") else with_constant(text, "VARIANT", variant)

    def mistakes(self) -> list[Mistake]:
        """The planted mistakes, by name."""
        return [Mistake.read(path) for path in sorted((self.folder / "mistakes").glob("*.py"))]

    def check_variant(self, variant: str | None) -> str:
        """The variant of this name; the first if it is None."""
        if variant is None:
            return next(iter(self.variants))
        if variant not in self.variants:
            known = suggest(variant, self.variants)
            raise ArgumentError(f"exercise {self.number} has no variant {variant!r}; {known}")
        return variant


@dataclass(frozen=True)
class Mistake:
    """A solution with a mistake in it, and what its first comment lines say must come of it."""

    name: str
    what: str  # the mistake in words
    loses: tuple[str, ...]  # names of checks
    says: str  # must stand in what the student is told
    variants: tuple[str, ...]  # where it is one; () for all
    text: str

    @classmethod
    def read(cls, path: pathlib.Path) -> Mistake:
        """From a file whose first lines are ``# mistake: ...``, ``# loses: a, b``, ``# says: ...``."""
        text = path.read_text(encoding="utf-8")
        found = dict(re.findall(r"^# (mistake|loses|says|variants): *(.+?) *$", text, re.MULTILINE))
        missing = {"mistake", "loses", "says"} - found.keys()
        if missing:
            raise FileError(f"{path} does not say `# {sorted(missing)[0]}: ...` in a comment at its beginning")

        def words(key: str) -> tuple[str, ...]:
            return tuple(word.strip() for word in found.get(key, "").split(",") if word.strip())

        return cls(path.stem, found["mistake"], words("loses"), found["says"], words("variants"), text)


def only_variant(text: str, variant: str) -> str:
    """A task for one variant: lines from ``<!-- variant: a, b -->`` to ``<!-- end -->`` stay if it is named there."""

    def keep(found: re.Match) -> str:
        return found[2] if variant in [v.strip() for v in found[1].split(",")] else ""

    return re.sub(r"<!-- variant: (.*?) -->\n(.*?)<!-- end -->\n", keep, text, flags=re.DOTALL)


def constant(text: str, name: str) -> str | None:
    """The value of a line ``NAME = "value"``, read without running the file; None if there is no such line."""
    found = re.search(rf"""^{name}[ \t]*=[ \t]*["']([^"'\n]*)["']""", text, re.MULTILINE)
    return found[1] if found else None


def with_constant(text: str, name: str, value: str) -> str:
    """The text with ``NAME = "value"`` in its line."""
    return re.sub(rf"^{name}[ \t]*=.*$", f'{name} = "{value}"', text, count=1, flags=re.MULTILINE)


def names() -> list[str]:
    """All exercises: ``ex01_...``, ``ex02_...``"""
    return sorted(path.parent.name for path in FOLDER.glob("ex*/checks.py"))


def find(name: str) -> Exercise:
    """The exercise of this name or number: ``ex05``, ``5``, ``ex05_max_pool_backward``, a file name of these."""
    known = names()
    number = re.search(r"(?:^|ex_?)0*([0-9]{1,2})(?![0-9])", pathlib.PurePath(name).name.lower())
    for one in known:
        if name == one or (number and one.startswith(f"ex{int(number[1]):02d}_")):
            return load(one)
    raise ArgumentError(f"there is no exercise {name!r}; {suggest(name, known)}")


@functools.cache
def load(name: str) -> Exercise:
    """The exercise in the folder of this name."""
    path = FOLDER / name / "checks.py"
    spec = importlib.util.spec_from_file_location(f"minicnn.coursework.exercises.{name}.checks", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    module.EXERCISE.name, module.EXERCISE.folder = name, path.parent
    return module.EXERCISE
