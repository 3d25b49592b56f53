"""Where a gradient is wrong: diagnoses that look at which elements are, not at what they are."""

from __future__ import annotations

import numpy as np

from .gradcheck_findings import Findings, fraction


def only_at_border(f: Findings) -> str | None:
    if f.wrong.ndim < 3 or min(f.shape[-2:]) < 3:
        return None
    rows, columns = f.box[-2], f.box[-1]
    edge = np.minimum(
        np.minimum(rows, f.shape[-2] - 1 - rows)[:, None], np.minimum(columns, f.shape[-1] - 1 - columns)[None, :]
    )  # (rows, columns): steps to the nearest side
    flat = f.wrong.reshape(-1, *edge.shape)
    width = int(edge[flat.any(0)].max()) + 1
    if not (edge >= width).any():
        return None
    sides = {"top": flat[:, 0], "bottom": flat[:, -1], "left": flat[:, :, 0], "right": flat[:, :, -1]}
    bad = [name for name, side in sides.items() if side.mean() >= 0.5]
    if not bad:
        return None
    return (
        f"wrong only at the border ({', '.join(bad)}; up to {width} from the side), right inside: look at the "
        f"padding, and at windows that reach over the image"
    )


def only_some_values_of_a_vector(f: Findings) -> str | None:
    """Before channels: a vector has no other axis to tell them by."""
    return only_some_values(f) if f.wrong.ndim == 1 else None


def only_some_channels(f: Findings) -> str | None:
    """All wrong elements lie in some indices of one axis, and most elements there are wrong."""
    image = f.wrong.ndim > 1 and _axis_0_is_the_batch(f)
    for axis in [1, 0, *range(2, f.wrong.ndim)] if image else range(f.wrong.ndim):
        others = tuple(k for k in range(f.wrong.ndim) if k != axis)
        here = f.wrong.any(others)
        if here.all() or f.wrong.mean(others)[here].min() < 0.5:
            continue
        which = f.box[axis][here]
        run = which[-1] - which[0] + 1 == len(which)
        if f.wrong.ndim == 1 and not run and len(which) > len(here) / 3:
            continue  # a vector's scattered elements are no channels
        what = "samples of the batch" if image and axis == 0 else _name_of(axis, f.wrong.ndim)
        text = f"only for some {what}: axis {axis}, index {', '.join(map(str, which))} of {f.shape[axis]}"
        size = len(which)
        if run and size > 1 and f.shape[axis] % size == 0 and which[0] % size == 0:
            text += f" (a run: group {which[0] // size} of {f.shape[axis] // size}?)"
        return f"{text}; the others are right{_factor_there(f)}"
    return None


def _name_of(axis: int, ndim: int) -> str:
    """What an axis counts, in images (N, C, H, W) and weights (O, C, KH, KW) alike."""
    if ndim == 1:
        return "elements"
    return ("rows", "columns")[axis - 2] if ndim == 4 and axis >= 2 else "channels"


def _axis_0_is_the_batch(f: Findings) -> bool:
    """Sample n of the argument goes into sample n of the output and into no other."""
    if f.upstream.ndim == 0 or f.upstream.shape[0] != f.shape[0]:
        return False
    sample = f.box[0][np.unravel_index(f.rows, f.wrong.shape)[0]]  # (rows,)
    touched = (~f.near(f.parts, 0)).reshape(len(sample), f.shape[0], -1).any(2)  # (rows, N)
    return not (touched & (np.arange(f.shape[0]) != sample[:, None])).any()


def _factor_there(f: Findings) -> str:
    a, n = f.analytic[f.wrong], f.numeric[f.wrong]
    c = (a * n).sum() / (n * n).sum()
    if len(a) < 2 or not f.near(a, c * n).all():
        return ""
    return "; there the gradient is zero" if c == 0 else f"; there analytic = {fraction(c)} * numeric"


def only_some_values(f: Findings) -> str | None:
    wrong, right = f.values[f.wrong], f.values[~f.wrong & ~f.kinks]
    if min(len(wrong), len(right)) < 3:
        return None
    if wrong.max() < right.min():
        where = f"{f.argument} < {right.min():.4g}"
    elif wrong.min() > right.max():
        where = f"{f.argument} > {right.max():.4g}"
    else:
        return None
    return f"only for some values: wrong where {where}{_factor_there(f)}; look at that branch"
