"""``sim.launch``: one kernel of any .cu text on NumPy arrays."""

from __future__ import annotations

import functools
import math
import struct
from collections.abc import Sequence

import numpy as np

from . import mode
from .memory import Memory
from .module import Module, Parameter
from .text import kernel_names

#: what the hardware takes, of every GPU since 2012
GRID, BLOCK, THREADS = (2**31 - 1, 65535, 65535), (1024, 1024, 64), 1024


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
def module(source: str, filename: str, names: tuple[str, ...], check: bool, arch: str = "") -> Module:
    """The compiled text; the last few are kept."""
    return mode.module(source, filename, names, (), check, arch)


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
        Look at every access to memory.
    filename : str
        For messages.
    order : {"forward", "backward", "shuffled"}
        In which threads start; a right kernel does not care.

    Raises
    ------
    KernelFault
        The kernel did something wrong.
    CompileError
        g++ refused the text, or there is no g++.
    TypeError, ValueError
        An argument does not fit its parameter, or the hardware would refuse the grid.
    """
    plain = name in kernel_names(source)
    compiled = module(source, filename, () if plain or "<" not in name else (name,), check, mode.ptx_arch())
    try:
        parameters = compiled.signature(name)
    except KeyError as error:
        raise ValueError(error.args[0]) from None
    run(compiled, name, parameters, grid, block, args, shared_mem, order, seed, seconds)


def run(
    compiled: Module, name: str, parameters: Sequence[Parameter], grid, block, args: Sequence, shared_mem: int,
    order: str, seed: int, seconds: float | None,
) -> None:  # fmt: skip
    """Launch a kernel of a compiled module on NumPy arrays; see :func:`launch`."""
    grid, block = _dimensions("grid", grid, GRID), _dimensions("block", block, BLOCK)
    if math.prod(block) > THREADS:
        raise ValueError(f"a block of {block} has {math.prod(block)} threads; a GPU takes {THREADS}")
    if len(parameters) != len(args):
        raise TypeError(f"{name} takes {len(parameters)} arguments, got {len(args)}")
    check = compiled.check
    memories: dict[int, tuple[np.ndarray, Memory]] = {}  # an array that is given twice is one array on the device, too
    values, changed = [], []
    for i, (parameter, value) in enumerate(zip(parameters, args)):
        where = f"{name}, argument {i} ({parameter})"
        if not parameter.pointer:
            values.append(as_bytes(where, parameter, value))
            continue
        _check_array(where, parameter, value)
        if id(value) not in memories:
            memories[id(value)] = value, _copied(value, check)
        if not parameter.const:
            changed.append(id(value))
        values.append(memories[id(value)][1].address)
    try:
        compiled.launch(name, grid, block, values, shared_mem, order, seed, seconds)
    finally:
        for key in set(changed):
            _copy_back(*memories[key])


def _dimensions(what: str, given, limits: tuple[int, int, int]) -> tuple[int, ...]:
    numbers = tuple(given) if isinstance(given, (tuple, list)) else (given,)
    good = 1 <= len(numbers) <= 3 and all(isinstance(n, (int, np.integer)) for n in numbers)
    if not good or any(not 1 <= n <= most for n, most in zip(numbers, limits)):
        raise ValueError(f"{what} must be 1 to 3 whole numbers from 1 to {limits}, got {given!r}")
    return tuple(int(n) for n in numbers)


def _check_array(where: str, parameter: Parameter, value) -> None:
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{where}: an array was expected, got {type(value).__name__}")
    if parameter.kind not in "sv" and (value.dtype.kind, value.dtype.itemsize) != (parameter.kind, parameter.size):
        raise TypeError(f"{where}: the array is {value.dtype}")
    if not value.flags.c_contiguous:
        raise ValueError(f"{where}: the array of shape {value.shape} is not contiguous; np.ascontiguousarray copies it")
    if not parameter.const and not value.flags.writeable:
        raise ValueError(f"{where}: the kernel may write, and the array is read-only")


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


def as_bytes(where: str, parameter: Parameter, value) -> bytes:
    """A number as the bytes of a parameter; one that does not fit is an error."""
    if parameter.kind == "s":
        raw = np.asarray(value).tobytes()
        if len(raw) != parameter.size:
            raise TypeError(f"{where}: {len(raw)} bytes were given")
        return raw
    if not isinstance(value, (bool, int, float, np.generic)):
        raise TypeError(f"{where}: a number was expected, got {type(value).__name__}")
    if parameter.kind in "iub" and isinstance(value, (float, np.floating)):
        raise TypeError(f"{where}: {value!r} is no whole number")
    code = {"f2": "e", "f4": "f", "f8": "d", "b1": "?", "i1": "b", "i2": "h", "i4": "i", "i8": "q"}
    code |= {"u1": "B", "u2": "H", "u4": "I", "u8": "Q"}
    kind = code[f"{parameter.kind}{parameter.size}"]
    try:
        return struct.pack(kind, float(value) if parameter.kind == "f" else int(value))
    except (struct.error, OverflowError):
        raise ValueError(f"{where}: {value!r} does not fit") from None
