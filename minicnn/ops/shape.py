"""Operations that move numbers without changing them: reshape, transpose, cat, stack, split, pad, shuffle, cast."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from ..autograd import Function
from ..device import is_array
from ..errors import ArgumentError, DtypeError, ShapeError
from ..kernels.layout import channels_last_full
from ..tensor import FLOATS, Tensor, as_tensor, check_dtype
from . import checks
from .registry import apply_op, register


@register("reshape")
class Reshape(Function):
    """The same elements, in logical (row-major) order, in another shape."""

    @staticmethod
    def forward(ctx, x, shape):
        ctx.shape = x.shape
        return x.reshape(shape)

    @staticmethod
    def backward(ctx, grad):
        return grad.reshape(ctx.shape)


@register("transpose")
class Transpose(Function):
    """Axes in another order."""

    @staticmethod
    def forward(ctx, x, axes):
        ctx.axes = axes
        return x.transpose(axes)

    @staticmethod
    def backward(ctx, grad):
        return grad.transpose(np.argsort(ctx.axes))


@register("cat")
class Cat(Function):
    """Several tensors one after another along an axis."""

    @staticmethod
    def forward(ctx, *xs, axis):
        ctx.axis, ctx.ends = axis, np.cumsum([x.shape[axis] for x in xs])[:-1].tolist()
        if xs[0].ndim == 4:  # keep channels side by side in memory
            last = (0, 3, 1, 2)[axis]  # where the axis stands in (N, H, W, C)
            return np.concatenate([x.transpose(0, 2, 3, 1) for x in xs], axis=last).transpose(0, 3, 1, 2)
        return np.concatenate(xs, axis=axis)

    @staticmethod
    def backward(ctx, grad):
        return tuple(np.split(grad, ctx.ends, axis=ctx.axis))


@register("pad")
class Pad(Function):
    """A constant border."""

    @staticmethod
    def forward(ctx, x, widths, value):
        ctx.inside = tuple(slice(before, before + n) for (before, _), n in zip(widths, x.shape))
        shape = [before + n + after for (before, after), n in zip(widths, x.shape)]
        y = channels_last_full(shape, value, x.dtype, like=x)
        y[ctx.inside] = x
        return y

    @staticmethod
    def backward(ctx, grad):
        return grad[ctx.inside]


@register("cast")
class Cast(Function):
    """Another floating dtype."""

    changes_dtype = True

    @staticmethod
    def forward(ctx, x, dtype):
        ctx.dtype = x.dtype
        return x.astype(dtype)

    @staticmethod
    def backward(ctx, grad):
        return grad.astype(ctx.dtype)


@register("clone")
class Clone(Function):
    """The same numbers in an array of their own."""

    @staticmethod
    def forward(ctx, x):
        return x.copy(order="K")

    @staticmethod
    def backward(ctx, grad):
        return grad


@register("channel_shuffle")
class ChannelShuffle(Function):
    """Channel i*(C/g) + j moves to j*g + i: a transpose of (g, C/g) (Zhang et al. 2018, ShuffleNet, section 3.1)."""

    @staticmethod
    def shuffle(x, rows):
        n, c, h, w = x.shape
        pixels = x.transpose(0, 2, 3, 1)  # (N, H, W, C)
        if isinstance(x, np.ndarray):  # copying a transpose, NumPy moves g numbers at a time: more than twice as slow
            return pixels.take(np.arange(c).reshape(rows, c // rows).T.reshape(-1), axis=3).transpose(0, 3, 1, 2)
        pixels = pixels.reshape(n, h, w, rows, c // rows)  # (N, H, W, g, C/g)
        return pixels.swapaxes(3, 4).reshape(n, h, w, c).transpose(0, 3, 1, 2)  # (N, C, H, W)

    @staticmethod
    def forward(ctx, x, groups):
        ctx.groups = groups
        return ChannelShuffle.shuffle(x, groups)

    @staticmethod
    def backward(ctx, grad):
        return ChannelShuffle.shuffle(grad, grad.shape[1] // ctx.groups)  # shuffling by C/g undoes shuffling by g


def reshape(x, *shape) -> Tensor:
    """``reshape(x, 2, -1)`` or ``reshape(x, (2, -1))``; one -1 is worked out."""
    x = as_tensor(x)
    shape = tuple(shape[0]) if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
    if any([not isinstance(n, (int, np.integer)) for n in shape]):
        raise ShapeError(f"reshape: a shape is made of whole numbers, got {shape}")
    known = math.prod([n for n in shape if n != -1])
    fits = shape.count(-1) <= 1 and (x.size % known == 0 if -1 in shape and known else known == x.size)
    if not fits or any([n < -1 for n in shape]):
        raise ShapeError(f"reshape: {x.size} elements of shape {x.shape} do not fill shape {shape}")
    return apply_op("reshape", x, shape=shape)


def flatten(x, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Axes ``start_dim`` to ``end_dim`` as one, in logical order (N, C, H, W) whatever the memory layout.

    >>> flatten(np.ones((2, 3, 4, 4)), 1).shape
    (2, 48)
    """
    x = as_tensor(x)
    if x.ndim == 0:
        return reshape(x, 1)
    start, end = checks.axis("flatten", start_dim, x.shape), checks.axis("flatten", end_dim, x.shape)
    if start > end:
        raise ShapeError(f"flatten: start_dim {start_dim} lies behind end_dim {end_dim} in shape {x.shape}")
    return reshape(x, (*x.shape[:start], int(np.prod(x.shape[start : end + 1], dtype=int)), *x.shape[end + 1 :]))


def transpose(x, *axes) -> Tensor:
    """``transpose(x)`` reverses the axes, ``transpose(x, 0, 2, 3, 1)`` orders all, ``transpose(x, 0, 1)`` swaps two.

    Two axes always swap, as in PyTorch; ``transpose(x, (0, 1))`` is an order, as in NumPy.
    """
    x = as_tensor(x)
    in_order = len(axes) == 1 and isinstance(axes[0], (tuple, list))
    axes = tuple(axes[0]) if in_order else axes
    if not axes:
        axes = tuple(reversed(range(x.ndim)))
    axes = tuple(checks.axis("transpose", a, x.shape) for a in axes)
    if len(axes) == 2 and not in_order and axes[0] != axes[1]:
        order = list(range(x.ndim))
        order[axes[0]], order[axes[1]] = axes[1], axes[0]
        axes = tuple(order)
    if sorted(axes) != list(range(x.ndim)):
        raise ShapeError(f"transpose: axes {axes} must name each of the {x.ndim} axes of shape {x.shape} once")
    return apply_op("transpose", x, axes=axes)


def permute(x, *axes) -> Tensor:
    """All axes in the given order."""
    return transpose(x, axes[0] if len(axes) == 1 and isinstance(axes[0], (tuple, list)) else axes)


def clone(x) -> Tensor:
    """A copy that hands its gradient on."""
    return apply_op("clone", as_tensor(x))


@checks.takes_dim
def squeeze(x, axis: int | None = None) -> Tensor:
    """Drop axes of length 1: all of them, or one."""
    x = as_tensor(x)
    if axis is not None and x.shape[checks.axis("squeeze", axis, x.shape)] != 1:
        raise ShapeError(f"squeeze: axis {axis} of shape {x.shape} is not of length 1")
    gone = range(x.ndim) if axis is None else (axis % x.ndim,)
    return reshape(x, tuple(n for i, n in enumerate(x.shape) if not (n == 1 and i in gone)))


@checks.takes_dim
def unsqueeze(x, axis: int) -> Tensor:
    """A new axis of length 1 at ``axis``."""
    x = as_tensor(x)
    if not isinstance(axis, (int, np.integer)) or not -x.ndim - 1 <= axis <= x.ndim:
        raise ShapeError(f"unsqueeze: a new axis of shape {x.shape} can stand at 0 to {x.ndim}, not at {axis!r}")
    axis %= x.ndim + 1
    return reshape(x, (*x.shape[:axis], 1, *x.shape[axis:]))


def _several(op: str, tensors) -> list[Tensor]:
    if isinstance(tensors, Tensor) or is_array(tensors) or not isinstance(tensors, Iterable):
        raise ArgumentError(
            f"{op} takes a list of tensors, got {type(tensors).__name__}: put them in brackets, {op}([a, b])"
        )
    tensors = [as_tensor(t) for t in tensors]
    if not tensors:
        raise ShapeError(f"{op}: there is nothing to join")
    return tensors


@checks.takes_dim
def cat(tensors: Sequence, axis: int = 0) -> Tensor:
    """Join tensors along an axis; all other axes must agree.

    >>> cat([[[1.0, 2.0]], [[3.0, 4.0]]], axis=1).tolist()
    [[1.0, 2.0, 3.0, 4.0]]
    """
    tensors = _several("cat", tensors)
    first = tensors[0].shape
    axis = checks.axis("cat", axis, first)
    for t in tensors[1:]:
        if len(t.shape) != len(first) or any(a != b for i, (a, b) in enumerate(zip(t.shape, first)) if i != axis):
            raise ShapeError(f"cat: shapes {first} and {t.shape} must agree on every axis but axis {axis}")
    return apply_op("cat", *tensors, axis=axis)


@checks.takes_dim
def stack(tensors: Sequence, axis: int = 0) -> Tensor:
    """Join tensors of one shape along a new axis.

    >>> stack([[1.0, 2.0], [3.0, 4.0]]).shape
    (2, 2)
    """
    tensors = _several("stack", tensors)
    if len({t.shape for t in tensors}) != 1:
        raise ShapeError(f"stack: the shapes must be equal, got {sorted({t.shape for t in tensors})}")
    return cat([unsqueeze(t, axis) for t in tensors], axis)


@checks.takes_dim
def split(x, sizes: int | Sequence[int], axis: int = 0) -> tuple[Tensor, ...]:
    """Pieces of ``sizes`` along an axis: an int for equal pieces (the last may be smaller), or their sizes in turn.

    >>> [piece.shape for piece in split(np.ones((5, 2)), 2)]
    [(2, 2), (2, 2), (1, 2)]
    """
    x = as_tensor(x)
    axis = checks.axis("split", axis, x.shape)
    length = x.shape[axis]
    if not isinstance(sizes, (list, tuple)):
        sizes = checks.whole("split", "the size of a piece", sizes)
        sizes = [min(sizes, length - start) for start in range(0, length, sizes)]
    sizes = [checks.whole("split", "the size of a piece", n, least=0) for n in sizes]
    if sum(sizes) != length:
        raise ShapeError(f"split: sizes {sizes} add up to {sum(sizes)}, but axis {axis} of {x.shape} has {length}")
    ends = np.cumsum(sizes)
    return tuple(x[(slice(None),) * axis + (slice(int(e - n), int(e)),)] for e, n in zip(ends, sizes))


def pad(x, padding: Sequence[int], value: float = 0.0) -> Tensor:
    """A border of ``value``, PyTorch's order: (left, right, top, bottom), last axis first; no negative widths.

    >>> pad(np.ones((1, 1, 1, 1)), (1, 1, 0, 0)).tolist()
    [[[[0.0, 1.0, 0.0]]]]
    """
    x = as_tensor(x)
    pairs = isinstance(padding, (list, tuple)) and len(padding) % 2 == 0 and len(padding) <= 2 * x.ndim
    if not pairs or any(not isinstance(p, (int, np.integer)) or p < 0 for p in padding):
        raise ArgumentError(
            f"pad: widths come in pairs >= 0 for the last axes, (left, right, top, bottom); got {padding!r} for "
            f"shape {x.shape}"
        )
    pairs = [(int(padding[i]), int(padding[i + 1])) for i in range(0, len(padding), 2)][::-1]
    return apply_op("pad", x, widths=[(0, 0)] * (x.ndim - len(pairs)) + pairs, value=value)


def channel_shuffle(x, groups: int) -> Tensor:
    """Mix the channels of ``groups`` groups (ShuffleNet); (N, C, H, W) with C divisible by ``groups``.

    >>> channel_shuffle(np.arange(6.0).reshape(1, 6, 1, 1), 2).data.ravel().tolist()
    [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]
    """
    x = as_tensor(x)
    if x.ndim != 4:
        raise ShapeError(f"channel_shuffle takes images (N, C, H, W), got shape {x.shape}")
    if x.shape[1] % checks.whole("channel_shuffle", "groups", groups):
        raise ShapeError(f"channel_shuffle: {x.shape[1]} channels do not divide into {groups} groups")
    return apply_op("channel_shuffle", x, groups=groups)


def cast(x, dtype) -> Tensor:
    """The tensor in another dtype; differentiable between floating dtypes."""
    x = as_tensor(x)
    dtype = check_dtype(dtype, "a device ('cpu', 'cuda', 'sim') or a dtype of numbers")
    if dtype == x.dtype:
        return x
    if x.requires_grad and dtype not in FLOATS:
        raise DtypeError(f"a tensor that requires a gradient cannot become {dtype}; detach() it first")
    return apply_op("cast", x, dtype=dtype)
