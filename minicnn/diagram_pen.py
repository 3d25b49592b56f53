"""What an architecture diagram is drawn with: boxes, lines and text, in inches from the page's upper left corner."""

from __future__ import annotations

import functools
from contextlib import contextmanager

import matplotlib.patches as patches
from matplotlib.font_manager import FontProperties
from matplotlib.path import Path
from matplotlib.textpath import TextToPath

from .plots import drawable

FONT = "DejaVu Sans"  # comes with matplotlib: widths are the same everywhere
INK, GREY, PALE = "#222222", "#777777", "#fafafa"
LINE = 0.9  # points
ROUND = 0.09  # inches, of corners


@functools.cache
def text_width(text: str, size: float, bold: bool = False) -> float:
    """Inches that a line of text takes."""
    font = FontProperties(family=FONT, size=size, weight="bold" if bold else "normal")
    return TextToPath().get_text_width_height_descent(drawable(text), font, False)[0] / 72


class Pen:
    """Draws on matplotlib axes that are ``width`` by ``height`` inches, y pointing down."""

    def __init__(self, figure, width: float, height: float) -> None:
        self.axes = figure.add_axes((0, 0, 1, 1))
        self.axes.set(xlim=(0, width), ylim=(height, 0))
        self.axes.set_axis_off()
        self.margin: float | None = 0.0  # where map sizes are written; None: nowhere

    @contextmanager
    def without_sizes(self):
        """A block in which no map sizes are written: beside branches it would be unclear whose they are."""
        margin, self.margin = self.margin, None
        yield
        self.margin = margin

    def box(self, x: float, y: float, width: float, height: float, colour: str, edge: str = INK, z: int = 3) -> None:
        """A box with round corners; (x, y) is its upper left corner."""
        style = patches.BoxStyle("Round", pad=0, rounding_size=min(0.05, height / 4))
        self.axes.add_patch(
            patches.FancyBboxPatch(
                (x, y), width, height, style, facecolor=colour, edgecolor=edge, linewidth=0.6, zorder=z
            )
        )

    def circle(self, x: float, y: float, radius: float, colour: str) -> None:
        self.axes.add_patch(patches.Circle((x, y), radius, facecolor=colour, edgecolor=INK, linewidth=0.6, zorder=3))

    def text(
        self, x: float, y: float, text: str, size: float, align: str = "center", colour: str = INK, bold: bool = False
    ) -> None:  # fmt: skip
        self.axes.text(
            x, y, drawable(text), size=size, ha=align, va="center_baseline", color=colour, family=FONT, zorder=5,
            weight="bold" if bold else "normal", parse_math=False,
        )  # fmt: skip

    def map_size(self, y: float, text: str) -> None:
        """In the margin."""
        if text and self.margin is not None:
            self.text(self.margin, y, text, 7, "right", GREY)

    def line(self, *points: tuple[float, float], dashed: bool = False, arrow: bool = False) -> None:
        """From point to point, round at the corners."""
        vertices, codes = [points[0]], [Path.MOVETO]
        for before, corner, after in zip(points, points[1:], points[2:]):
            vertices += [_towards(corner, before), corner, _towards(corner, after)]
            codes += [Path.LINETO, Path.CURVE3, Path.CURVE3]
        path = Path([*vertices, points[-1]], [*codes, Path.LINETO])
        style = (0, (3, 2)) if dashed else "-"
        self.axes.add_patch(
            patches.PathPatch(path, fill=False, edgecolor=INK, linewidth=LINE, linestyle=style, zorder=2)
        )
        if arrow:
            self.head(points[-2], points[-1])

    def head(self, start: tuple[float, float], tip: tuple[float, float]) -> None:
        """The head of an arrow that comes from ``start``, along an axis."""
        (x0, y0), (x, y) = start, tip
        back, half = 0.07, 0.03
        if abs(x - x0) > abs(y - y0):
            sign = 1 if x < x0 else -1
            corners = [(x, y), (x + sign * back, y - half), (x + sign * back, y + half)]
        else:
            sign = 1 if y < y0 else -1
            corners = [(x, y), (x - half, y + sign * back), (x + half, y + sign * back)]
        self.axes.add_patch(patches.Polygon(corners, closed=True, color=INK, linewidth=0, zorder=4))


def _towards(corner: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    """The point where the rounding of a corner ends."""
    dx, dy = other[0] - corner[0], other[1] - corner[1]
    length = abs(dx) + abs(dy)
    share = min(ROUND / length, 0.5) if length else 0
    return corner[0] + share * dx, corner[1] + share * dy
