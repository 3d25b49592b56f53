"""Shapes of an architecture diagram. The way comes in at the top of a shape's axis and leaves at the bottom.

Each shape knows how far it reaches to the ``left`` and ``right`` of its axis and its ``height``, in inches, and draws
itself with its axis at ``x``, from ``y`` downwards.
"""

from __future__ import annotations

import abc
import math
from dataclasses import dataclass

from .diagram_pen import GREY, PALE, Pen, text_width

TITLE, NOTE = 7.5, 6.2  # points
TALL, THIN = 0.27, 0.2  # heights of boxes
GAP = 0.17  # between boxes
LANE = 0.2  # between a column and the shortcut beside it


class Shape(abc.ABC):
    """Base of the shapes."""

    left = right = height = 0.0
    below = GAP  # to the next one
    entered = True  # whether a line comes in from above; its arrow's head is drawn by the shape that it points to
    leaves = True  # whether the way goes on below

    def draw_head(self, pen: Pen, x: float, y: float) -> None:
        if self.entered:
            pen.head((x, y - 1), (x, y))

    @abc.abstractmethod
    def draw(self, pen: Pen, x: float, y: float) -> None:
        """With the axis at ``x``, from ``y`` downwards."""


class Box(Shape):
    """An operation: its title, and behind it, smaller, the norms and activations that follow.

    ``channels`` make it wider, a ``step`` for each doubling; ``size``, the map's, goes to the margin, ``name`` to the
    right.
    """

    def __init__(
        self, title: str, notes: str = "", colour: str = "white", channels: int = 0, step: float = 0.0, size: str = "",
        name: str = "",
    ) -> None:  # fmt: skip
        self.title, self.notes, self.colour, self.size, self.name = title, notes, colour, size, name
        words = (text_width(title, TITLE) if title else 0) + (text_width(notes, NOTE) if notes else 0)
        self.words = words + (0.09 if title and notes else 0)
        grown = step * (2 + math.log2(channels)) if channels else 0
        self.width = max(self.words + 0.16, grown)
        self.left = self.right = self.width / 2
        if name:
            self.right += 0.08 + text_width(name, NOTE)
        self.height = TALL if title else THIN

    def draw(self, pen: Pen, x: float, y: float) -> None:
        middle = y + self.height / 2
        self.draw_head(pen, x, y)
        pen.box(x - self.width / 2, y, self.width, self.height, self.colour)
        if self.title and self.notes:
            pen.text(x - self.words / 2, middle, self.title, TITLE, "left")
            pen.text(x + self.words / 2, middle, self.notes, NOTE, "right", "#444444")
        else:
            pen.text(x, middle, self.title or self.notes, TITLE if self.title else NOTE)
        if self.name:
            pen.text(x + self.width / 2 + 0.08, middle, self.name, NOTE, "left", GREY)
        pen.map_size(middle, self.size)


class Sign(Shape):
    """The circle in which two branches are added, or multiplied; what follows stands to its left."""

    radius = 0.095

    def __init__(self, sign: str, notes: str, colour: str, size: str) -> None:
        self.sign, self.notes, self.colour, self.size = sign, notes, colour, size
        self.left = self.right = self.width = self.radius
        self.width = 2 * self.radius
        if notes:
            self.left += 0.06 + text_width(notes, NOTE)
        self.height = 2 * self.radius

    def draw(self, pen: Pen, x: float, y: float) -> None:
        middle = y + self.radius
        self.draw_head(pen, x, y)
        pen.circle(x, middle, self.radius, self.colour)
        pen.text(x, middle, self.sign, 9)
        if self.notes:
            pen.text(x - self.radius - 0.06, middle, self.notes, NOTE, "right", "#444444")
        pen.map_size(middle, self.size)


class Lines(Shape):
    """A box with several lines of small text, the first one bold if ``headed``."""

    def __init__(self, lines: list[str], colour: str, size: str = "", headed: bool = False) -> None:
        self.lines, self.colour, self.size, self.headed = lines, colour, size, headed
        sizes = [(line, TITLE if headed and i == 0 else NOTE, headed and i == 0) for i, line in enumerate(lines)]
        self.width = max(text_width(*s) for s in sizes) + 0.14
        self.left = self.right = self.width / 2
        self.height = 0.08 + 0.125 * len(lines)

    def draw(self, pen: Pen, x: float, y: float) -> None:
        self.draw_head(pen, x, y)
        pen.box(x - self.width / 2, y, self.width, self.height, self.colour)
        for i, line in enumerate(self.lines):
            first = self.headed and i == 0
            pen.text(x, y + 0.04 + 0.125 * (i + 0.5), line, TITLE if first else NOTE, bold=first)
        pen.map_size(y + self.height / 2, self.size)


class End(Shape):
    """Where the way ends: an output."""

    height = 0.17
    leaves = False

    def __init__(self, text: str) -> None:
        self.text = text
        self.left = self.right = text_width(text, NOTE) / 2

    def draw(self, pen: Pen, x: float, y: float) -> None:
        self.draw_head(pen, x, y)
        pen.text(x, y + self.height / 2, self.text, NOTE, colour=GREY)


class Column(Shape):
    """Shapes below each other."""

    def __init__(self, shapes: list[Shape]) -> None:
        self.shapes = shapes
        self.left = max((s.left for s in shapes), default=0)
        self.right = max((s.right for s in shapes), default=0)
        self.leaves = not shapes or shapes[-1].leaves
        self.height = sum(s.height for s in shapes) + sum(s.below for s in shapes[:-1])

    def draw(self, pen: Pen, x: float, y: float) -> None:
        below = 0.0
        for shape in self.shapes:
            if below:
                pen.line((x, y), (x, y + below))
            shape.draw(pen, x, y + below)
            y += below + shape.height
            below = shape.below


class Frame(Shape):
    """Around a module: its path at the top, and how often it is repeated."""

    head, pad = 0.22, 0.1

    def __init__(self, inside: Shape, title: str, times: int = 1) -> None:
        self.inside, self.title = inside, title
        self.times = f"{times} \N{MULTIPLICATION SIGN}" if times > 1 else ""
        self.left = max(inside.left + self.pad, text_width(title, NOTE) + 0.14 if title else 0)
        self.right = max(inside.right + self.pad, text_width(self.times, 10, True) + 0.14 if times > 1 else 0)
        self.height = inside.height + self.head + self.pad

    def draw(self, pen: Pen, x: float, y: float) -> None:
        width = self.left + self.right
        if self.times:
            pen.box(x - self.left + 0.05, y + 0.05, width, self.height, PALE, "#aaaaaa", z=0)
        pen.box(x - self.left, y, width, self.height, PALE, "#aaaaaa", z=1)
        pen.text(x - self.left + 0.07, y + 0.1, self.title, NOTE, "left", GREY)
        if self.times:
            pen.text(x + self.right - 0.07, y + 0.12, self.times, 10, "right", bold=True)
        pen.line((x, y), (x, y + self.head))
        self.inside.draw(pen, x, y + self.head)
        if self.inside.leaves:
            pen.line((x, y + self.height - self.pad), (x, y + self.height))


@dataclass
class Skip(Shape):
    """A column, and a way around it to the right: solid if nothing happens there, dashed if something does."""

    main: Column
    around: Lines | None
    join: Shape  # Box or Sign

    lead = 0.15

    def __post_init__(self) -> None:
        self.lane = max(self.main.right, self.join.width / 2) + LANE + (self.around.left if self.around else 0)
        self.left = max(self.main.left, self.join.left)
        self.right = self.lane + (self.around.right if self.around else 0.03)
        self.height = self.lead + self.main.height + GAP + self.join.height

    def draw(self, pen: Pen, x: float, y: float) -> None:
        pen.line((x, y), (x, y + self.lead))
        self.main.draw(pen, x, y + self.lead)
        bottom = y + self.lead + self.main.height
        pen.line((x, bottom), (x, bottom + GAP))
        lane, middle = x + self.lane, bottom + GAP + self.join.height / 2
        end = (x + self.join.width / 2, middle)
        pen.line((x, y + 0.04), (lane, y + 0.04), (lane, middle), end, dashed=self.around is not None, arrow=True)
        if self.around is not None:
            with pen.without_sizes():
                self.around.draw(pen, lane, (y + middle - self.around.height) / 2)
        self.join.draw(pen, x, bottom + GAP)


class Fork(Shape):
    """Branches side by side, from a bar to a bar; ``join`` is what stands below, if anything.

    Without the lower bar if they are ``outputs``.
    """

    top = bottom = 0.24
    space = 0.14

    def __init__(self, branches: list[Column], join: Shape | None, outputs: bool = False) -> None:
        self.branches, self.join, self.leaves = branches, join, not outputs
        width = sum(b.left + b.right for b in branches) + self.space * (len(branches) - 1)
        self.inner = max(b.height for b in branches)
        self.height = self.top + self.inner + self.bottom + (join.height if join else 0)
        self.places, place = [], -(width / 2 if len(branches) > 1 else branches[0].left)  # of the branches' axes
        for branch in branches:
            self.places.append(place + branch.left)
            place += branch.left + branch.right + self.space
        self.left = max(branches[0].left - self.places[0], join.left if join else 0)
        self.right = max(branches[-1].right + self.places[-1], join.right if join else 0)

    def draw(self, pen: Pen, x: float, y: float) -> None:
        start, end = y + self.top / 2, y + self.top + self.inner + self.bottom / 2
        pen.line((x, y), (x, start))
        for branch, place in zip(self.branches, self.places):
            axis = x + place
            pen.line((x, start), (axis, start), (axis, y + self.top))
            with pen.without_sizes():
                branch.draw(pen, axis, y + self.top)
            if self.leaves:
                pen.line((axis, y + self.top + branch.height), (axis, end), (x, end))
        if self.leaves:
            pen.line((x, end), (x, end + self.bottom / 2))
        if self.join:
            self.join.draw(pen, x, end + self.bottom / 2)


class Web(Shape):
    """Boxes below each other in running order, with an arc on the right for each way that leaves some out."""

    def __init__(self, shapes: list[Shape], edges: list[tuple[int, int]]) -> None:
        self.shapes, self.edges = shapes, edges
        for i, shape in enumerate(shapes):
            shape.entered = i == 0 or (i - 1, i) in edges
        self.lanes: list[list[tuple[int, int]]] = []  # arcs, none of which overlap in a lane
        for edge in sorted((e for e in edges if e[1] - e[0] > 1), key=lambda e: e[1] - e[0]):
            for lane in self.lanes:
                if all(edge[1] <= a or edge[0] >= b for a, b in lane):
                    lane.append(edge)
                    break
            else:
                self.lanes.append([edge])
        self.widest = max(s.right for s in shapes)
        self.left = max(s.left for s in shapes)
        self.right = self.widest + LANE * 0.8 * len(self.lanes) + 0.05
        self.height = sum(s.height + GAP for s in shapes) + GAP

    def draw(self, pen: Pen, x: float, y: float) -> None:
        tops, top = [], y + GAP
        for shape in self.shapes:
            tops.append(top)
            top += shape.height + GAP
        for i, shape in enumerate([*self.shapes, None]):
            if (i - 1, i) in self.edges or i in (0, len(self.shapes)):
                pen.line(
                    (x, y if i == 0 else tops[i - 1] + self.shapes[i - 1].height),
                    (x, y + self.height if shape is None else tops[i]),
                )
            if shape is not None:
                with pen.without_sizes():
                    shape.draw(pen, x, tops[i])
        for k, lane in enumerate(self.lanes):
            for start, end in lane:
                self._arc(pen, x, x + self.widest + 0.8 * LANE * (k + 1), start, end, tops, y)

    def _arc(self, pen: Pen, x: float, lane: float, start: int, end: int, tops: list[float], y: float) -> None:
        """Leaves a box below its middle, and arrives above it."""
        if start < 0:
            first = (x, y + 0.05)
        else:
            first = (x + self.shapes[start].width / 2, tops[start] + 0.7 * self.shapes[start].height)
        if end == len(self.shapes):
            last = (x, y + self.height - 0.05)
        else:
            last = (x + self.shapes[end].width / 2, tops[end] + 0.3 * self.shapes[end].height)
        pen.line(first, (lane, first[1]), (lane, last[1]), last, arrow=end < len(self.shapes))
