"""Holding a CUDA kernel against its definition, in the simulator's check mode: ``minicnn kernels check``.

Every call of ``kernels/trials.py`` is computed twice: by the plain room, which is the definition, and by the ``.cu``
file on the simulator, which looks at every access to memory. A student's own file can stand in for ours.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from . import kernels
from .device import check_device, is_array, to_device, to_numpy
from .errors import ArgumentError, FileError, suggest
from .kernels import sim
from .kernels.cuda import launcher
from .kernels.sim.build import preprocessed
from .kernels.sim.module import Module
from .kernels.sim.text import parameters_of, without_comments
from .kernels.trials import trials

#: what launches get, (threads of a block, blocks): the launcher's choice; and so few that each thread takes several
#: elements, as with arrays of millions, so that a loop over the grid is seen at work
GEOMETRIES = ((None, None), (32, 2))
TOLERANCE = {np.dtype(np.float32): 1e-4, np.dtype(np.float64): 1e-9}  # of the largest number


@dataclass(frozen=True)
class Verdict:
    """One call: with what, and what was wrong ("" if nothing)."""

    kernel: str
    arguments: str
    problem: str = ""


def find(name: str) -> kernels.Kernel:
    """The kernel of this name."""
    if name not in kernels.KERNELS:
        raise ArgumentError(f"there is no kernel {name!r}; {suggest(name, kernels.KERNELS)}")
    return kernels.KERNELS[name]


def check(name: str, file: str | os.PathLike | None = None) -> Iterator[Verdict]:
    """Check one kernel on all its trials, in float32 and float64; after a fault of the checker it is not asked again.

    Parameters
    ----------
    name : str
        As in ``kernels.KERNELS``.
    file : path, optional
        A .cu file that stands in for ours; its kernels must have the names and parameters of ours.

    Raises
    ------
    ArgumentError, FileError
        There is no such kernel or file.
    DeviceError
        The simulator cannot run here.
    """
    kernel = find(name)
    check_device("sim")
    with sim.checking(), _standing_in(kernel, file):
        for dtype in (np.float32, np.float64):
            for arguments in trials(name, dtype):
                problem, serious = _compare(kernel, arguments)
                yield Verdict(name, _described(arguments), problem)
                if serious:
                    return


@contextlib.contextmanager
def _standing_in(kernel: kernels.Kernel, file) -> Iterator[None]:
    if file is None:
        yield
        return
    path = pathlib.Path(file)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(f"{path} cannot be read as the text of a kernel: {getattr(error, 'strerror', error)}") from None
    ours = _own_kernels(kernel)
    code = without_comments(preprocessed(text))
    missing = [k for k in ours if not re.search(rf"\b{k.function}\s*\(", code)]
    if missing:
        raise FileError(f"{path} has no kernel {missing[0].function}. {_needed(ours)}")
    with launcher.replaced(f"{kernel.file}.cu", launcher.named(path.name, text), code):
        yield


def _own_kernels(kernel: kernels.Kernel) -> list[launcher.Kernel]:
    """The CUDA kernels of its file that a kernel launches."""
    from .kernel_pages import reached

    found = [k for k in reached(kernel.function("cuda")) if isinstance(k, launcher.Kernel)]
    return [k for k in found if k.file == f"{kernel.file}.cu"]


def _needed(ours: list[launcher.Kernel]) -> str:
    return f"Its kernels must be called and take what ours do: {'; '.join(f'{k.name}({k.signature})' for k in ours)}"


def _other_parameters(ours: list[launcher.Kernel]) -> str:
    """Which parameter of a stand-in's kernel is not as we declare it, in words; "" if all are."""
    single = np.dtype(np.float32)
    for own in ours:
        text = launcher.source(own.file)
        named = parameters_of(preprocessed(text), own.function)
        if not named:  # another file's; or there is none, which the launch has said
            continue
        name = own.instance(single if own.takes_t else None)
        module = Module(text, own.file, (name,) if "<" in name else (), check=True)
        theirs = module.signature(name)
        if len(theirs) != len(own.parameters):
            return (
                f"{module.filename}: {own.function} takes {len(theirs)} parameters ({', '.join(named)}); ours takes "
                f"{len(own.parameters)}"
            )
        for i, (wanted, there) in enumerate(zip(own.parameters, theirs, strict=True)):
            dtype = wanted.dtype(single)
            anything = there.kind in "vs" and wanted.pointer  # a kernel may look at an array as float4, say
            if wanted.pointer != there.pointer or not (
                anything or (dtype.kind, dtype.itemsize) == (there.kind, there.size)
            ):
                says = named[i] if len(named) == len(theirs) else there
                return f'{module.filename}: parameter {i + 1} of {own.function} is "{says}"; ours is "{wanted}"'
    return ""


def _compare(kernel: kernels.Kernel, arguments: tuple) -> tuple[str, bool]:
    """What is wrong with one call, and whether it makes no sense to go on."""
    own = [a.copy() if is_array(a) else a for a in arguments]
    with kernels.use_room("plain"), np.errstate(invalid="ignore"):  # infinities and NaN are among the numbers
        expected = _results(kernel(*own), own)
    for block, blocks in GEOMETRIES:
        theirs = [to_device(a, "sim") if is_array(a) else a for a in arguments]
        try:
            with launcher.launched_with(block, blocks):
                found = [to_numpy(a) for a in _results(kernel(*theirs), theirs)]
        except (sim.KernelFault, sim.CompileError) as fault:
            return str(fault), True
        except (TypeError, RuntimeError) as error:  # its own kernel is missing, or has other parameters than ours
            ours = _own_kernels(kernel)
            return f"{_other_parameters(ours) or error}. {_needed(ours)}", True
        for wanted, got in zip(expected, found, strict=True):
            if problem := _difference(wanted, got):
                few = f", with {blocks} blocks of {block} threads; each strides over the grid" if blocks else ""
                return f"{problem}{few}", False
    return "", False


def _results(out, arguments: list) -> list:
    """What a kernel returned, or the arguments that it changed."""
    if out is None:
        return [a for a in arguments if is_array(a)]
    return list(out) if isinstance(out, tuple) else [out]


def _difference(wanted: np.ndarray, got: np.ndarray) -> str:
    if wanted.shape != got.shape:
        return f"the result has shape {got.shape}, it should have {wanted.shape}"
    if wanted.size == 0:
        return ""
    largest = np.abs(wanted[np.isfinite(wanted)]).max(initial=1)
    tolerance = TOLERANCE.get(wanted.dtype, 0) * largest
    with np.errstate(invalid="ignore"):  # infinity - infinity
        close = np.abs(wanted - got) <= tolerance
    wrong = ~((wanted == got) | (np.isnan(wanted) & np.isnan(got)) | close)
    if not wrong.any():
        return ""
    first = tuple(int(i) for i in np.argwhere(wrong)[0])
    return (
        f"{int(wrong.sum())} of {wrong.size} numbers are wrong, the first at index {first}: "
        f"it should be {wanted[first]:.6g}, it is {got[first]:.6g}"
    )


def _described(arguments: tuple) -> str:
    parts = [
        f"{'x'.join(map(str, a.shape)) or 'one'} {a.dtype.name}" if is_array(a) else str(a).replace(" ", "")
        for a in arguments
    ]
    return ", ".join(parts)
