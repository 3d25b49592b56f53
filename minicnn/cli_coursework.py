"""``minicnn coursework``: exercises that grade themselves: list them, check one's own, release them, grade a class."""

from __future__ import annotations

import pathlib
import sys

import click

HINTS = ("none", "category", "full")


@click.group("coursework")
def coursework() -> None:
    """Exercises that grade themselves: for students (check) and teachers (release, grade)."""


@coursework.command("list")
def list_() -> None:
    """All exercises, their points and variants."""
    from . import columns
    from .coursework import exercise

    rows = []
    for name in exercise.names():
        one = exercise.find(name)
        rows.append((name, str(one.points), one.title, ", ".join(one.variants)))
    click.echo("\n".join(columns.text(("exercise", "points", "title", "variants"), rows)))


@coursework.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.option("--exercise", "name", help="Which, such as ex05; default: what the file says, or its name.")
@click.option("--variant", help="Which variant; default: what the file says.")
@click.option("--hints", type=click.Choice(HINTS), help="How much to say; default: what the file says, or full.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the inputs.")
def check(file: str, name: str | None, variant: str | None, hints: str | None, seed: int) -> None:
    """Check your own solution of an exercise: FILE is ex05_max_pool_backward.py, or a notebook.

    Exit status 1 if points are lost.
    """
    from .coursework import exercise, running, submissions, telling

    path = pathlib.Path(file)
    source = submissions.read(path)
    one = exercise.find(name or exercise.constant(source, "EXERCISE") or path.name)
    variant = one.check_variant(variant or exercise.constant(source, "VARIANT"))
    said = exercise.constant(source, "HINTS")
    hints = hints or (said if said in HINTS else "full")
    report = running.run(one, source, path.name, variant, seed, show=True)
    click.echo(telling.page(report, hints))
    if report.lost:
        sys.exit(1)


@coursework.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False))
@click.option("--csv", "table", required=True, type=click.Path(dir_okay=False), help="Where the marks go.")
@click.option("--exercise", "names", multiple=True, help="Which, such as ex05; default: those that the files name.")
@click.option("--variant", help="What was handed out; default: the exercise's first.")
@click.option("--students", type=click.Path(exists=True, dir_okay=False), help="A file with a name a line: who should.")
@click.option("--feedback", type=click.Path(file_okay=False), help="A folder for a page of text for each student.")
@click.option("--hints", type=click.Choice(HINTS), default="full", show_default=True, help="On these pages.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="Of the inputs; default: drawn, and printed.")
@click.option("--seconds", type=click.FloatRange(1), default=60, show_default=True, help="By the clock, a submission.")
@click.option("--memory", type=click.IntRange(256), default=1024, show_default=True, help="MB, a submission.")
def grade(folder, table, names, variant, students, feedback, hints, seed, seconds, memory) -> None:
    """Grade what a class handed in: FOLDER holds files (.py, .ipynb), folders, or the zips of a learning platform.

    Each submission runs in a process of its own, with limits; what it should compute never goes there. Whatever a file
    does or lacks, it gets a row, and a reason.

    \b
    minicnn coursework grade handed-in --csv marks.csv --exercise ex05 --variant circular
    """
    import secrets

    from tqdm import tqdm

    from .coursework import grading
    from .coursework.guard import WITHOUT_LIMITS, resource
    from .coursework.process import Limits

    seed = secrets.randbelow(10**6) if seed is None else seed
    click.echo(f"seed {seed}: the same marks again with --seed {seed}")
    if resource is None:
        click.echo(WITHOUT_LIMITS)
    limits = Limits(seconds=seconds, check_seconds=min(20, seconds), cpu=max(1, min(30, int(seconds))), memory=memory)
    known = pathlib.Path(students).read_text(encoding="utf-8").splitlines() if students else []
    with tqdm(unit="submission", desc="grading") as bar:

        def step(done: int, total: int, student: str) -> None:
            bar.total, bar.n = total, done
            bar.set_postfix_str(student[:30])

        rows = grading.grade(folder, names, variant, seed, hints, limits, [n.strip() for n in known if n.strip()], step)
    grading.write_csv(rows, table)
    if feedback:
        grading.write_pages(rows, feedback)
    for row in rows:
        what = row.reason or (f"lost: {row.lost}" if row.lost else "")
        click.echo(f"{row.student}  {row.exercise or '-'}  {row.points}/{row.of}  {what}".rstrip())
    click.echo(f"{table}: {len(rows)} rows")


@coursework.command()
@click.argument("folder", type=click.Path(file_okay=False))
@click.option("--exercise", "names", multiple=True, help="Which, such as ex05; default: all.")
@click.option("--variant", help="Of one exercise; default: its first.")
@click.option("--hints", type=click.Choice(HINTS), default="full", show_default=True, help="What students are told.")
@click.option(
    "--for", "target", type=click.Choice(["students", "nbgrader", "gradescope"]), default="students", show_default=True,
    help="Files and notebooks; nbgrader's source folder; Gradescope's autograder zips.",
)  # fmt: skip
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="Of the hidden inputs; default: drawn, and printed.")
def release(folder, names, variant, hints, target, seed) -> None:
    """Write what students get into FOLDER: the task, the stub, how to check; no solution, no planted mistake."""
    import secrets

    from .coursework import releasing

    seed = secrets.randbelow(10**6) if seed is None else seed
    for path in releasing.release(folder, names, variant, hints, target, seed):
        click.echo(path)
    if target != "students":
        click.echo(f"the hidden inputs are drawn from seed {seed}")
