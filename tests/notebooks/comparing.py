"""Does a chapter, run again, say what is saved?"""

from __future__ import annotations

import math
import re

NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:[.,]\d+)*(?:e[-+]?\d+)?%?")
OFF = 0.1  # of a number in a cell tagged "rounding", relative
ABSOLUTE = 0.02


def difference(saved: list[tuple[str, str]], now: list[tuple[str, str]], rounding: bool) -> str | None:
    """What is different between the texts of one cell, in a sentence; None if nothing is.

    With ``rounding`` numbers may be off by a tenth, or by two hundredths, and nothing else.
    """
    if [kind for kind, _ in saved] != [kind for kind, _ in now]:
        return f"saved are {[kind for kind, _ in saved]}, now it gives {[kind for kind, _ in now]}"
    for (kind, before), (_, after) in zip(saved, now):
        lines, others = before.splitlines(), after.splitlines()
        for number, (line, other) in enumerate(zip(lines, others), 1):
            if not (_close(line, other) if rounding else line == other):
                return f"{kind}, line {number}: saved is {line!r}, now it is {other!r}"
        if len(lines) != len(others):
            return f"{kind}: saved are {len(lines)} lines, now there are {len(others)}"
    return None


def _close(line: str, other: str) -> bool:
    if NUMBER.sub("#", " ".join(line.split())) != NUMBER.sub("#", " ".join(other.split())):
        return False
    return all(
        math.isclose(_value(a), _value(b), rel_tol=OFF, abs_tol=ABSOLUTE)
        for a, b in zip(NUMBER.findall(line), NUMBER.findall(other))
    )


def _value(text: str) -> float:
    return float(text.rstrip("%").replace(",", ""))
