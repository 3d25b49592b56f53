"""What is handed out: for students, for nbgrader, for Gradescope. All of it is generated from the exercise's folder."""

from __future__ import annotations

import json
import os
import pathlib
from collections.abc import Iterator, Sequence

from ..errors import ArgumentError, FileError
from ..files import replacing
from . import exercise, gradescope
from .exercise import Exercise

HOW = """# {title}

The task is in `task.md`. Write your answer into `{name}.py`, or into the tagged cell of
`{name}.ipynb`, and hand in one of them under its name.

With minicnn installed, check it yourself, as often as you like:

    minicnn coursework check {name}.py

Your file runs in a process of its own, with NumPy and minicnn, without files, network or other
processes.{forbidden} It is graded with other numbers of the same kind. The checks, {points} points in all:

{checks}
"""
NBGRADER = """# nbgrader's configuration; source/, release/, submitted/, autograded/ and feedback/ lie beside this file.
c = get_config()
c.CourseDirectory.course_id = "minicnn"
c.ExecutePreprocessor.timeout = 120
"""


def release(
    folder: str | os.PathLike, names: Sequence[str] = (), variant: str | None = None, hints: str = "full",
    target: str = "students", seed: int = 0,
) -> list[pathlib.Path]:  # fmt: skip
    """Write exercises into a folder; the paths of what was written.

    Parameters
    ----------
    folder : path
    names : sequence of str
        All exercises if there are none.
    variant : str, optional
        Of the one exercise that is named; left out: the first.
    hints : {"none", "category", "full"}
    target : {"students", "nbgrader", "gradescope"}
    seed : int
        Of the inputs that students do not see (nbgrader's hidden tests, Gradescope).

    Raises
    ------
    FileError
        A file is there already: work may have been done in it.
    """
    chosen = [exercise.find(name) for name in names or exercise.names()]
    if variant is not None and len(chosen) != 1:
        raise ArgumentError("a variant is one exercise's: name it, such as --exercise ex05")
    write = {"students": _for_students, "nbgrader": _for_nbgrader, "gradescope": _for_gradescope}[target]
    folder, written = pathlib.Path(folder), []
    files = [found for one in chosen for found in write(one, one.check_variant(variant), hints, seed)]
    if target == "nbgrader":
        files.append(("nbgrader_config.py", NBGRADER.encode()))
    for path, _ in files:
        if (folder / path).exists():
            raise FileError(f"{folder / path} is there already, and someone may have worked in it; name a new folder")
    for path, data in files:
        with replacing(folder / path) as temporary:
            temporary.write_bytes(data)
        written.append(folder / path)
    return written


def stub(one: Exercise, variant: str, hints: str) -> str:
    """What the student begins with."""
    return exercise.with_constant(one.text("stub.py", variant), "HINTS", hints)


def _for_students(one: Exercise, variant: str, hints: str, seed: int) -> Iterator[tuple[str, bytes]]:
    forbidden = f" Of minicnn, you cannot use {', '.join(one.forbidden)}." if one.forbidden else ""
    checks = "\n".join(f"- {c.points}: {(c.run.__doc__ or c.category).strip()}" for c in one.checks)
    how = HOW.format(title=one.title, name=one.name, forbidden=forbidden, points=one.points, checks=checks)
    cells = [
        markdown("task", one.text("task.md", variant)),
        code("answer", stub(one, variant, hints), {"tags": ["coursework"]}),
        code("check", f"from minicnn.coursework import notebook\n\n"
             f"notebook.check_all({one.name!r}, globals(), variant={variant!r}, hints={hints!r})"),
    ]  # fmt: skip
    yield f"{one.name}/task.md", one.text("task.md", variant).encode()
    yield f"{one.name}/README.md", how.encode()
    yield f"{one.name}/{one.name}.py", stub(one, variant, hints).encode()
    yield f"{one.name}/{one.name}.ipynb", as_notebook(cells)


def _for_nbgrader(one: Exercise, variant: str, hints: str, seed: int) -> Iterator[tuple[str, bytes]]:
    """The instructor's version: `nbgrader generate_assignment` cuts out solutions and hidden tests."""
    cells = [
        markdown("task", one.text("task.md", variant), _nbgrader(f"{one.name}_task", locked=True)),
        code("answer", one.text("solution.py", variant), _nbgrader(f"{one.name}_answer", solution=True)),
    ]
    for check in one.checks:
        call = f"notebook.check({one.name!r}, {check.name!r}, globals(), variant={variant!r}, hints={hints!r}"
        source = (
            f"from minicnn.coursework import notebook\n\n{call})\n"
            f"### BEGIN HIDDEN TESTS\n{call}, seed={seed})\n### END HIDDEN TESTS"
        )
        grade_id = f"{one.name}_{check.name}"
        cells.append(code(check.name, source, _nbgrader(grade_id, locked=True, points=check.points)))
    yield f"source/{one.name}/{one.name}.ipynb", as_notebook(cells)


def _for_gradescope(one: Exercise, variant: str, hints: str, seed: int) -> Iterator[tuple[str, bytes]]:
    yield f"{one.name}.zip", gradescope.autograder(one, variant, hints, seed)


def _nbgrader(grade_id: str, solution: bool = False, locked: bool = False, points: int | None = None) -> dict:
    """A cell's metadata, version 3 of nbgrader's schema."""
    found = {
        "grade": points is not None, "grade_id": grade_id, "locked": locked, "schema_version": 3, "solution": solution,
        "task": False,
    }  # fmt: skip
    return {"nbgrader": found if points is None else {**found, "points": points}}


# Notebooks, format 4.5 ------------------------------------------------------------------------------------------------
def markdown(name: str, text: str, metadata: dict | None = None) -> dict:
    """A cell of text."""
    return {"cell_type": "markdown", "id": _id(name), "metadata": metadata or {}, "source": text.splitlines(True)}


def code(name: str, text: str, metadata: dict | None = None) -> dict:
    """A cell of code that has not been run."""
    return {
        "cell_type": "code", "execution_count": None, "id": _id(name), "metadata": metadata or {}, "outputs": [],
        "source": text.rstrip().splitlines(True),
    }  # fmt: skip


def as_notebook(cells: list[dict]) -> bytes:
    """The file."""
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    whole = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    return (json.dumps(whole, indent=1, ensure_ascii=False) + "\n").encode()


def _id(name: str) -> str:
    return name.replace("_", "-")[:64]
