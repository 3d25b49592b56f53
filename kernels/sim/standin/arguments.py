"""What may be passed to a kernel. CuPy passes everything on as it is, and the GPU reads garbage; here it is an error.

CuPy turns a Python int into 8 bytes (``long long``), a float into a ``double``, a bool into one byte, and passes a
NumPy scalar as what it is, whatever the kernel's parameter says. We do exactly the same, then compare with the
signature, which comes from C++ itself.
"""

from __future__ import annotations

import math

import numpy as np

from .border import DeviceArray
from .cuda import MAX_BLOCK, MAX_GRID, MAX_THREADS, CUDADriverError, MemoryPointer

C_NAMES = {
    ("f", 2): "__half", ("f", 4): "float", ("f", 8): "double", ("b", 1): "bool",
    ("i", 1): "signed char", ("i", 2): "short", ("i", 4): "int", ("i", 8): "long long",
    ("u", 1): "unsigned char", ("u", 2): "unsigned short", ("u", 4): "unsigned int", ("u", 8): "unsigned long long",
}  # fmt: skip
PASSED_AS = {bool: np.dtype(bool), int: np.dtype(np.int64), float: np.dtype(float), complex: np.dtype(complex)}


def c_type(p) -> str:
    """A parameter's type, as C writes it."""
    name = C_NAMES.get((p.kind, p.size), "void" if p.kind == "v" else p.element_name or f"a struct of {p.size} bytes")
    return f"{'const ' if p.const else ''}{name}*" if p.pointer else name


def numpy_type(p) -> np.dtype | None:
    """The dtype that matches a parameter's type; None for a struct."""
    if (p.kind, p.size) not in C_NAMES:
        return None
    return np.dtype(bool) if p.kind == "b" else np.dtype(f"{p.kind}{p.size}")


def bind(kernel: str, signature: tuple, args) -> list:
    """The arguments as the simulator takes them: addresses for pointers, bytes for numbers.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what the kernel's parameter takes. Says which, and what to pass.
    """
    if not isinstance(args, (tuple, list)):
        raise TypeError(f"kernel {kernel}: the arguments must be a tuple, got {type(args).__name__}")
    if len(args) != len(signature):
        types = ", ".join(c_type(p) for p in signature)
        raise TypeError(f"kernel {kernel} takes {len(signature)} arguments ({types}), got {len(args)}")
    return [
        _address(f"kernel {kernel}, argument {i} (C++ type {c_type(p)})", p, value)
        if p.pointer
        else _bytes(f"kernel {kernel}, argument {i} (C++ type {c_type(p)})", p, value)
        for i, (p, value) in enumerate(zip(signature, args, strict=True))
    ]


def _address(where: str, p, value) -> int:
    if value is None:
        return 0
    if isinstance(value, MemoryPointer):
        return value.ptr
    if isinstance(value, np.ndarray):
        raise TypeError(f"{where}: a NumPy array is in the host's memory; copy it with cupy.asarray(x)")
    if not isinstance(value, DeviceArray):
        raise TypeError(f"{where}: a device array is needed, got {type(value).__name__}")
    dtype = numpy_type(p)
    if dtype is not None and value.dtype != dtype:
        raise TypeError(f"{where}: the array is {value.dtype}; it must be {dtype}, e.g. x.astype(numpy.{dtype})")
    if dtype is None and not p.takes(value.dtype):
        raise TypeError(f"{where}: the array is {value.dtype}; {p.element_name} is made of {p.dtype}")
    if not value.flags.c_contiguous:
        raise ValueError(
            f"{where}: the array is not C-contiguous (strides {value.strides} for shape {value.shape}), and kernels "
            "know nothing of strides; pass cupy.ascontiguousarray(x)"
        )
    alignment = min(p.size, 16) if dtype is None else dtype.itemsize
    alignment = alignment if alignment & (alignment - 1) == 0 else 1  # a struct of 12 bytes is aligned by its members
    if value.size and alignment > 1 and value.data.ptr % alignment:
        raise ValueError(
            f"{where}: the address {value.data.ptr:#x} is no multiple of {alignment} bytes, as a vector type needs; "
            "slices may begin anywhere, a copy begins right"
        )
    return value.data.ptr


def _bytes(where: str, p, value) -> bytes:
    if isinstance(value, DeviceArray):
        raise TypeError(f"{where}: a device array cannot be passed by value; pass a number, e.g. x.item()")
    if type(value) in PASSED_AS:
        dtype, passed = PASSED_AS[type(value)], f"{type(value).__name__} is passed as {PASSED_AS[type(value)]}"
    elif isinstance(value, (np.generic, np.ndarray)) and value.dtype.kind in "biufcV" and value.size == 1:
        dtype, passed = value.dtype, f"numpy.{value.dtype} is passed as it is"
    else:
        raise TypeError(f"{where}: a number is needed, got {type(value).__name__}")
    wanted = numpy_type(p)
    if dtype.itemsize != p.size or (wanted is not None and dtype != wanted):
        remedy = f"a NumPy scalar of {p.size} bytes"
        if wanted is not None:
            remedy = f"numpy.{'bool_' if p.kind == 'b' else wanted}(x)"
        raise TypeError(f"{where}: {passed}, {dtype.itemsize} bytes; pass {remedy}")
    if type(value) is int and not -(2**63) <= value < 2**63:
        raise OverflowError(f"{where}: {value} does not fit into 64 bits")
    return np.asarray(value, dtype).tobytes()


def check_geometry(kernel: str, grid, block, shared_mem, most_shared: int) -> None:
    """Refuse what CuPy refuses, what hardware refuses, and an empty grid, which CuPy would launch as one block.

    Raises
    ------
    TypeError, ValueError
        If grid, block or shared_mem are no sizes.
    CUDADriverError
        If they are beyond what a GPU takes.
    """
    for what, sizes, limits in (("grid", grid, MAX_GRID), ("block", block, MAX_BLOCK)):
        if not isinstance(sizes, tuple) or not 1 <= len(sizes) <= 3:
            raise TypeError(f"kernel {kernel}: {what} must be a tuple of one to three whole numbers, got {sizes!r}")
        for axis, size, limit in zip("xyz", sizes, limits):
            if isinstance(size, bool) or not isinstance(size, (int, np.integer)):
                raise TypeError(f"kernel {kernel}: {what} {sizes!r} along {axis} is no whole number")
            if size < 1:
                raise ValueError(
                    f"kernel {kernel}: {what} {sizes!r} has {size} along {axis}; CuPy would launch 1 there, without a "
                    "word: leave out launches that have nothing to do"
                )
            if size > limit:
                raise _invalid(kernel, f"{what} {sizes!r} has {size} along {axis}, a GPU takes at most {limit}")
    threads = math.prod(int(size) for size in block)
    if threads > MAX_THREADS:
        raise _invalid(kernel, f"block {block!r} has {threads} threads, a GPU takes at most {MAX_THREADS}")
    if isinstance(shared_mem, bool) or not isinstance(shared_mem, (int, np.integer)) or shared_mem < 0:
        raise TypeError(f"kernel {kernel}: shared_mem must be a number of bytes, got {shared_mem!r}")
    if shared_mem > most_shared:
        raise _invalid(
            kernel,
            f"{shared_mem} bytes of dynamic shared memory, {most_shared} are allowed; use less, or set the kernel's "
            "max_dynamic_shared_size_bytes if the GPU has them",
        )


def _invalid(kernel: str, what: str) -> CUDADriverError:
    return CUDADriverError(f"CUDA_ERROR_INVALID_VALUE: invalid argument: kernel {kernel}: {what}")
