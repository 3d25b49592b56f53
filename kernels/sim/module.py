"""A .cu file, compiled: its kernels, their parameters, and their launch."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import math
import os
import re
import struct
import threading
from collections.abc import Sequence

from . import build, profile, text
from .faults import fault_of, warn_of_unset
from .memory import LOCK, runtime
from .parameters import Parameter, parameters_of
from .refused import refuse_initialised, refuse_large_static
from .symbols import shared_symbols

FORWARD, BACKWARD, SHUFFLED, CHECKED, FLUSH_TO_ZERO, INTERRUPTIBLE, PROFILED = 0, 1, 2, 4, 8, 16, 32
ORDERS = {"forward": FORWARD, "backward": BACKWARD, "shuffled": SHUFFLED}
DYNAMIC_BYTES = 227 * 1024  # the most dynamic shared memory that any GPU gives a block
#: what a .cu file may include, and cuda.h has already
HEADERS = ("cuda_fp16.h", "assert.h", "cassert")
#: return-type: of a function that comes to its end without a value, g++ makes code that runs into the next one
COMMON = (
    "-fno-exceptions",
    "-Werror=return-type",
    "-Werror=vla",
    "-fno-strict-aliasing",
    "-fstack-clash-protection",
    "-gdwarf-4",
)
FAST = ("-O2", "-march=native", "-g1", "-fno-math-errno", "-fwrapv")
CHECK = (
    "-Og", "-g", "-DSIM_CHECK", "-fsanitize=thread", "-fno-sanitize-recover",
    "-fsanitize=bounds,shift,signed-integer-overflow,integer-divide-by-zero", "-Werror=uninitialized",
    "-Wno-error=maybe-uninitialized",
)  # fmt: skip
#: local variables begin with bytes 0xfe, which the checker knows again when they are stored (since g++ 12)
FILLED = ("-ftrivial-auto-var-init=pattern",)
#: what NVRTC leaves of loads and stores, as far as g++ can be told: nothing is loaded twice, but nothing is joined to
#: vectors either, or moved to a second copy of a loop; and blocks of instructions stand as in the text
PROFILE = (
    "-O2", "-g", "-DSIM_CHECK", "-fsanitize=thread", "-fwrapv", "-fno-math-errno", "-fno-optimize-sibling-calls",
    "-fno-tree-sra", "-fno-ipa-sra", "-fno-tree-vectorize", "-fno-tree-slp-vectorize", "-fno-store-merging",
    "-fno-tree-loop-distribute-patterns", "-fno-tree-pre", "-fno-code-hoisting", "-fno-thread-jumps",
    "-fno-split-paths", "-fno-reorder-blocks", "-fsanitize-coverage=trace-pc",
)  # fmt: skip
#: `__shared__` is thread_local. Templates would share such variables between libraries, as GNU's unique symbols
TLS = ("-fno-extern-tls-init", "-fno-gnu-unique", *(("-mtls-dialect=gnu2",) if build.INTEL else ()))


class _Dim(ctypes.Structure):
    _fields_ = [("x", ctypes.c_uint), ("y", ctypes.c_uint), ("z", ctypes.c_uint)]


class _Launch(ctypes.Structure):  # sim_launch of runtime/state.h
    _fields_ = [
        ("run", ctypes.c_void_p), ("arguments", ctypes.c_void_p), ("grid", _Dim), ("block", _Dim),
        ("shared_bytes", ctypes.c_uint64), ("mode", ctypes.c_uint32), ("workers", ctypes.c_uint32),
        ("seed", ctypes.c_uint64), ("ranges", ctypes.c_void_p), ("dynamic", ctypes.c_void_p),
        ("guards", ctypes.c_void_p), ("guard_count", ctypes.c_uint32), ("report_bytes", ctypes.c_uint32),
        ("seconds", ctypes.c_double), ("report", ctypes.c_char_p), ("given", ctypes.c_void_p),
        ("given_count", ctypes.c_uint64),
    ]  # fmt: skip


class _Entry(ctypes.Structure):  # sim::Entry of runtime/table.h
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("run", ctypes.c_void_p),
        ("describe", ctypes.c_void_p),
        ("threads", ctypes.c_int),
    ]


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
        Look at every access to memory.
    profiled : bool
        Count them instead, see :mod:`.profile`.
    """

    flushing = FLUSH_TO_ZERO  # the processor flushes tiny numbers to 0

    def __init__(
        self, source: str, filename: str = "kernel.cu", names: Sequence[str] = (), options: Sequence[str] = (),
        check: bool = False, profiled: bool = False,
    ) -> None:  # fmt: skip
        self.source, self.filename = source, text.named_file(source, filename)
        self.names, self.check, self.profiled = tuple(names), check, profiled
        self.options = tuple(o for o in options if re.match("-[DUI]", o))

    @functools.cached_property
    def _active(self) -> str:
        """The text without what the preprocessor drops."""
        return build.preprocessed(self.source, self.options)

    @functools.cached_property
    def _found(self) -> dict[str, text.Found]:
        """The kernels that stand in the text, by name, templates among them."""
        return {kernel.name: kernel for kernel in text.found_kernels(self._active)}

    def _entries(self) -> str:
        """The table of runtime/table.h: kernels that are no templates, and the wanted instances of templates."""
        entries = {
            kernel.name: (kernel.inside, kernel.bounds) for kernel in self._found.values() if kernel.template is None
        }
        for name in self.names:
            base = name.partition("<")[0].strip()
            if base in self._found:
                entries[name] = name, self._found[base].bounds
            elif re.search(rf"\b{re.escape(base.rpartition('::')[2])}\s*\(", self._active):
                entries[name] = name, ""  # in a form that was not recognised; C++ knows better
        return " ".join(f'SIM_KERNEL("{n}", ({bounds or 0}), {inside})' for n, (inside, bounds) in entries.items())

    @functools.cached_property
    def path(self) -> os.PathLike:
        """The compiled library."""
        refuse_initialised(self.filename, self.source, self._active)
        entries = self._entries()
        # a name of their own for the linker: one such as `buffer` would otherwise be taken for that of other libraries
        renamed = "".join(f"#define {n} {_storage(self._dynamic_names, n)}\n" for n in self._dynamic_names)
        shown = text.compilers_name(self.filename)
        last = max(1, len(self.source.splitlines()))  # if a brace is missing, the error shows up behind the end
        whole = (
            f'#include "cuda.h"\n{renamed}#line 1 "{shown}"\n{self.source}\n#line {last} "{shown}"\n'
            f"sim::Entry sim_table[] = {{ {entries} {{nullptr, nullptr, nullptr, 0}}}};\n"
        )
        files = {n: t for n, t in build.runtime_text().items() if n.endswith(".h")}
        files |= {"kernels.cpp": whole, **dict.fromkeys(HEADERS, "#pragma once\n")}
        checked = (*CHECK, *FILLED) if build.major_version() >= 12 else CHECK
        options = (*COMMON, *TLS, *self.options, *(PROFILE if self.profiled else checked if self.check else FAST))
        return build.library("kernels", files, options, self.filename)

    @functools.cached_property
    def _library(self) -> ctypes.CDLL:
        runtime()
        refuse_large_static(self.filename, self.source, self._active, self.path)
        self._dynamic  # noqa: B018 - loaded first, the library refers to it
        for line, name in build.perhaps_unset(self.path, self.filename):
            warn_of_unset(self.filename, line, name)
        try:
            return build.load(self.path, self.filename)
        except build.DamagedError:  # and thrown away
            del self.path
            return build.load(self.path, self.filename)

    @functools.cached_property
    def _dynamic_names(self) -> tuple[str, ...]:
        return text.dynamic_names(self._active)

    @functools.cached_property
    def _dynamic(self) -> ctypes.c_void_p | None:
        """The function that tells where a worker's dynamic shared memory is."""
        if not self._dynamic_names:
            return None
        return ctypes.cast(_dynamic_memory(self._dynamic_names).sim_dynamic, ctypes.c_void_p)

    @functools.cached_property
    def _guards(self) -> ctypes.Array:
        found = [symbol for symbol in shared_symbols(self.path) if symbol.guard] if self.check else []
        numbers = [number for symbol in found for number in (symbol.offset, symbol.size)]
        return (ctypes.c_uint64 * len(numbers))(*numbers)

    @functools.cached_property
    def _kernels(self) -> dict[str, tuple[int, tuple[Parameter, ...], int]]:
        table = ctypes.cast(self._library.sim_table, ctypes.POINTER(_Entry))
        found, i = {}, 0
        while table[i].name:
            types = ctypes.create_string_buffer(4096)
            ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_char_p)(table[i].describe)(types)
            found[table[i].name.decode()] = table[i].run, parameters_of(types.value.decode()), table[i].threads
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
            raise KeyError(f"{self.filename} has no kernel {name}; {self._remedy(name)}")
        return self._kernels[name][1]

    def _remedy(self, name: str) -> str:
        if name in self._found:
            template = self._found[name]
            return f"{name} is a template: ask for an instance of it, such as {template.an_instance}"
        templates = [k for k in self._found.values() if k.template is not None]
        listed = [*self._kernels, *(f"the template {k.name} (such as {k.an_instance})" for k in templates)]
        said = f"it has {', '.join(listed) or 'none'}"
        if lines := text.not_understood(self._active):
            first = lines[0] - self.source.startswith("#line 1 ")
            said += f"; the __global__ in line {first} was not recognised: write `__global__ void name(parameters)`"
        if (
            name.partition("<")[0] in re.findall(r"\w+", text.without_comments(self.source))
            and self._active != self.source
        ):
            said += "; what #if leaves out does not count"
        return said

    def most_threads(self, name: str) -> int | None:
        """How many threads of a block ``__launch_bounds__`` allows a kernel; None if it says nothing."""
        self.signature(name)
        return self._kernels[name][2] or None

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
        if len(values) != len(parameters):
            raise TypeError(f"{name} takes {len(parameters)} arguments, got {len(values)}")
        if not 0 <= shared_mem <= DYNAMIC_BYTES:
            raise ValueError(f"shared_mem must be 0 to {DYNAMIC_BYTES} bytes, got {shared_mem}")
        threads, most = math.prod(block), self.most_threads(name)
        if most is not None and threads > most:
            raise ValueError(
                f"{name} is declared with __launch_bounds__({most}), and a block of this launch has {threads} threads"
            )
        kept = [ctypes.c_void_p(v) if isinstance(v, int) else ctypes.create_string_buffer(v, len(v)) for v in values]
        pointers = (ctypes.c_void_p * max(1, len(kept)))(*[ctypes.addressof(v) for v in kept])
        report = ctypes.create_string_buffer(8192)
        given = _addresses(values) if self.check else (ctypes.c_uint64 * 0)()
        mode = ORDERS[order] | self.flushing | (PROFILED if self.profiled else CHECKED if self.check else 0)
        if threading.current_thread() is threading.main_thread():
            mode |= INTERRUPTIBLE  # Ctrl-C goes there
        described = _Launch(
            self._kernels[name][0], ctypes.addressof(pointers), _Dim(*(*grid, 1, 1)[:3]), _Dim(*(*block, 1, 1)[:3]),
            shared_mem, mode, workers(), seed, ctypes.cast(self._library.sim_find_ranges, ctypes.c_void_p),
            self._dynamic, ctypes.cast(self._guards, ctypes.c_void_p), len(self._guards) // 2, len(report),
            _seconds() if seconds is None else seconds,
            ctypes.cast(report, ctypes.c_char_p), ctypes.cast(given, ctypes.c_void_p), len(given) // 2,
        )  # fmt: skip
        with LOCK:
            failed = runtime().sim_run(ctypes.byref(described))
            if not failed and self.profiled:
                profile.collect(self, name, tuple(grid), tuple(block), shared_mem, values)
        if not failed:
            return
        said = report.value.decode(errors="replace")
        if said.startswith("interrupted|"):
            raise KeyboardInterrupt
        raise fault_of(said, name, self.path, self.filename)


def _seconds() -> float:
    """After how much of the processor's time a kernel counts as hanging."""
    said = os.environ.get("MINICNN_SIM_SECONDS", "60")
    try:
        seconds = float(said)
    except ValueError:
        seconds = math.nan
    if not seconds > 0:
        raise ValueError(f"MINICNN_SIM_SECONDS must be a number of seconds greater than 0, got {said!r}")
    return seconds


def _addresses(values: Sequence[bytes | int]) -> ctypes.Array:
    """For every argument that may be an address, or a struct with addresses in it: its number and the address."""
    found = []
    for i, value in enumerate(values):
        held = value if isinstance(value, bytes) else struct.pack("=Q", value)
        for (address,) in struct.iter_unpack("=Q", held[: len(held) // 8 * 8]):
            found += [i, address]
    return (ctypes.c_uint64 * len(found))(*found)


def _storage(names: tuple[str, ...], name: str) -> str:
    """What a dynamic array of a file with these is called in the library: no other file's has the same name."""
    return f"sim_dynamic_{hashlib.sha256(repr(names).encode()).hexdigest()[:8]}_{name}"


@functools.cache
def _dynamic_memory(names: tuple[str, ...]) -> ctypes.CDLL:
    """A library that holds the memory behind ``extern __shared__ T name[]``: one piece, whatever it is called."""
    first, *others = (_storage(names, name) for name in names)
    size = f"[{DYNAMIC_BYTES + 4096}]"
    source = f'extern "C" {{\nalignas(128) thread_local unsigned char {first}{size};\n'
    source += "".join(
        f'extern thread_local unsigned char {o}{size} __attribute__((alias("{first}")));\n' for o in others
    )
    source += f"void* sim_dynamic() {{ return {first}; }}\n}}\n"
    made = build.library("dynamic", {"dynamic.cpp": source}, ("-O1",))
    return build.load(made, "dynamic shared memory", ctypes.RTLD_GLOBAL)


_workers: int | None = None


def workers() -> int:
    """How many blocks are computed at once outside check mode; results do not depend on it."""
    return _workers or max(1, len(os.sched_getaffinity(0)))


def set_workers(n: int | None) -> None:
    """None: as many as this process may use processors."""
    global _workers
    _workers = n
