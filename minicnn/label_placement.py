"""Where to write the names of bubbles so that no name lies on another, on a bubble or on a legend.

Names are placed one after another. Each tries places around its bubble, near ones before far ones, and takes the first
that overlaps nothing. That is done in several orders, and the best outcome wins. There is no chance in it: the same
picture always gets the same places. All lengths are in points.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

GAP = 2.0  # between a bubble and its name
NEAR = 6.0  # a name further off than this gets a line to its bubble
CLEARLY = 4.0  # by how much a name is nearer to its own bubble, and its line passes by the middle of others
DISTANCES = (GAP, 4, 6.5, 9, 14, 20, 27, 35, 45, 55, 70, 85, 100, 120, 145, 170)
DIRECTIONS = [math.radians(a) for a in (0, 180, 90, 270, 45, 315, 135, 225)]
MORE_DIRECTIONS = DIRECTIONS + [math.radians(a) for a in range(15, 360, 15) if a % 45]


class Circle(NamedTuple):
    x: float
    y: float
    r: float


class Box(NamedTuple):
    left: float
    bottom: float
    right: float
    top: float

    def overlaps(self, other: Box) -> bool:
        apart = self.right <= other.left or other.right <= self.left
        return not (apart or self.top <= other.bottom or other.top <= self.bottom)

    def inside(self, other: Box) -> bool:
        return (
            self.left >= other.left and self.right <= other.right
            and self.bottom >= other.bottom and self.top <= other.top
        )  # fmt: skip

    def distance(self, circle: Circle) -> float:
        """From the circle's rim; negative if they overlap."""
        return math.dist(self.nearest(circle.x, circle.y), (circle.x, circle.y)) - circle.r

    def nearest(self, x: float, y: float) -> tuple[float, float]:
        """Its point nearest to (x, y)."""
        return min(max(x, self.left), self.right), min(max(y, self.bottom), self.top)


class Line(NamedTuple):
    """From a name to its bubble."""

    x0: float
    y0: float
    x1: float
    y1: float

    def crosses(self, other: Line) -> bool:
        def side(line: Line, x: float, y: float) -> float:
            return (line.x1 - line.x0) * (y - line.y0) - (line.y1 - line.y0) * (x - line.x0)

        return (
            side(self, other.x0, other.y0) * side(self, other.x1, other.y1) < 0
            and side(other, self.x0, self.y0) * side(other, self.x1, self.y1) < 0
        )

    def cuts(self, box: Box) -> bool:
        """Whether part of it lies in the box (clipping, Liang & Barsky 1984)."""
        begin, end = 0.0, 1.0
        dx, dy = self.x1 - self.x0, self.y1 - self.y0
        for step, room in (
            (-dx, self.x0 - box.left), (dx, box.right - self.x0), (-dy, self.y0 - box.bottom), (dy, box.top - self.y0),
        ):  # fmt: skip
            if step == 0:
                if room <= 0:
                    return False
            elif step < 0:
                begin = max(begin, room / step)
            else:
                end = min(end, room / step)
        return begin < end

    def distance(self, x: float, y: float) -> float:
        """From (x, y)."""
        dx, dy = self.x1 - self.x0, self.y1 - self.y0
        length = dx * dx + dy * dy
        t = 0.0 if length == 0 else min(max(((x - self.x0) * dx + (y - self.y0) * dy) / length, 0.0), 1.0)
        return math.dist((self.x0 + t * dx, self.y0 + t * dy), (x, y))


class Place(NamedTuple):
    """Where a name goes, and the line to its bubble if it is far off."""

    box: Box
    line: Line | None


def place_labels(
    bubbles: Sequence[Circle], sizes: Sequence[tuple[float, float]], area: Box, taken: Sequence[Box] = ()
) -> list[Place | None]:
    """Place a name at every bubble; for those that find no place, lines may then pass over other bubbles' middles.

    Parameters
    ----------
    bubbles : sequence of Circle
    sizes : sequence of (width, height)
        Of the names.
    area : Box
        All names stay inside.
    taken : sequence of Box
        Such as legends.

    Returns
    -------
    list of Place or None
        None: there was no room for this name.
    """
    choices = [_choices(i, bubbles, sizes[i], area, taken) for i in range(len(bubbles))]
    return min((_place_in_order(order, choices) for order in _orders(bubbles)), key=_badness)


def _badness(places: list[Place | None]) -> tuple[int, float]:
    """How many names found no place, and how long the lines are."""
    return places.count(None), sum(math.dist(p.line[:2], p.line[2:]) for p in places if p and p.line)


def _orders(bubbles: Sequence[Circle]):
    """The most crowded first; then from the right, the upper right, the top and so on round."""
    crowd = [sum(math.dist(a[:2], b[:2]) - a.r - b.r < 40 for b in bubbles) for a in bubbles]
    numbers = range(len(bubbles))
    yield sorted(numbers, key=lambda i: (-crowd[i], bubbles[i]))
    for angle in range(0, 360, 30):
        right, up = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        yield sorted(numbers, key=lambda i: (-right * bubbles[i].x - up * bubbles[i].y, bubbles[i]))


def _choices(own: int, bubbles: Sequence[Circle], size, area: Box, taken: Sequence[Box]) -> list[tuple[Place, bool]]:
    """Places for one name that no bubble and no legend forbids; near ones first. And whether its line keeps clear of
    other bubbles' middles."""
    me, others = bubbles[own], [b for i, b in enumerate(bubbles) if i != own]
    found = []
    for box, line in _places_around(me, size):
        if not box.inside(area) or any(box.overlaps(t) or line and line.cuts(t) for t in taken):
            continue
        if line is None:  # nearer to its own bubble than to others, or it would seem to be theirs
            nearness = box.distance(me)
            if nearness >= 0 and all(box.distance(b) > nearness + CLEARLY for b in others):
                found.append((Place(box, None), True))
        elif all(box.distance(b) >= 0 for b in bubbles):
            apart = [b for b in others if math.dist(b[:2], me[:2]) > CLEARLY]
            found.append((Place(box, line), all(line.distance(b.x, b.y) >= CLEARLY for b in apart)))
    return found


def _places_around(bubble: Circle, size: tuple[float, float]):
    width, height = size
    for distance in DISTANCES:
        for angle in DIRECTIONS if distance <= NEAR else MORE_DIRECTIONS:
            cos, sin = round(math.cos(angle), 6), round(math.sin(angle), 6)
            x, y = bubble.x + (bubble.r + distance) * cos, bubble.y + (bubble.r + distance) * sin
            # the box begins at (x, y) and lies on the far side of it
            left, bottom = x - width / 2 * (1 - cos), y - height / 2 * (1 - sin)
            box = Box(left, bottom, left + width, bottom + height)
            yield box, Line(*box.nearest(bubble.x, bubble.y), bubble.x, bubble.y) if distance > NEAR else None


def _place_in_order(order: Sequence[int], choices: list[list[tuple[Place, bool]]]) -> list[Place | None]:
    places: list[Place | None] = [None] * len(choices)
    for strict in (True, False):
        for i in order:
            if places[i] is None:
                placed = [p for p in places if p]
                fitting = (p for p, clear in choices[i] if clear or not strict)
                places[i] = next((p for p in fitting if not any(_clash(p, other) for other in placed)), None)
    return places


def _clash(a: Place, b: Place) -> bool:
    """Whether names lie on each other, on each other's line, or lines cross."""
    if a.box.overlaps(b.box) or a.line and a.line.cuts(b.box) or b.line and b.line.cuts(a.box):
        return True
    return bool(a.line and b.line and a.line.crosses(b.line))
