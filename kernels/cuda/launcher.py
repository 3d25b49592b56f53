"""One launcher for all kernels: it checks what CuPy and the hardware would take as it is, and picks the grid.

A module declares its kernels once, as C does, and calls them with Python values::

    RELU = Kernel("relu.cu", "relu<T>", "const T* x, T* y, long long size")
    RELU((x, y, x.size), threads=x.size)

T becomes ``float`` or ``double``, as the arrays say. ``threads`` is how many there should be in all; a kernel strides
over the grid (``i += blockDim.x * gridDim.x``), so it may get fewer. Kernels whose blocks work together name both
sizes: ``SUM((x, y, c), blocks=c, block=128, shared_mem=1024)``.
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from . import backend
from .signature import ELEMENTS, Parameter, parse

FOLDER = Path(__file__).parent
# What CUDA refuses on every GPU of the last ten years: "Technical Specifications per Compute Capability" in NVIDIA's
# CUDA C++ Programming Guide.
MAX_GRID = (2**31 - 1, 65535, 65535)
MAX_BLOCK = (1024, 1024, 64)
MAX_THREADS = 1024  # of one block
MAX_SHARED = 48 * 1024  # bytes of one block; more needs a permission that not every GPU gives
# Picked for ``threads``; the rest they stride over. Four times what the largest GPUs run at once (8 blocks of 256 on
# each of 132 multiprocessors): enough that none idles at the end. Fewer threads, less work to find each its place:
# im2col 64x32x32x32 took 40 ms in the simulator with a thread for every pixel and channel, and takes 32.
MOST_BLOCKS = 4096
BLOCK = 256

_declared: dict[tuple[str, str], Kernel] = {}
_modules: dict[tuple, object] = {}  # (array module's name, file, element type) -> RawModule
_sources: dict[str, str] = {}  # file -> text in place of the file's own
_expanded: dict[str, str] = {}  # file -> that text as the preprocessor leaves it
_wanted: tuple[int | None, int | None] = (None, None)  # (block, blocks), by launched_with


class Kernel:
    """A ``__global__`` function of a .cu file.

    Parameters
    ----------
    file
        Name of the .cu file in ``kernels/cuda``.
    name
        The function, as C++ names an instance of it: ``"relu<T>"``, ``"sum<T, 128>"``, or ``"philox"`` if it is no
        template. All templates of a file are compiled together, for one T at a time.
    signature
        The parameter list, as in the file. A test compares the two.
    """

    def __init__(self, file: str, name: str, signature: str) -> None:
        self.file, self.name, self.signature = file, name, signature
        self.function = name.partition("<")[0]
        self._what = f"kernel {self.function} in {file}"  # how messages begin
        self.parameters: tuple[Parameter, ...] = parse(signature, self._what)
        self.takes_t = re.search(r"\bT\b", name) is not None
        if not any(p.pointer for p in self.parameters):
            raise ValueError(f"{name} of {file} has no array ({signature}), so it could give nothing back")
        if self.takes_t != any(p.type == "T" and p.pointer for p in self.parameters):
            raise ValueError(f"{name} of {file}: T stands in the name if and only if an array ({signature}) decides it")
        if (file, name) in _declared:
            raise ValueError(f"{name} of {file} is declared twice")
        _declared[file, name] = self

    def __repr__(self) -> str:
        return f"<{self.name}({self.signature}), in kernels/cuda/{self.file}>"

    @staticmethod
    def all() -> tuple[Kernel, ...]:
        """The kernels of all modules that were imported so far; :func:`kernels.cuda.declared` imports them."""
        return tuple(_declared[key] for key in sorted(_declared))

    def instance(self, element: np.dtype | None) -> str:
        """The C++ name for arrays of that dtype: ``relu<float>`` for ``relu<T>`` and float32."""
        return self.name if element is None else re.sub(r"\bT\b", ELEMENTS[element], self.name)

    def __call__(
        self,
        args: tuple,
        *,
        threads: int | None = None,
        blocks: int | tuple[int, ...] | None = None,
        block: int | tuple[int, ...] = BLOCK,
        shared_mem: int = 0,
    ) -> None:
        """Launch it: checked, converted, on the device of its arrays; not at all if there is nothing to do.

        Parameters
        ----------
        args
            One value for each parameter: device arrays for pointers, numbers for the rest.
        threads
            How many threads should run in all, in blocks of ``block``; or
        blocks
            how many blocks of ``block`` threads to run, in one to three dimensions.
        shared_mem
            Bytes of dynamic shared memory for each block.

        Raises
        ------
        TypeError, ValueError
            If an argument or the geometry is none that the kernel or the hardware takes.
        DeviceUnavailable
            If CuPy lacks the compiler or its headers.
        """
        element, array = self._check_arrays(args)
        values = tuple(
            value if p.pointer else p.to_scalar(value, element) for p, value in zip(self.parameters, args, strict=True)
        )
        grid, block = self._geometry(threads, blocks, block, shared_mem)
        if 0 not in grid:  # CuPy would launch one block for none
            try:
                with array.device:
                    self._compiled(array, element)(grid, block, values, shared_mem=shared_mem)
            except RuntimeError as error:
                if why := backend.missing_toolkit(error):
                    raise backend.DeviceUnavailable(why) from error
                raise

    def _check_arrays(self, args: tuple) -> tuple[np.dtype | None, object]:
        """Check number and arrays; return what T is, and one array, which says where to launch."""
        if len(args) != len(self.parameters):
            takes = f"takes {len(self.parameters)} arguments ({self.signature})"
            raise TypeError(f"{self._what} {takes}, got {len(args)}")
        element, first, place = None, None, None
        for p, value in zip(self.parameters, args, strict=True):
            if not p.pointer:
                continue
            if p.type == "T" and element is None and backend.is_device_array(value):
                element = value.dtype
                if element not in ELEMENTS:
                    remedy = "convert it with .astype()"
                    raise TypeError(f"{p.where}: kernels compute in float32 or float64, got {element}; {remedy}")
            p.check_array(value, element)
            here = backend.device_of(value), value.device.id
            if first is None:
                first, place = value, here
            elif here != place:
                raise self._apart(args)
        return element, first

    def _apart(self, args: tuple) -> ValueError:
        arrays = {p.name: value for p, value in zip(self.parameters, args, strict=True) if p.pointer}
        listed = ", ".join(f"{name} on {backend.device_of(a)}:{a.device.id}" for name, a in arrays.items())
        return ValueError(f"{self._what}: all arrays must lie on one device, got {listed}; move them")

    def _geometry(self, threads, blocks, block, shared_mem) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """(grid, block) as CuPy wants them, within what the hardware takes."""
        if (threads is None) == (blocks is None):
            raise TypeError(f"{self._what}: give threads or blocks, and not both")
        block = self._sizes("block", block, MAX_BLOCK, at_least=1)
        if math.prod(block) > MAX_THREADS:
            raise self._refused(f"block {block} has {math.prod(block)} threads", f"a block holds {MAX_THREADS}")
        (shared_mem,) = self._sizes("shared_mem", shared_mem, (2**63,), at_least=0)
        if shared_mem > MAX_SHARED:
            raise self._refused(f"shared_mem is {shared_mem} bytes", f"a block has {MAX_SHARED}")
        if blocks is not None:
            return self._sizes("blocks", blocks, MAX_GRID, at_least=0), block
        (threads,) = self._sizes("threads", threads, (2**63 - 1,), at_least=0)
        if len(block) != 1:
            raise TypeError(f"{self._what}: threads are counted along x, but block is {block}")
        wanted_block, wanted_blocks = _wanted
        block = block if wanted_block is None else (wanted_block,)
        return (min(-(-threads // block[0]), wanted_blocks or MOST_BLOCKS),), block

    def _sizes(self, what: str, value, limits: tuple[int, ...], at_least: int) -> tuple[int, ...]:
        sizes = value if isinstance(value, tuple) else (value,)
        if not 1 <= len(sizes) <= len(limits) or not all(isinstance(s, (int, np.integer)) for s in sizes):
            wanted = "a whole number" if len(limits) == 1 else "a whole number or a tuple of one to three"
            raise TypeError(f"{self._what}: {what} must be {wanted}, got {value!r}")
        for axis, size, limit in zip("xyz", sizes, limits, strict=False):
            if not at_least <= size <= limit:
                where = what if len(limits) == 1 else f"{what} along {axis}"
                remedy = "cut the work into smaller pieces" if size > limit else "how was it computed?"
                raise self._refused(f"{where} is {size}", f"{at_least} to {limit} are possible", remedy)
        return tuple(int(s) for s in sizes)

    def _refused(self, given: str, possible: str, remedy: str = "let several blocks share the work") -> ValueError:
        return ValueError(f"{self._what}: {given}, but {possible}; {remedy}")

    def _compiled(self, array: object, element: np.dtype | None):
        """The compiled function for this device and T. Compiled once for each file, T and array module."""
        xp = backend.module_of(array)
        key = xp.__name__, self.file, element
        if key not in _modules:
            together = [k for k in Kernel.all() if k.file == self.file and k.takes_t == self.takes_t]
            text = source(self.file)
            code = _expanded.get(self.file, text)  # a text in its place may have some of its kernels only
            names = tuple(k.instance(element) for k in together if re.search(rf"\b{k.function}\s*\(", code))
            _modules[key] = xp.RawModule(code=text, options=("--std=c++17",), name_expressions=names)
        return _modules[key].get_function(self.instance(element))


def source(file: str) -> str:
    """The text of a .cu file: the room's own, or what :func:`replaced` has put in its place.

    Its first line tells compilers what it is called.
    """
    text = _sources.get(file) or (FOLDER / file).read_text(encoding="utf-8")
    return text if text.startswith("#line ") else named(file, text)


def named(file: str, text: str) -> str:
    """A text that says what its file is called, so that messages of compilers and of the simulator say it, too."""
    return f'#line 1 "{file}"\n{text}'


@contextlib.contextmanager
def replaced(file: str, text: str, expanded: str | None = None) -> Iterator[None]:
    """In this block the room's functions launch kernels of ``text`` where they would launch those of ``file``.

    ``expanded`` is the text as the preprocessor leaves it, if macros make its kernels or conditions drop some.
    """
    before = _sources.get(file), _expanded.get(file)
    _forget(file)
    _sources[file], _expanded[file] = text, text if expanded is None else expanded
    try:
        yield
    finally:
        for kept, value in zip((_sources, _expanded), before, strict=True):
            del kept[file]
            if value is not None:
                kept[file] = value
        _forget(file)


def _forget(file: str) -> None:
    for key in [key for key in _modules if key[1] == file]:
        del _modules[key]


@contextlib.contextmanager
def launched_with(block: int | None = None, blocks: int | None = None) -> Iterator[None]:
    """In this block, launches that leave the grid to the launcher use this geometry: results must not depend on it."""
    global _wanted
    before, _wanted = _wanted, (block, blocks)
    try:
        yield
    finally:
        _wanted = before
