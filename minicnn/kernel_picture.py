"""``minicnn kernels report --plot``: which addresses the 32 lanes of a warp touch, line by line.

Global memory: a column of boxes for each sector of 32 bytes, a row for each lane. A coalesced access is a staircase
through few sectors; one that is not is a cloud over many, most of whose bytes are fetched for nothing.
Shared memory: a column for each of the 32 banks. Lanes that meet in a column with different words wait for each other.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from .errors import ArgumentError
from .kernels.sim.profile import BANKS, SECTOR, WORD, Example, LaunchProfile, LineAccess
from .plots import finish, literal, new_figure, shortened

LANES = 32
MOST = 2  # loads, and stores, that are drawn if no line is asked for
PALE, EDGE, INK, WASTE, RED, GREEN = "#f4f4f4", "#c9c9c9", "#333333", "#e3e3e3", "#b03a2e", "#1e7145"
PANEL = 6.4, 3.9  # inches


def chosen_lines(launches: Sequence[LaunchProfile], numbers: Sequence[int] = ()) -> list[tuple[str, LineAccess]]:
    """(kernel, line) of what shall be drawn: the lines of these numbers, or the most telling ones.

    Raises
    ------
    ArgumentError
        If a line loads and stores nothing, or there is nothing to draw at all.
    """
    lines = [(launch.kernel, line) for launch in launches for line in launch.lines]
    if not lines:
        raise ArgumentError("no kernel of ours runs here, only cuBLAS: there is nothing to draw")
    for number in numbers:
        if all(line.line != number for _, line in lines):
            there = ", ".join(map(str, sorted({line.line for _, line in lines})))
            raise ArgumentError(f"line {number} loads and stores nothing; these do: {there}")
    if numbers:
        return [pair for pair in lines if pair[1].line in numbers]
    telling = [pair for kind in (True, False) for pair in _telling([p for p in lines if (p[1].kind == "load") == kind])]
    return [pair for pair in lines if any(pair is other for other in telling)]


def _telling(lines: list[tuple[str, LineAccess]]) -> list[tuple[str, LineAccess]]:
    """Those with the most work for memory or banks beyond what is needed, then the busiest."""
    waste = lambda line: line.sectors - line.least_sectors + line.turns - line.least_turns  # noqa: E731
    return sorted(lines, key=lambda pair: (waste(pair[1]), pair[1].requests), reverse=True)[:MOST]


def picture(title: str, lines: Sequence[tuple[str, LineAccess]], path: str | os.PathLike | None = None):
    """Draw one request of a warp for each line, loads in the left column and stores in the right one.

    Parameters
    ----------
    title : str
    lines : sequence of (kernel, LineAccess)
        From :func:`chosen_lines`.
    path : path, optional
        Where to write it.

    Returns
    -------
    matplotlib.figure.Figure
    """
    loads = [pair for pair in lines if pair[1].kind == "load"]
    stores = [pair for pair in lines if pair[1].kind != "load"]
    sides = [side for side in (loads, stores) if side]
    rows = max(map(len, sides))
    figure = new_figure(PANEL[0] * len(sides), PANEL[1] * rows + 0.6)
    what = "one request of one warp for each line, a colour for each lane; a model, not a measurement"
    figure.suptitle(f"{literal(shortened(title, 100))}\n{what}", fontsize=10)
    grid = figure.add_gridspec(rows, len(sides))
    for column, side in enumerate(sides):
        for row, (kernel, line) in enumerate(side):
            shared = line.space == "shared"
            inner = grid[row, column].subgridspec(2, 1, height_ratios=(1, 7), hspace=0.02)
            bar, field = figure.add_subplot(inner[0]), figure.add_subplot(inner[1])
            (_banks if shared else _sectors)(bar, field, line)
            _title(bar, kernel, line)
    return finish(figure, path)


def _title(axes, kernel: str, line: LineAccess) -> None:
    """Where, the line's text, and in bold what to see."""
    where = f"{line.kind} of {line.size} bytes, {line.arrays[0] if line.arrays else line.space + ' memory'}"
    text = f"{kernel}, {line.file}:{line.line}: {where}\n{literal(shortened(line.source, 72))}"
    verdict, good = _verdict(line)
    axes.set_title(verdict, fontsize=8.5, loc="left", weight="bold", color=GREEN if good else RED)
    axes.annotate(text, (0, 1), (0, 17), "axes fraction", "offset points", fontsize=7.5, family="monospace")


def _verdict(line: LineAccess) -> tuple[str, bool]:
    """In words, and whether it is as good as it can be."""
    n, example = line.worst_conflict, line.example
    if line.space == "shared" and n <= 1:
        return "no bank conflict: no bank is asked for two words at once", True
    if line.space == "shared":
        return f"{n}-way bank conflict: a bank is asked for {n} words, one after the other", False
    fetched, used = SECTOR * len(example.sectors), len(_bytes_used(example))
    text = f"{fetched // SECTOR} sector{'s' * (fetched > SECTOR)}: {used} of {fetched} bytes used, {used / fetched:.0%}"
    return text, (used + SECTOR - 1) // SECTOR == fetched // SECTOR


def _bytes_used(example: Example) -> set[int]:
    return {b for at in example.lanes if at is not None for b in range(at, at + example.size)}


def _colours() -> list:
    from matplotlib import colormaps

    return [colormaps["viridis"](0.92 * lane / (LANES - 1)) for lane in range(LANES)]


def _sectors(bar, field, line: LineAccess) -> None:
    """Sectors side by side; where some are left out between them, a gap."""
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Rectangle

    example, colours = line.example, _colours()
    places, x, before = {}, 0.0, None  # sector -> its left edge
    for sector in example.sectors:
        if before is not None and sector > before + 1:
            x += 0.35
        places[sector], x, before = x, x + 1, sector
    field.add_collection(
        PatchCollection([Rectangle((left, -0.5), 1, LANES) for left in places.values()], fc=PALE, ec=EDGE, lw=0.6)
    )
    bar.add_collection(
        PatchCollection([Rectangle((left, 0), 1, 1) for left in places.values()], fc=WASTE, ec="none", zorder=1)
    )
    for lane, at in enumerate(example.lanes):
        for byte in range(at, at + example.size, WORD) if at is not None else ():
            left = places[byte // SECTOR] + byte % SECTOR / SECTOR
            width = min(WORD, example.size) / SECTOR
            field.add_patch(Rectangle((left, lane - 0.5), width, 1, fc=colours[lane], ec="none", zorder=2))
            bar.add_patch(Rectangle((left, 0), width, 1, fc=colours[lane], ec="none", zorder=2))
    bar.add_collection(
        PatchCollection([Rectangle((left, 0), 1, 1) for left in places.values()], fc="none", ec=INK, lw=0.8, zorder=3)
    )
    for axes in (bar, field):
        axes.set_xlim(-0.15, max(x, 4) + 0.15)
        axes.set_xticks([])
    bar.set_ylim(-0.1, 1.1)
    bar.set_yticks([0.5], ["memory"], fontsize=8)
    shown = list(places.items())
    step = -(-len(shown) // 8)
    field.set_xticks([left for _, left in shown[::step]], [f"{s * SECTOR:,}" for s, _ in shown[::step]], fontsize=7)
    field.set_xlabel(f"first byte of a sector of 32 bytes, from the beginning of {line.example.array}", fontsize=8)
    _lanes(field, bar)


def _banks(bar, field, line: LineAccess) -> None:
    """32 banks; lanes that want different words of one bank are red."""
    from matplotlib.patches import Rectangle

    example, colours = line.example, _colours()
    at_once = LANES // max(1, -(-example.size // WORD))  # lanes that the banks serve together
    busiest = [0] * BANKS
    for first in range(0, LANES, at_once):
        words = [set() for _ in range(BANKS)]
        for at in example.lanes[first : first + at_once]:
            for byte in range(at, at + example.size, WORD) if at is not None else ():
                words[byte // WORD % BANKS].add(byte // WORD)
        busiest = [max(n, len(own)) for n, own in zip(busiest, words)]
    for bank in range(BANKS):
        field.add_patch(Rectangle((bank, -0.5), 1, LANES, fc=PALE, ec=EDGE, lw=0.4))
        fill = "white" if busiest[bank] == 0 else "#d8ead3" if busiest[bank] == 1 else RED
        bar.add_patch(Rectangle((bank, 0), 1, 1, fc=fill, ec=INK, lw=0.6))
        if busiest[bank]:
            ink = "white" if busiest[bank] > 1 else INK
            bar.text(bank + 0.5, 0.48, str(busiest[bank]), ha="center", va="center", fontsize=6.5, color=ink)
    for lane, at in enumerate(example.lanes):
        for byte in range(at, at + example.size, WORD) if at is not None else ():
            field.add_patch(Rectangle((byte // WORD % BANKS, lane - 0.5), 1, 1, fc=colours[lane], ec="white", lw=0.3))
    for edge in range(at_once, LANES, at_once):
        field.axhline(edge - 0.5, color=INK, lw=0.8, ls="--")
    for axes in (bar, field):
        axes.set_xlim(-0.15, BANKS + 0.15)
        axes.set_xticks([])
    bar.set_ylim(-0.1, 1.1)
    bar.set_yticks([0.5], ["words"], fontsize=8)
    field.set_xticks([bank + 0.5 for bank in range(0, BANKS, 4)], range(0, BANKS, 4), fontsize=7)
    served = "" if at_once == LANES else f" ({at_once} lanes at a time, between the dashed lines)"
    field.set_xlabel(f"bank of 4 bytes; above: different words it is asked for{served}", fontsize=8)
    _lanes(field, bar)


def _lanes(field, bar) -> None:
    field.set_ylim(LANES - 0.5, -0.5)
    field.set_yticks(range(0, LANES, 4), range(0, LANES, 4), fontsize=7)
    field.set_ylabel("lane of the warp", fontsize=8)
    for axes in (field, bar):
        axes.tick_params(length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)
