"""Finding and calling NVIDIA's compiler library: ``libnvrtc``, as the package ``nvidia-cuda-nvrtc`` brings it.

It needs neither a GPU nor a driver. CuPy uses the same library, but asks the driver before it compiles.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import re
import sys
from collections.abc import Sequence
from pathlib import Path


class CompilerUnavailable(RuntimeError):  # noqa: N818 - it is a state, like DeviceUnavailable
    """NVRTC is not installed, or cannot be loaded; the message says how to mend that."""


def why_not() -> str | None:
    """Why nothing can be compiled here, in one sentence with the remedy; None if it can."""
    if not sys.platform.startswith("linux"):
        return f"NVRTC is looked for on Linux only, and this is {sys.platform}; WSL2 and Colab are Linux"
    if _newest() is None:
        return (
            "NVRTC, NVIDIA's compiler of CUDA, is not installed; it needs no GPU: "
            "pip install 'minicnn-from-scratch[nvrtc]' (58 MB)"
        )
    return None


def _folders() -> list[Path]:
    """Where NVIDIA's packages lie: each of them adds to the folder ``nvidia``."""
    found = importlib.util.find_spec("nvidia")
    return [Path(p) for p in found.submodule_search_locations or ()] if found else []


def _newest() -> Path | None:
    """The library of the newest CUDA: packages of CUDA 12 and 13 name their folders differently."""
    found = [path for folder in _folders() for path in folder.glob("*/lib/libnvrtc.so.*")]
    numbered = [(int(match[1]), path) for path in found if (match := re.search(r"\.so\.(\d+)$", path.name))]
    return max(numbered)[1] if numbered else None


def headers() -> Path | None:
    """The folder with CUDA's own headers (``cuda_fp16.h`` and others), if ``nvidia-cuda-runtime`` is installed."""
    return next((p.parent for f in _folders() for p in sorted(f.glob("*/include/cuda_fp16.h"), reverse=True)), None)


@functools.cache
def load() -> ctypes.CDLL:
    """The library.

    Raises
    ------
    CompilerUnavailable
        It is not there, or the system refuses it.
    """
    if why := why_not():
        raise CompilerUnavailable(why)
    path = _newest()
    try:
        library = ctypes.CDLL(str(path))
    except OSError as problem:
        raise CompilerUnavailable(f"{path} cannot be loaded: {problem}; install nvidia-cuda-nvrtc again") from problem
    library.nvrtcGetErrorString.restype = ctypes.c_char_p
    return library


def version() -> tuple[int, int]:
    """Of CUDA, such as (13, 5)."""
    major, minor = ctypes.c_int(), ctypes.c_int()
    check(load().nvrtcVersion(ctypes.byref(major), ctypes.byref(minor)))
    return major.value, minor.value


def architectures() -> tuple[str, ...]:
    """What this NVRTC compiles for: ("sm_75", "sm_80", ...)."""
    count = ctypes.c_int()
    check(load().nvrtcGetNumSupportedArchs(ctypes.byref(count)))
    numbers = (ctypes.c_int * count.value)()
    check(load().nvrtcGetSupportedArchs(numbers))
    return tuple(f"sm_{number}" for number in sorted(numbers))


def check(status: int) -> None:
    """Raise RuntimeError if a call of the library did not go well."""
    if status:
        raise RuntimeError(f"NVRTC: {load().nvrtcGetErrorString(status).decode()}")


class Program:
    """One text in the compiler; use it in a ``with`` block."""

    def __init__(self, text: str, filename: str) -> None:
        self._text, self._filename, self._handle = text, filename, ctypes.c_void_p()

    def __enter__(self) -> Program:
        text, name = self._text.encode(), self._filename.encode()
        check(load().nvrtcCreateProgram(ctypes.byref(self._handle), text, name, 0, None, None))
        return self

    def __exit__(self, *exc_info: object) -> None:
        load().nvrtcDestroyProgram(ctypes.byref(self._handle))

    def compile(self, names: Sequence[str], options: Sequence[str]) -> bool:
        """Whether it compiles. ``names``: kernels, also instances of templates, that shall be in the program."""
        for name in names:
            check(load().nvrtcAddNameExpression(self._handle, name.encode()))
        values = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
        return load().nvrtcCompileProgram(self._handle, len(options), values) == 0

    def get(self, what: str) -> bytes:
        """``what`` is "ProgramLog", "CUBIN" or "PTX"."""
        size = ctypes.c_size_t()
        check(getattr(load(), f"nvrtcGet{what}Size")(self._handle, ctypes.byref(size)))
        data = ctypes.create_string_buffer(size.value)
        check(getattr(load(), f"nvrtcGet{what}")(self._handle, data))
        return data.raw[: size.value]

    def lowered(self, name: str) -> str:
        """What a kernel is called in the compiled program."""
        found = ctypes.c_char_p()
        check(load().nvrtcGetLoweredName(self._handle, name.encode(), ctypes.byref(found)))
        return found.value.decode()
