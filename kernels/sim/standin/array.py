"""The device array. It looks like ``cupy.ndarray`` and behaves like it at the border: nothing crosses by itself.

An array is a NumPy array over device memory (``_host``) that the outside never sees. CuPy's own operations (sums,
products, indexing) are computed there by NumPy: they are not what the simulator is for. Raw kernels get the address.
"""

from __future__ import annotations

import functools
import math
import sys

import numpy as np

from . import cuda, records
from .border import SCALARS, DeviceArray, copied, from_host
from .indices import index_of, value_of
from .methods import Methods
from .operators import Operators
from .storage import address_of, allocate, checked_dtype, checked_shape, host_view, mark_written, nbytes_of

NO_CONVERSION = (
    "Implicit conversion to a NumPy array is not allowed. Please use `.get()` to construct a NumPy array explicitly."
)


class Flags:
    """Which way an array lies in memory; all that CuPy tells of it."""

    def __init__(self, c_contiguous: bool, f_contiguous: bool, owndata: bool) -> None:
        self.c_contiguous, self.f_contiguous, self.owndata = c_contiguous, f_contiguous, owndata

    forc = property(lambda self: self.c_contiguous or self.f_contiguous)
    fnc = property(lambda self: self.f_contiguous and not self.c_contiguous)

    def __getitem__(self, name: str) -> bool:
        names = {"C_CONTIGUOUS": "c_contiguous", "F_CONTIGUOUS": "f_contiguous", "OWNDATA": "owndata"}
        if name not in names:
            raise KeyError(f"{name} is not defined for cupy.ndarray.flags")
        return getattr(self, names[name])

    def __repr__(self) -> str:
        return f"  C_CONTIGUOUS : {self.c_contiguous}\n  F_CONTIGUOUS : {self.f_contiguous}\n  OWNDATA : {self.owndata}"


class ndarray(Operators, Methods, DeviceArray):  # noqa: N801 - CuPy's name
    """An array in the simulator's device memory.

    Parameters
    ----------
    shape
        A whole number or a tuple of them.
    dtype
        bool, integer, floating or complex.
    memptr
        Existing device memory (:class:`.cuda.MemoryPointer`) to look at; by default new memory, not initialised.
    strides
        In bytes; only with ``memptr``.
    order : {"C", "F"}
        Whether the last or the first axis is contiguous.
    """

    __array_priority__ = 100
    __hash__ = None

    def __init__(self, shape, dtype=float, memptr=None, strides=None, order="C") -> None:
        shape, dtype = checked_shape(shape), checked_dtype(dtype)
        if order not in ("C", "F", None):
            raise ValueError(f"order not understood. order={order}")
        if strides is not None and memptr is None:
            raise ValueError("memptr is required if strides is given.")
        self._memory = allocate(nbytes_of(shape, dtype)) if memptr is None else memptr.mem.memory
        offset = 0 if memptr is None else memptr.offset
        self._host = host_view(self._memory, shape, dtype, offset, strides, order or "C")
        self.base = None

    def _view(self, host: np.ndarray) -> ndarray:
        """An array over another NumPy view of the same memory."""
        view = object.__new__(ndarray)
        view._host, view._memory = host, self._memory
        view.base = self if self.base is None else self.base
        return view

    def _view_or_copy(self, host: np.ndarray) -> ndarray:
        """For NumPy's results that are views where that is possible."""
        return self._view(host) if np.may_share_memory(host, self._host) else copied(host)

    def _written(self, index=None) -> None:
        mark_written(self._memory, self._host, index)

    def _to_host(self, name: str) -> np.ndarray:
        records.to_host(name, self.nbytes)
        return self._host

    # ---------------------------------------------------------------- what it is
    dtype = property(lambda self: self._host.dtype)
    ndim = property(lambda self: self._host.ndim)
    size = property(lambda self: self._host.size)
    itemsize = property(lambda self: self._host.itemsize)
    nbytes = property(lambda self: self._host.nbytes)
    strides = property(lambda self: self._host.strides)
    device = property(lambda self: cuda.Device(0), doc="The simulator has one device.")

    @property
    def shape(self) -> tuple[int, ...]:
        return self._host.shape

    @shape.setter
    def shape(self, shape) -> None:
        reshaped = self._host.reshape(shape)
        if self.size and not np.may_share_memory(reshaped, self._host):
            raise AttributeError(
                "Incompatible shape for in-place modification. Use `.reshape()` to make a copy with the desired shape."
            )
        self._host = reshaped

    @property
    def flags(self) -> Flags:
        flags = self._host.flags
        return Flags(flags.c_contiguous, flags.f_contiguous, self.base is None)

    @property
    def data(self) -> cuda.MemoryPointer:
        """Where the array begins; ``.data.ptr`` is the address that kernels get."""
        return cuda.MemoryPointer(cuda.BaseMemory(self._memory), address_of(self._host) - self._memory.address)

    @property
    def __cuda_array_interface__(self) -> dict:
        return {
            "shape": self.shape,
            "typestr": self.dtype.str,
            "descr": self.dtype.descr,
            "stream": 1,
            "version": 3,
            "strides": None if self.flags.c_contiguous else self.strides,
            "data": (self.data.ptr if self.size else 0, False),
        }

    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError("len() of unsized object")
        return len(self._host)

    def __iter__(self):
        if not self.ndim:
            raise TypeError("iteration over a 0-d array")
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        return repr(self._to_host("repr"))

    def __str__(self) -> str:
        return str(self._to_host("str"))

    def __format__(self, spec: str) -> str:
        return format(self.item() if not self.ndim else self._to_host("format"), spec)

    # ---------------------------------------------------------------- across the border, always by name
    def __array__(self, dtype=None, copy=None):
        raise TypeError(NO_CONVERSION)

    def get(self, stream=None, order="C", out=None, blocking=True) -> np.ndarray:
        """A copy as a NumPy array, in C order unless ``order`` ("C", "F", "A") or ``out`` says otherwise."""
        if out is None:
            if order.upper() not in ("C", "F", "A"):
                raise ValueError(f"unsupported order: {order}")
            return self._to_host("get").copy(order.upper())
        if not isinstance(out, np.ndarray):
            raise TypeError("Only numpy.ndarray can be obtained from cupy.ndarray")
        if out.dtype != self.dtype:
            raise TypeError(f"{out.dtype} array cannot be obtained from {self.dtype} array")
        if out.shape != self.shape:
            raise ValueError(f"Shape mismatch. Expected shape: {self.shape}, actual shape: {out.shape}")
        if not out.flags.forc:
            raise RuntimeError("`out` cannot be specified when copying to non-contiguous ndarray")
        out[...] = self._to_host("get")
        return out

    def set(self, arr, stream=None) -> None:
        """Copy a NumPy array of the same dtype and shape into this contiguous array."""
        if not isinstance(arr, np.ndarray):
            raise TypeError("Only numpy.ndarray can be set to cupy.ndarray")
        if arr.dtype != self.dtype:
            raise TypeError(f"{arr.dtype} array cannot be set to {self.dtype} array")
        if arr.shape != self.shape:
            raise ValueError(f"Shape mismatch. Old shape: {self.shape}, new shape: {arr.shape}")
        if not self._host.flags.forc:
            raise RuntimeError("Cannot set to non-contiguous array")
        records.to_device("set", arr.nbytes)
        self._host[...] = arr
        self._written()

    def item(self):
        if self.size != 1:
            raise ValueError("can only convert an array of size 1 to a Python scalar")
        return self._to_host("item").item()

    def tolist(self):
        return self._to_host("tolist").tolist()

    def tobytes(self, order="C") -> bytes:
        return self._to_host("tobytes").tobytes(order)

    def __bool__(self) -> bool:
        if self.size > 1:
            raise ValueError(
                "The truth value of an array with more than one element is ambiguous. Use a.any() or a.all()"
            )
        return bool(self._to_host("bool"))

    def __int__(self) -> int:
        return int(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __complex__(self) -> complex:
        return complex(self.item())

    def __reduce__(self):
        return _from_pickle, (self.get(order="A"),)

    def __copy__(self) -> ndarray:
        return self.copy()

    def __deepcopy__(self, memo) -> ndarray:
        return self.copy()

    # ---------------------------------------------------------------- NumPy's functions come back here
    def __array_ufunc__(self, ufunc, method, *inputs, **keywords):
        function = getattr(_module(), ufunc.__name__, None)
        if method != "__call__":
            function = getattr(function, method, None)
        if function is None or not all(_known(x) for x in inputs):
            return NotImplemented
        if "out" in keywords:
            (keywords["out"],) = keywords["out"]
        return function(*inputs, **keywords)

    def __array_function__(self, function, types, args, keywords):
        path = [*function.__module__.split(".")[1:], function.__name__]
        ours = functools.reduce(lambda found, name: getattr(found, name, None), path, _module())
        if ours in (None, function) or not all(t in (ndarray, np.ndarray) for t in types):
            return NotImplemented
        return ours(*args, **keywords)

    # ---------------------------------------------------------------- elements
    def __getitem__(self, index) -> ndarray:
        index, basic = index_of(index)
        if basic:
            return self._view(self._host[index])
        if any(isinstance(part, np.ndarray) and part.dtype == bool for part in index):
            records.waited_for("mask")  # how many are picked
        records.operation("take")
        return from_host(self._host[index])

    def __setitem__(self, index, value) -> None:
        index, basic = index_of(index)
        value = value_of(value, "fill")
        records.operation("copy" if isinstance(value, np.ndarray) else "fill")
        self._host[index] = value
        if basic:
            self._view(self._host[index])._written()
        else:
            self._written(index)

    def fill(self, value) -> None:
        value = value_of(value, "fill")
        records.operation("fill")
        self._host[...] = value
        self._written()

    # ---------------------------------------------------------------- other views of the same memory
    T = property(lambda self: self if self.ndim < 2 else self.transpose())

    @property
    def mT(self) -> ndarray:  # noqa: N802 - CuPy's name
        if self.ndim < 2:
            raise ValueError("matrix transpose with ndim < 2 is undefined")
        return self.swapaxes(-1, -2)

    real = property(lambda self: self if self.dtype.kind != "c" else self._view(self._host.real))
    imag = property(lambda self: self._view_or_copy(self._host.imag))

    def transpose(self, *axes) -> ndarray:
        return self._view(self._host.transpose(*axes))

    def swapaxes(self, axis1, axis2) -> ndarray:
        return self._view(self._host.swapaxes(axis1, axis2))

    def squeeze(self, axis=None) -> ndarray:
        return self._view(self._host.squeeze(axis))

    def diagonal(self, offset=0, axis1=0, axis2=1) -> ndarray:
        return self._view(self._host.diagonal(offset, axis1, axis2))

    def view(self, dtype=None, type=None) -> ndarray:
        return self._view(self._host.view(self.dtype if dtype is None else checked_dtype(dtype)))

    def reshape(self, *shape, order="C", copy=None) -> ndarray:
        """A view if the memory allows it, else a copy."""
        shape = shape[0] if len(shape) == 1 else shape
        sizes = shape if isinstance(shape, (tuple, list)) else (shape,)
        known = math.prod(int(size) for size in sizes if size != -1)
        if (known and self.size % known) or (-1 not in sizes and known != self.size):
            raise ValueError(f"cannot reshape array of size {self.size} into shape {shape}")
        return self._view_or_copy(self._host.reshape(shape, order=order))


def _module():
    """This package, whose functions stand in for NumPy's."""
    return sys.modules[__package__]


def _from_pickle(host: np.ndarray) -> ndarray:
    return _module().array(host)


def _known(x) -> bool:
    """Whether an operand is an array (a NumPy one gets its error later) or a number; else let its class have a try."""
    return hasattr(x, "__cuda_array_interface__") or isinstance(x, (np.ndarray, *SCALARS))
