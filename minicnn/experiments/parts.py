"""What several experiments share."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

from ..label_placement import Box, Circle, place_labels


def tidy(*panels) -> None:
    """Axes without the lines above and to the right."""
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)


def name_points(axes, names: Sequence[str], xs: Sequence[float], ys: Sequence[float]) -> None:
    """Write a name beside each point of a scatter, where nothing else is; a line leads to those that are far off.

    The axes must have their place and their limits already.
    """
    figure = axes.figure
    points = 72 / figure.dpi
    renderer = figure.canvas.get_renderer()
    dots = [Circle(float(x), float(y), 3.5) for x, y in axes.transData.transform(list(zip(xs, ys))) * points]
    texts = [figure.text(0, 0, name, fontsize=7) for name in names]
    sizes = [(e.width * points + 2, e.height * points) for e in (t.get_window_extent(renderer) for t in texts)]
    for text in texts:
        text.remove()
    frame = axes.get_window_extent()
    places = place_labels(dots, sizes, Box(*(v * points for v in frame.extents)))
    to_data = axes.transData.inverted()
    for name, dot, place in zip(names, dots, places):
        if place is None:
            continue
        middle = (place.box.left + place.box.right) / 2, (place.box.bottom + place.box.top) / 2
        axes.text(*to_data.transform(np.divide(middle, points)), name, fontsize=7, ha="center", va="center")
        if place.line is not None:
            ends = np.divide([(place.line.x0, place.line.y0), (dot.x, dot.y)], points)
            axes.plot(*to_data.transform(ends).T, color="0.4", linewidth=0.6, scalex=False, scaley=False)


def largest(values: Sequence[float | None]) -> float | None:
    """None if one of them is: the largest of numbers that are not all known is not known.

    >>> largest([1.0, 3.0]), largest([1.0, None])
    (3.0, None)
    """
    return None if any(v is None for v in values) else max(values)


def furthest(a: np.ndarray, b: np.ndarray) -> float:
    """Largest |a - b|, in units of the largest |b|; 0 only if all numbers are the same."""
    return float(np.abs(a - b).max() / np.abs(b).max())


def milliseconds(call: Callable[[], object], repeats: int = 5) -> float:
    """The shortest of several runs, after one that does not count (kernels compile, memory is fetched)."""
    call()
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return 1000 * min(taken)
