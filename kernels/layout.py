"""The one layout adapter: logical (N, C, H, W) arrays of any strides <-> what a fast room reads.

A tensor's *logical* shape is always (N, C, H, W), as in PyTorch. In memory the channels lie side by side
(N, H, W, C): a pixel's channels are then one contiguous run, which is what im2col copies and what BLAS multiplies
(measured: 1.1-1.35 of PyTorch's time against 1.3-2.7 channels-first). ``x.transpose(0, 2, 3, 1)`` of such an array is
C-contiguous, so handing it to a kernel costs nothing; anything else is copied here, once.

Weights (O, C, KH, KW) go the same way and arrive as (O, KH, KW, C).
"""

from __future__ import annotations

import numpy as np

from . import shapes
from .blanks import blank

IMAGE = "image"  # 4-d: (N, C, H, W) -> C-contiguous (N, H, W, C)
VECTOR = "vector"  # anything else: made C-contiguous, axes as they are
STATISTIC = "statistic"  # VECTOR, but it may be float64 beside float32 images
FLAT = "flat"  # element-wise: one dimension, in channels-last order if 4-d
UPDATED = "updated"  # FLAT, and changed in place


def _module(array):
    """The array module that an array belongs to: NumPy, or that of its device."""
    if isinstance(array, np.ndarray):
        return np
    from .cuda import backend

    return backend.module_of(array)


def channels_last(x: np.ndarray) -> np.ndarray:
    """The same numbers and the same logical (N, C, H, W) shape, with channels side by side in memory."""
    xp = _module(x)
    if x.ndim != 4:
        return xp.asarray(x, order="C")
    return xp.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)  # (N, C, H, W)


def channels_last_full(shape, value: float, dtype: np.dtype, like: np.ndarray) -> np.ndarray:
    """A new array of one value, of the logical ``shape``, channels side by side in memory if it is 4-d.

    It lives where ``like`` does, an array of any device.
    """
    if shapes.wanted():
        return blank(tuple(shape), dtype)
    if len(shape) != 4:
        return np.full_like(like, value, dtype, order="C", shape=shape)
    n, c, h, w = shape
    return np.full_like(like, value, dtype, order="C", shape=(n, h, w, c)).transpose(0, 3, 1, 2)  # (N, C, H, W)


def add(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a + b, in the memory layout of the images that they are.

    NumPy's sums keep the layout of what is added. CuPy's lie in C order (cupy#7342), and every residual connection
    would cost the next kernel a copy, so there the same numbers are added with the axes turned.
    """
    if isinstance(a, np.ndarray) or a.ndim != 4 or a.shape != b.shape:
        return a + b
    return (a.transpose(0, 2, 3, 1) + b.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)  # (N, C, H, W)


def to_room(array: np.ndarray | None, role: str, dtype: np.dtype, xp=np) -> np.ndarray:
    """One argument as a fast room reads it. ``None`` becomes an array of size 0, which compiled code can test."""
    if array is None:
        return xp.empty(0, dtype)
    if role == IMAGE or (role in (FLAT, UPDATED) and array.ndim == 4):
        array = array.transpose(0, 2, 3, 1)  # (N, H, W, C)
    array = xp.ascontiguousarray(array)
    if (
        xp is np and not array.flags.writeable
    ):  # another type to a compiler, for which it would compile everything again
        array = array.copy()
    return array.reshape(-1) if role in (FLAT, UPDATED) else array


def _is_copy(adapted, array) -> bool:
    """Whether :func:`to_room` had to copy, so that what a kernel writes does not reach the caller's array."""
    if isinstance(array, np.ndarray):
        return not np.may_share_memory(array, adapted)
    return array.data.ptr != adapted.data.ptr


def from_room(result: np.ndarray, role: str, like: np.ndarray) -> np.ndarray:
    """One result as the caller reads it: logical axes, a view. ``like`` is the first argument, for FLAT's shape."""
    if role == IMAGE:
        return result.transpose(0, 3, 1, 2)  # (N, C, H, W)
    if role == FLAT and like.ndim == 4:
        n, c, h, w = like.shape
        return result.reshape(n, h, w, c).transpose(0, 3, 1, 2)  # (N, C, H, W)
    return result.reshape(like.shape) if role == FLAT else result


def run_in_room(function, arrays: list, options: tuple, keywords: dict, roles: tuple, results: tuple):
    """Call a fast room's function on adapted arrays; write copies of UPDATED arguments back; adapt the results."""
    like = arrays[0]
    xp = _module(like)
    adapted = [to_room(a, role, like.dtype, xp) for a, role in zip(arrays, roles)]
    out = function(*adapted, *options, **keywords)
    if UPDATED in roles:
        for array, used, role in zip(arrays, adapted, roles):
            if role == UPDATED and array is not None and _is_copy(used, array):
                array[...] = from_room(used, FLAT, array)
    if len(results) == 0:
        return None
    if len(results) == 1:
        return from_room(out, results[0], like)
    return tuple(from_room(one, role, like) for one, role in zip(out, results))
