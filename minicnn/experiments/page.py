"""Results as text, as Markdown, and as one page of all that are kept."""

from __future__ import annotations

import os
import pathlib
import textwrap
from collections.abc import Iterable
from typing import TYPE_CHECKING

from .. import columns
from ..files import replacing
from .base import Experiment, number

if TYPE_CHECKING:
    from .base import Check
    from .results import Result

FOR_FIGURE = "figure:"  # how the names of tables begin that only the figure needs
MOST_ROWS = 40  # of a table that are shown; all are in the JSON
HEAD = ("checked", "expected", "found", "")


def text(result: Result) -> str:
    """Claim, tables, verdict: what ``minicnn experiment run`` prints."""
    experiment = result.experiment
    lines = [f"{experiment.number} {experiment.name}: {experiment.title}", ""]
    for label, words in sections(experiment):
        lines += textwrap.wrap(f"{label}: {words}", 118, subsequent_indent="    ")
    for name, rows in _shown(result):
        lines += ["", name, *columns.text(*_cells(rows))]
    lines += ["", *columns.text(HEAD, _checked(result.checks)), f"verdict: {result.verdict}"]
    return "\n".join(lines)


def markdown(result: Result) -> str:
    """Tables and verdict, without the figure."""
    lines = []
    for name, rows in _shown(result):
        lines += [f"*{name}*", "", *columns.markdown(*_cells(rows)), ""]
    lines += columns.markdown(HEAD, _checked(result.checks))
    return "\n".join([*lines, "", f"**Verdict: {result.verdict}**"])


def sections(experiment: Experiment) -> list[tuple[str, str]]:
    """What an experiment says of itself, in the order in which it is read."""
    said = [
        ("Claim", experiment.claim),
        ("The lecture", f'"{experiment.lecture}"' if experiment.lecture else ""),
        ("Where it comes from", experiment.source),
        ("Expected", experiment.expected),
        ("Design", experiment.design),
        ("Seeds", ", ".join(map(str, experiment.seeds)) if experiment.seeds else "none: nothing is random"),
        ("What this cannot show", experiment.limits),
        ("The lecture errs", experiment.errata),
    ]
    return [(label, " ".join(words.split())) for label, words in said if words]


def _shown(result: Result) -> list[tuple[str, list[dict]]]:
    return [(name, rows) for name, rows in result.tables.items() if rows and not name.startswith(FOR_FIGURE)]


def _cells(rows: list[dict]) -> tuple[list[str], list[list[str]], list[int]]:
    head = list(dict.fromkeys(key for row in rows for key in row))
    cells = [[number(row.get(key)) for key in head] for row in rows[:MOST_ROWS]]
    if len(rows) > MOST_ROWS:
        cells.append([f"... {len(rows) - MOST_ROWS} more rows", *[""] * (len(head) - 1)])
    right = [i for i, key in enumerate(head) if all(not isinstance(row.get(key), str) for row in rows)]
    return head, cells, right


def _checked(checks: Iterable[Check]) -> list[tuple[str, str, str, str]]:
    return [(c.what, c.expected, c.found, "held" if c.held else "NOT HELD") for c in checks]


def report(results: list[Result], folder: str | os.PathLike) -> pathlib.Path:
    """One page, ``report.md``, of these results, with their pictures beside it; returns its path."""
    folder = pathlib.Path(folder)
    rows = [
        (f"[{r.experiment.number}](#{_anchor(r.experiment)})", r.experiment.claim, r.verdict, number(r.seconds))
        for r in results
    ]
    lines = ["# The lecture's claims, tried", "", *columns.markdown(("", "claim", "verdict", "seconds"), rows, [3]), ""]
    for result in results:
        picture = f"{result.experiment.name}.png"
        result.figure(folder / picture)
        lines += [*_section(result, picture), ""]
    path = folder / "report.md"
    with replacing(path) as temporary:
        temporary.write_text("\n".join(lines), "utf-8")
    return path


def _section(result: Result, picture: str) -> list[str]:
    experiment = result.experiment
    made = ", ".join(f"{name} {version}" for name, version in result.versions.items())
    lines = [f"## {_heading(experiment)}", ""]
    for label, words in sections(experiment):
        lines += [f"**{label}.** {words}", ""]
    lines += [f"![{experiment.claim}]({picture})", "", markdown(result), ""]
    return [*lines, f"Made by `{result.command}` in {number(result.seconds)} s ({made})."]


def _heading(experiment: Experiment) -> str:
    return f"{experiment.number} {experiment.title}"


def _anchor(experiment: Experiment) -> str:
    """As code hosts make it of the heading."""
    kept = "".join(c for c in _heading(experiment).lower() if c.isalnum() or c in " -")
    return kept.replace(" ", "-")
