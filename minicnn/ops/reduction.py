"""Sums, means and extremes over axes. float32 sums accumulate in float64: along channels-last memory NumPy's own lose
digits (the variance of 64x64x56x56 values near 100 was 8.7 % off)."""

from __future__ import annotations

import numpy as np

from ..autograd import Function
from ..device import plain_array
from ..errors import ArgumentError, ShapeError
from ..tensor import Tensor, as_tensor
from . import checks
from .registry import apply_op, register


def _as_if_kept(reduced: np.ndarray, shape: tuple, axes: tuple) -> np.ndarray:
    """A reduced array with the reduced axes back as 1, so that it broadcasts over ``shape``."""
    return reduced.reshape(tuple(1 if i in axes else n for i, n in enumerate(shape)))


@register("sum")
class Sum(Function):
    """y = sum of x over axes"""

    @staticmethod
    def forward(ctx, x, axes, keepdims):
        ctx.shape, ctx.axes = x.shape, axes
        if x.dtype.kind != "f":
            return x.sum(axes, keepdims=keepdims)  # counts of booleans and sums of bytes are int64, NumPy's rule
        return x.sum(axes, dtype=np.float64, keepdims=keepdims).astype(x.dtype)

    @staticmethod
    def backward(ctx, grad):
        return np.broadcast_to(_as_if_kept(grad, ctx.shape, ctx.axes), ctx.shape)


@register("mean")
class Mean(Function):
    """y = sum of x over axes / their number of elements"""

    @staticmethod
    def forward(ctx, x, axes, keepdims):
        ctx.shape, ctx.axes = x.shape, axes
        dtype = x.dtype if x.dtype.kind == "f" else np.float32  # (predicted == labels).mean() is an accuracy
        return x.mean(axes, dtype=np.float64, keepdims=keepdims).astype(dtype)

    @staticmethod
    def backward(ctx, grad):
        count = np.prod([ctx.shape[a] for a in ctx.axes], dtype=int)
        share = grad / grad.dtype.type(count)
        return np.broadcast_to(_as_if_kept(share, ctx.shape, ctx.axes), ctx.shape)


@register("max")
class Max(Function):
    """y = largest x over axes; equal maxima share the gradient, as PyTorch's amax does"""

    @staticmethod
    def forward(ctx, x, axes, keepdims):
        y = x.max(axes, keepdims=keepdims)
        ctx.axes = axes
        ctx.save_for_backward(x, y)
        return y

    @staticmethod
    def backward(ctx, grad):
        x, y = ctx.saved
        wins = x == _as_if_kept(y, x.shape, ctx.axes)
        winners = wins.sum(ctx.axes, keepdims=True, dtype=grad.dtype)
        return wins * (_as_if_kept(grad, x.shape, ctx.axes) / winners)


@register("min")
class Min(Max):
    """y = smallest x over axes; backward as Max's"""

    @staticmethod
    def forward(ctx, x, axes, keepdims):
        y = x.min(axes, keepdims=keepdims)
        ctx.axes = axes
        ctx.save_for_backward(x, y)
        return y


def _axes(x: Tensor, axis, name: str) -> tuple[int, ...]:
    """``axis`` (None, an int, or several) as a sorted tuple of axes >= 0."""
    axes = range(x.ndim) if axis is None else axis if isinstance(axis, (tuple, list)) else (axis,)
    axes = tuple(sorted(checks.axis(name, a, x.shape) for a in axes))
    if len(set(axes)) < len(axes):
        raise ShapeError(f"{name}: axis {axis!r} names an axis of shape {x.shape} twice")
    return axes


def _not_empty(x: Tensor, axes: tuple, name: str) -> tuple[int, ...]:
    if any(x.shape[a] == 0 for a in axes):
        raise ShapeError(f"{name} over an empty axis: shape {x.shape}")
    return axes


@checks.takes_dim
def sum(x, axis=None, keepdims: bool = False) -> Tensor:  # noqa: A001 - NumPy's name
    """Sum over ``axis`` (an int, several, or None for all)."""
    x = as_tensor(x)
    return apply_op("sum", x, axes=_axes(x, axis, "sum"), keepdims=keepdims)


@checks.takes_dim
def mean(x, axis=None, keepdims: bool = False) -> Tensor:
    """Mean over ``axis``."""
    x = as_tensor(x)
    return apply_op("mean", x, axes=_not_empty(x, _axes(x, axis, "mean"), "mean"), keepdims=keepdims)


@checks.takes_dim
def var(x, axis=None, keepdims: bool = False, ddof: int = 0) -> Tensor:
    """Variance about the mean over ``axis``, divided by n - ddof (``ddof=0``: biased, NumPy's default)."""
    x = as_tensor(x)
    axes = _axes(x, axis, "var")
    count = int(np.prod([x.shape[a] for a in axes]))
    if not 0 <= ddof < count:
        raise ArgumentError(f"var: ddof must be 0 or more and below the number of values, {count}, got {ddof!r}")
    centred = x - mean(x, axes, keepdims=True)
    return sum(centred * centred, axes, keepdims) / float(count - ddof)


@checks.takes_dim
def max(x, axis=None, keepdims: bool = False) -> Tensor:  # noqa: A001
    """Largest element over ``axis``; equal maxima share the gradient."""
    x = as_tensor(x)
    return apply_op("max", x, axes=_not_empty(x, _axes(x, axis, "max"), "max"), keepdims=keepdims)


@checks.takes_dim
def min(x, axis=None, keepdims: bool = False) -> Tensor:  # noqa: A001
    """Smallest element over ``axis``; equal minima share the gradient."""
    x = as_tensor(x)
    return apply_op("min", x, axes=_not_empty(x, _axes(x, axis, "min"), "min"), keepdims=keepdims)


@checks.takes_dim
def argmax(x, axis=None, keepdims: bool = False) -> Tensor:
    """Index of the largest element (the first, if several), int64, without history."""
    x = as_tensor(x)
    _not_empty(x, _axes(x, axis, "argmax"), "argmax")
    return Tensor(plain_array(x.data.argmax(axis, keepdims=keepdims)))
