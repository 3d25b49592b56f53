"""A wrong gradient as a picture: what backward said, what finite differences say, and where the two differ."""

from __future__ import annotations

import numpy as np

from . import plots


def draw_error_map(error, path=None):
    """Analytic gradient, numeric gradient and difference side by side, the worst element circled."""
    a, n = error.analytic_gradient, error.numeric_gradient
    figure = plots.new_figure(13, 4.5)
    argument, diagnosis = plots.literal(error.argument), plots.literal(error.diagnosis.split(":")[0])
    figure.suptitle(f"gradient of {argument}, shape {a.shape}\n{diagnosis}", fontsize=11)
    panels = (("analytic (backward)", a), ("numeric (central difference)", n), ("difference", a - n))
    scale = _largest(n)
    for axes, (title, values) in zip(figure.subplots(1, 3), panels, strict=True):
        limit = scale if title != "difference" else _largest(values)
        tiles, (high, wide) = _as_tiles(values)
        axes.set_facecolor("lightgrey")  # not checked, and the gaps between maps
        picture = axes.imshow(tiles, cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")
        figure.colorbar(picture, ax=axes, shrink=0.8)
        row, column = _place_in_tiles(error.index, a.shape)
        axes.plot(column, row, "o", markersize=11, markerfacecolor="none", markeredgecolor="black", markeredgewidth=1.5)
        axes.set_title(title, fontsize=10)
        _label(axes, a.shape, high, wide)
    return plots.finish(figure, path)


def _largest(values: np.ndarray) -> float:
    """The largest finite magnitude; 1 if all are 0."""
    return float(np.max(np.abs(values), initial=0.0, where=np.isfinite(values))) or 1.0


def _as_four_axes(shape: tuple) -> tuple[int, int, int, int]:
    """A vector is one row, a matrix one map, three axes a row of maps, four a grid; more are merged in front."""
    if len(shape) > 4:
        return (int(np.prod(shape[:-3])), *shape[-3:])
    return (*(1,) * (4 - len(shape)), *shape)


def _as_tiles(values: np.ndarray) -> tuple[np.ndarray, tuple[int, int]]:
    """(N, C, H, W) as N rows of C maps, one empty line between maps; and a map's size."""
    four = values.reshape(_as_four_axes(values.shape))
    framed = np.pad(four, ((0, 0), (0, 0), (0, 1), (0, 1)), constant_values=np.nan)  # (N, C, H+1, W+1)
    n, c, h, w = framed.shape
    return framed.transpose(0, 2, 1, 3).reshape(n * h, c * w)[:-1, :-1], (h - 1, w - 1)


def _place_in_tiles(index: tuple, shape: tuple) -> tuple[int, int]:
    four = _as_four_axes(shape)
    n, c, h, w = np.unravel_index(np.ravel_multi_index(index, shape) if shape else 0, four)
    return n * (four[2] + 1) + h, c * (four[3] + 1) + w


def _label(axes, shape: tuple, high: int, wide: int) -> None:
    """Maps are counted at the sides of the grid; without a grid the elements are."""
    if len(shape) < 3:
        axes.set_xlabel(f"axis {max(len(shape) - 1, 0)}")
        axes.set_ylabel("axis 0" if len(shape) == 2 else "")
        if len(shape) < 2:
            axes.set_yticks([])
        return
    rows, columns = _as_four_axes(shape)[:2]
    for count, size, ticks in ((columns, wide, axes.set_xticks), (rows, high, axes.set_yticks)):
        shown = range(0, count, max(1, count // 8))
        ticks([k * (size + 1) + (size - 1) / 2 for k in shown], labels=[str(k) for k in shown])
    names = [f"axis {k}" for k in range(len(shape))]
    axes.set_xlabel(f"maps: {names[-3]} (inside: {names[-1]})")
    across = f"maps: {' x '.join(names[:-3])} (inside: {names[-2]})"
    axes.set_ylabel(across if len(shape) > 3 else f"inside: {names[-2]}")
