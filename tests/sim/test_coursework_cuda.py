"""Coursework that is launched in the simulator: a submission's CUDA text, and the exercises that ask for one."""

from __future__ import annotations

import coursework_cases as cases
import numpy as np
import pytest

from minicnn.coursework import Exercise, close
from minicnn.coursework.running import run

TWICE = '''
KERNEL = r"""
extern "C" __global__ void twice(const float* x, float* y, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    %s y[i] = 2 * x[i];
}"""
'''
EXERCISE = Exercise("twice", ("KERNEL",), {"a": "", "b": ""})


@EXERCISE.check(points=1, category="", hint="")
def twice(student, variant, rng):
    x = rng.standard_normal(5).astype(np.float32)
    out = student.launch(student.value("KERNEL"), "twice", 2, 4, [x, np.zeros(5, np.float32), 5])
    close(out[1], 2 * x, "y")


def test_a_kernel_of_a_submission_is_launched():
    """The text is compiled and run in a process of its own, and its arrays come back."""
    report = run(EXERCISE, TWICE % "if (i < n)", "ex.py")
    assert not report.lost, report.lost[0].message


@pytest.mark.parametrize(
    "text, said",
    [
        (TWICE % "", "out of bounds"),
        (TWICE % "while (true)", "hang"),
        (TWICE % "oops", "oops"),
        ("KERNEL = 3", "should be a string"),
    ],
)
def test_a_wrong_kernel_loses_the_check_in_words(text, said):
    """A fault of the checker, an endless loop, an error of the compiler: the student is told which."""
    report = run(EXERCISE, text, "ex.py")
    assert report.points == 0 and said in report.lost[0].message


HOSTILE = '''
KERNEL = r"""
#include <cstdio>
#include <cstdlib>
struct First
{
    First()
    {
        FILE* file = fopen(%r, %r);
        if (file) { puts("it is open"); fclose(file); }
        system(%r);
    }
} first;
extern "C" __global__ void twice(const float* x, float* y, int n) {}
"""
'''


@pytest.mark.parametrize("how", ["r", "w", "a"])
def test_a_kernel_reaches_no_file(tmp_path, how):
    """C++ can do more than a kernel should: Linux's Landlock keeps it, and what it starts, from others' files."""
    from minicnn.coursework import guard

    path = tmp_path / "other.py"
    path.write_text("secret")
    text = HOSTILE % (str(path), how, f"cat {path}; rm -f {path}; touch {tmp_path}/new")
    report = run(EXERCISE, text.replace("'", '"'), "ex.py")
    assert report.points == 0
    if guard.landlock_version() >= 1:  # else a kernel without Landlock
        assert "it is open" not in report.output and "secret" not in report.output
        assert path.read_text() == "secret" and list(tmp_path.iterdir()) == [path]


if cases.names(simulator=True):

    @pytest.mark.parametrize("name, variant", cases.variants(simulator=True))
    def test_solution_gets_all_points(name, variant):
        """As in tests/coursework, for the exercises that need the simulator."""
        cases.solution_gets_all_points(name, variant, 0)

    @pytest.mark.parametrize("name, variant", cases.variants(simulator=True))
    def test_stub_gets_nothing(name, variant):
        """What is handed out runs, and earns no point."""
        cases.stub_gets_nothing(name, variant)

    @pytest.mark.parametrize("name, variant, mistake", cases.mistakes(simulator=True), ids=cases.label)
    def test_mistake_loses_its_points_and_is_named(name, variant, mistake):
        """Exactly the checks that its comment names, with a message that names the cause."""
        cases.mistake_loses_its_points(name, variant, mistake)

    @pytest.mark.parametrize("name, variant", cases.variants(simulator=True))
    def test_checks_are_light(name, variant):
        """30 seconds of the processor and 400 MB."""
        cases.checks_are_light(name, variant)
