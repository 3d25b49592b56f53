"""CuPy's functions that change shapes: views where memory allows it, joined and repeated copies."""

from __future__ import annotations

import numpy as np

from .array import ndarray
from .border import array_operand, array_operands, computed
from .indices import index_operand

__all__ = (
    "append array_split atleast_1d atleast_2d broadcast_arrays broadcast_to concat concatenate delete diagonal "
    "expand_dims flip fliplr flipud hstack iscomplexobj isrealobj matrix_transpose may_share_memory moveaxis ndim pad "
    "permute_dims ravel repeat reshape result_type roll rollaxis rot90 shape shares_memory size split squeeze stack "
    "swapaxes tile transpose vstack"
).split()


def _viewed(function, a, *args, **keywords) -> ndarray:
    """The result of a NumPy function that gives a view where it can."""
    return a._view_or_copy(function(array_operand(a), *args, **keywords))


def reshape(a, newshape, order="C", *, copy=None) -> ndarray:
    array_operand(a)
    return a.reshape(newshape, order=order, copy=copy)


def ravel(a, order="C") -> ndarray:
    array_operand(a)
    return a.ravel(order)


def transpose(a, axes=None) -> ndarray:
    return _viewed(np.transpose, a, axes)


permute_dims = transpose


def matrix_transpose(x, /) -> ndarray:
    array_operand(x)
    return x.mT


def swapaxes(a, axis1, axis2) -> ndarray:
    return _viewed(np.swapaxes, a, axis1, axis2)


def moveaxis(a, source, destination) -> ndarray:
    return _viewed(np.moveaxis, a, source, destination)


def rollaxis(a, axis, start=0) -> ndarray:
    return _viewed(np.rollaxis, a, axis, start)


def expand_dims(a, axis) -> ndarray:
    return _viewed(np.expand_dims, a, axis)


def squeeze(a, axis=None) -> ndarray:
    return _viewed(np.squeeze, a, axis)


def broadcast_to(array, shape) -> ndarray:
    return _viewed(np.broadcast_to, array, shape)


def broadcast_arrays(*args) -> list[ndarray]:
    shape = np.broadcast_shapes(*(array_operand(a).shape for a in args))
    return [broadcast_to(a, shape) for a in args]


def diagonal(a, offset=0, axis1=0, axis2=1) -> ndarray:
    return _viewed(np.diagonal, a, offset, axis1, axis2)


def flip(a, axis=None) -> ndarray:
    return _viewed(np.flip, a, axis)


def fliplr(a) -> ndarray:
    return _viewed(np.fliplr, a)


def flipud(a) -> ndarray:
    return _viewed(np.flipud, a)


def rot90(a, k=1, axes=(0, 1)) -> ndarray:
    return _viewed(np.rot90, a, k, axes)


def atleast_1d(*arys):
    made = [_viewed(np.atleast_1d, a) for a in arys]
    return made[0] if len(made) == 1 else made


def atleast_2d(*arys):
    made = [_viewed(np.atleast_2d, a) for a in arys]
    return made[0] if len(made) == 1 else made


def split(ary, indices_or_sections, axis=0) -> list[ndarray]:
    return [ary._view(part) for part in np.split(array_operand(ary), indices_or_sections, axis)]


def array_split(ary, indices_or_sections, axis=0) -> list[ndarray]:
    return [ary._view(part) for part in np.array_split(array_operand(ary), indices_or_sections, axis)]


# -------------------------------------------------------------------- copies
def concatenate(tup, axis=0, out=None, *, dtype=None, casting="same_kind") -> ndarray:
    return computed(np.concatenate, array_operands(tup), axis, dtype=dtype, casting=casting, out=out)


concat = concatenate


def stack(tup, axis=0, out=None, *, dtype=None, casting="same_kind") -> ndarray:
    return computed(np.stack, array_operands(tup), axis, dtype=dtype, casting=casting, out=out)


def vstack(tup, *, dtype=None, casting="same_kind") -> ndarray:
    return computed(np.vstack, array_operands(tup), dtype=dtype, casting=casting)


def hstack(tup, *, dtype=None, casting="same_kind") -> ndarray:
    return computed(np.hstack, array_operands(tup), dtype=dtype, casting=casting)


def pad(array, pad_width, mode="constant", **kwargs) -> ndarray:
    return computed(np.pad, array_operand(array), pad_width, mode, **kwargs)


def tile(A, reps) -> ndarray:
    return computed(np.tile, array_operand(A), reps)


def repeat(a, repeats, axis=None) -> ndarray:
    array_operand(a)
    return a.repeat(repeats, axis)


def roll(a, shift, axis=None) -> ndarray:
    return computed(np.roll, array_operand(a), shift, axis)


def append(arr, values, axis=None) -> ndarray:
    return computed(np.append, array_operand(arr), array_operand(values), axis)


def delete(arr, indices, axis=None) -> ndarray:
    return computed(np.delete, array_operand(arr), index_operand(indices), axis)


# -------------------------------------------------------------------- questions
def shape(a) -> tuple[int, ...]:
    return array_operand(a).shape


def ndim(a) -> int:
    return array_operand(a).ndim


def size(a) -> int:
    return array_operand(a).size


def may_share_memory(a, b, max_work=None) -> bool:
    return np.may_share_memory(array_operand(a), array_operand(b))


def shares_memory(a, b, max_work=None) -> bool:
    return np.shares_memory(array_operand(a), array_operand(b))


def result_type(*arrays_and_dtypes) -> np.dtype:
    return np.result_type(*(x._host if isinstance(x, ndarray) else x for x in arrays_and_dtypes))


def iscomplexobj(x) -> bool:
    return array_operand(x).dtype.kind == "c"


def isrealobj(x) -> bool:
    return not iscomplexobj(x)
