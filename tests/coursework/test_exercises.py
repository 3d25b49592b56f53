"""Every exercise: its solution gets all points, its stub none, and each planted mistake loses exactly what it must."""

from __future__ import annotations

import coursework_cases as cases
import pytest


@pytest.mark.parametrize("name, variant", cases.variants(simulator=False))
@pytest.mark.parametrize("seed", [0, 1])
def test_solution_gets_all_points(name, variant, seed):
    """A check that a right answer fails would be worse than none; two seeds, as inputs are drawn."""
    cases.solution_gets_all_points(name, variant, seed)


@pytest.mark.parametrize("name, variant", cases.variants(simulator=False))
def test_stub_gets_nothing(name, variant):
    """What is handed out runs, has the names that are asked for, and earns no point."""
    cases.stub_gets_nothing(name, variant)


@pytest.mark.parametrize("name, variant, mistake", cases.mistakes(simulator=False), ids=cases.label)
def test_mistake_loses_its_points_and_is_named(name, variant, mistake):
    """Exactly the checks that its comment names, with a message that names the cause."""
    cases.mistake_loses_its_points(name, variant, mistake)


@pytest.mark.parametrize("name", cases.names(simulator=False) + cases.names(simulator=True))
def test_exercise_is_complete(name):
    """Names, variants, mistakes, points and the lines that are rewritten: what the generated forms rely on."""
    cases.exercise_is_complete(name)


@pytest.mark.parametrize("name, variant", cases.variants(simulator=False))
def test_checks_are_light(name, variant):
    """30 seconds of the processor and 400 MB, grader and student's process each, and no Numba in the latter."""
    cases.checks_are_light(name, variant)
