"""What an experiment is made of: what it claims, how it is run, and the lines of its verdict."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from tqdm.auto import tqdm

from .. import progress

Value = str | int | float | bool | None
Tables = dict[str, list[dict[str, Value]]]  # name of a table -> its rows, each column -> value


@dataclass(frozen=True)
class Check:
    """One line of a verdict.

    Attributes
    ----------
    what : str
        Is compared, with its unit.
    expected, found : str
        Side by side, to be read.
    held : bool
    timed : bool
        It is about times, which another machine need not confirm.
    """

    what: str
    expected: str
    found: str
    held: bool
    timed: bool = False


def number(value: Value) -> str:
    """A number to be read: whole ones with commas, others to four digits.

    >>> number(1849688064), number(0.123456), number(2.0), number(1.5e-16), number(None), number(True)
    ('1,849,688,064', '0.1235', '2', '1.5e-16', '', 'yes')
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.0f}" if 1e4 <= abs(value) < 1e15 else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def equal(what: str, expected: Value, found: Value) -> Check:
    """Whole numbers, words, or numbers that must agree to the last digit."""
    return Check(what, number(expected), number(found), found == expected)


def at_most(what: str, limit: float, found: float | None, timed: bool = False) -> Check:
    """``found`` <= ``limit``; what is None (NaN) never holds."""
    return Check(what, f"<= {number(limit)}", number(found) or "none", found is not None and found <= limit, timed)


def at_least(what: str, limit: float, found: float | None, timed: bool = False) -> Check:
    """``found`` >= ``limit``; what is None (NaN) never holds."""
    return Check(what, f">= {number(limit)}", number(found) or "none", found is not None and found >= limit, timed)


def between(what: str, low: float, high: float, found: float | None, timed: bool = False) -> Check:
    """``low`` <= ``found`` <= ``high``; what is None (NaN) never holds."""
    held = found is not None and low <= found <= high
    return Check(what, f"{number(low)} to {number(high)}", number(found) or "none", held, timed)


@dataclass(frozen=True)
class Setup:
    """What a run is given.

    Attributes
    ----------
    seeds : tuple of int
        All that is random follows from them.
    quick : bool
        Do less, as the experiment's ``quick`` says.
    progress : bool
        Show bars.
    """

    seeds: tuple[int, ...]
    quick: bool = False
    progress: bool = True

    def bar(self, total: int, label: str) -> tqdm:
        """A progress bar of ``total`` steps; call its ``update()`` after each."""
        return progress.bar(total, label, self.progress)


@dataclass(frozen=True)
class Experiment:
    """One claim, and how it is tried.

    Attributes
    ----------
    module : str
        ``__name__`` of its file, such as ``minicnn.experiments.e01_receptive_field``; number and name stand in it.
    measure : callable(Setup) -> Tables
        The run.
    check : callable(Tables) -> list of Check
        The verdict's lines.
    draw : callable(Tables) -> matplotlib Figure
    title : str
        A few words.
    claim : str
        In a sentence that can be wrong.
    lecture : str
        The lecture's own words; "" if they are not at hand.
    source : str
        Paper and section that the claim comes from.
    expected : str
        Before the run.
    design : str
        What is done, on what data, with which settings.
    limits : str
        What this scale cannot show.
    errata : str
        Where the lecture errs in this matter.
    seeds, quick_seeds : tuple of int
        () where nothing is random; ``quick_seeds`` () means the same as ``seeds``.
    quick : str
        What ``--quick`` leaves out; "" if there is nothing to be saved.
    """

    module: str
    measure: Callable[[Setup], Tables]
    check: Callable[[Tables], list[Check]]
    draw: Callable[[Tables], object]
    title: str
    claim: str
    lecture: str
    source: str
    expected: str
    design: str
    limits: str
    errata: str = ""
    seeds: tuple[int, ...] = ()
    quick_seeds: tuple[int, ...] = ()
    quick: str = ""

    @property
    def number(self) -> str:
        """Such as "E1"; "E17b" of a second part."""
        return parts(self.module)[0]

    @property
    def name(self) -> str:
        """Such as "receptive-field"."""
        return parts(self.module)[1]


NAMED = re.compile(r"e(\d\d)([b-z]?)_(\w+)")


def parts(module: str) -> tuple[str, str]:
    """Number and name of an experiment, by its file.

    >>> parts("minicnn.experiments.e17b_shuffle_training")
    ('E17b', 'shuffle-training')
    """
    found = NAMED.fullmatch(module.rpartition(".")[2])
    if found is None:
        raise ValueError(f"an experiment's file is called as e01_receptive_field.py is, but this one {module!r}")
    return f"E{int(found[1])}{found[2]}", found[3].replace("_", "-")
