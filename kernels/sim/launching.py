"""``sim.launch``: one kernel of any .cu text on NumPy arrays."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from . import mode
from .arguments import as_bytes, check_array, check_geometry, check_run, check_text
from .memory import Memory
from .module import Module
from .parameters import Parameter


def empty(shape, dtype=np.float32) -> np.ndarray:
    """An array for :func:`launch` that counts as never written: reading it in a kernel is a fault.

    What a kernel or ``array[...] = value`` has written may be read from then on.
    """
    array = np.empty(shape, dtype).view(Uninitialised)
    array.written = np.zeros(array.nbytes, np.uint8)
    return array


class Uninitialised(np.ndarray):
    """See :func:`empty`. ``written`` holds a 1 for each byte that was written; None: all count as written."""

    written: np.ndarray | None = None

    def __array_finalize__(self, origin) -> None:
        written = getattr(origin, "written", None)
        if written is None or not self.flags.c_contiguous:
            return
        begin = self.ctypes.data - origin.ctypes.data
        if 0 <= begin <= begin + self.nbytes <= written.size:  # a part of it, or the same bytes in another shape
            self.written = written[begin : begin + self.nbytes]

    def __array_wrap__(self, array, context=None, return_scalar=False):
        return array[()] if return_scalar else np.asarray(array)  # what is computed of it is a plain array

    def __setitem__(self, key, value) -> None:
        super().__setitem__(key, value)
        if self.written is not None:
            self.written[...] = 1

    def fill(self, value) -> None:
        """Set all elements."""
        self[...] = value

    def __repr__(self) -> str:
        return repr(self.view(np.ndarray))


@functools.lru_cache(maxsize=64)
def module(source: str, filename: str, names: tuple[str, ...], way: mode.Way) -> Module:
    """The compiled text; the last few are kept."""
    return mode.module(source, filename, names, (), way)


def launch(
    source: str, name: str, grid, block, args: Sequence, shared_mem: int = 0, check: bool = True, *,
    filename: str = "kernel.cu", order: str = "forward", seed: int = 0, seconds: float | None = None,
) -> None:  # fmt: skip
    """Run one kernel of a .cu text on the CPU.

    Parameters
    ----------
    source : str
        The text.
    name : str
        The kernel's; of a template an instance, such as ``"relu<float>"``.
    grid, block : int or tuple of up to three ints
    args : sequence
        NumPy arrays, which are copied to device memory and back; NumPy or Python numbers; ``sim.empty(...)``.
    shared_mem : int
        Bytes of dynamic shared memory.
    check : bool
        Look at every access to memory; inside :func:`profiling` they are counted instead.
    filename : str or path
        For messages; it need not exist.
    order : {"forward", "backward", "shuffled"}
        In which threads start; a right kernel does not care.
    seed : int
        Of "shuffled": which order it is.
    seconds : float, optional
        Of the processor's time; what takes longer counts as a hang. Without it MINICNN_SIM_SECONDS, or 60.

    Raises
    ------
    KernelFault
        The kernel did something wrong.
    CompileError
        g++ refused the text, or there is no g++.
    TypeError, ValueError
        An argument does not fit its parameter, or the hardware would refuse the grid.
    """
    filename = check_text(source, name, filename)
    grid, block, shared_mem = check_geometry(grid, block, shared_mem)
    seed = check_run(order, seed, seconds)
    if not isinstance(args, (tuple, list)):
        raise TypeError(f"args must be a list or tuple of arrays and numbers, got {type(args).__name__}")
    way = mode.way(bool(check))
    compiled = module(source, filename, (name,) if "<" in name else (), way)
    try:
        parameters = compiled.signature(name)
    except KeyError as error:
        raise ValueError(error.args[0]) from None
    run(compiled, name, parameters, grid, block, args, shared_mem, order, seed, seconds)


def run(
    compiled: Module, name: str, parameters: Sequence[Parameter], grid: tuple[int, ...], block: tuple[int, ...],
    args: Sequence, shared_mem: int, order: str, seed: int, seconds: float | None,
) -> None:  # fmt: skip
    """Launch a kernel of a compiled module on NumPy arrays; see :func:`launch`."""
    if len(parameters) != len(args):
        types = ", ".join(map(str, parameters))
        raise TypeError(f"{name} takes {len(parameters)} arguments ({types}), got {len(args)}")
    given = _Given(name, compiled.check)
    values = [given.value(i, parameter, value) for i, (parameter, value) in enumerate(zip(parameters, args))]
    try:
        compiled.launch(name, grid, block, values, shared_mem, order, seed, seconds)
    finally:
        given.copy_back()


class _Given:
    """The arguments of one launch, and the device memory of its arrays.

    Arrays that lie in the same memory, such as one that is given twice, do so on the device, too.
    """

    def __init__(self, kernel: str, check: bool) -> None:
        self.kernel, self.check = kernel, check
        self.arrays: list[tuple[str, np.ndarray, Memory, bool]] = []  # with what messages call it; may it be written

    def value(self, i: int, parameter: Parameter, value) -> bytes | int:
        """The bytes of a number, or the address of an array's copy."""
        where = f"{self.kernel}, argument {i} ({parameter})"
        if not parameter.pointer:
            return as_bytes(where, parameter, value)
        check_array(where, parameter, value)
        memory = self._shared(where, value, not parameter.const) or _copied(value, self.check)
        self.arrays.append((where, value, memory, not parameter.const))
        return memory.address

    def _shared(self, where: str, value: np.ndarray, writes: bool) -> Memory | None:
        """The memory of an array in the same place; arrays that overlap otherwise cannot both be right."""
        for other, array, memory, written in self.arrays:
            if (array.ctypes.data, array.nbytes) == (value.ctypes.data, value.nbytes) and value.nbytes:
                return memory
            if (writes or written) and np.may_share_memory(array, value):
                raise ValueError(
                    f"{where}: the array overlaps that of {other.partition(', ')[2]}, and each gets a piece of the "
                    "device's memory of its own; pass a copy of one, or one array and an offset"
                )
        return None

    def copy_back(self) -> None:
        """What the kernel has written, to the arrays that it may write."""
        for _, array, memory, writes in self.arrays:
            if writes:
                _copy_back(array, memory)


def _bytes(array: np.ndarray) -> np.ndarray:
    return np.asarray(array).reshape(-1).view(np.uint8)


def _copied(value: np.ndarray, check: bool) -> Memory:
    memory = Memory(value.nbytes, check)
    if value.nbytes == 0:
        return memory
    written = getattr(value, "written", None)
    there = slice(None) if written is None else written.astype(bool)
    np.frombuffer(memory.buffer, np.uint8)[there] = _bytes(value)[there]
    if written is None:
        memory.mark()
    else:
        edges = np.flatnonzero(np.diff(written, prepend=0, append=0))  # where runs of written bytes begin and end
        for begin, end in edges.reshape(-1, 2).tolist():
            memory.mark(begin, end - begin)
    return memory


def _copy_back(value: np.ndarray, memory: Memory) -> None:
    if value.nbytes == 0:
        return
    _bytes(value)[...] = np.frombuffer(memory.buffer, np.uint8)
    if getattr(value, "written", None) is not None:
        value.written[...] = np.frombuffer(memory.written(), np.uint8)
