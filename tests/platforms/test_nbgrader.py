"""nbgrader's own programs on what `coursework release --for nbgrader` writes: assignment made, submissions graded."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import pytest

from minicnn.coursework import exercise, releasing

pytest.importorskip("nbgrader")
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
NAME = "ex05_max_pool_backward"
VARIANT = "circular"


def nbgrader(course: pathlib.Path, *arguments: str) -> str:
    """Run nbgrader in a course's folder, with this minicnn; what it said."""
    programs = os.path.dirname(sys.executable)  # nbgrader starts the program alembic
    environment = {
        **os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT),
        "HOME": str(course), "MINICNN_ROOM": "plain",
        "JUPYTER_PLATFORM_DIRS": "1", "IPYTHONDIR": str(course / ".ipython"),
    }  # fmt: skip
    command = [sys.executable, "-m", "nbgrader", *arguments]
    done = subprocess.run(command, cwd=course, env=environment, capture_output=True, text=True, timeout=240)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    return said


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """Released, and turned into the students' version by nbgrader."""
    folder = tmp_path_factory.mktemp("course")
    releasing.release(folder, [NAME], VARIANT, "full", "nbgrader", seed=3)
    nbgrader(folder, "generate_assignment", NAME)
    return folder


def cells(path: pathlib.Path) -> dict[str, dict]:
    """A notebook's cells that nbgrader knows, by their names there."""
    found = json.loads(path.read_text())["cells"]
    return {c["metadata"]["nbgrader"]["grade_id"]: c for c in found if "nbgrader" in c["metadata"]}


def test_the_students_version_holds_no_solution_and_no_hidden_input(course):
    """nbgrader has cut out both; the checks themselves are there, locked, one a cell, with their points."""
    found = cells(course / "release" / NAME / f"{NAME}.ipynb")
    answer = "".join(found[f"{NAME}_answer"]["source"])
    assert answer.count("raise NotImplementedError") == 2 and "np.add.at" not in answer
    assert f'VARIANT = "{VARIANT}"' in answer
    one = exercise.find(NAME)
    for check in one.checks:
        cell = found[f"{NAME}_{check.name}"]
        assert "HIDDEN" not in "".join(cell["source"]) and "seed" not in "".join(cell["source"])
        assert cell["metadata"]["nbgrader"]["points"] == check.points and cell["metadata"]["nbgrader"]["locked"]


def test_autograde_marks_a_solution_and_a_mistake(course):
    """Full marks for the one; for the other exactly its points are lost, and its page names the cause."""
    one = exercise.find(NAME)
    mistake = next(m for m in one.mistakes() if m.name == "overwritten")
    texts = {
        "right": one.text("solution.py", VARIANT),
        "wrong": exercise.with_constant(mistake.text, "VARIANT", VARIANT),
    }
    released = json.loads((course / "release" / NAME / f"{NAME}.ipynb").read_text())
    for student, text in texts.items():
        for cell in released["cells"]:
            if cell["metadata"]["nbgrader"]["grade_id"] == f"{NAME}_answer":
                cell["source"] = text.splitlines(True)
        folder = course / "submitted" / student / NAME
        folder.mkdir(parents=True)
        (folder / f"{NAME}.ipynb").write_text(json.dumps(released))
    nbgrader(course, "autograde", NAME)
    nbgrader(course, "export")
    rows = [line.split(",") for line in (course / "grades.csv").read_text().splitlines()]
    scores = {row[rows[0].index("student_id")]: float(row[rows[0].index("score")]) for row in rows[1:]}
    lost = sum(check.points for check in one.checks if check.name in mistake.loses)
    assert scores == {"right": one.points, "wrong": one.points - lost}
    graded = cells(course / "autograded" / "wrong" / NAME / f"{NAME}.ipynb")
    assert mistake.says in json.dumps(graded[f"{NAME}_overlapping"]["outputs"])
