"""How CuPy's own operations are computed: NumPy does it, on the device memory, and the result goes back there.

Everything passes through these few functions, so that one place says what may be an operand, and no result can be a
NumPy array by accident.
"""

from __future__ import annotations

import warnings

import numpy as np

from . import records

SCALARS = (bool, int, float, complex, np.generic)


class DeviceArray:
    """What an array is to this module: NumPy's view ``_host`` of the bytes, in the device memory ``_memory``."""

    _host: np.ndarray


def operand(x):
    """A device array's NumPy view, or a scalar as it is (of Python: it adapts to the array, as in NumPy 2)."""
    if isinstance(x, DeviceArray):
        return x._host
    if isinstance(x, SCALARS):
        return x
    raise TypeError(f"Unsupported type {type(x)}")


def array_operand(x) -> np.ndarray:
    """For what needs an array: not even a scalar will do."""
    if isinstance(x, DeviceArray):
        return x._host
    raise TypeError(f"Unsupported type {type(x)}")


def array_operands(arrays) -> list[np.ndarray]:
    if isinstance(arrays, DeviceArray):  # the first axis is the list, as in NumPy
        return list(arrays._host)
    return [array_operand(x) for x in arrays]


def computed(function, *args, out=None, casting="same_kind", **keywords):
    """``function(*args, **keywords)`` as device arrays. Like a GPU it knows no warnings: 1 / 0 is inf."""
    records.operation(function.__name__)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the mean of nothing
        result = function(*args, **keywords)
    return from_host(result) if out is None else stored(result, out, casting)


def elementwise(ufunc: np.ufunc, *operands, out=None, dtype=None, casting="same_kind"):
    """A NumPy ufunc over device arrays and scalars. The result is in C order, whatever the operands are (cupy#7342)."""
    hosts = tuple(operand(x) for x in operands)
    shape = np.broadcast_shapes(*(np.shape(x) for x in hosts))
    if out is None:
        outs = _new_results(ufunc, hosts, shape, dtype, casting)
    else:
        outs = out if isinstance(out, tuple) else (out,)
        for x in outs:
            _check_out(x, shape)
    records.operation(ufunc.__name__)
    with np.errstate(all="ignore"):
        ufunc(*hosts, out=tuple(x._host for x in outs), casting=casting, **({} if dtype is None else {"dtype": dtype}))
    for x in outs:
        x._written()
    return outs[0] if ufunc.nout == 1 else tuple(outs)


def _new_results(ufunc: np.ufunc, hosts: tuple, shape: tuple[int, ...], dtype, casting: str) -> tuple:
    """Arrays for the ufunc's results, so that NumPy writes into device memory at once."""
    from .array import ndarray  # it needs this module first

    kinds = tuple(
        x.dtype if hasattr(x, "dtype") else np.dtype(bool) if x is True or x is False else type(x) for x in hosts
    )
    asked = {} if dtype is None else {"signature": (None,) * ufunc.nin + (np.dtype(dtype),) * ufunc.nout}
    found = ufunc.resolve_dtypes(kinds + (None,) * ufunc.nout, casting=casting, **asked)
    return tuple(ndarray(shape, kind) for kind in found[ufunc.nin :])


def _check_out(out, shape: tuple[int, ...]) -> None:
    if not isinstance(out, DeviceArray):
        raise TypeError(f"Output arguments type must be cupy.ndarray, got {type(out)}")
    if out.shape != shape:
        raise ValueError(f"Out shape is mismatched: out has {out.shape}, the result {shape}")


def from_host(result, order: str = "C"):
    """NumPy's result in new device memory; tuples and lists of results one by one."""
    from .array import ndarray  # it needs this module first

    if isinstance(result, (tuple, list)):
        return type(result)(from_host(x) for x in result)
    result = np.asarray(result)
    array = ndarray(result.shape, result.dtype, order=order)
    array._host[...] = result
    array._written()
    return array


def generated(result, order: str = "C"):
    """What CuPy makes on the device out of a few numbers, such as ``arange``."""
    records.operation("generate")
    return from_host(result, order)


def copied(result):
    """A copy in another layout, which NumPy has made."""
    records.operation("copy")
    return from_host(result)


def stored(result, out, casting: str = "same_kind"):
    """NumPy's result written into the device array ``out``, which keeps its memory, shape and dtype."""
    if isinstance(result, tuple):
        out = out if isinstance(out, tuple) else (out,)
        return tuple(stored(r, o, casting) for r, o in zip(result, out, strict=True))
    out = out[0] if isinstance(out, tuple) and len(out) == 1 else out
    result = np.asarray(result)
    _check_out(out, result.shape)
    if not np.can_cast(result.dtype, out.dtype, casting):
        raise TypeError(
            f"output (dtype {result.dtype}) could not be coerced to the provided output of dtype {out.dtype} "
            f"according to the casting rule '{casting}'"
        )
    with np.errstate(all="ignore"):
        out._host[...] = result
    out._written()
    return out
