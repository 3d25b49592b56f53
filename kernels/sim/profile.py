"""How kernels use memory: sectors of global memory and conflicts in shared memory, line by line.

>>> from kernels import sim  # doctest: +SKIP
>>> with sim.profiling() as launches:  # doctest: +SKIP
...     sim.launch(text, "transpose", grid=(4, 4), block=(32, 8), args=[x, y, 128])
>>> launches[0].lines[0].efficiency  # doctest: +SKIP
1.0

What is counted, and how, says ``runtime/profile.h``. It is a model of the hardware, not a measurement on it.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import itertools
import math
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field

from .memory import runtime
from .mode import profile as switch
from .text import compilers_name, without_comments

SECTOR, BANKS, WORD = 32, 32, 4  # bytes that memory is fetched by; banks of shared memory; bytes that one gives
SPACES = ("global", "variable", "shared", "shared")  # by Kind of runtime/state.h
KINDS = ("load", "store", "atomic")  # by Access of runtime/profile.h


@dataclass(frozen=True)
class Example:
    """One request of a warp.

    Attributes
    ----------
    block, warp : int
        Which of the grid's blocks, and which of its warps.
    array : str
        The parameter that the addresses belong to, "" in shared memory.
    lanes : tuple of (int or None)
        For each of the 32 lanes the first byte that it asks for, counted from the array's beginning; None: it does not
        take part.
    size : int
        Bytes that each lane asks for.
    """

    block: int
    warp: int
    array: str
    lanes: tuple[int | None, ...]
    size: int

    @property
    def sectors(self) -> tuple[int, ...]:
        """Numbers of the sectors that it touches, rising."""
        taken = [at for at in self.lanes if at is not None]
        return tuple(sorted({s for at in taken for s in range(at // SECTOR, (at + self.size - 1) // SECTOR + 1)}))


@dataclass(frozen=True)
class LineAccess:
    """What one line of a kernel does to one kind of memory: all its loads, all its stores or all its atomics.

    Attributes
    ----------
    file, line, source : str, int, str
        Where, and the text there.
    space : {"global", "shared", "variable"}
        "variable": ``__device__`` and ``__constant__`` variables.
    kind : {"load", "store", "atomic"}
    arrays : tuple of str
        Parameters that the addresses belong to.
    size : int
        Bytes of one lane.
    requests, lanes : int
        Warps' instructions, and the threads that took part in them.
    bytes : int
        What lanes asked for, counted once for each lane.
    sectors, least_sectors : int
        32-byte sectors touched; and how many the same bytes need if they lie side by side, from a sector's beginning.
    turns, least_turns : int
        Of shared memory: how often the banks were asked, and how often if no two words had lain in one bank.
    worst_conflict : int
        Most words of one bank in one request; 1 is free of conflicts, 0 means no shared memory.
    example : Example
        One with the worst conflict, or, in global memory, with the most lanes; if possible from the middle of the grid.
    """

    file: str
    line: int
    source: str
    space: str
    kind: str
    arrays: tuple[str, ...]
    size: int
    requests: int
    lanes: int
    bytes: int
    sectors: int
    least_sectors: int
    turns: int
    least_turns: int
    worst_conflict: int
    example: Example

    @property
    def efficiency(self) -> float:
        """How much of the fetched sectors was asked for, 0 to 1; nan in shared memory."""
        return self.least_sectors / self.sectors if self.sectors else math.nan

    @property
    def conflict(self) -> float:
        """Mean degree of bank conflicts: 1 is free of them; nan in global memory."""
        return self.turns / self.least_turns if self.least_turns else math.nan


@dataclass(frozen=True)
class ArrayTraffic:
    """What a launch moves of one array in global memory, in bytes of whole sectors.

    Attributes
    ----------
    name : str
        The parameter.
    loaded, stored : int
        Each sector counted once: the traffic if the caches hold everything. Nothing that the launch has stored before
        is loaded from memory.
    loaded_by_blocks, stored_by_blocks : int
        Each sector once for each block that touches it: the traffic if a cache holds what its block uses, and no more.
    """

    name: str
    loaded: int
    stored: int
    loaded_by_blocks: int
    stored_by_blocks: int


@dataclass(frozen=True)
class LaunchProfile:
    """One launch.

    Attributes
    ----------
    kernel, source : str
        Its name (``"relu<float>"``), and the text of its file.
    together : tuple of str
        All kernels that are compiled together with it.
    grid, block : tuple of int
    shared_mem : int
        Bytes of dynamic shared memory.
    lines : list of LineAccess
        By line; loads before stores.
    arrays : list of ArrayTraffic
    """

    kernel: str
    grid: tuple[int, ...]
    block: tuple[int, ...]
    shared_mem: int
    lines: list[LineAccess]
    arrays: list[ArrayTraffic]
    source: str = field(repr=False)
    together: tuple[str, ...] = field(repr=False)

    @property
    def loaded(self) -> int:
        """Bytes that it loads if the caches hold everything."""
        return sum(a.loaded for a in self.arrays)

    @property
    def stored(self) -> int:
        """Bytes that it stores if the caches hold everything."""
        return sum(a.stored for a in self.arrays)

    @property
    def bytes_moved(self) -> int:
        """Both."""
        return self.loaded + self.stored

    @property
    def bytes_by_blocks(self) -> int:
        """Both, if a cache holds only what its block uses."""
        return sum(a.loaded_by_blocks + a.stored_by_blocks for a in self.arrays)

    @property
    def bytes_requested(self) -> int:
        """What all threads asked of global memory, if there were no cache and no coalescing."""
        return sum(line.bytes for line in self.lines if line.space == "global")

    @property
    def efficiency(self) -> float:
        """Sector efficiency of all loads and stores together, 0 to 1."""
        sectors = sum(line.sectors for line in self.lines if line.space == "global")
        return sum(line.least_sectors for line in self.lines if line.space == "global") / sectors if sectors else 1.0

    @property
    def worst_conflict(self) -> int:
        """Of all lines; 0 without shared memory."""
        return max((line.worst_conflict for line in self.lines), default=0)


_open: list[list[LaunchProfile]] = []


@contextlib.contextmanager
def profiling() -> Iterator[list[LaunchProfile]]:
    """Count the accesses to memory of all kernels that the simulator runs in this block.

    They are compiled once more for it, by g++ with the optimisations that NVRTC would also make, and run on one
    processor, some twenty times slower.

    Yields
    ------
    list of LaunchProfile
        Of all launches so far, in order.
    """
    collected: list[LaunchProfile] = []
    _open.append(collected)
    switch(1)
    try:
        yield collected
    finally:
        switch(-1)
        _open[:] = [other for other in _open if other is not collected]


class _Site(ctypes.Structure):  # Site of runtime/profile.h
    _fields_ = [
        ("pc", ctypes.c_uint64), ("file", ctypes.c_char_p),
        ("line", ctypes.c_uint32), ("space", ctypes.c_uint32), ("access", ctypes.c_uint32), ("size", ctypes.c_uint32),
        ("requests", ctypes.c_uint64), ("lanes", ctypes.c_uint64), ("sectors", ctypes.c_uint64),
        ("least_sectors", ctypes.c_uint64), ("turns", ctypes.c_uint64), ("least_turns", ctypes.c_uint64),
        ("worst", ctypes.c_uint32), ("example_warp", ctypes.c_uint32), ("example_block", ctypes.c_uint64),
        ("example", ctypes.c_uint64 * 32), ("example_mask", ctypes.c_uint32), ("example_turns", ctypes.c_uint32),
    ]  # fmt: skip


class _Array(ctypes.Structure):  # Touched of runtime/profile.h
    _fields_ = [
        ("low", ctypes.c_void_p), ("high", ctypes.c_void_p), ("sectors", ctypes.c_uint64 * 2),
        ("by_block", ctypes.c_uint64 * 2),
    ]  # fmt: skip


def collect(module, name: str, grid: tuple[int, ...], block: tuple[int, ...], shared_mem: int, values) -> None:
    """Take what the runtime has counted in the launch that has just ended. ``module`` is a :class:`.module.Module`."""
    sites, arrays = ctypes.POINTER(_Site)(), ctypes.POINTER(_Array)()
    n_sites = runtime().sim_profiled_sites(ctypes.byref(sites))
    n_arrays = runtime().sim_profiled_arrays(ctypes.byref(arrays))
    parameters = parameter_names(module.source, name)
    names = [_name(arrays[i], parameters, values) for i in range(n_arrays)]
    lines = _lines(module, sites[:n_sites], names)
    traffic = [
        ArrayTraffic(names[i], *(SECTOR * n for n in (*arrays[i].sectors, *arrays[i].by_block)))
        for i in range(n_arrays)
    ]
    launch = LaunchProfile(name, grid, block, shared_mem, lines, traffic, module.source, tuple(module.kernels()))
    for collected in _open:
        collected.append(launch)


def parameter_names(source: str, kernel: str) -> list[str]:
    """The names of a kernel's parameters, read off its text; [] if they cannot be read."""
    function = re.escape(kernel.partition("<")[0].rpartition("::")[2])
    found = re.search(rf"\b{function}\s*\(([^)]*)\)\s*{{", without_comments(source))
    names = [re.search(r"(\w+)\s*(?:\[\s*\])?\s*$", part) for part in found[1].split(",")] if found else []
    return [name[1] if name else "" for name in names]


def _name(array: _Array, parameters: list[str], values) -> str:
    """The parameter that points into an array."""
    for i, value in enumerate(values):
        if isinstance(value, int) and array.low <= value < array.high:
            return parameters[i] if i < len(parameters) else f"argument {i}"
    return "an array"


def _lines(module, sites: list[_Site], names: list[str]) -> list[LineAccess]:
    """Sites, joined by line, space and kind."""
    places = _places(str(module.path), module.filename, tuple(sorted(s.pc for s in sites if not s.file)))
    placed = [(s.line if s.file else places.get(s.pc, 0), SPACES[s.space], KINDS[s.access], s) for s in sites]
    placed.sort(key=lambda p: (p[0], p[1], KINDS.index(p[2])))
    texts = module.source.split("\n")
    first = 1 if module.source.startswith("#line ") else 0  # that line counts as none
    found = []
    for (line, space, kind), group in itertools.groupby(placed, key=lambda p: p[:3]):
        group = [p[3] for p in group]
        text = texts[line + first - 1].strip() if 0 < line <= len(texts) - first else ""
        total = {
            name: sum(getattr(s, name) for s in group)
            for name in ("requests", "lanes", "sectors", "least_sectors", "turns", "least_turns")
        }
        shown = max(group, key=lambda s: (s.example_turns, bin(s.example_mask).count("1"), s.requests))
        arrays = [names[a >> 40] for s in group if space == "global" for a in _asked(s)]
        found.append(
            LineAccess(
                module.filename, line, text, space, kind, tuple(dict.fromkeys(arrays)), max(s.size for s in group),
                bytes=sum(s.lanes * s.size for s in group), worst_conflict=max(s.worst for s in group),
                example=_example(shown, space, names), **total,
            )
        )  # fmt: skip
    return found


def _asked(site: _Site) -> list[int]:
    return [at for lane, at in enumerate(site.example) if site.example_mask >> lane & 1]


def _example(site: _Site, space: str, names: list[str]) -> Example:
    byte = (1 << 40) - 1
    lanes = tuple(at & byte if site.example_mask >> lane & 1 else None for lane, at in enumerate(site.example))
    array = names[_asked(site)[0] >> 40] if space == "global" else ""
    return Example(site.example_block, site.example_warp, array, lanes, site.size)


@functools.lru_cache(maxsize=256)
def _places(library: str, filename: str, addresses: tuple[int, ...]) -> dict[int, int]:
    """The lines of the .cu file that machine instructions came from."""
    program = shutil.which("addr2line")
    if not addresses or program is None:
        return {}
    command = [program, "-a", "-i", "-e", library, *map(hex, addresses)]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    file = compilers_name(filename).rsplit("/", 1)[-1]
    found: dict[int, int] = {}
    current = 0
    for line in said.splitlines():
        if line.startswith("0x"):
            current = int(line, 16)
            continue
        where, _, number = line.split(" (")[0].rpartition(":")
        if where.rsplit("/", 1)[-1] == file and number.isdigit() and int(number):
            found.setdefault(current, int(number))  # the innermost; those that follow have called it
    return found
