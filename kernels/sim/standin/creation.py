"""Making device arrays: out of nothing, out of host data (the copy to the device), and back (``asnumpy``)."""

from __future__ import annotations

import numpy as np

from . import records
from .array import ndarray
from .border import DeviceArray, array_operand, computed, from_host, generated
from .indices import value_of
from .methods import laid_out_like
from .storage import checked_dtype

__all__ = (
    "arange array asanyarray asarray ascontiguousarray asfortranarray asnumpy copy copyto diag empty empty_like eye "
    "full full_like identity indices linspace meshgrid ones ones_like tri tril triu zeros zeros_like"
).split()


def empty(shape, dtype=float, order="C") -> ndarray:
    """Not initialised: in check mode a kernel that reads it before it is written is at fault."""
    return ndarray(shape, dtype, order=order)


def full(shape, fill_value, dtype=None, order="C") -> ndarray:
    if dtype is None:
        dtype = fill_value.dtype if isinstance(fill_value, DeviceArray) else np.array(fill_value).dtype
    return _filled(empty(shape, dtype, order), fill_value)


def zeros(shape, dtype=float, order="C") -> ndarray:
    return _filled(empty(shape, dtype, order), 0)


def ones(shape, dtype=float, order="C") -> ndarray:
    return _filled(empty(shape, dtype, order), 1)


def _filled(array: ndarray, value) -> ndarray:
    array.fill(value)
    return array


def empty_like(prototype, dtype=None, order="K", subok=None, shape=None) -> ndarray:
    """Of the same shape, dtype and layout in memory."""
    if subok is not None:
        raise TypeError("subok is not supported yet")
    return laid_out_like(array_operand(prototype), dtype, order, shape)


def zeros_like(a, dtype=None, order="K", subok=None, shape=None) -> ndarray:
    return _filled(empty_like(a, dtype, order, subok, shape), 0)


def ones_like(a, dtype=None, order="K", subok=None, shape=None) -> ndarray:
    return _filled(empty_like(a, dtype, order, subok, shape), 1)


def full_like(a, fill_value, dtype=None, order="K", subok=None, shape=None) -> ndarray:
    return _filled(empty_like(a, dtype, order, subok, shape), fill_value)


# -------------------------------------------------------------------- to the device and back
def array(obj, dtype=None, copy=True, order="K", subok=False, ndmin=0, *, blocking=False) -> ndarray:
    """Host data (a NumPy array, a number, nested lists, also of device arrays) on the device; or a copy of an array."""
    if isinstance(obj, DeviceArray):
        result = obj.astype(obj.dtype if dtype is None else dtype, order or "K", copy=bool(copy))
    elif isinstance(obj, (list, tuple)) and _holds_device_arrays(obj):
        result = _joined(obj, dtype)
    else:
        host = np.asarray(obj, dtype)
        checked_dtype(host.dtype)
        records.to_device("array", host.nbytes)
        fortran = order == "F" or (order in ("A", "K", None) and host.flags.fnc)
        result = from_host(host, "F" if fortran else "C")
    return result.reshape((1,) * (ndmin - result.ndim) + result.shape) if result.ndim < ndmin else result


def _holds_device_arrays(nested) -> bool:
    return any(isinstance(x, DeviceArray) or (isinstance(x, (list, tuple)) and _holds_device_arrays(x)) for x in nested)


def _joined(nested, dtype) -> ndarray:
    parts = [_joined(x, dtype) if isinstance(x, (list, tuple)) else x for x in nested]
    if not all(isinstance(x, DeviceArray) for x in parts):
        raise TypeError("a list of device arrays and something else cannot become one array; use cupy.stack")
    joined = computed(np.stack, [x._host for x in parts])
    return joined if dtype is None else joined.astype(dtype, copy=False)


def asarray(a, dtype=None, order=None, *, copy=None, blocking=False) -> ndarray:
    """The device array itself if it is one already; else :func:`array`."""
    if copy is False and not isinstance(a, DeviceArray):
        raise ValueError("Unable to avoid copy while creating an array from host data")
    return array(a, dtype, copy=bool(copy), order=order or "K", blocking=blocking)


def asanyarray(a, dtype=None, order=None, *, copy=None, blocking=False) -> ndarray:
    return asarray(a, dtype, order, copy=copy, blocking=blocking)


def ascontiguousarray(a, dtype=None) -> ndarray:
    """In C order and at least 1-d; the array itself if it is so already."""
    result = asarray(a, dtype, "C")
    return result if result.ndim else result.reshape(1)


def asfortranarray(a, dtype=None) -> ndarray:
    return asarray(a, dtype, "F")


def copy(a, order="K") -> ndarray:
    array_operand(a)
    return a.copy(order)


def asnumpy(a, stream=None, order="C", out=None, *, blocking=True) -> np.ndarray:
    """A NumPy array: the way back from the device."""
    if isinstance(a, DeviceArray):
        return a.get(stream, order, out, blocking)
    host = np.asarray(a, order=order)
    if out is None:
        return host
    out[...] = host
    return out


def copyto(dst, src, casting="same_kind", where=None) -> None:
    """Write ``src``, a device array or a number, into ``dst``."""
    array_operand(dst)
    value = value_of(src, "copyto")
    if isinstance(src, DeviceArray) and not np.can_cast(src.dtype, dst.dtype, casting):
        raise TypeError(f"Cannot cast {src.dtype} to {dst.dtype} in {casting} casting mode")
    if where is None:
        dst[...] = src
    else:
        mask = array_operand(where)
        records.operation("copyto")
        with np.errstate(all="ignore"):
            np.copyto(dst._host, value, "unsafe", where=mask)
        dst._written(np.broadcast_to(mask, dst.shape))


# -------------------------------------------------------------------- filled with numbers
def arange(start, stop=None, step=1, dtype=None) -> ndarray:
    return generated(np.arange(start, stop, step, dtype) if stop is not None else np.arange(0, start, step, dtype))


def linspace(start, stop, num=50, endpoint=True, retstep=False, dtype=None, axis=0):
    result = np.linspace(start, stop, num, endpoint, retstep, dtype, axis)
    return (generated(result[0]), float(result[1])) if retstep else generated(result)


def eye(N, M=None, k=0, dtype=float, order="C") -> ndarray:
    return generated(np.eye(N, M, k, dtype), order)


def identity(n, dtype=float) -> ndarray:
    return eye(n, dtype=dtype)


def tri(N, M=None, k=0, dtype=float) -> ndarray:
    return generated(np.tri(N, M, k, dtype))


def tril(m, k=0) -> ndarray:
    return computed(np.tril, array_operand(m), k)


def triu(m, k=0) -> ndarray:
    return computed(np.triu, array_operand(m), k)


def diag(v, k=0) -> ndarray:
    return computed(np.diag, array_operand(v), k)


def indices(dimensions, dtype=int) -> ndarray:
    return generated(np.indices(dimensions, dtype))


def meshgrid(*xi, **kwargs) -> list[ndarray]:
    return list(computed(np.meshgrid, *map(array_operand, xi), **kwargs))
