"""What is handed out: for students, nbgrader and Gradescope. None of it holds a solution."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import zipfile

import pytest
from command_line import command

from minicnn import FileError
from minicnn.coursework import exercise, notebook, releasing

NAMES = exercise.names()


def bodies(one: exercise.Exercise) -> list[str]:
    """Lines that only the solution has, between its marks."""
    stub = {line.strip() for line in one.text("stub.py").splitlines()}
    parts = re.findall(r"### BEGIN SOLUTION\n(.*?)### END SOLUTION", one.text("solution.py"), re.DOTALL)
    lines = [line.strip() for part in parts for line in part.splitlines()]
    return [line for line in lines if len(line) > 12 and line not in stub]


@pytest.mark.parametrize("name", NAMES)
def test_students_get_task_and_stub(name, tmp_path):
    """Each variant: its own task and line, the teacher's hints, no line of the solution."""
    one = exercise.find(name)
    for variant in one.variants:
        written = releasing.release(tmp_path / variant, [name], variant, "category")
        texts = {path.name: path.read_text() for path in written}
        assert set(texts) == {"task.md", "README.md", f"{name}.py", f"{name}.ipynb"}
        stub = texts[f"{name}.py"]
        assert exercise.constant(stub, "VARIANT") == variant and exercise.constant(stub, "HINTS") == "category"
        for line in bodies(one):
            assert line not in stub and json.dumps(line)[1:-1] not in texts[f"{name}.ipynb"]
        answer = [c for c in json.loads(texts[f"{name}.ipynb"])["cells"] if c["metadata"].get("tags")]
        assert "".join(answer[0]["source"]) == stub.rstrip()


@pytest.mark.parametrize("name", NAMES)
def test_stub_and_solution_define_the_same(name):
    """The same functions and classes with the same arguments: what students begin with can become the solution."""

    def signatures(text: str) -> dict[str, str]:
        nodes = ast.parse(text).body
        found = {
            n.name: ast.dump(n.args) if isinstance(n, ast.FunctionDef) else "" for n in nodes if hasattr(n, "name")
        }
        return found

    one = exercise.find(name)
    stub, solution = signatures(one.text("stub.py")), signatures(one.text("solution.py"))
    assert stub == {name: solution.get(name) for name in stub}


def test_a_release_writes_over_nothing(tmp_path):
    """Someone may have worked in the file that is there."""
    releasing.release(tmp_path, ["ex05"])
    with pytest.raises(FileError, match="is there already"):
        releasing.release(tmp_path, ["ex05"])


def test_the_command_names_what_it_wrote(tmp_path, capsys):
    """One path a line; the seed of the hidden inputs where there are some."""
    assert not command("coursework", "release", tmp_path / "a", "--exercise", "ex05", "--variant", "last")
    assert "ex05_max_pool_backward.ipynb" in capsys.readouterr().out
    assert not command("coursework", "release", tmp_path / "b", "--for", "nbgrader", "--seed", 5)
    assert "seed 5" in capsys.readouterr().out
    assert sorted(p.name for p in (tmp_path / "b" / "source").iterdir()) == NAMES


def test_checks_run_in_a_notebook(capsys):
    """What nbgrader's cells call: an error with the hint, or one line; ops that are asked for are closed meanwhile."""
    one = exercise.find("ex05")
    names: dict = {}
    exec(one.text("solution.py", "last"), names)
    notebook.check("ex05", "ties", names, variant="last")
    assert "ties: right" in capsys.readouterr().out
    names["max_pool_backward"] = lambda dout, cache: 2 * dout
    with pytest.raises(notebook.LostPoints, match="ties") as error:
        notebook.check("ex05", "ties", names, variant="last")
    assert error.value._render_traceback_() == [f"LostPoints: {error.value}"]
    from minicnn import functional as F

    names["max_pool"] = lambda x, kernel, stride: (F.max_pool2d(x, kernel, stride).data, ())
    with pytest.raises(notebook.LostPoints, match="this is the op you were asked to write"):
        notebook.check("ex05", "forward", names, variant="last")
    assert F.max_pool2d([[[[1.0, 2.0]]]], (1, 2)).item() == 2, "and open again afterwards"
    names["VARIANT"] = "first"
    notebook.check_all("ex05", names, variant="last")
    said = capsys.readouterr().out
    assert "0 of 10" in said and "your task is the variant 'last'" in said


@pytest.fixture(scope="module")
def autograder(tmp_path_factory):
    """Unpacked as Gradescope does it."""
    folder = tmp_path_factory.mktemp("gradescope")
    (path,) = releasing.release(folder, ["ex05"], "circular", "full", "gradescope", seed=9)
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder / "source")
        modes = {i.filename: i.external_attr >> 16 & 0o777 for i in archive.infolist()}
    assert modes["setup.sh"] == modes["run_autograder"] == 0o755
    return folder


def graded(autograder, text: str | None) -> dict:
    """results.json of one submission, from the package in the zip alone."""
    submission = autograder / "submission"
    submission.mkdir(exist_ok=True)
    for path in submission.iterdir():
        path.unlink()
    if text is not None:
        (submission / "work.py").write_text(text)
    out = autograder / "results" / "results.json"
    command = [sys.executable, "-m", "minicnn.coursework.gradescope", "settings.json", str(submission), str(out)]
    environment = {**os.environ, "PYTHONPATH": str(autograder / "source" / "package"), "MINICNN_ROOM": "plain"}
    done = subprocess.run(command, cwd=autograder / "source", env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(out.read_text())


def test_gradescope_grades_a_solution_and_mistakes(autograder):
    """A test for each check, by Gradescope's schema, with scores that add up; what is broken has a reason."""
    one = exercise.find("ex05")
    right = graded(autograder, one.text("solution.py", "circular"))
    assert sum(t["score"] for t in right["tests"]) == one.points and len(right["tests"]) == len(one.checks)
    known = {"score", "max_score", "status", "name", "number", "output", "output_format", "visibility"}
    assert all(set(t) == known and t["status"] == "passed" for t in right["tests"])
    mistake = next(m for m in one.mistakes() if m.name == "overwritten")
    wrong = graded(autograder, exercise.with_constant(mistake.text, "VARIANT", "circular"))
    assert [t["score"] for t in wrong["tests"]] == [2, 2, 0, 2, 2]
    assert mistake.says in wrong["tests"][2]["output"] and wrong["tests"][2]["status"] == "failed"
    for text, said in (("def max_pool(", "SyntaxError"), (None, "the folder is empty")):
        nothing = graded(autograder, text)
        assert sum(t["score"] for t in nothing["tests"]) == 0 and said in nothing["output"]


def test_gradescopes_zip_holds_no_answer(autograder):
    """Of the exercises only this one's checks; a submission that gets at the files finds no solution."""
    names = {p.relative_to(autograder).as_posix() for p in (autograder / "source").rglob("*.py")}
    found = {n for n in names if "/exercises/" in n}
    assert found == {"source/package/minicnn/coursework/exercises/ex05_max_pool_backward/checks.py"}


def test_gradescopes_results_in_this_process(tmp_path):
    """The same program, called here: the file is written whole, and a file that is too large has a reason."""
    from minicnn.coursework import gradescope, submissions

    settings, folder, out = tmp_path / "settings.json", tmp_path / "submission", tmp_path / "results" / "results.json"
    folder.mkdir()
    settings.write_text(json.dumps({"exercise": "ex05", "variant": "last", "hints": "category", "seed": 1}))
    (folder / "ex05.py").write_text(exercise.find("ex05").text("stub.py", "last"))
    gradescope.main(str(settings), str(folder), str(out))
    tests = json.loads(out.read_text())["tests"]
    assert {t["status"] for t in tests} == {"failed"} and tests[2]["output"] == "look at: windows that overlap"
    (folder / "ex05.py").write_bytes(b"#" * (submissions.LARGEST + 1))
    gradescope.main(str(settings), str(folder), str(out))
    assert "more than" in json.loads(out.read_text())["output"]
