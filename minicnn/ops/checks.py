"""Bring options into normal form, and say clearly what is wrong with them.

Every call of an operation comes through here, so what options mostly are, Python's own ints, is looked at first.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np

from ..errors import ArgumentError, DtypeError, ShapeError
from ..tensor import Tensor

COMPUTED = (np.dtype("float32"), np.dtype("float64"))


def takes_dim(function: Callable) -> Callable:
    """Decorator: PyTorch's keywords ``dim`` and ``keepdim`` mean NumPy's ``axis`` and ``keepdims``."""

    @functools.wraps(function)
    def renamed(*args, **options):
        for theirs, ours in (("dim", "axis"), ("keepdim", "keepdims")):
            if theirs in options:
                options[ours] = options.pop(theirs)
        for nothing in ("out", "dtype"):  # np.sum(x) calls x.sum(axis=None, dtype=None, out=None)
            if options.get(nothing, 0) is None:
                del options[nothing]
        return function(*args, **options)

    return renamed


def whole(op: str, name: str, value, least: int = 1) -> int:
    """A whole number >= ``least``."""
    if type(value) is int and value >= least:
        return value
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < least:
        raise ArgumentError(f"{op}: {name} must be a whole number >= {least}, got {value!r}")
    return int(value)


def number(op: str, name: str, value, low: float = 0, high: float = np.inf, what: str = "a finite number") -> float:
    """A finite number, ``low`` <= it <= ``high``."""
    real = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    if not real or not (low <= value <= high and math.isfinite(value)):
        bounds = f">= {low}" if high == np.inf else f"from {low} to {high}"
        raise ArgumentError(f"{op}: {name} must be {what} {bounds}, got {value!r}")
    return float(value)


def flag(op: str, name: str, value) -> bool:
    """True or False, and nothing that merely counts as one of them."""
    if not isinstance(value, (bool, np.bool_)):
        raise ArgumentError(f"{op}: {name} must be True or False, got {value!r}")
    return bool(value)


def choice(op: str, name: str, value, choices):
    """One of a few numbers or strings."""
    plain = isinstance(value, (int, float, str, np.number)) and not isinstance(value, bool)
    if not plain or value not in choices:
        raise ArgumentError(f"{op}: {name} must be one of {', '.join(map(str, choices))}, got {value!r}")
    return value


def axis(op: str, value, shape: tuple[int, ...]) -> int:
    """An axis of ``shape``, counted from the front."""
    if not isinstance(value, (int, np.integer)) or not -len(shape) <= value < len(shape):
        raise ShapeError(f"{op}: there is no axis {value!r} in a tensor of shape {shape}, which has {len(shape)} axes")
    return int(value) % len(shape)


def computable(op: str, *tensors: Tensor | None) -> None:
    """Kernels compute in float32 and float64."""
    for t in tensors:
        if t is not None and t.dtype not in COMPUTED:
            pixels = ", pixels of 0 to 255 with x.to('float32') / 255" if t.dtype == np.uint8 else ""
            raise DtypeError(
                f"{op} computes in float32 or float64, got {t.dtype}: convert with x.to('float32'){pixels}"
            )


def images(op: str, x: Tensor) -> None:
    """(N, C, H, W), in a dtype that kernels compute in."""
    if x.ndim != 4:
        hint = {3: "; add the batch axis with x.unsqueeze(0)", 2: "; give it its axes with x.reshape(n, c, h, w)"}
        raise ShapeError(f"{op} takes images (N, C, H, W), got shape {x.shape}{hint.get(x.ndim, '')}")
    computable(op, x)


def pair(op: str, name: str, value, least: int = 1) -> tuple[int, int]:
    """An int, or one for rows and one for columns, as a pair of ints >= ``least``."""
    if type(value) is int and value >= least:
        return value, value
    values = (value, value) if isinstance(value, (int, np.integer)) else value
    good = isinstance(values, (tuple, list)) and len(values) == 2
    if not good or any([not isinstance(v, (int, np.integer)) or isinstance(v, bool) or v < least for v in values]):
        raise ArgumentError(f"{op}: {name} must be a whole number >= {least}, or a pair of them, got {value!r}")
    return int(values[0]), int(values[1])


def sides(op: str, padding, kernel_size: tuple, stride: tuple, dilation: tuple) -> tuple[int, int, int, int]:
    """Padding as (top, bottom, left, right), from an int, (rows, columns), all four, ``"valid"`` or ``"same"``."""
    if type(padding) is int and padding >= 0:
        return (padding,) * 4
    if padding == "valid":
        return (0, 0, 0, 0)
    if padding == "same":
        if stride != (1, 1):
            raise ArgumentError(f"{op}: padding='same' keeps the size with stride 1 only, got stride={stride}")
        total = [d * (k - 1) for d, k in zip(dilation, kernel_size)]  # an odd total puts the larger half last
        return (total[0] // 2, total[0] - total[0] // 2, total[1] // 2, total[1] - total[1] // 2)
    values = (padding,) * 4 if isinstance(padding, (int, np.integer)) else padding
    if isinstance(values, (tuple, list)) and len(values) == 2:
        values = (values[0], values[0], values[1], values[1])
    good = isinstance(values, (tuple, list)) and len(values) == 4
    if not good or any([not isinstance(v, (int, np.integer)) or v < 0 for v in values]):
        raise ArgumentError(
            f"{op}: padding must be a whole number >= 0, (rows, columns), (top, bottom, left, right), 'same' or "
            f"'valid'; got {padding!r}"
        )
    return tuple(map(int, values))


def output_size(
    op: str, x: Tensor | np.ndarray, kernel_size, stride, padding, dilation, ceil_mode: bool = False
) -> tuple[int, int]:
    """(OH, OW) = floor((H + padding - dilation (K-1) - 1) / stride) + 1; a kernel that does not fit is an error.

    ``ceil_mode`` rounds up, but never starts a window in the padding at the far end (PyTorch's rule).
    """
    _, _, h, w = x.shape
    top, bottom, left, right = padding
    return (
        _output_side(op, x, "high", h, kernel_size[0], stride[0], top, bottom, dilation[0], ceil_mode),
        _output_side(op, x, "wide", w, kernel_size[1], stride[1], left, right, dilation[1], ceil_mode),
    )


def _output_side(op, x, axis, size, k, stride, before, after, dilation, ceil_mode) -> int:
    span = dilation * (k - 1) + 1
    room = size + before + after - span
    if room < 0:
        dilated = f" (spread to {span} by dilation {dilation})" if dilation > 1 else ""
        raise ShapeError(
            f"{op}: a kernel {k} {axis}{dilated} does not fit an image {size} {axis} with padding {before} + "
            f"{after}; the image must be at least {span - before - after} {axis}: input shape {x.shape}"
        )
    n = (-(-room // stride) if ceil_mode else room // stride) + 1
    return n - 1 if ceil_mode and (n - 1) * stride >= size + before else n
