"""A report as text."""

from __future__ import annotations

import textwrap

from .guard import WITHOUT_LIMITS, resource
from .running import Report

WIDTH = 110


def page(report: Report, hints: str) -> str:
    """All checks of one submission, with as much said as ``hints`` allows."""
    one = report.exercise
    lines = [f"{one.name}, variant {report.variant}: {one.variants[report.variant]}. Seed {report.seed}."]
    if resource is None:
        lines.append(WITHOUT_LIMITS)
    if report.reason:
        lines.append(f"cannot be checked: {report.reason}")
    else:
        for result in report.results:
            mark = "right" if result.passed else "WRONG"
            lines.append(f"{mark}  {result.points}/{result.check.points}  {result.check.name}: {_what(result.check)}")
            lines += [_wrapped(line) for line in result.told(hints).splitlines()]
    lines.append(f"{report.points} of {one.points} points")
    return "\n".join(lines)


def _what(check) -> str:
    return (check.run.__doc__ or check.category).strip().splitlines()[0]


def _wrapped(line: str) -> str:
    indent = " " * (12 + len(line) - len(line.lstrip()))
    return textwrap.fill(line.strip(), WIDTH, initial_indent=indent, subsequent_indent=indent + "  ")
