"""The picture of :func:`minicnn.plots.complexity`: accuracy against multiply-adds, a bubble for each network."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Sequence

from .comparison import DATA, FAMILY_ORDER, Network
from .errors import ArgumentError
from .label_placement import Box, Circle, Line, place_labels
from .plots import finish, literal, new_figure

COLOURS = {
    "AlexNet, ZFNet": "#7f7f7f", "VGG": "#d62728", "GoogLeNet": "#8c564b", "plain": "#17becf", "ResNet": "#1f77b4",
    "pre-activation": "#3f51b5", "ResNeXt": "#9467bd", "MobileNet": "#2ca02c", "ShuffleNet": "#ff7f0e",
    "EfficientNet": "#e377c2", "LeNet": "#bcbd22", "other": "#000000",
}  # fmt: skip
AREA = 20.0  # square points for a million parameters
SMALLEST = 2.0  # radius in points; smaller ones could not be seen
SAMPLES = (5, 25, 100)  # million parameters, in the legend
CROWD = 50  # with more networks the picture grows, to make room for their names


def radius(params: float) -> float:
    """In points; the area is proportional to the number of parameters."""
    return max(SMALLEST, math.sqrt(AREA * params / 1e6 / math.pi))


def draw_complexity(rows: Iterable[Network], path=None):
    """See :func:`minicnn.plots.complexity`."""
    data, rows = _drawn(list(rows))
    scale = max(1.0, math.sqrt(len(rows) / CROWD))
    figure = new_figure(14 * scale, 8.5 * scale)
    axes = figure.subplots()
    _frame(axes, rows, data)
    for row in sorted(rows, key=lambda r: -r.params):  # small ones on top
        hollow = not row.one_crop and data == "ImageNet"
        colour = COLOURS[row.family]
        axes.plot(
            row.macs / 1e9, 100 - row.top1, "o", markersize=2 * radius(row.params), color=colour,
            markerfacecolor="none" if hollow else (*_rgb(colour), 0.45), markeredgewidth=1.2, clip_on=False,
        )  # fmt: skip
    _families(axes, rows, data)
    _sizes(axes)
    figure.draw_without_rendering()  # settles where everything is
    figure.set_layout_engine("none")  # and there it stays
    _label(figure, axes, rows)
    return finish(figure, path)


def _rgb(colour: str) -> tuple[float, ...]:
    return tuple(int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))


def _drawn(rows: list[Network]) -> tuple[str, list[Network]]:
    """The rows with a top-1 error, of the first data set that has any; the same network and error once."""
    for data in DATA:
        known = {(r.macs, r.params, r.top1, r.protocol): r for r in rows if r.top1 is not None and r.data == data}
        if known:
            return data, list(known.values())
    raise ArgumentError("complexity: none of these rows has a published top-1 error")


def _frame(axes, rows: Sequence[Network], data: str) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter

    macs, accuracy = [r.macs / 1e9 for r in rows], [100 - r.top1 for r in rows]
    room = max(0.08 * (max(accuracy) - min(accuracy)), 0.5)
    axes.set(
        xscale="log", xlim=(min(macs) / 1.6, 2.2 * max(macs)), ylim=(min(accuracy) - room, max(accuracy) + 1.4 * room),
        xlabel="multiply-adds for one image, in 10$^9$ (logarithmic)", ylabel=f"{data} top-1 accuracy (%), published",
    )  # fmt: skip
    axes.set_title("What accuracy costs: up and to the left is better", loc="left")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(lambda value, position: f"{value:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def _families(axes, rows: Sequence[Network], data: str) -> None:
    """The legend at the upper right, outside: what colours mean, and hollow bubbles."""
    from matplotlib.lines import Line2D

    def bubble(colour: str, face, label: str) -> Line2D:
        return Line2D([], [], ls="", marker="o", ms=9, color=colour, mfc=face, label=label)

    present = {r.family for r in rows}
    families = [f for f in FAMILY_ORDER if f in present]
    handles = [bubble(COLOURS[f], (*_rgb(COLOURS[f]), 0.45), f) for f in families]
    hollow = [r for r in rows if not r.one_crop]
    if data == "ImageNet" and hollow:
        crops = textwrap.fill(
            ", ".join(dict.fromkeys(r.protocol.replace(" ", "\N{NO-BREAK SPACE}") for r in hollow)), 22
        )
        handles.append(bubble("black", "none", f"not one crop of 224:\n{crops}"))
    axes.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0, fontsize=9)


def _sizes(axes) -> None:
    """The legend at the lower right: bubbles of known size inside each other, the smallest in front."""
    from matplotlib import offsetbox
    from matplotlib.lines import Line2D
    from matplotlib.patches import Circle as Disc
    from matplotlib.text import Text

    largest = radius(1e6 * SAMPLES[-1])
    area = offsetbox.DrawingArea(2 * largest + 45, 2 * largest + 6)
    for millions in reversed(SAMPLES):
        r = radius(1e6 * millions)
        area.add_artist(Disc((largest, r + 1), r, facecolor=(0.5, 0.5, 0.5, 0.15), edgecolor="grey"))
        area.add_artist(Line2D([largest, 2 * largest + 12], [2 * r + 1] * 2, color="grey", linewidth=0.5))
        area.add_artist(Text(2 * largest + 14, 2 * r + 1, f"{millions} M", fontsize=8, va="center"))
    title = offsetbox.TextArea("parameters", textprops={"fontsize": 9})
    packed = offsetbox.VPacker(children=[title, area], pad=0, sep=6, align="center")
    legend = offsetbox.AnchoredOffsetbox(
        "lower left", child=packed, bbox_to_anchor=(1.01, 0.0), bbox_transform=axes.transAxes, borderpad=0, pad=0.5
    )
    legend.patch.set(edgecolor="0.8", boxstyle="round,pad=0,rounding_size=0.2")
    axes.add_artist(legend)


def _label(figure, axes, rows: Sequence[Network]) -> None:
    """Write every bubble's name where nothing else is."""
    points = 72 / figure.dpi
    renderer = figure.canvas.get_renderer()

    def box(extent) -> Box:
        return Box(extent.x0 * points, extent.y0 * points, extent.x1 * points, extent.y1 * points)

    centres = axes.transData.transform([(r.macs / 1e9, 100 - r.top1) for r in rows]) * points
    bubbles = [Circle(float(x), float(y), radius(r.params)) for (x, y), r in zip(centres, rows)]
    texts = [figure.text(0, 0, name, fontsize=8) for name in _names(rows)]
    extents = [text.get_window_extent(renderer) for text in texts]
    for text in texts:
        text.remove()
    sizes = [(e.width * points + 2, e.height * points) for e in extents]
    places = place_labels(bubbles, sizes, box(axes.get_window_extent()))
    for name, bubble, place in zip(_names(rows), bubbles, places):
        if place is not None:
            _write(axes, name, bubble, place.box, place.line)
    if places.count(None):
        axes.set_title(f"too crowded: names left out: {places.count(None)}", loc="right", fontsize=9)


def _write(axes, name: str, bubble: Circle, box: Box, line: Line | None) -> None:
    figure = axes.figure
    data = axes.transData.inverted()
    x, y = (box.left + box.right) / 2, (box.bottom + box.top) / 2
    scale = figure.dpi / 72
    axes.text(*data.transform((x * scale, y * scale)), name, fontsize=8, ha="center", va="center", in_layout=False)
    if line is not None:
        ends = data.transform([(line.x0 * scale, line.y0 * scale), (bubble.x * scale, bubble.y * scale)])
        axes.plot(*zip(*ends), color="0.3", linewidth=0.6, marker=".", markersize=3, markevery=[1], scalex=False,
                  scaley=False)  # fmt: skip


def _names(rows: Sequence[Network]) -> list[str]:
    """Labels as they are drawn; where two are alike, the variant or the crops are added."""
    names = [r.label for r in rows]
    for more in (lambda r: r.variant or "", lambda r: r.protocol, lambda r: r.source):
        alike = [names.count(name) > 1 for name in names]
        names = [f"{n}, {more(r)}" if a and more(r) else n for n, r, a in zip(names, rows, alike)]
    return [literal(name) for name in names]
