"""Checks inside a notebook, on what its cells have defined: for students, and for nbgrader's cells.

Here the submission runs in the same process as the check. That is how nbgrader works; ``minicnn coursework grade``
takes the same notebook and runs it in a process of its own.
"""

from __future__ import annotations

from . import exercise, running, telling
from .judging import Wrong
from .perform import forbidding, perform
from .process import Limits, SubmissionError, in_words
from .student import Student
from .wire import WireError, through


class LostPoints(AssertionError):  # noqa: N818 - what a student reads under the cell
    """A check was not passed; the message is what the student may be told."""

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows (IPython's protocol): the message alone."""
        return [f"LostPoints: {self}"]


def check(
    name: str, check_name: str, names: dict, variant: str | None = None, hints: str = "full", seed: int = 0
) -> None:
    """One check, on the names that a notebook has defined (``globals()``).

    Raises
    ------
    LostPoints
        It was not passed.
    """
    one = exercise.find(name)
    chosen = next(c for c in one.checks if c.name == check_name)
    result = _results(one, [chosen], names, one.check_variant(variant), seed)[0]
    if not result.passed:
        raise LostPoints(f"{chosen.name} ({chosen.points} points): {result.told(hints) or 'not passed'}")
    print(f"{chosen.name}: right, {chosen.points} points")


def check_all(name: str, names: dict, variant: str | None = None, hints: str = "full", seed: int = 0) -> None:
    """All checks of an exercise, printed."""
    one = exercise.find(name)
    report = running.Report(one, one.check_variant(variant), seed)
    report.results = _results(one, one.checks, names, report.variant, seed)
    print(telling.page(report, hints))


def _results(one: exercise.Exercise, checks, names: dict, variant: str, seed: int) -> list[running.Result]:
    if names.get("VARIANT", variant) != variant:
        said = f"VARIANT is {names['VARIANT']!r} in this notebook; your task is the variant {variant!r}"
        return [running.Result(c, False, said) for c in checks]
    with running.Session(one, "", "cell", Limits(), show=False) as session:
        student = Student(lambda request: _ask(one, request, names), session.launch)
        results = []
        for chosen in checks:
            session.begin_check()
            results.append(running.judge(chosen, student, variant, seed))
    return results


def _ask(one: exercise.Exercise, request: dict, names: dict) -> dict:
    try:
        request = through(request)  # a copy: the submission must not change what the check holds
    except WireError as error:
        raise Wrong(f"what was returned cannot be handed on: {error}") from None
    with forbidding(one.forbidden):
        reply = perform(request, names)
    if "error" in reply:
        raise SubmissionError(in_words(reply["error"]))
    return through(reply)
