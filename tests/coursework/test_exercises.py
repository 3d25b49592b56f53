"""Every exercise: its solution gets all points, its stub none, and each planted mistake loses exactly what it must."""

from __future__ import annotations

import re
import time

import pytest

from minicnn import kernels
from minicnn.coursework import exercise, running
from minicnn.coursework.process import Limits
from minicnn.ops.registry import FUNCTIONS

NAMES = exercise.names()
VARIANTS = [(name, variant) for name in NAMES for variant in exercise.find(name).variants]
MISTAKES = [
    (name, variant, mistake)
    for name, variant in VARIANTS
    for mistake in exercise.find(name).mistakes()
    if not mistake.variants or variant in mistake.variants
]


def run(name: str, text: str, variant: str, seed: int = 0) -> running.Report:
    """All checks on a text, as for a student who has the variant."""
    text = exercise.with_constant(text, "VARIANT", variant)
    return running.run(exercise.find(name), text, "submission.py", variant, seed)


@pytest.mark.parametrize("name, variant", VARIANTS)
@pytest.mark.parametrize("seed", [0, 1])
def test_solution_gets_all_points(name, variant, seed):
    """A check that a right answer fails would be worse than none; two seeds, as inputs are drawn."""
    report = run(name, exercise.find(name).text("solution.py"), variant, seed)
    assert [(r.check.name, r.message) for r in report.lost] == []
    assert report.points == exercise.find(name).points > 0


@pytest.mark.parametrize("name, variant", VARIANTS)
def test_stub_gets_nothing(name, variant):
    """What is handed out runs, has the names that are asked for, and earns no point."""
    report = run(name, exercise.find(name).text("stub.py"), variant)
    assert report.points == 0 and report.reason == ""


@pytest.mark.parametrize("name, variant, mistake", MISTAKES, ids=lambda part: getattr(part, "name", part))
def test_mistake_loses_its_points_and_is_named(name, variant, mistake):
    """Exactly the checks that its comment names, with a message that names the cause."""
    report = run(name, mistake.text, variant)
    said = "\n".join(result.told("full") for result in report.lost)
    assert sorted(r.check.name for r in report.lost) == sorted(mistake.loses), said
    assert mistake.says in said


@pytest.mark.parametrize("name", NAMES)
def test_exercise_is_complete(name):
    """Names, variants, mistakes, points and the lines that are rewritten: what the generated forms rely on."""
    one = exercise.find(name)
    names = [check.name for check in one.checks]
    assert len(one.variants) >= 2 and len(one.mistakes()) >= 3 and len(set(names)) == len(names) >= 2
    assert all(check.points > 0 and check.category and check.hint and check.run.__doc__ for check in one.checks)
    assert set(one.forbidden) <= {*FUNCTIONS, *kernels.KERNELS}
    stub, solution = one.text("stub.py"), one.text("solution.py")
    for text in (stub, solution):
        assert exercise.constant(text, "EXERCISE") == name and exercise.constant(text, "VARIANT") in one.variants
    assert exercise.constant(stub, "HINTS") in exercise.HINTS
    assert solution.count("### BEGIN SOLUTION") == solution.count("### END SOLUTION") > 0
    assert "SOLUTION" not in stub
    for mistake in one.mistakes():
        assert set(mistake.loses) <= set(names) and mistake.loses and set(mistake.variants) <= set(one.variants)
    for variant in one.variants:
        task = one.text("task.md", variant)
        assert "<!--" not in task and task.startswith("# ")
    marked = re.findall(r"<!-- variant: (.*?) -->", one.text("task.md"))
    assert {v.strip() for line in marked for v in line.split(",")} <= set(one.variants)


@pytest.mark.parametrize("name, variant", VARIANTS)
def test_checks_are_light(name, variant):
    """30 seconds of the processor and 400 MB, grader and student's process each, and no Numba in the latter."""
    before = time.process_time()
    limits = Limits(seconds=240, check_seconds=120)
    text = exercise.find(name).text("solution.py", variant)
    report = running.run(exercise.find(name), text, "submission.py", variant, limits=limits)
    assert report.points == exercise.find(name).points
    assert time.process_time() - before < 30
    assert report.usage["seconds"] < 30 and report.usage["mb"] < 400 and not report.usage["numba"]
