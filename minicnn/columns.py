"""Rows of words and numbers as aligned text or as a Markdown table."""

from __future__ import annotations

from collections.abc import Sequence


def text(head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> list[str]:
    """Lines of aligned columns under a head between two rules; columns ``right`` hold numbers and are set flush right.

    >>> print("\\n".join(text(("name", "size"), [("a", "10"), ("bcd", "5")], right=[1])))
    ----------
    name  size
    ----------
    a       10
    bcd      5
    ----------
    """
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    lines = [
        "  ".join(c.rjust(w) if i in right else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths))).rstrip()
        for row in (head, *rows)
    ]
    rule = "-" * max(map(len, lines))
    return [rule, lines[0], rule, *lines[1:], rule]


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> list[str]:
    """Lines of a pipe table.

    >>> print("\\n".join(markdown(("name", "size"), [("a|b", "10")], right=[1])))
    | name | size |
    | --- | ---: |
    | a\\|b | 10 |
    """
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in (head, *rows)]
    rule = "| " + " | ".join("---:" if i in right else "---" for i in range(len(head))) + " |"
    return [lines[0], rule, *lines[1:]]
