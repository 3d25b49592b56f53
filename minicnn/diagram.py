"""An architecture as a picture: repeats folded as in the papers' figures, shortcuts as arcs, branches side by side.

A model is run for its shapes alone (as for the lecture's table); ``diagram_graph`` finds rows and branches in its
operations, ``diagram_fold`` the modules that they belong to and equal neighbours among them, ``diagram_build`` makes
shapes (``diagram_shapes``) of them, and this file puts these on a page.
"""

from __future__ import annotations

import os

from . import diagram_labels as labels
from .diagram_build import Builder
from .diagram_fold import fold
from .diagram_graph import decompose
from .diagram_pen import GREY, Pen, text_width
from .diagram_shapes import Box, Column, Shape
from .errors import ArgumentError
from .nn import Module
from .plots import finish, new_figure
from .summary import summary, watch

TALLEST = 9.5  # inches of a column, if more columns can help
MARGIN, SIZES, BETWEEN = 0.3, 0.55, 0.45  # around the page; for map sizes; between columns
LEGEND = 0.24  # height of a line


def architecture(
    model: Module, input_size: tuple[int, int, int] = (3, 224, 224), path: str | os.PathLike | None = None,
    title: str = "", training: bool = False,
):  # fmt: skip
    """Draw what a model is made of, from top to bottom.

    Parameters
    ----------
    model : Module
        Also one of your own; branches and functional calls are seen.
    input_size : (C, H, W)
    path : path, optional
        Where to write it: .svg (its text can be searched), .png or .pdf. A file that is there is replaced.
    title : str
        Left out: the model's class. Parameters and multiply-adds stand below it.
    training : bool
        Draw what runs in training: auxiliary classifiers.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ShapeError
        If the model does not take images of that size; the message names the layer.
    ArgumentError
        If nothing of the image reaches the model's output, or branches are nested hundreds deep.

    Notes
    -----
    A box is a convolution, a pool, a linear layer or a join, with the norms and activations behind it; in a frame is
    what belongs to one module. Modules of the same class in a row with the same operations, kernels, strides, groups
    and output channels are drawn once, "3 x"; map sizes and input channels may differ. A module with three or more
    branches is drawn in detail once; later ones like it are one box each with their channels.
    """
    steps, outputs = watch("architecture", model, input_size, training)
    if not any(made >= 0 for made in outputs):
        raise ArgumentError(
            f"architecture: there is nothing to draw between the image and the output of {type(model).__name__}; its "
            f"forward must compute a tensor from the image by minicnn's operations"
        )
    builder = Builder(labels.sides(input_size[1:]))
    image = Box(f"image {labels.sides(input_size)}")
    image.entered = False
    try:
        shapes = [image, *builder.row(fold(decompose(steps, outputs), model), named=True)]
    except RecursionError:
        raise ArgumentError(
            f"architecture: {type(model).__name__} has branches within branches, hundreds deep; draw a part of it, or "
            f"the model with fewer"
        ) from None
    facts = summary(model, input_size, show=False, training=training)
    return finish(_page(shapes, title or type(model).__name__, _facts(facts), builder), path)


def _facts(found) -> str:
    unknown = "at least " if found.unknown else ""
    return f"{found.total_params:,} parameters, {unknown}{_rounded(found.total_macs)} multiply-adds"


def _rounded(number: int) -> str:
    for unit, size in (("G", 1e9), ("M", 1e6)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return f"{number:,}"


def _page(shapes: list[Shape], title: str, facts: str, builder: Builder):
    columns = break_columns(shapes)
    widths = [SIZES + c.left + c.right for c in columns]
    legend = _legend(builder)
    width = max(sum(widths) + BETWEEN * (len(columns) - 1), text_width(title, 13, True), text_width(facts, 8), 3.6)
    lines = _wrapped(legend, width)
    top, tallest = 0.95, max(c.height for c in columns)
    height = top + tallest + 0.35 + LEGEND * len(lines) + MARGIN
    width += 2 * MARGIN
    figure = new_figure(width, height)
    figure.set_layout_engine("none")
    pen = Pen(figure, width, height)
    pen.text(MARGIN, 0.36, title, 13, "left", bold=True)
    pen.text(MARGIN, 0.62, facts, 8, "left", GREY)
    start = (width - sum(widths) - BETWEEN * (len(columns) - 1)) / 2
    _draw_columns(pen, columns, start, top)
    _draw_legend(pen, lines, height - MARGIN - LEGEND * len(lines))
    return figure


def break_columns(shapes: list[Shape], tallest: float = TALLEST) -> list[Column]:
    """As few columns as keep below ``tallest``, as even as can be; one shape is never broken."""
    for count in range(1, len(shapes) + 1):
        columns = _evenly(shapes, count)
        if max(c.height for c in columns) <= max(tallest, max(s.height for s in shapes)):
            break
    return columns


def _evenly(shapes: list[Shape], count: int) -> list[Column]:
    """At most ``count`` columns, the highest as low as possible; bisection finds that limit."""
    best = [Column(shapes)]
    low, high = 0.0, best[0].height
    for _ in range(20):
        limit = (low + high) / 2
        columns = _filled(shapes, limit)
        if len(columns) <= count:
            best, high = columns, limit
        else:
            low = limit
    return best


def _filled(shapes: list[Shape], limit: float) -> list[Column]:
    """Columns filled one after another up to a height."""
    rows: list[list[Shape]] = [[]]
    height = 0.0
    for shape in shapes:
        if rows[-1] and height + shape.height > limit:
            rows.append([])
            height = 0.0
        rows[-1].append(shape)
        height += shape.height + shape.below
    return [Column(row) for row in rows]


def _draw_columns(pen: Pen, columns: list[Column], x: float, top: float) -> None:
    """Side by side from ``x``, each connected with the next one."""
    below, above = top + max(c.height for c in columns) + 0.18, top - 0.16
    end = None  # of the column before
    for column in columns:
        axis = x + SIZES + column.left
        if end is not None:
            between = x - 0.6 * BETWEEN
            pen.line(end, (end[0], below), (between, below), (between, above), (axis, above), (axis, top))
        pen.margin = x + SIZES - 0.1
        column.draw(pen, axis, top)
        end, x = (axis, top + column.height), axis + column.right + BETWEEN


def _legend(builder: Builder) -> list[tuple[str, str]]:
    """(colour or mark, words) of what occurs."""
    marks = {
        "identity": "shortcut: identity",
        "changed": "shortcut that changes the maps",
        "times": "n \N{MULTIPLICATION SIGN}: equal modules in a row",
        "folded": "a module like the one in detail: its branches",
    }
    entries = [(colour, words) for kind, (words, colour) in labels.KINDS.items() if kind in builder.kinds]
    return entries + [(mark, words) for mark, words in marks.items() if mark in builder.marks]


def _wrapped(legend: list[tuple[str, str]], width: float) -> list[list[tuple[float, str, str]]]:
    """Lines of (x, colour or mark, words)."""
    lines: list[list[tuple[float, str, str]]] = [[]]
    x = 0.0
    for mark, words in legend:
        needed = 0.3 + text_width(words, 7) + 0.2
        if lines[-1] and x + needed - 0.2 > width:
            lines.append([])
            x = 0.0
        lines[-1].append((x, mark, words))
        x += needed
    return lines


def _draw_legend(pen: Pen, lines: list, y: float) -> None:
    for line in lines:
        for place, mark, words in line:
            x = MARGIN + place
            if mark.startswith("#"):
                pen.box(x, y, 0.22, 0.14, mark)
            elif mark in ("identity", "changed"):
                pen.line((x, y + 0.07), (x + 0.22, y + 0.07), dashed=mark == "changed")
            else:
                pen.box(x, y, 0.22, 0.14, "#eef3f8" if mark == "folded" else "#fafafa", "#aaaaaa")
            pen.text(x + 0.29, y + 0.07, words, 7, "left")
        y += LEGEND
