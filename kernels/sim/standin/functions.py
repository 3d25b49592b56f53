"""CuPy's functions over whole arrays: reductions, products, sorting, searching. Parameters as CuPy's."""

from __future__ import annotations

import numpy as np

from . import records
from .array import ndarray
from .border import array_operand, computed, operand
from .indices import index_operand

__all__ = (
    "all allclose amax amin any argmax argmin argsort argwhere around array_equal average bincount clip count_nonzero "
    "cumprod cumsum diff dot einsum flatnonzero inner isclose isin matmul max mean median min nan_to_num nanmax "
    "nanmin nansum nonzero outer percentile prod ptp put_along_axis round searchsorted sort std sum take "
    "take_along_axis tensordot trace unique unravel_index var vdot where"
).split()


def sum(a, axis=None, dtype=None, out=None, keepdims=False):
    return _array(a).sum(axis, dtype, out, keepdims)


def prod(a, axis=None, dtype=None, out=None, keepdims=False):
    return _array(a).prod(axis, dtype, out, keepdims)


def mean(a, axis=None, dtype=None, out=None, keepdims=False):
    return _array(a).mean(axis, dtype, out, keepdims)


def var(a, axis=None, dtype=None, out=None, ddof=0, keepdims=False):
    return _array(a).var(axis, dtype, out, ddof, keepdims)


def std(a, axis=None, dtype=None, out=None, ddof=0, keepdims=False):
    return _array(a).std(axis, dtype, out, ddof, keepdims)


def max(a, axis=None, out=None, keepdims=False):
    return _array(a).max(axis, out, keepdims)


def min(a, axis=None, out=None, keepdims=False):
    return _array(a).min(axis, out, keepdims)


amax, amin = max, min


def ptp(a, axis=None, out=None, keepdims=False):
    return _array(a).ptp(axis, out, keepdims)


def argmax(a, axis=None, dtype=None, out=None, keepdims=False):
    return _array(a).argmax(axis, out, dtype, keepdims)


def argmin(a, axis=None, dtype=None, out=None, keepdims=False):
    return _array(a).argmin(axis, out, dtype, keepdims)


def any(a, axis=None, out=None, keepdims=False):
    return _array(a).any(axis, out, keepdims)


def all(a, axis=None, out=None, keepdims=False):
    return _array(a).all(axis, out, keepdims)


def nansum(a, axis=None, dtype=None, out=None, keepdims=False):
    return computed(np.nansum, array_operand(a), axis, dtype, keepdims=keepdims, out=out)


def nanmax(a, axis=None, out=None, keepdims=False):
    return computed(np.nanmax, array_operand(a), axis, keepdims=keepdims, out=out)


def nanmin(a, axis=None, out=None, keepdims=False):
    return computed(np.nanmin, array_operand(a), axis, keepdims=keepdims, out=out)


def median(a, axis=None, out=None, overwrite_input=False, keepdims=False):
    return computed(np.median, array_operand(a), axis, keepdims=keepdims, out=out)


def percentile(
    a, q, axis=None, out=None, overwrite_input=False, method="linear", keepdims=False, *, interpolation=None
):
    method = interpolation or method
    return computed(np.percentile, array_operand(a), operand(q), axis, method=method, keepdims=keepdims, out=out)


def average(a, axis=None, weights=None, returned=False, *, keepdims=False):
    weights = None if weights is None else array_operand(weights)
    return computed(np.average, array_operand(a), axis, weights, returned, keepdims=keepdims)


def cumsum(a, axis=None, dtype=None, out=None):
    return _array(a).cumsum(axis, dtype, out)


def cumprod(a, axis=None, dtype=None, out=None):
    return _array(a).cumprod(axis, dtype, out)


def diff(a, n=1, axis=-1, prepend=None, append=None):
    ends = {name: array_operand(x) for name, x in (("prepend", prepend), ("append", append)) if x is not None}
    return computed(np.diff, array_operand(a), n, axis, **ends)


def trace(a, offset=0, axis1=0, axis2=1, dtype=None, out=None):
    return _array(a).trace(offset, axis1, axis2, dtype, out)


def count_nonzero(a, axis=None):
    return computed(np.count_nonzero, array_operand(a), axis)


# -------------------------------------------------------------------- element by element
def clip(a, a_min, a_max, out=None):
    return _array(a).clip(a_min, a_max, out)


def round(a, decimals=0, out=None):
    return _array(a).round(decimals, out)


around = round


def where(condition, x=None, y=None):
    """Elements of x or y; with the condition alone, where it is true."""
    if (x is None) != (y is None):
        raise ValueError("Must provide both 'x' and 'y' or neither.")
    if x is None:
        return nonzero(condition)
    return computed(np.where, operand(condition), operand(x), operand(y))


def nan_to_num(x, copy=True, nan=0.0, posinf=None, neginf=None):
    return computed(np.nan_to_num, array_operand(x), nan=nan, posinf=posinf, neginf=neginf, out=None if copy else x)


def isclose(a, b, rtol=1e-05, atol=1e-08, equal_nan=False):
    return computed(np.isclose, operand(a), operand(b), rtol, atol, equal_nan)


def allclose(a, b, rtol=1e-05, atol=1e-08, equal_nan=False):
    """A 0-d device array; ``if`` makes it a copy to the host."""
    return isclose(a, b, rtol, atol, equal_nan).all()


def array_equal(a1, a2, equal_nan=False):
    return computed(np.array_equal, array_operand(a1), array_operand(a2), equal_nan)


# -------------------------------------------------------------------- products
def matmul(
    *args, axes=None, axis=None, keepdims=False, casting="same_kind", dtype=None, signature=None, order="K", out=None
):
    """The matrix product, a batch of them if there are more than two axes; ``out`` may be given."""
    if axes is not None or axis is not None or keepdims or signature is not None:
        raise TypeError("matmul: axes, axis, keepdims and signature are not part of the stand-in")
    if len(args) == 3 and out is None:
        args, out = args[:2], args[2]
    if len(args) != 2:
        raise TypeError(f"matmul takes two arrays, got {len(args)}")
    keywords = {} if dtype is None else {"dtype": dtype, "casting": casting}
    return computed(np.matmul, *map(array_operand, args), out=out, casting=casting, **keywords)


def dot(a, b, out=None):
    return computed(np.dot, operand(a), operand(b), out=out)


def vdot(a, b):
    return computed(np.vdot, array_operand(a), array_operand(b))


def inner(a, b):
    return computed(np.inner, array_operand(a), array_operand(b))


def outer(a, b, out=None):
    return computed(np.outer, array_operand(a), array_operand(b), out=out)


def tensordot(a, b, axes=2):
    return computed(np.tensordot, array_operand(a), array_operand(b), axes)


def einsum(*operands, **kwargs):
    """``einsum("ij,jk->ik", a, b)``; ``optimize``, ``dtype`` and ``out`` as NumPy's."""
    if not isinstance(operands[0], str):
        raise TypeError("einsum: the first argument must be the subscripts")
    return computed(np.einsum, operands[0], *map(array_operand, operands[1:]), **kwargs)


# -------------------------------------------------------------------- order and places
def sort(a, axis=-1, kind=None):
    return computed(np.sort, array_operand(a), axis, kind="stable")


def argsort(a, axis=-1, kind=None):
    return _array(a).argsort(axis, kind)


def searchsorted(a, v, side="left", sorter=None):
    return _array(a).searchsorted(v, side, sorter)


def nonzero(a) -> tuple[ndarray, ...]:
    return _array(a).nonzero()


def flatnonzero(a) -> ndarray:
    records.waited_for("flatnonzero")
    return computed(np.flatnonzero, array_operand(a))


def argwhere(a) -> ndarray:
    records.waited_for("argwhere")
    return computed(np.argwhere, array_operand(a))


def unique(ar, return_index=False, return_inverse=False, return_counts=False, axis=None, *, equal_nan=True):
    ar = array_operand(ar)
    records.waited_for("unique")
    return computed(np.unique, ar, return_index, return_inverse, return_counts, axis, equal_nan=equal_nan)


def bincount(x, weights=None, minlength=None):
    records.waited_for("bincount")
    return computed(np.bincount, array_operand(x), None if weights is None else array_operand(weights), minlength or 0)


def isin(element, test_elements, assume_unique=False, invert=False):
    return computed(np.isin, array_operand(element), array_operand(test_elements), assume_unique, invert=invert)


def take(a, indices, axis=None, out=None):
    return _array(a).take(indices, axis, out)


def take_along_axis(a, indices, axis):
    return computed(np.take_along_axis, array_operand(a), array_operand(indices), axis)


def put_along_axis(arr, indices, values, axis) -> None:
    array_operand(arr)
    records.operation("put_along_axis")
    np.put_along_axis(arr._host, array_operand(indices), operand(values), axis)
    written = np.zeros(arr.shape, np.bool_)
    np.put_along_axis(written, array_operand(indices), True, axis)
    arr._written(written)


def unravel_index(indices, dims, order="C"):
    return computed(np.unravel_index, index_operand(indices), dims, order)


def _array(a) -> ndarray:
    array_operand(a)
    return a
