"""What must hold of every exercise; shared by the tests that need no compiler and those in tests/sim that do."""

from __future__ import annotations

import re
import time

from minicnn import kernels
from minicnn.coursework import exercise, running
from minicnn.coursework.process import Limits
from minicnn.ops.registry import FUNCTIONS


def names(simulator: bool) -> list[str]:
    """Exercises that need the simulator, or those that do not."""
    return [name for name in exercise.names() if exercise.find(name).simulator == simulator]


def variants(simulator: bool) -> list[tuple[str, str]]:
    return [(name, variant) for name in names(simulator) for variant in exercise.find(name).variants]


def mistakes(simulator: bool) -> list[tuple[str, str, exercise.Mistake]]:
    return [
        (name, variant, mistake)
        for name, variant in variants(simulator)
        for mistake in exercise.find(name).mistakes()
        if not mistake.variants or variant in mistake.variants
    ]


def label(part) -> str:
    """What a case is called in pytest's output."""
    return getattr(part, "name", str(part))


def run(name: str, text: str, variant: str, seed: int = 0, limits: Limits | None = None) -> running.Report:
    """All checks on a text, as for a student who has the variant."""
    text = exercise.with_constant(text, "VARIANT", variant)
    return running.run(exercise.find(name), text, "submission.py", variant, seed, limits)


def solution_gets_all_points(name: str, variant: str, seed: int) -> None:
    report = run(name, exercise.find(name).text("solution.py"), variant, seed)
    assert [(r.check.name, r.message) for r in report.lost] == []
    assert report.points == exercise.find(name).points > 0


def stub_gets_nothing(name: str, variant: str) -> None:
    report = run(name, exercise.find(name).text("stub.py"), variant)
    assert report.points == 0 and report.reason == ""


def mistake_loses_its_points(name: str, variant: str, mistake: exercise.Mistake) -> None:
    report = run(name, mistake.text, variant)
    said = "\n".join(result.told("full") for result in report.lost)
    assert sorted(r.check.name for r in report.lost) == sorted(mistake.loses), said
    assert mistake.says in said


def checks_are_light(name: str, variant: str) -> None:
    before = time.process_time()
    text = exercise.find(name).text("solution.py", variant)
    report = run(name, text, variant, limits=Limits(seconds=240, check_seconds=120))
    assert report.points == exercise.find(name).points
    assert time.process_time() - before < 30
    assert report.usage["seconds"] < 30 and report.usage["mb"] < 400 and not report.usage["numba"]


def exercise_is_complete(name: str) -> None:
    one = exercise.find(name)
    checks = [check.name for check in one.checks]
    assert len(one.variants) >= 2 and len(one.mistakes()) >= 3 and len(set(checks)) == len(checks) >= 2
    assert all(check.points > 0 and check.category and check.hint and check.run.__doc__ for check in one.checks)
    assert set(one.forbidden) <= {*FUNCTIONS, *kernels.KERNELS}
    stub, solution = one.text("stub.py"), one.text("solution.py")
    for text in (stub, solution):
        assert exercise.constant(text, "EXERCISE") == name and exercise.constant(text, "VARIANT") in one.variants
    assert exercise.constant(stub, "HINTS") in exercise.HINTS
    assert solution.count("### BEGIN SOLUTION") == solution.count("### END SOLUTION") > 0
    assert "SOLUTION" not in stub
    for mistake in one.mistakes():
        assert set(mistake.loses) <= set(checks) and mistake.loses and set(mistake.variants) <= set(one.variants)
        assert exercise.constant(mistake.text, "VARIANT") in one.variants
    for variant in one.variants:
        task = one.text("task.md", variant)
        assert "<!--" not in task and task.startswith("# ")
    marked = re.findall(r"<!-- variant: (.*?) -->", one.text("task.md"))
    assert {v.strip() for line in marked for v in line.split(",")} <= set(one.variants)
