"""A .cu file, compiled: its kernels, their parameters, and their launch."""

from __future__ import annotations

import ctypes
import functools
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

from . import build
from .faults import fault_of
from .memory import LOCK, runtime

FORWARD, BACKWARD, SHUFFLED, CHECKED, FLUSH_TO_ZERO = 0, 1, 2, 4, 8
ORDERS = {"forward": FORWARD, "backward": BACKWARD, "shuffled": SHUFFLED}
DYNAMIC_BYTES = 227 * 1024  # the most dynamic shared memory that any GPU gives a block
WARNINGS = (
    "-Wall",
    "-Wno-unknown-pragmas",
    "-Wno-unused-function",
    "-Wno-unused-variable",
    "-Wno-unused-but-set-variable",
)
FAST = ("-O2", "-march=native", "-g1", "-gdwarf-4", "-fno-math-errno")
CHECK = (
    "-Og", "-g", "-gdwarf-4", "-DSIM_CHECK", "-fsanitize=thread", "-fno-sanitize-recover",
    "-fsanitize=bounds,shift,signed-integer-overflow,integer-divide-by-zero",
)  # fmt: skip
#: `__shared__` is thread_local. Templates would share such variables between libraries, as GNU's unique symbols
TLS = ("-fno-extern-tls-init", "-fno-gnu-unique", *(("-mtls-dialect=gnu2",) if build.INTEL else ()))

_KERNEL = re.compile(
    r"(?P<template>template\s*<[^;{}()]*>\s*)?(?:extern\s+\"C\"\s+)?(?:static\s+|inline\s+)*__global__\s+(?:\w+\s+)*?void\s+"
    r"(?:__launch_bounds__\s*\((?:[^()]|\([^()]*\))*\)\s*)?(?P<name>\w+)\s*\("
)
_DYNAMIC = re.compile(r"extern\s+__shared__\s+(?:__align__\(\d+\)\s*)?[\w:\s<>]+?\**\s*(\w+)\s*\[\s*\]")

#: finds the library's thread-local memory, which is the block's static shared memory: its TLS segment
_GLUE = """
#include <link.h>
extern "C" void* __tls_get_addr(size_t*);
static int sim_find(dl_phdr_info* info, size_t, void* found)
{
    void** range = (void**)found;
    bool own = false;
    for (int i = 0; i < info->dlpi_phnum; ++i) {
        const auto& part = info->dlpi_phdr[i];
        const uintptr_t begin = info->dlpi_addr + part.p_vaddr, here = (uintptr_t)&sim_table;
        own = own || (part.p_type == PT_LOAD && here >= begin && here < begin + part.p_memsz);
    }
    for (int i = 0; own && i < info->dlpi_phnum; ++i)
        if (info->dlpi_phdr[i].p_type == PT_TLS) {
            size_t index[2] = {info->dlpi_tls_modid, 0};
            range[0] = __tls_get_addr(index);
            range[1] = (char*)range[0] + info->dlpi_phdr[i].p_memsz;
        }
    return own;
}
static thread_local char sim_anchor = 0;  // so that there is such a segment
extern "C" void sim_shared_range(void** low, void** high)
{
    *(volatile char*)&sim_anchor = 0;
    void* range[2] = {nullptr, nullptr};
    dl_iterate_phdr(sim_find, range);
    *low = range[0];
    *high = range[1];
}
"""


@dataclass(frozen=True)
class Parameter:
    """A parameter of a kernel, as C++ sees it.

    Attributes
    ----------
    pointer, const : bool
        ``const``: what it points to.
    kind : str
        "f" floating, "i" signed, "u" unsigned, "b" bool, "v" void, "s" a struct such as float4.
    size : int
        Bytes of one element.
    """

    pointer: bool
    const: bool
    kind: str
    size: int

    def __str__(self) -> str:
        names = {
            "f4": "float", "f8": "double", "f2": "half", "i4": "int", "i8": "long long", "u4": "unsigned",
            "u8": "unsigned long long", "i1": "signed char", "u1": "unsigned char", "i2": "short",
            "u2": "unsigned short", "b1": "bool", "v0": "void",
        }  # fmt: skip
        name = names.get(f"{self.kind}{self.size}", f"struct of {self.size} bytes")
        return f"{'const ' if self.const else ''}{name}{'*' if self.pointer else ''}"


class _Dim(ctypes.Structure):
    _fields_ = [("x", ctypes.c_uint), ("y", ctypes.c_uint), ("z", ctypes.c_uint)]


class _Launch(ctypes.Structure):  # sim_launch of runtime/state.h
    _fields_ = [
        ("run", ctypes.c_void_p), ("arguments", ctypes.c_void_p), ("grid", _Dim), ("block", _Dim),
        ("shared_bytes", ctypes.c_uint64), ("mode", ctypes.c_uint32), ("workers", ctypes.c_uint32),
        ("seed", ctypes.c_uint64), ("shared_range", ctypes.c_void_p), ("dynamic", ctypes.c_void_p),
        ("seconds", ctypes.c_double), ("report", ctypes.c_char_p), ("report_bytes", ctypes.c_uint32),
    ]  # fmt: skip


class _Entry(ctypes.Structure):  # sim::Entry of runtime/table.h
    _fields_ = [("name", ctypes.c_char_p), ("run", ctypes.c_void_p), ("describe", ctypes.c_void_p)]


def without_comments(text: str) -> str:
    """The text with blanks for comments, so that lines and columns stay."""
    blank = lambda match: re.sub(r"[^\n]", " ", match.group())  # noqa: E731
    return re.sub(r"//[^\n]*|/\*.*?\*/", blank, text, flags=re.S)


def kernel_names(text: str) -> list[str]:
    """Names of the kernels in a .cu text that are no templates."""
    return [m["name"] for m in _KERNEL.finditer(without_comments(text)) if not m["template"]]


class Module:
    """The kernels of a .cu text. It is compiled when the first of them is asked for.

    Parameters
    ----------
    source : str
    filename : str
        For messages; a first line ``#line 1 "name"`` in the source says it, too.
    names : sequence of str
        Instances of templates, such as ``"relu<float>"``.
    options : sequence of str
        Of them ``-D``, ``-U`` and ``-I`` count.
    check : bool
    """

    def __init__(
        self, source: str, filename: str = "kernel.cu", names: Sequence[str] = (), options: Sequence[str] = (),
        check: bool = False,
    ) -> None:  # fmt: skip
        said = re.match(r'#line 1 "([^"\n]+)"', source)  # whoever passes a text on can say so where it came from
        self.source, self.filename = source, said[1] if said else filename
        self.names, self.check = tuple(names), check
        self.options = tuple(o for o in options if re.match("-[DUI]", o))

    @functools.cached_property
    def _library(self) -> ctypes.CDLL:
        runtime()
        for name in self._dynamic_names:
            _dynamic_memory(name)
        library = ctypes.CDLL(str(self.path))
        library.sim_shared_range.restype = None
        return library

    @functools.cached_property
    def _dynamic_names(self) -> list[str]:
        return sorted(set(_DYNAMIC.findall(without_comments(self.source))))

    @functools.cached_property
    def path(self) -> os.PathLike:
        """The compiled library."""
        entries = "\n".join(f'SIM_KERNEL("{n}", {n})' for n in (*kernel_names(self.source), *self.names))
        shown = re.sub(r'["\\\n]', "_", self.filename)
        text = (
            f'#include "cuda.h"\n#line 1 "{shown}"\n{self.source}\n#line 1 "sim-glue"\n'
            f'extern "C" {{\nsim::Entry sim_table[] = {{\n{entries}\n{{nullptr, nullptr, nullptr}}}};\n}}\n{_GLUE}'
        )
        files = {**build.runtime_text(), "kernels.cpp": text, "cuda_fp16.h": "#pragma once\n"}
        files.pop("runtime.cpp")
        options = (*TLS, *WARNINGS, *self.options, *(CHECK if self.check else FAST))
        return build.library("kernels", files, options, self.filename)

    @functools.cached_property
    def _kernels(self) -> dict[str, tuple[int, tuple[Parameter, ...]]]:
        table = ctypes.cast(self._library.sim_table, ctypes.POINTER(_Entry))
        found, i = {}, 0
        while table[i].name:
            text = ctypes.create_string_buffer(4096)
            ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_char_p)(table[i].describe)(text)
            found[table[i].name.decode()] = (table[i].run, _parameters(text.value.decode()))
            i += 1
        return found

    def compile(self) -> None:
        """Compile it now, not when the first kernel is asked for. Raises CompileError."""
        self._kernels  # noqa: B018 - made when looked at

    def kernels(self) -> list[str]:
        """Names of all kernels."""
        return list(self._kernels)

    def signature(self, name: str) -> tuple[Parameter, ...]:
        """The parameters of a kernel. Raises KeyError if there is none of this name."""
        if name not in self._kernels:
            there = ", ".join(self._kernels) or "none"
            raise KeyError(f"{self.filename} has no kernel {name}; it has {there}")
        return self._kernels[name][1]

    def launch(
        self, name: str, grid: Sequence[int], block: Sequence[int], values: Sequence[bytes | int], shared_mem: int = 0,
        order: str = "forward", seed: int = 0, seconds: float | None = None,
    ) -> None:  # fmt: skip
        """Run a kernel to its end.

        Parameters
        ----------
        name : str
        grid, block : up to three ints
        values : sequence
            For each parameter, its bytes, or the address that a pointer shall have.
        shared_mem : int
            Bytes of dynamic shared memory.
        order : {"forward", "backward", "shuffled"}
            In which threads and blocks start.
        seconds : float, optional
            Of CPU time, then it counts as a hang; MINICNN_SIM_SECONDS, or 60.

        Raises
        ------
        KernelFault
        """
        parameters = self.signature(name)
        run = self._kernels[name][0]
        kept = [ctypes.c_void_p(v) if isinstance(v, int) else ctypes.create_string_buffer(v, len(v)) for v in values]
        assert len(kept) == len(parameters), (name, len(kept), len(parameters))
        pointers = (ctypes.c_void_p * max(1, len(kept)))(*[ctypes.addressof(v) for v in kept])
        report = ctypes.create_string_buffer(4096)
        own = self._library
        dynamic = _dynamic_memory(self._dynamic_names[0]).sim_dynamic if self._dynamic_names else None
        described = _Launch(
            run, ctypes.addressof(pointers), _Dim(*(*grid, 1, 1)[:3]), _Dim(*(*block, 1, 1)[:3]), shared_mem,
            ORDERS[order] | (CHECKED if self.check else 0) | FLUSH_TO_ZERO, workers(), seed,
            ctypes.cast(own.sim_shared_range, ctypes.c_void_p),
            ctypes.cast(dynamic, ctypes.c_void_p) if dynamic else None,
            float(os.environ.get("MINICNN_SIM_SECONDS", 60)) if seconds is None else seconds,
            ctypes.cast(report, ctypes.c_char_p), len(report),
        )  # fmt: skip
        with LOCK:
            failed = runtime().sim_run(ctypes.byref(described))
        if failed:
            raise fault_of(report.value.decode(errors="replace"), name, self.path, self.filename)


@functools.cache
def _dynamic_memory(name: str) -> ctypes.CDLL:
    """A library that holds the array behind ``extern __shared__ T name[]``, in a place of its own."""
    text = (
        f'extern "C" {{\nalignas(128) thread_local unsigned char {name}[{DYNAMIC_BYTES + 4096}];\n'
        f"void* sim_dynamic() {{ return {name}; }}\n}}\n"
    )
    made = build.library(f"dynamic-{name}", {"dynamic.cpp": text}, ("-O1",))
    return ctypes.CDLL(str(made), mode=ctypes.RTLD_GLOBAL)


def _parameters(text: str) -> tuple[Parameter, ...]:
    """``"pcf4;i8;"``: see ``describe`` in runtime/table.h."""
    found = []
    for part in text.split(";")[:-1]:
        pointer = part[0] == "p"
        kind, size = (part[2], part[3:]) if pointer else (part[0], part[1:])
        found.append(Parameter(pointer, pointer and part[1] == "c", kind, int(size) if size.isdigit() else 8))
    return tuple(found)


_workers: int | None = None


def workers() -> int:
    """How many blocks are computed at once outside check mode; results do not depend on it."""
    return _workers or max(1, len(os.sched_getaffinity(0)))


def set_workers(n: int | None) -> None:
    """None: as many as this process may use processors."""
    global _workers
    _workers = n
