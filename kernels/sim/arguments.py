"""What :func:`launch` takes: arrays, numbers and options are looked at before anything is compiled or copied."""

from __future__ import annotations

import math
import numbers
import os
import re
import struct

import numpy as np

from .module import ORDERS
from .parameters import Parameter

#: what the hardware takes, of every GPU since 2012
GRID, BLOCK, THREADS = (2**31 - 1, 65535, 65535), (1024, 1024, 64), 1024


def check_text(source, name, filename) -> str:
    """Refuse what is no text or no name of a kernel; return the file's name, which may be given as a path."""
    if not isinstance(source, str):
        remedy = "; pass its text, pathlib.Path(...).read_text()" if isinstance(source, os.PathLike) else ""
        raise TypeError(f"source must be the text of a .cu file (str), got {type(source).__name__}{remedy}")
    if re.fullmatch(r"[^\n;{}]*\.cuh?", source):
        raise ValueError(f"source must be the text of a .cu file, got the name {source!r}; pass its text")
    if not isinstance(name, str):
        raise TypeError(f"name must be the name of a kernel (str), got {type(name).__name__}")
    if not re.fullmatch(r'[A-Za-z_][\w:]*\s*(<[^"\\\n;{}]*>)?', name):
        raise ValueError(f"name must be that of a kernel, such as relu or relu<float>, got {name!r}")
    if not isinstance(filename, (str, os.PathLike)):
        raise TypeError(f"filename must be str, got {type(filename).__name__}")
    return os.fspath(filename)


def check_geometry(grid, block, shared_mem) -> tuple[tuple[int, ...], tuple[int, ...], int]:
    """Refuse what no hardware takes; return grid, block and shared memory as ints."""
    grid, block = _dimensions("grid", grid, GRID), _dimensions("block", block, BLOCK)
    if math.prod(block) > THREADS:
        raise ValueError(f"a block of {block} has {math.prod(block)} threads; a GPU takes {THREADS}")
    return grid, block, _whole("shared_mem", shared_mem, "a whole number of bytes")


def check_run(order, seed, seconds) -> int:
    """Refuse an unknown order and what is no number; return the seed as an int of 64 bits."""
    if not isinstance(order, str) or order not in ORDERS:
        raise ValueError(f"order must be {', '.join(map(repr, ORDERS))}, got {order!r}")
    if seconds is not None:
        if not _is_number(seconds):
            raise TypeError(f"seconds must be a number or None, got {seconds!r}")
        if not 0 < seconds < math.inf:
            raise ValueError(f"seconds must be greater than 0 and finite, got {seconds!r}")
    return _whole("seed", seed, "a whole number") % 2**64


def _whole(what: str, given, wanted: str) -> int:
    if isinstance(given, (bool, np.bool_)) or not isinstance(given, (int, np.integer)):
        raise TypeError(f"{what} must be {wanted}, got {given!r}")
    return int(given)


def _is_number(given) -> bool:
    return isinstance(given, numbers.Real) and not isinstance(given, (bool, np.bool_))


def _dimensions(what: str, given, limits: tuple[int, int, int]) -> tuple[int, ...]:
    sizes = tuple(given) if isinstance(given, (tuple, list)) else (given,)
    good = 1 <= len(sizes) <= 3 and all(isinstance(n, (int, np.integer)) for n in sizes)
    if not good or any(not 1 <= n <= most for n, most in zip(sizes, limits)):
        raise ValueError(f"{what} must be 1 to 3 whole numbers from 1 to {limits}, got {given!r}")
    return tuple(int(n) for n in sizes)


def check_array(where: str, parameter: Parameter, value) -> None:
    """Refuse what is no whole array of the parameter's type."""
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{where}: an array was expected, got {type(value).__name__}")
    if not value.dtype.isnative:
        raise TypeError(
            f"{where}: the array is {value.dtype.str}, whose bytes stand in the other order; "
            f"x.astype({value.dtype.newbyteorder('=').name!r}) turns them"
        )
    if value.dtype.hasobject:
        raise TypeError(f"{where}: the array is {value.dtype}, and Python's objects do not exist on a device")
    if not parameter.takes(value.dtype):
        made_of = f", of which {parameter.element_name} is made" if parameter.element else ""
        remedy = f"; it must be {parameter.dtype}{made_of}" if parameter.dtype is not None else ""
        raise TypeError(f"{where}: the array is {value.dtype}{remedy}")
    if not value.flags.c_contiguous:
        raise ValueError(f"{where}: the array of shape {value.shape} is not contiguous; np.ascontiguousarray copies it")
    if not parameter.const and not value.flags.writeable:
        raise ValueError(f"{where}: the kernel may write, and the array is read-only")


def as_bytes(where: str, parameter: Parameter, value) -> bytes:
    """A number as the bytes of a parameter; one that does not fit is an error."""
    if parameter.kind == "s":
        return _struct(where, parameter, value)
    if not isinstance(value, (bool, int, float, np.integer, np.floating, np.bool_)):
        raise TypeError(f"{where}: a number was expected, got {type(value).__name__}")
    if parameter.kind in "iub" and isinstance(value, (float, np.floating)):
        raise TypeError(f"{where}: {value!r} is no whole number")
    code = {"f2": "e", "f4": "f", "f8": "d", "b1": "?", "i1": "b", "i2": "h", "i4": "i", "i8": "q"}
    code |= {"u1": "B", "u2": "H", "u4": "I", "u8": "Q"}
    kind = code.get(f"{parameter.kind}{parameter.size}")
    if kind is None:
        raise TypeError(f"{where}: a GPU has no such type")
    try:
        return struct.pack(kind, float(value) if parameter.kind == "f" else int(value))
    except (struct.error, OverflowError):
        raise ValueError(f"{where}: {value!r} does not fit") from None


def _struct(where: str, parameter: Parameter, value) -> bytes:
    """Some numbers as a vector such as float4; any other struct as the bytes of an array or a record."""
    if parameter.element and isinstance(value, (tuple, list)):
        if not all(isinstance(number, (int, float, np.integer, np.floating)) for number in value):
            raise TypeError(f"{where}: numbers were expected, got {value!r}")
        single = Parameter(False, False, parameter.element[0], int(parameter.element[1:]))
        raw = b"".join(as_bytes(where, single, number) for number in value)
    elif isinstance(value, (np.ndarray, np.generic)):
        if not parameter.takes(value.dtype):
            raise TypeError(f"{where}: the array is {value.dtype}; it must be {parameter.dtype}")
        raw = value.tobytes()
    else:
        raise TypeError(f"{where}: an array or a record was expected, got {type(value).__name__}")
    if len(raw) != parameter.size:
        raise TypeError(f"{where}: {len(raw)} bytes were given")
    return raw
