"""A .cu text, compiled for one architecture exactly as CuPy compiles it on a machine with a GPU.

>>> text = 'extern "C" __global__ void zero(float* x) { x[threadIdx.x] = 0; }'
>>> compiled = compile(text, "zero.cu", ["zero"], "sm_90")  # doctest: +SKIP
>>> compiled.resources["zero"].registers  # doctest: +SKIP
8
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from . import library
from .resources import Resources, read

#: What CuPy adds to the options of every RawModule (cupy/cuda/compiler.py and cupy/_core/core.pyx of CuPy 14), beside
#: the folders of its headers, which our kernels do without. The launcher gives --std itself.
CUPY = ("--std=c++17", "-ftz=true", "--device-as-default-execution-space")
LOG = "--ptxas-options=-v"  # has what each kernel uses written into the log, and changes nothing else


class CompileError(RuntimeError):
    """NVRTC refused a .cu text, or warned of something in it.

    Attributes
    ----------
    file, line : str, int or None
        Of the first complaint.
    log : str
        All that it said.
    """

    def __init__(self, filename: str, arch: str, log: str) -> None:
        self.log = log
        place = _PLACE.search(log)
        self.file, self.line = (place[1], int(place[2])) if place else (filename, None)
        super().__init__(f"{filename} does not compile for {arch}:\n{_complaints(log)}")


_PLACE = re.compile(r"^(\S[^\n(]*)\((\d+)\): (?:error|warning|catastrophic error)", re.M)
_COMPLAINT = re.compile(r"^(?!ptxas info|ptxas +\.).*\b(error|warning)\b", re.M)


@dataclass(frozen=True)
class Compiled:
    """What NVRTC made of a text.

    Attributes
    ----------
    arch : str
    cubin : bytes
        Machine code, which a GPU's driver loads.
    ptx : str
        The code before it, for an idealised GPU; readable.
    log : str
    names : dict of str to str
        Kernel as C++ writes it -> its name in cubin and ptx.
    """

    arch: str
    cubin: bytes
    ptx: str
    log: str
    names: dict[str, str]

    @functools.cached_property
    def resources(self) -> dict[str, Resources]:
        """What each kernel needs, by its name in C++."""
        found = read(self.log)
        return {name: found[lowered] for name, lowered in self.names.items()}


def compile(  # noqa: A001 - nvrtc.compile is what it does
    text: str,
    filename: str,
    names: Sequence[str],
    arch: str,
    options: Sequence[str] | None = None,
    warnings_are_errors: bool = True,
) -> Compiled:
    """Compile a .cu text.

    Parameters
    ----------
    text : str
    filename : str
        For messages.
    names : sequence of str
        Kernels, and instances of templates, such as ``"relu<float>"``.
    arch : str
        Such as "sm_90"; :func:`.library.architectures` lists them.
    options : sequence of str, optional
        Instead of CuPy's.

    Raises
    ------
    CompileError
        With file and line.
    CompilerUnavailable
        There is no NVRTC.
    ValueError
        If NVRTC does not know the architecture.
    """
    known = library.architectures()
    if arch not in known:
        version = ".".join(map(str, library.version()))
        raise ValueError(f"NVRTC {version} does not compile for {arch!r}; it does for {', '.join(known)}")
    folder = library.headers()
    including = (f"-I{folder}",) if folder else ()
    given = (*(CUPY if options is None else options), *including, f"-arch={arch}", LOG)
    with library.Program(text, filename) as program:
        good = program.compile(names, given)
        log = program.get("ProgramLog").rstrip(b"\0").decode(errors="replace")
        if not good or (warnings_are_errors and _COMPLAINT.search(log)):
            raise CompileError(filename, arch, log)
        ptx = program.get("PTX").rstrip(b"\0").decode()
        return Compiled(arch, program.get("CUBIN"), ptx, log, {name: program.lowered(name) for name in names})


def _complaints(log: str) -> str:
    """The first complaints, each with the lines of the text that NVRTC shows."""
    found, left = [], 0
    for line in log.splitlines():
        if _COMPLAINT.search(line):
            left = 3
        if left and line.strip():
            found.append(line)
            left -= 1
    return "\n".join(found[:15]) or log.strip() or "NVRTC does not say why"
