"""Running all checks of an exercise on one submission."""

from __future__ import annotations

import time
import zlib
from dataclasses import dataclass, field

import numpy as np

from ..device import use_room
from ..errors import MinicnnError
from .exercise import Check, Exercise
from .judging import Wrong
from .process import NOT_WRITTEN, Child, Ended, Limits, SubmissionError, remaining
from .student import Student


@dataclass(frozen=True)
class Result:
    """One check: what it gave, and what was wrong ("" if nothing)."""

    check: Check
    passed: bool
    message: str = ""

    @property
    def points(self) -> int:
        return self.check.points if self.passed else 0

    def told(self, hints: str) -> str:
        """What a student may know: with "none" that points are lost, with "category" where, with "full" why."""
        if self.passed or hints == "none":
            return ""
        if hints == "category":
            return f"look at: {self.check.category}"
        if NOT_WRITTEN in self.message:  # a hint helps who has tried
            return self.message
        return f"{self.message}\nhint: {self.check.hint}"


@dataclass
class Report:
    """One submission's results. ``reason`` says why there is nothing to check, if there is nothing."""

    exercise: Exercise
    variant: str
    seed: int
    results: list[Result] = field(default_factory=list)
    reason: str = ""
    output: str = ""  # the beginning of what the submission printed
    usage: dict = field(default_factory=dict)  # of the submission's process: seconds, mb, numba

    @property
    def points(self) -> int:
        return sum(result.points for result in self.results)

    @property
    def lost(self) -> list[Result]:
        """The checks that it did not pass."""
        return [result for result in self.results if not result.passed]


def run(
    exercise: Exercise, source: str, filename: str, variant: str | None = None, seed: int = 0,
    limits: Limits | None = None, show: bool = False,
) -> Report:  # fmt: skip
    """Run all checks on the text of a submission, each on inputs drawn from ``seed``.

    Whatever the submission does, a report comes back within the limits.

    Parameters
    ----------
    source, filename : str
        The submission's text; the name is for messages.
    variant : str, optional
        Which variant was the task; the exercise's first if left out.
    limits : Limits, optional
    show : bool
        Hand on what it prints to standard error.
    """
    report = Report(exercise, exercise.check_variant(variant), seed)
    with Session(exercise, source, filename, limits or Limits(), show) as session:
        try:
            defined = session.load()
        except SubmissionError as error:
            report.reason = str(error)
        else:
            missing = [name for name in exercise.asks if name not in defined]
            if missing:
                report.reason = f"{', '.join(missing)} is not defined in this file; keep the names of the stub"
        for check in exercise.checks:
            report.results.append(_run_check(check, session, report))
        report.usage = session.usage()
    report.output = session.output
    return report


def generator(seed: int, check: Check) -> np.random.Generator:
    """Where a check draws its inputs from: another for each check, the same whichever checks run."""
    return np.random.default_rng([seed, zlib.crc32(check.name.encode())])


def judge(check: Check, student: Student, variant: str, seed: int) -> Result:
    """Run one check; an error in it, whatever a submission returned, is a lost check."""
    try:
        with use_room("plain"), np.errstate(all="ignore"):
            check.run(student, variant, generator(seed, check))
    except (Wrong, SubmissionError) as error:
        return Result(check, False, str(error))
    except MinicnnError as error:
        return Result(check, False, f"what was returned cannot be used: {error}")
    except Exception as error:  # no submission may stop a batch; tests hold every check against every mistake
        return Result(check, False, f"what was returned cannot be used: {type(error).__name__}: {error}")
    return Result(check, True)


def _run_check(check: Check, session: Session, report: Report) -> Result:
    if report.reason:
        return Result(check, False, report.reason)
    session.begin_check()
    return judge(check, Student(session.ask, session.launch), report.variant, report.seed)


class Session:
    """The processes of one submission: one that has loaded it, and a new one after each that came to an end."""

    def __init__(self, exercise: Exercise, source: str, filename: str, limits: Limits, show: bool) -> None:
        self.limits, self.show, self.output = limits, show, ""
        self._first = {"do": "load", "source": source, "filename": filename, "forbidden": list(exercise.forbidden)}
        self._deadline = time.monotonic() + limits.seconds
        self._check_deadline = self._deadline
        self._child: Child | None = None
        self._launcher: Child | None = None

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._end(self._child)
        self._end(self._launcher)
        self._child = self._launcher = None

    def load(self) -> list[str]:
        """Start the process and load the submission; the names that it defines."""
        self._child = Child(self._first, self.limits, self.show)
        try:
            names = self._child.start(self._seconds_left())["value"]
        except SubmissionError:
            self._end(self._child)
            self._child = None
            raise
        return names if isinstance(names, list) else []

    def begin_check(self) -> None:
        """The clock of one check starts."""
        self._check_deadline = min(self._deadline, time.monotonic() + self.limits.check_seconds)

    def ask(self, request: dict) -> dict:
        """One request to the submission, which is loaded again if its process has come to an end."""
        if self._child is None:
            self.load()
        try:
            return self._child.ask(request, self._seconds_left())
        except Ended:
            self._end(self._child)
            self._child = None
            raise

    def launch(self, request: dict) -> dict:
        """One launch, in a process of its own kind."""
        try:
            if self._launcher is None:
                self._launcher = Child(request, self.limits, self.show)
                return self._launcher.start(self._seconds_left())
            return self._launcher.ask(request, self._seconds_left())
        except Ended:
            self._end(self._launcher)
            self._launcher = None
            raise

    def usage(self) -> dict:
        """Of the process that is there now; {} if there is none."""
        try:
            return {} if self._child is None else self._child.ask({"do": "usage"}, 5)["value"]
        except SubmissionError:
            return {}

    def _seconds_left(self) -> float:
        left = remaining(min(self._deadline, self._check_deadline), self.limits.check_seconds)
        if left <= 0:
            raise Ended(
                f"the time for this check is over ({self.limits.check_seconds:g} s, {self.limits.seconds:g} s in all)"
            )
        return left

    def _end(self, child: Child | None) -> None:
        if child is not None:
            child.close()
            self.output += child.output
