"""Arrays that have a shape and no numbers, also for NumPy's own functions.

Where kernels compute nothing (:mod:`.shapes`), the operations that are plain NumPy, such as ``a + b``, would still
compute, on zeros, and take the memory of their results. A :class:`Blank` answers them with a blank result instead,
through NumPy's two protocols for arrays of other kinds (NEP 13 and NEP 18).
"""

from __future__ import annotations

import numpy as np

from . import shapes


class Blank(np.ndarray):
    """A view whose strides are all 0; arithmetic, sums, copies and joins of it give blanks again."""

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **options):
        if method == "at":  # adds into an array; nobody asks for the numbers
            return None
        if out is not None and ufunc.signature is None:
            return out[0]
        if method == "__call__" and ufunc.nout == 1 and ufunc.signature is None:
            result = ufunc(*map(_one_number, inputs))  # for its dtype
            return blank(np.broadcast_shapes(*map(np.shape, inputs)), result.dtype)
        if method == "reduce":
            return _reduced(ufunc, inputs[0], **options)
        return getattr(ufunc, method)(*map(_plain, inputs), **options)

    def __array_function__(self, function, types, arguments, options):
        if function in RULES:
            return RULES[function](*arguments, **options)
        return super().__array_function__(function, types, arguments, options)

    def astype(self, dtype, *_, **__):
        return blank(self.shape, dtype)

    def copy(self, order="C"):
        return blank(self.shape, self.dtype)

    def __setitem__(self, index, value):
        if any(self.strides) or self.ndim == 0:
            super().__setitem__(index, value)


def blank(shape: tuple[int, ...], dtype) -> Blank:
    """:func:`.shapes.blank`, as a Blank."""
    return shapes.blank(shape, dtype).view(Blank)


def as_blank(array: np.ndarray | None) -> np.ndarray | None:
    """A view of kind Blank if the array has no numbers of its own; NumPy's others as they are.

    Of an array of another device only the shape is wanted here.
    """
    if array is not None and not isinstance(array, np.ndarray):
        return blank(array.shape, array.dtype)
    return array if array is None or any(array.strides) or array.size < 2 else array.view(Blank)


def _plain(value):
    return value.view(np.ndarray) if isinstance(value, Blank) else value


def _one_number(value):
    return np.zeros((), value.dtype) if isinstance(value, np.ndarray) else value


def _reduced(ufunc, array, axis=0, dtype=None, keepdims=False, **_):
    axes = range(array.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    axes = {a % array.ndim for a in axes}
    sides = [1 if i in axes else n for i, n in enumerate(array.shape) if keepdims or i not in axes]
    return blank(tuple(sides), ufunc.reduce(np.zeros(1, array.dtype), dtype=dtype).dtype)


def _concatenate(arrays, axis=0, **_):
    shape = list(arrays[0].shape)
    shape[axis] = sum(a.shape[axis] for a in arrays)
    return blank(tuple(shape), np.result_type(*(a.dtype for a in arrays)))


def _where(condition, x, y):
    shape = np.broadcast_shapes(*map(np.shape, (condition, x, y)))
    return blank(shape, np.where(True, _one_number(x), _one_number(y)).dtype)


RULES = {np.concatenate: _concatenate, np.where: _where}
