"""Copies, reductions and sorting as methods of the array class, with CuPy's parameters."""

from __future__ import annotations

import numpy as np

from . import records
from .border import array_operand, computed, copied, operand
from .indices import index_operand
from .storage import checked_dtype, checked_shape, mark_written


def laid_out_like(host: np.ndarray, dtype=None, order: str | None = "K", shape=None):
    """New device memory for an array like ``host``; "K" keeps the order of the axes in memory."""
    from .array import ndarray  # it needs this module first

    dtype = host.dtype if dtype is None else checked_dtype(dtype)
    order = "K" if order is None else order.upper()
    if order not in ("C", "F", "A", "K"):
        raise ValueError(f"order not understood: {order}")
    shape = host.shape if shape is None else checked_shape(shape)
    if order == "A" or host.flags.forc or len(shape) != host.ndim:
        order = "F" if order == "F" or (order != "C" and host.flags.fnc) else "C"
    if order in ("C", "F"):
        return ndarray(shape, dtype, order=order)
    axes = sorted(range(host.ndim), key=lambda axis: -abs(host.strides[axis]))  # stable; outermost first
    array = ndarray(tuple(shape[axis] for axis in axes), dtype)
    array._host = array._host.transpose(np.argsort(axes))
    return array


class Methods:
    """Mixed into the array class."""

    # ---------------------------------------------------------------- copies
    def copy(self, order="C"):
        return self.astype(self.dtype, order=order)

    def astype(self, dtype, order="K", casting=None, subok=None, copy=True):
        """A copy in another dtype; the array itself if ``copy=False`` and nothing would change."""
        dtype = checked_dtype(dtype)
        order = (order or "K").upper()
        fits = {"C": self.flags.c_contiguous, "F": self.flags.f_contiguous, "A": self.flags.forc, "K": True}
        if order not in fits:
            raise ValueError(f"order not understood: {order}")
        if not copy and dtype == self.dtype and fits[order]:
            return self
        if casting is not None and not np.can_cast(self.dtype, dtype, casting):
            raise TypeError(f"Cannot cast array data from {self.dtype} to {dtype} according to the rule {casting!r}")
        records.operation("copy")
        new = laid_out_like(self._host, dtype, order)
        with np.errstate(all="ignore"):
            new._host[...] = self._host
        new._written()
        return new

    def flatten(self, order="C"):
        return copied(self._host.flatten(order))

    def ravel(self, order="C"):
        return self._view_or_copy(self._host.ravel(order))

    def repeat(self, repeats, axis=None):
        if not isinstance(repeats, (int, list, tuple, np.integer)):
            repeats = array_operand(repeats)
            records.waited_for("repeat", repeats.nbytes)
        return computed(np.repeat, self._host, repeats, axis)

    def take(self, indices, axis=None, out=None):
        return computed(np.take, self._host, index_operand(indices), axis, out=out)

    # ---------------------------------------------------------------- reductions: 0-d device arrays for one number
    def sum(self, axis=None, dtype=None, out=None, keepdims=False):
        return computed(self._host.sum, axis, dtype, keepdims=keepdims, out=out)

    def prod(self, axis=None, dtype=None, out=None, keepdims=None):
        return computed(self._host.prod, axis, dtype, keepdims=bool(keepdims), out=out)

    def mean(self, axis=None, dtype=None, out=None, keepdims=False):
        return computed(self._host.mean, axis, dtype, keepdims=keepdims, out=out)

    def var(self, axis=None, dtype=None, out=None, ddof=0, keepdims=False):
        return computed(self._host.var, axis, dtype, ddof=ddof, keepdims=keepdims, out=out)

    def std(self, axis=None, dtype=None, out=None, ddof=0, keepdims=False):
        return computed(self._host.std, axis, dtype, ddof=ddof, keepdims=keepdims, out=out)

    def max(self, axis=None, out=None, keepdims=False):
        return computed(self._host.max, axis, keepdims=keepdims, out=out)

    def min(self, axis=None, out=None, keepdims=False):
        return computed(self._host.min, axis, keepdims=keepdims, out=out)

    def ptp(self, axis=None, out=None, keepdims=False):
        return computed(np.ptp, self._host, axis, keepdims=keepdims, out=out)

    def argmax(self, axis=None, out=None, dtype=None, keepdims=False):
        return _converted(computed(self._host.argmax, axis, keepdims=keepdims, out=out), dtype)

    def argmin(self, axis=None, out=None, dtype=None, keepdims=False):
        return _converted(computed(self._host.argmin, axis, keepdims=keepdims, out=out), dtype)

    def all(self, axis=None, out=None, keepdims=False):
        return computed(self._host.all, axis, keepdims=keepdims, out=out)

    def any(self, axis=None, out=None, keepdims=False):
        return computed(self._host.any, axis, keepdims=keepdims, out=out)

    def cumsum(self, axis=None, dtype=None, out=None):
        return computed(self._host.cumsum, axis, dtype, out=out)

    def cumprod(self, axis=None, dtype=None, out=None):
        return computed(self._host.cumprod, axis, dtype, out=out)

    def trace(self, offset=0, axis1=0, axis2=1, dtype=None, out=None):
        return computed(self._host.trace, offset, axis1, axis2, dtype, out=out)

    # ---------------------------------------------------------------- element by element
    def clip(self, min=None, max=None, out=None):
        if min is None and max is None:
            raise ValueError("array_clip: must set either max or min")
        bounds = (None if bound is None else operand(bound) for bound in (min, max))
        return computed(np.clip, self._host, *bounds, out=out)

    def round(self, decimals=0, out=None):
        return computed(self._host.round, decimals, out=out)

    def conj(self):
        return computed(np.conj, self._host)

    conjugate = conj

    # ---------------------------------------------------------------- products, order, places
    def dot(self, b, out=None):
        return computed(np.dot, self._host, operand(b), out=out)

    def sort(self, axis=-1, kind=None) -> None:
        records.operation("sort")
        self._host.sort(axis=axis, kind="stable")
        mark_written(self._memory, self._host)

    def argsort(self, axis=-1, kind=None):
        return computed(np.argsort, self._host, axis, kind="stable")  # CuPy's is stable too

    def nonzero(self) -> tuple:
        records.waited_for("nonzero")
        return computed(np.nonzero, np.atleast_1d(self._host))

    def searchsorted(self, v, side="left", sorter=None):
        return computed(
            np.searchsorted, self._host, operand(v), side, None if sorter is None else array_operand(sorter)
        )


def _converted(array, dtype):
    return array if dtype is None else array.astype(dtype, copy=False)
