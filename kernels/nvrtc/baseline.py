"""The figures that the gate compares with: registers and occupancy of every kernel for every architecture, as JSON.

``python -m minicnn.kernels.nvrtc FILE`` compares with a stored file, ``--write`` stores what there is now.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from . import library
from .gate import ELEMENTS, Geometry, Table, worst_occupancy

Launches = dict[tuple[str, str], set[Geometry]]


def record_launches() -> Launches:
    """How the functions of ``kernels/cuda`` launch each kernel: seen in the simulator, on the trials of every kernel.

    Raises
    ------
    CompileError
        The simulator cannot run here: it needs Linux and g++.
    """
    from .. import KERNELS
    from ..cuda import declared
    from ..sim import standin
    from ..trials import trials

    with standin.launches.collect() as seen:
        for name, kernel in KERNELS.items():
            for element in ELEMENTS:
                for arguments in trials(name, element):
                    kernel(*(standin.asarray(a) if isinstance(a, np.ndarray) else a for a in arguments))
    instances = [(k.file, k.instance(e)) for k in declared() for e in (ELEMENTS if k.takes_t else (None,))]
    file_of = {name: file for file, name in instances}
    if len(file_of) < len(instances):
        raise RuntimeError("two files declare kernels of the same name, and records of launches have no files")
    found: Launches = {}
    for launch in seen:
        geometry = Geometry(math.prod(launch.block), launch.shared_mem)
        found.setdefault((file_of[launch.name], launch.name), set()).add(geometry)
    return found


def occupancies(path: str | os.PathLike) -> dict[tuple[str, str], dict[str, float]]:
    """What a stored file says: (file, kernel) -> architecture -> fraction."""
    return {key: entry["occupancy"] for key, entry in _entries(path)}


def registers(path: str | os.PathLike) -> dict[tuple[str, str], dict[str, int]]:
    """What a stored file says: (file, kernel) -> architecture -> registers of a thread."""
    return {key: entry["registers"] for key, entry in _entries(path)}


def launches(path: str | os.PathLike) -> Launches:
    """How kernels were launched when the file was stored."""
    return {key: {Geometry(*numbers) for numbers in entry["launches"]} for key, entry in _entries(path)}


def compiled_with(path: str | os.PathLike) -> str:
    """The version of NVRTC that the stored figures are of, such as "13.5"."""
    return json.loads(Path(path).read_text(encoding="utf-8"))["nvrtc"]


def _entries(path: str | os.PathLike):
    stored = json.loads(Path(path).read_text(encoding="utf-8"))
    return [((file, name), entry) for file, kernels in stored["kernels"].items() for name, entry in kernels.items()]


def write(path: str | os.PathLike, table: Table, seen: Mapping[tuple[str, str], set[Geometry]]) -> None:
    """Store the figures, one line for each kernel, so that a change can be read."""
    files: dict[str, list[str]] = {}
    for (file, name), by_arch in sorted(table.items()):
        full = {a: worst_occupancy(r, seen[file, name], a) for a, r in by_arch.items()}
        entry = {
            "launches": [[g.threads, g.shared_mem] for g in sorted(seen[file, name])],
            "registers": {a: r.registers for a, r in by_arch.items()},
            "occupancy": {a: round(o.fraction, 4) for a, o in full.items() if o is not None},
        }
        files.setdefault(file, []).append(f"  {json.dumps(name)}: {json.dumps(entry)}")
    parts = [f" {json.dumps(file)}: {{\n" + ",\n".join(lines) + "\n }" for file, lines in files.items()]
    version = ".".join(map(str, library.version()))
    text = f'{{\n"nvrtc": "{version}",\n"kernels": {{\n' + ",\n".join(parts) + "\n}\n}\n"
    Path(path).write_text(text, encoding="utf-8")
