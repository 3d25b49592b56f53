"""A result: the numbers of a run, the verdict that follows from them, and how they were made."""

from __future__ import annotations

import importlib.metadata
import json
import math
import os
import pathlib
import platform
import time
from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np

from .. import plots, random
from .._version import __version__
from ..errors import ArgumentError, FileError
from ..files import replacing
from ..kernels import current_room, get_num_threads
from . import page
from .base import Check, Experiment, Setup, Tables
from .finding import get

STORED = pathlib.Path(__file__).parent / "results"


@dataclass(frozen=True)
class Result:
    """What an experiment found. Prints as tables and verdict.

    Attributes
    ----------
    experiment : Experiment
    tables : Tables
        The numbers.
    seeds : tuple of int
    quick : bool
    command : str
        Which makes the same numbers again.
    versions : dict
        Of Python and the packages that computed, the room of the kernels, and the number of threads.
    seconds : float
        That the run took.
    """

    experiment: Experiment
    tables: Tables
    seeds: tuple[int, ...]
    quick: bool
    command: str
    versions: dict[str, str | int]
    seconds: float

    @cached_property
    def checks(self) -> list[Check]:
        """Worked out from the numbers, also of a result that was kept."""
        return self.experiment.check(self.tables)

    @property
    def held(self) -> bool:
        return all(check.held for check in self.checks)

    @property
    def verdict(self) -> str:
        """ "held" or "not held", and how many lines of how many."""
        held = sum(check.held for check in self.checks)
        return f"{'held' if self.held else 'not held'} ({held} of {len(self.checks)})"

    def figure(self, path: str | os.PathLike | None = None):
        """Draw it; given a path, write it, too."""
        return plots.finish(self.experiment.draw(self.tables), path)

    def to(self, form: str) -> str:
        """As ``"text"``, ``"markdown"`` or ``"json"``."""
        forms = {"text": page.text, "markdown": page.markdown, "json": _json}
        if form not in forms:
            raise ArgumentError(f"Result.to: there is no form {form!r}; there are {', '.join(forms)}")
        return forms[form](self)

    def __str__(self) -> str:
        return self.to("text")

    def __repr__(self) -> str:
        return f"<Result: {self.experiment.number} {self.experiment.name}, {self.verdict}>"

    def _repr_markdown_(self) -> str:
        """What a notebook shows."""
        return self.to("markdown")


def run(name: str, quick: bool = False, progress: bool = True) -> Result:
    """Run an experiment.

    Parameters
    ----------
    name : str
        Or its number, "E1".
    quick : bool
        Leave out what the experiment's ``quick`` says; where there is nothing to leave out, it runs whole.
    progress : bool
        Show bars.
    """
    experiment = get(name)
    quick = quick and bool(experiment.quick)
    seeds = experiment.quick_seeds if quick and experiment.quick_seeds else experiment.seeds
    before, start = random.state.get(), time.perf_counter()
    try:
        tables = experiment.measure(Setup(seeds, quick, progress))
    finally:
        random.state.set(before)
    command = f"minicnn experiment run {experiment.name}" + (" --quick" if quick else "")
    seconds = time.perf_counter() - start
    return Result(experiment, plain(tables), seeds, quick, command, versions(), round(seconds, 2))


def stored(name: str) -> Result | None:
    """The result that is kept of an experiment; None if there is none."""
    experiment = get(name)
    path = STORED / f"{experiment.name}.json"
    return read(path) if path.is_file() else None


def read(path: str | os.PathLike) -> Result:
    """A result out of its file; its verdict is worked out anew.

    Raises
    ------
    FileError
        If this is no such file.
    """
    try:
        kept = json.loads(pathlib.Path(path).read_text("utf-8"))
        return Result(
            get(kept["name"]), kept["tables"], tuple(kept["seeds"]), kept["quick"], kept["command"],
            kept["versions"], kept["seconds"],
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FileError(f"{path} is no result of an experiment ({type(error).__name__}: {error})") from None


def write(result: Result, path: str | os.PathLike) -> None:
    """Keep a result as JSON."""
    with replacing(path) as temporary:
        temporary.write_text(_json(result) + "\n", "utf-8")


def _json(result: Result) -> str:
    """One line a row: a change of one number is a change of one line."""
    head = {
        "name": result.experiment.name, "number": result.experiment.number, "claim": result.experiment.claim,
        "command": result.command, "seeds": list(result.seeds), "quick": result.quick, "versions": result.versions,
        "seconds": result.seconds, "verdict": result.verdict,
    }  # fmt: skip
    lines = [f'  "{key}": {json.dumps(value, ensure_ascii=False)},' for key, value in head.items()]
    checks = _rows([asdict(check) for check in result.checks], "    ")
    tables = ",\n".join(f"    {json.dumps(name)}: {_rows(rows, '      ')}" for name, rows in result.tables.items())
    return "\n".join(["{", *lines, f'  "checks": {checks},', '  "tables": {', tables, "  }", "}"])


def _rows(rows: list[dict], indent: str) -> str:
    lines = ",\n".join(indent + json.dumps(row, ensure_ascii=False, allow_nan=False) for row in rows)
    return f"[\n{lines}\n{indent[:-2]}]"


def plain(value):
    """NumPy's numbers as Python's, and None for what is no number, as JSON wants it."""
    if isinstance(value, dict):
        return {str(key): plain(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is not None and not isinstance(value, (str, int, float)):
        raise TypeError(f"an experiment's tables hold words and numbers, not {value!r}")
    return value


def versions() -> dict[str, str | int]:
    found: dict[str, str | int] = {"minicnn": __version__, "python": platform.python_version()}
    for package in ("numpy", "numba"):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {**found, "room": current_room(), "threads": get_num_threads()}
