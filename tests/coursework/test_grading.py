"""A teacher's afternoon: a class is graded, and everyone has a row with a reason."""

from __future__ import annotations

import csv
import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from command_line import command

from minicnn import ArgumentError
from minicnn.coursework import exercise, grading, releasing
from minicnn.coursework.process import Limits

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
EX = exercise.find("ex05")
VARIANT = "circular"
SOLUTION = EX.text("solution.py", VARIANT)
BROKEN = SOLUTION.replace("dx.reshape(n, c, h, w)", "dx.reshape(n, c, h, w")


def mistake(name: str) -> str:
    found = next(m for m in EX.mistakes() if m.name == name)
    return exercise.with_constant(found.text, "VARIANT", VARIANT)


@pytest.fixture
def handed_in(tmp_path):
    """Ten students, two of them with broken files, one with the wrong kind of file, one of another variant."""
    folder = tmp_path / "handed-in"
    notebook = releasing.as_notebook([releasing.code("a", SOLUTION, {"tags": ["coursework"]})])
    files = {
        "ada/ex05.py": SOLUTION, "ben/ex05.py": mistake("overwritten"), "cleo/ex05.py": BROKEN,
        "dan/answers/ex05.py": mistake("ties_doubled"), "eve/ex05.py": "import os\nos._exit(0)",
        "finn/answer.ipynb": notebook.decode(), "gil/ex05.py": EX.text("solution.py", "last"),
        "hal/answer.txt": "see mail", "ida/max_pooling.py": SOLUTION, "=jo/ex01.py": "EXERCISE = 'ex01_broadcasting'",
    }  # fmt: skip
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_a_class_of_ten(handed_in, tmp_path, capsys):
    """The command: marks, reasons, pages; two broken files do not stop it."""
    table, pages = tmp_path / "marks.csv", tmp_path / "pages"
    (tmp_path / "names.txt").write_text("ada\n\nkim\n")
    assert not command(
        "coursework", "grade", handed_in, "--csv", table, "--exercise", "5", "--variant", VARIANT, "--seed", 7,
        "--feedback", pages, "--students", tmp_path / "names.txt",
    )  # fmt: skip
    said = capsys.readouterr()
    assert "seed 7" in said.out and "11/11" in said.err
    with open(table, encoding="utf-8-sig", newline="") as file:
        rows = {row["student"]: row for row in csv.DictReader(file)}
    points = {student: int(row["points"]) for student, row in rows.items()}
    assert points == {
        "ada": 10, "ben": 8, "cleo": 0, "dan": 8, "eve": 0, "finn": 10, "gil": 10, "hal": 0, "ida": 10, "'=jo": 0,
        "kim": 0,
    }  # fmt: skip
    assert rows["ben"]["lost"] == "overlapping (2)" and rows["ben"]["seed"] == "7"
    assert "SyntaxError" in rows["cleo"]["reason"] and "ended itself" in rows["eve"]["reason"]
    assert "'last'" in rows["gil"]["reason"] and "no .py" in rows["hal"]["reason"]
    assert "there is ex01.py" in rows["'=jo"]["reason"] and "nothing was handed in" in rows["kim"]["reason"]
    assert "= for +=" in (pages / f"ben-{EX.name}.txt").read_text()


def test_several_exercises_by_what_the_files_say(tmp_path):
    """Without --exercise each file says which it is, by a line in it or by its name."""
    (tmp_path / "ada").mkdir()
    (tmp_path / "ada" / "one.py").write_text(exercise.find("ex01").text("solution.py"))
    (tmp_path / "ada" / "ex02.py").write_text("x = 1")
    (tmp_path / "ada" / "helper.py").write_text("x = 1")
    rows = {row.exercise: row for row in grading.grade(tmp_path)}
    assert rows["ex01_broadcasting"].points == 10
    assert "log_softmax, cross_entropy" in rows["ex02_cross_entropy"].reason
    assert "names no exercise" in rows[""].reason


def test_the_same_seed_gives_the_same_page(tmp_path):
    """Inputs come from the seed alone: marks can be looked into later."""
    (tmp_path / "ada_ex05.py").write_text(mistake("ties_doubled").replace("dout *", "1.5 * dout *"))
    pages = [grading.grade(tmp_path, ["ex05"], VARIANT, seed)[0].page for seed in (3, 3, 4)]
    assert pages[0] == pages[1] != pages[2]


def test_a_stub_is_told_what_is_missing_and_no_hints(tmp_path, capsys):
    """Who has not begun shall not read on the first try what to look out for."""
    path = tmp_path / "ex05.py"
    path.write_text(EX.text("stub.py", VARIANT))
    assert command("coursework", "check", path) == 1
    said = capsys.readouterr().out
    assert "not written yet (write max_pool)" in said and "hint:" not in said


def test_hints_say_as_much_as_the_teacher_allows(tmp_path, capsys):
    """none: the points; category: where to look; full: the cause."""
    path = tmp_path / "ex05.py"
    path.write_text(mistake("overwritten"))
    said = {}
    for hints in exercise.HINTS:
        assert command("coursework", "check", path, "--hints", hints) == 1
        said[hints] = capsys.readouterr().out
    assert "8 of 10" in said["none"] and "overlap" in said["category"] and "= for +=" in said["full"]
    assert "look at" not in said["none"] and "= for +=" not in said["category"]
    path.write_text(exercise.with_constant(EX.text("stub.py", VARIANT), "HINTS", "none"))
    assert command("coursework", "check", path) == 1
    assert "not written" not in capsys.readouterr().out, "the file that was handed out says how much"


def test_a_right_file_is_right(tmp_path, capsys):
    """Exit status 0, full marks, by the file's own name."""
    (tmp_path / "ex05_mine.py").write_text(SOLUTION)
    assert command("coursework", "check", tmp_path / "ex05_mine.py") == 0
    assert "10 of 10" in capsys.readouterr().out


def test_a_student_may_print(tmp_path):
    """Also where the output goes into a file: the submission itself may write to none, and a print is no mistake."""
    (tmp_path / "ex05.py").write_text(
        SOLUTION.replace("    dx = np.zeros", "    print('here I am')\n    dx = np.zeros")
    )
    code = "import sys; from minicnn.cli import main; main(sys.argv[1:])"
    with open(tmp_path / "log", "w") as log:
        run = [sys.executable, "-c", code, "coursework", "check", str(tmp_path / "ex05.py")]
        assert subprocess.run(run, stdout=log, stderr=log, env={**os.environ, "PYTHONPATH": str(ROOT)}).returncode == 0
    assert "here I am" in (tmp_path / "log").read_text()


def test_bad_input_is_one_line(tmp_path, capsys):
    """Unknown exercises and variants: exit status 2, and what there is."""
    (tmp_path / "mine.py").write_text("x = 1")
    assert command("coursework", "check", tmp_path / "mine.py") == 2
    assert "there is no exercise 'mine.py'" in capsys.readouterr().err
    assert command("coursework", "check", tmp_path / "mine.py", "--exercise", "5", "--variant", "square") == 2
    assert "no variant 'square'" in capsys.readouterr().err
    assert command("coursework", "grade", tmp_path, "--csv", tmp_path / "a.csv", "--variant", "last") == 2
    assert "name it" in capsys.readouterr().err
    with pytest.raises(ArgumentError, match="no exercise '99'"):
        exercise.find("99")


def test_the_list_names_all(capsys):
    """minicnn coursework list."""
    assert not command("coursework", "list")
    said = capsys.readouterr().out
    assert all(name in said for name in exercise.names())


def test_a_check_that_stops_costs_the_check(tmp_path):
    """An error in a check, whatever a submission made it compute, is no error of the batch."""
    from minicnn.coursework import Exercise
    from minicnn.coursework.running import run

    one = Exercise("e", ("f",), {"a": "", "b": ""})

    @one.check(points=1, category="", hint="")
    def breaks(student, variant, rng):
        np.zeros(3)[student.call("f")]

    report = run(one, "def f(): return 7", "ex.py", limits=Limits(seconds=10))
    assert report.points == 0 and "IndexError" in report.lost[0].message


def test_the_pages_are_plain_files(tmp_path):
    """A student's name becomes a file name, whatever is in it."""
    row = grading.Row("../../x/y\n", "ex05", "last", 0, 10, page="p")
    grading.write_pages([row], tmp_path / "pages")
    (path,) = (tmp_path / "pages").iterdir()
    assert path.read_text() == "p\n" and json.dumps(path.name)
