"""Grading a class: one row for each student and exercise, whatever was handed in."""

from __future__ import annotations

import csv
import os
import pathlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..errors import ArgumentError, FileError
from ..files import replacing
from . import collecting, exercise, running, submissions, telling
from .exercise import Exercise
from .process import Limits

COLUMNS = ("student", "exercise", "variant", "points", "of", "reason", "lost", "file", "seed")


@dataclass
class Row:
    """One submission's outcome. ``reason`` says why there are no points, or what is odd."""

    student: str
    exercise: str
    variant: str
    points: int
    of: int
    reason: str = ""
    lost: str = ""
    file: str = ""
    seed: int = 0
    page: str = ""  # what the student may be told

    def cells(self) -> list[str]:
        """For a spreadsheet, in which no cell may be taken for a formula."""
        return [_cell(getattr(self, column)) for column in COLUMNS]


def grade(
    folder: str | os.PathLike, names: Sequence[str] = (), variant: str | None = None, seed: int = 0,
    hints: str = "full", limits: Limits | None = None, students: Sequence[str] = (),
    step: Callable[[int, int, str], None] = lambda done, total, student: None,
) -> list[Row]:  # fmt: skip
    """Grade all submissions in a folder, one process each; nothing that a submission does ends it.

    Parameters
    ----------
    folder : path
        See :func:`minicnn.coursework.collecting.collect`.
    names : sequence of str
        Exercises; left out: those that the files name. With one exercise a student's only file is taken for it.
    variant : str, optional
        What was handed out; left out: each exercise's first.
    seed : int
        Of all inputs: everyone is asked the same.
    hints : str
        For the students' pages.
    students : sequence of str
        Who should have handed in: those without a file get a row with 0 points.
    step : callable
        Is told how many are done, of how many, and whose turn it is.
    """
    chosen = [exercise.find(name) for name in names]
    if variant is not None and len(chosen) != 1:
        raise ArgumentError("a variant is one exercise's: name it, such as --exercise ex05")
    for one in chosen:
        one.check_variant(variant)
    by_student: dict[str, list[collecting.Found]] = {}
    for found in collecting.collect(pathlib.Path(folder)):
        by_student.setdefault(found.student, []).append(found)
    for student in students:
        by_student.setdefault(student, [])
    work = [item for student in sorted(by_student) for item in _work(student, by_student[student], chosen)]
    rows = []
    for done, (student, one, found, note) in enumerate(work):
        step(done, len(work), student)
        rows.append(_row(student, one, found, note, variant, seed, hints, limits))
    step(len(work), len(work), "")
    return rows


def write_csv(rows: Sequence[Row], path: str | os.PathLike) -> None:
    """One line for each row, in UTF-8 with a mark that spreadsheets know."""
    with replacing(path) as temporary, open(temporary, "w", newline="", encoding="utf-8-sig") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(row.cells() for row in rows)


def write_pages(rows: Sequence[Row], folder: str | os.PathLike) -> None:
    """For each student and exercise a text file with what may be told."""
    for row in rows:
        name = re.sub(r"[^\w.@+-]+", "_", f"{row.student}-{row.exercise or 'unknown'}").strip("._") or "unknown"
        with replacing(pathlib.Path(folder) / f"{name[:120]}.txt") as temporary:
            temporary.write_text(row.page + "\n", encoding="utf-8")


def pick(one: Exercise, found: Sequence[collecting.Found], alone: bool) -> tuple[collecting.Found | None, str]:
    """Which of a student's files is the exercise's, and a note; (None, why) if none is.

    With ``alone``, a single file that names no exercise is taken for this one.
    """
    named = [(f, _exercise_of(f)) for f in found]
    fits = [f for f, its in named if its is one]
    loose = [f for f, its in named if its is None and not f.reason]
    if not fits and alone and len(loose) == 1:
        fits = loose
    if fits:
        return fits[-1], f"the last of {len(fits)} files was taken" if len(fits) > 1 else ""
    broken = [f for f in found if f.reason]
    if broken:
        return None, f"{broken[0].path}: {broken[0].reason}"
    others = ", ".join(sorted(f.name for f in found)[:5])
    return None, f"no file for {one.number}" + (f"; there is {others}" if others else "; nothing was handed in")


def _work(student: str, found: list[collecting.Found], chosen: list[Exercise]) -> list[tuple]:
    """(student, exercise or None, file or None, note) of one student: which of the files is which exercise."""
    if chosen:
        return [(student, one, *pick(one, found, len(chosen) == 1)) for one in chosen]
    return _newest(student, found) or [(student, None, None, "nothing was handed in")]


def _newest(student: str, found: list[collecting.Found]) -> list[tuple]:
    """One entry for each exercise among the files, one for each that names none."""
    named = [(one, _exercise_of(one)) for one in found]
    last = {one.name: (student, one, found, "") for found, one in named if one is not None}
    unknown = [
        (student, None, None, f"{found.path}: {found.reason or 'it names no exercise, in EXERCISE or in its name'}")
        for found, one in named
        if one is None
    ]
    return [*last.values(), *unknown]


def _exercise_of(found: collecting.Found) -> Exercise | None:
    """By the line ``EXERCISE = ...`` in the file, or by the file's name."""
    try:
        said = exercise.constant(submissions.text_of(found.data, found.name), "EXERCISE")
    except FileError:
        said = None
    named = re.search(r"ex_?([0-9]{1,2})(?![0-9])", found.name.lower())
    for name in (said, named and f"ex{int(named[1]):02d}"):
        if name:
            try:
                return exercise.find(name)
            except ArgumentError:  # not one of ours
                continue
    return None


def _row(student, one, found, note, variant, seed, hints, limits) -> Row:
    if one is None:
        return Row(student, "", "", 0, 0, note, page=note, seed=seed)
    variant = one.check_variant(variant)
    row = Row(student, one.name, variant, 0, one.points, note, seed=seed)
    if found is None:
        row.page = f"{one.name}: {note}"
        return row
    row.file = found.path
    try:
        if found.reason:
            raise FileError(found.reason)
        source = submissions.text_of(found.data, found.name)
    except FileError as error:
        row.reason = str(error)
        row.page = f"{one.name}: {error}"
        return row
    said = exercise.constant(source, "VARIANT")
    if said is not None and said != variant:
        note = "; ".join(filter(None, [note, f"the file is of variant {said!r}, the task was {variant!r}"]))
    text = exercise.with_constant(source, "VARIANT", variant) if said in one.variants else source
    report = running.run(one, text, found.name, variant, seed, limits)
    row.points, row.page = report.points, telling.page(report, hints)
    row.reason = "; ".join(filter(None, [report.reason, note]))
    row.lost = "; ".join(f"{r.check.name} ({r.check.points})" for r in report.lost) if not report.reason else ""
    return row


def _cell(value: object) -> str:
    text = re.sub(r"[\x00-\x1f\x7f]+", " ", str(value))[:2000]
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text
