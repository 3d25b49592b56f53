"""The profile as rows, and the rows as a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .nn import Module
from .profiling_memory import MB
from .profiling_step import BACKWARD, FORWARD, OTHER, OUTSIDE, REST, SPECIAL

NOTICEABLE = 0.05  # share of a step from which on a container's own Python has a row


@dataclass(frozen=True)
class Row:
    """A layer's part of one step, or that of the optimiser, of waiting for data ... (``kind`` is "" then).

    Attributes
    ----------
    name : str
        Path of the layer in the model.
    kind : str
        Its class; if modules are inside it, also the operations that it runs itself.
    forward_ms, backward_ms : float
        Milliseconds.
    ms : float
        Both, and what belongs to neither, such as an update; the ``ms`` of all rows sum to the step.
    share : float
        Of the step, 0 to 1.
    kept_mb : float
        10^6 bytes that the layer made and the graph held for the backward.
    """

    name: str
    kind: str
    forward_ms: float
    backward_ms: float
    ms: float
    share: float
    kept_mb: float


def build_rows(
    model: Module, seconds: Mapping[tuple[str, str], float], operations: Mapping[str, Iterable[str]],
    kept: Mapping[str, int],
) -> tuple[Row, ...]:  # fmt: skip
    """Rows in the model's order, then what is no layer. Containers that only call others go to the rest.

    Parameters
    ----------
    model : Module
    seconds : mapping of (name, column) to float
        Of one step.
    operations, kept : mapping by layer
        See :class:`~minicnn.profiling_step.Step`.
    """
    seconds, total = Counter(seconds), sum(seconds.values())
    ran = {name for name, _ in seconds}
    rows = []
    for path, module in model.named_modules():
        own = operations.get(path, ())
        is_container = any(True for _ in module.children())
        if path not in ran:
            continue
        if is_container and not own and seconds[path, FORWARD] <= NOTICEABLE * total:
            seconds[REST, FORWARD] += seconds[path, FORWARD]
            continue
        kind = type(module).__name__ + (f": {', '.join(own)}" if is_container and own else "")
        rows.append(_row(path or type(module).__name__, kind, path, seconds, total, kept))
    return (*rows, *(_row(name, "", name, seconds, total, kept) for name in SPECIAL))


def _row(name: str, kind: str, key: str, seconds: Mapping, total: float, kept: Mapping[str, int]) -> Row:
    forward, backward, other = (1000 * seconds[key, column] for column in (FORWARD, BACKWARD, OTHER))
    ms = forward + backward + other
    share = ms / (1000 * total) if total else 0.0
    return Row(name, kind, forward, backward, ms, share, kept.get(key, 0) / MB)


def text(rows: tuple[Row, ...]) -> str:
    """The rows with headings and a sum, aligned; a star marks the three that cost the most time."""
    largest = {row.name for row in costliest(rows)}
    cells = [("layer", "kind", "forward", "backward", "total", "share", "kept MB", "")]
    for row in rows:
        figures = (_figure(v) for v in (row.forward_ms, row.backward_ms, row.ms))
        star = "*" if row.name in largest else ""
        cells.append((row.name, row.kind, *figures, f"{row.share:.1%}", _figure(row.kept_mb), star))
    sums = (sum(getattr(row, column) for row in rows) for column in ("forward_ms", "backward_ms", "ms"))
    share, kept = sum(row.share for row in rows), sum(row.kept_mb for row in rows)
    cells.append(("total", "", *(_figure(v) for v in sums), f"{share:.1%}", _figure(kept), ""))
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    lines = [
        "  ".join(c.ljust(w) if i in (0, 1, 7) else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths))).rstrip()
        for row in cells
    ]
    rule = "-" * max(map(len, lines))
    first_special = 1 + next(i for i, row in enumerate(rows) if row.name == OUTSIDE)
    return "\n".join([lines[0], rule, *lines[1:first_special], rule, *lines[first_special:-1], rule, lines[-1]])


def costliest(rows: Iterable[Row], count: int = 3) -> list[Row]:
    """The rows that cost the most time, the dearest first."""
    return sorted((row for row in rows if row.ms > 0), key=lambda row: -row.ms)[:count]


def by_kind(rows: Iterable[Row]) -> list[tuple[str, float]]:
    """Shares of the step summed over all layers of a class, the largest first."""
    shares: Counter[str] = Counter()
    for row in rows:
        if row.kind:
            shares[row.kind.split(":")[0]] += row.share
    return shares.most_common()


def _figure(value: float) -> str:
    return f"{value:,.2f}" if value else ""
