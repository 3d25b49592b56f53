"""The report: parts, their lines, and Markdown made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from .. import columns

PASSED, FAILED = "passed", "FAILED"
FOUND, MEASURED = "", "measured"  # facts and times, which nothing is held against


@dataclass(frozen=True)
class Line:
    """One thing that was looked at: its status, and cells as the part's head names them."""

    status: str
    cells: tuple[str, ...]


@dataclass
class Part:
    """One section of the report.

    Attributes
    ----------
    title, note : str
        The note says what is compared, and which tolerance holds.
    head : sequence of str
        Titles of the cells.
    """

    title: str
    head: Sequence[str]
    note: str = ""
    lines: list[Line] = field(default_factory=list)

    def markdown(self) -> str:
        """Heading, note and table."""
        rows = [(line.status, *line.cells) for line in self.lines]
        widest = max((len(row) for row in rows), default=0)
        head = ("", *self.head)[: max(widest, 2)]
        full = [(*row, *[""] * (len(head) - len(row))) for row in rows]
        return "\n".join([f"## {self.title}", "", *([self.note, ""] if self.note else []),
                          *columns.markdown(head, [tuple(map(one_line, row)) for row in full])])  # fmt: skip


@dataclass
class Report:
    """All parts."""

    title: str
    parts: list[Part] = field(default_factory=list)

    @property
    def failed(self) -> list[str]:
        """What failed, each as its first cell with the part's title."""
        return [f"{part.title}: {line.cells[0]}" for part in self.parts for line in part.lines if line.status == FAILED]

    @property
    def passed(self) -> int:
        return sum(line.status == PASSED for part in self.parts for line in part.lines)

    def __str__(self) -> str:
        failed = self.failed
        verdict = f"**{self.passed} passed, {len(failed)} failed**" + (": " + "; ".join(failed) if failed else "")
        return "\n\n".join([f"# {self.title}", verdict, *(part.markdown() for part in self.parts)]) + "\n"


def one_line(text: str, longest: int = 400) -> str:
    """For a cell of a table: messages of compilers have many lines."""
    text = " ".join(str(text).split())
    return text if len(text) <= longest else f"{text[:longest]} ..."
