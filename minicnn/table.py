"""A summary as text, CSV, JSON or Markdown."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .rows import Row
    from .summary import Summary

HEAD = (
    "layer", "kind", "C", "H/W", "filters", "kernel", "stride", "pad", "C", "H/W", "memory KB", "params k", "flop M",
    "field",
)  # fmt: skip
LEFT = 2  # columns of words


def _shape(shape: tuple[int, ...]) -> tuple[str, str]:
    """Channels and side, (64, 56, 56) -> 64 and 56."""
    channels, *sides = shape
    if len(set(sides)) == 1:
        sides = sides[:1]
    return str(channels), "x".join(map(str, sides))


def _option(value) -> str:
    return "" if value is None else "x".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _cells(row: Row, summary: Summary) -> tuple[str, ...]:
    memory = f"{row.memory / 1024:,.1f}"
    flop = "?" if row.macs is None else f"{row.macs / 1e6:,.2f}" if row.macs else ""
    if row.pool_ops and summary.pools:
        flop = f"{row.pool_ops / 1e6:,.2f}"
    kernel = _option(row.kernel) + (f" /{row.groups}" if row.groups > 1 else "")
    return (
        row.name,
        row.kind + ("+bn" if row.normalised else ""),
        *_shape(row.input_shape),
        _option(row.filters),
        kernel,
        _option(row.stride),
        _option(row.padding),
        *_shape(row.output_shape),
        memory if summary.counts(row) else f"({memory})",
        f"{row.params / 1e3:,.1f}" if row.params else "",
        flop,
        _option(row.rf),
    )


def _total(summary: Summary) -> tuple[str, ...]:
    empty = [""] * (len(HEAD) - 5)
    figures = (
        f"{summary.total_memory / 1024:,.1f}",
        f"{summary.total_params / 1e3:,.1f}",
        f"{summary.total_macs / 1e6:,.2f}",
    )
    return ("total", *empty, *figures, "")


def footer(summary: Summary) -> list[str]:
    """What was counted, in words."""
    counted = "convolutions, linear layers and pools" if summary.pools else "convolutions and linear layers"
    lines = [
        f"{summary.total_params:,} parameters, {summary.total_macs:,} multiply-adds, "
        f"{summary.total_memory / 2**20:.2f} MB of activations ({summary.total_memory:,} bytes) for one image.",
        f"Counted: {counted}; a multiply-add as one; memory = outputs x 4 bytes, KB = 1024 bytes"
        + ("; in brackets: not counted." if any(not summary.counts(r) for r in summary.rows) else "."),
    ]
    if any(r.groups > 1 for r in summary.rows):
        lines.append("kernel 3 /32: in 32 groups.")
    if summary.unknown:
        lines.append(f"? = cost unknown, not in the total: {', '.join(summary.unknown)}.")
    if summary.unused_params:
        lines.append(f"{summary.unused_params:,} more parameters are in layers that did not run.")
    if summary.cut:
        verb = "does" if len(summary.cut) == 1 else "do"
        lines.append(
            f"{', '.join(summary.cut)} {verb} not depend on the image: the forward leaves the framework before it, for "
            "NumPy or a new tensor; nothing before that place will be trained."
        )
    if summary.strange_params:
        lines.append(
            f"{summary.strange_params:,} parameters are used but are not the model's: they will be neither trained nor "
            "saved; use nn.ModuleList instead of a list, and make layers in __init__."
        )
    return lines


def text(summary: Summary) -> str:
    """Aligned columns, with the totals and the conventions below."""
    rows = [HEAD, *(_cells(r, summary) for r in summary.rows), _total(summary)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEAD))]
    lines = [
        "  ".join(c.ljust(w) if i < LEFT else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths))).rstrip()
        for row in rows
    ]
    rule = "-" * max(map(len, lines))
    return "\n".join([summary.title, rule, lines[0], rule, *lines[1:-1], rule, lines[-1], "", *footer(summary)])


def markdown(summary: Summary) -> str:
    """A pipe table, with the totals and the conventions below."""
    rows = [HEAD, *(_cells(r, summary) for r in summary.rows), _total(summary)]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    rule = "|" + "|".join([" --- "] * LEFT + [" ---: "] * (len(HEAD) - LEFT)) + "|"
    return "\n".join([f"**{summary.title}**", "", lines[0], rule, *lines[1:], "", *(f"{f}  " for f in footer(summary))])


FIELDS = (
    "name", "layer", "kind", "input_shape", "output_shape", "filters", "kernel", "stride", "padding", "groups",
    "memory", "params", "macs", "pool_ops", "rf", "jump",
)  # fmt: skip


def to_csv(summary: Summary) -> str:
    """Whole numbers: memory in bytes, parameters, multiply-adds; shapes as 64x56x56."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(FIELDS)
    for row in summary.rows:
        writer.writerow([_option(getattr(row, name)) for name in FIELDS])
    return file.getvalue().rstrip("\n")


def to_json(summary: Summary) -> str:
    """All rows with all their figures, and the totals."""
    totals = {
        "params": summary.total_params, "macs": summary.total_macs, "memory_bytes": summary.total_memory,
        "unused_params": summary.unused_params, "unknown": list(summary.unknown), "pools_counted": summary.pools,
    }  # fmt: skip
    rows = [dataclasses.asdict(row) for row in summary.rows]
    return json.dumps({"title": summary.title, "rows": rows, "total": totals}, indent=1)


FORMS = {"text": text, "csv": to_csv, "json": to_json, "markdown": markdown}
