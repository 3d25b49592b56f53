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
