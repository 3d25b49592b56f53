"""Device memory under the arrays: allocation, its limit, and what the host has written to it."""

from __future__ import annotations

import math
import threading
import weakref

import numpy as np

from ..memory import Memory
from ..mode import is_checking
from . import records

UNIT = 512  # bytes; CuPy's pool rounds every allocation up to it
KINDS = "biufc"  # what a GPU computes with: bool, int, unsigned, float, complex


class OutOfMemoryError(MemoryError):
    """An allocation beyond the pool's limit, or beyond what the machine has. CuPy's class of that name."""


class _Used:
    """How much device memory is alive, and how much may be."""

    def __init__(self) -> None:
        self.nbytes = self.peak = 0
        self.total = 0  # of all allocations ever
        self.limit = 0  # 0: none
        self.lock = threading.Lock()

    def add(self, nbytes: int) -> None:
        with self.lock:
            if self.limit and nbytes > 0 and self.nbytes + nbytes > self.limit:
                raise OutOfMemoryError(
                    f"Out of memory allocating {nbytes:,} bytes (allocated so far: {self.nbytes:,} bytes, "
                    f"limit set to: {self.limit:,} bytes)."
                )
            self.nbytes += nbytes
            self.peak, self.total = max(self.peak, self.nbytes), self.total + max(nbytes, 0)


used = _Used()


def allocate(nbytes: int) -> Memory:
    """Device memory of so many bytes, not initialised. It is freed when nobody refers to it any more."""
    rounded = -(-nbytes // UNIT) * UNIT
    used.add(rounded)
    if nbytes:
        records.allocations.add(records.Allocation(rounded))
    try:
        memory = Memory(nbytes, is_checking())
    except MemoryError as error:
        used.add(-rounded)
        raise OutOfMemoryError(
            f"Out of memory allocating {nbytes:,} bytes (allocated so far: {used.nbytes:,} bytes)."
        ) from error
    weakref.finalize(memory, used.add, -rounded)
    return memory


class _Bytes:
    """Lets NumPy look at device memory, and keeps the memory alive as long as any NumPy view of it."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        place = (memory.address, False)
        self.__array_interface__ = {"shape": (memory.nbytes,), "typestr": "|u1", "data": place, "version": 3}


def host_view(memory: Memory, shape, dtype, offset: int = 0, strides=None, order: str = "C") -> np.ndarray:
    """A NumPy array over device memory."""
    return np.ndarray(shape, dtype, np.asarray(_Bytes(memory)), offset, strides, order)


def checked_dtype(dtype) -> np.dtype:
    """As a NumPy dtype, if a GPU can hold it."""
    dtype = np.dtype(dtype)
    if dtype.kind not in KINDS:
        raise ValueError(f"Unsupported dtype {dtype}")
    return dtype


def checked_shape(shape) -> tuple[int, ...]:
    """As a tuple of plain ints."""
    sizes = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
    if not all(isinstance(size, (int, np.integer)) for size in sizes):
        raise TypeError(f"a shape is made of whole numbers, got {shape!r}")
    if any(size < 0 for size in sizes):
        raise ValueError("Negative dimensions are not allowed")
    return tuple(int(size) for size in sizes)


def address_of(host: np.ndarray) -> int:
    return host.__array_interface__["data"][0]


def mark_written(memory: Memory, host: np.ndarray, index=None) -> None:
    """Tell the checker that the host wrote to ``host``, an array in ``memory``: to all of it, or to ``host[index]``.

    Exact to the byte, also for views with gaps and for masks, so that what was not written stays uninitialised.
    """
    if host.size == 0 or not memory.checked:
        return
    start = address_of(host) - memory.address
    if index is None and host.flags.forc:
        memory.mark(start, host.nbytes)
        return
    offsets = np.full((), start, np.int64)  # of every element, from the memory's start
    for size, stride in zip(host.shape, host.strides):
        offsets = offsets[..., None] + np.arange(size, dtype=np.int64) * stride
    offsets = np.unique(offsets if index is None else offsets[index])
    if offsets.size:
        ends = np.flatnonzero(np.diff(offsets) != host.itemsize) + 1  # where a run of neighbours ends
        for run in np.split(offsets, ends):
            memory.mark(int(run[0]), len(run) * host.itemsize)


def nbytes_of(shape: tuple[int, ...], dtype: np.dtype) -> int:
    return math.prod(shape) * dtype.itemsize
