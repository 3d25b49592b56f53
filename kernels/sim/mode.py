"""How kernels of the device "sim" run: checked (slower by a factor of ten or more, and nothing goes unseen), with their
accesses to memory counted, or as the PTX that NVIDIA's compiler makes of them."""

from __future__ import annotations

import os
from typing import NamedTuple

_chosen: bool | None = None  # by `checking`; None: as the environment variable MINICNN_SIM_CHECK says


class checking:  # noqa: N801 - reads as a verb
    """Check every kernel of the device "sim" from now on, or inside a ``with`` block.

    Arrays that were made before count as written from end to end.
    """

    def __init__(self, wanted: bool = True) -> None:
        global _chosen
        self._before, _chosen = _chosen, bool(wanted)

    def __enter__(self) -> checking:
        return self

    def __exit__(self, *exc_info: object) -> None:
        global _chosen
        _chosen = self._before


def is_checking() -> bool:
    """Whether kernels are checked now."""
    return os.environ.get("MINICNN_SIM_CHECK", "") not in ("", "0") if _chosen is None else _chosen


_profiling = 0  # how many `with profiling()` are open


def is_profiling() -> bool:
    """Whether the accesses to memory of kernels are counted now, see :func:`kernels.sim.profiling`."""
    return _profiling > 0


def profile(by: int) -> None:
    """One ``with profiling()`` begins (1) or ends (-1)."""
    global _profiling
    _profiling += by


_arch: str | None = None  # by `ptx`; None: as the environment variable MINICNN_SIM_PTX says


class ptx:  # noqa: N801 - reads as a verb, like checking
    """Run every kernel of the device "sim" as the PTX that NVRTC makes of it, from now on or inside a ``with`` block.

    Parameters
    ----------
    arch : str
        What NVRTC compiles for, such as "sm_90"; "" runs what g++ makes of the .cu text, as usual.
    """

    def __init__(self, arch: str = "sm_90") -> None:
        global _arch
        self._before, _arch = _arch, arch

    def __enter__(self) -> ptx:
        return self

    def __exit__(self, *exc_info: object) -> None:
        global _arch
        _arch = self._before


def ptx_arch() -> str:
    """The architecture whose PTX kernels run as; "" if they run as g++ compiles them."""
    return os.environ.get("MINICNN_SIM_PTX", "") if _arch is None else _arch


class Way(NamedTuple):
    """How kernels run: every access looked at, or counted, or as PTX of an architecture ("": as g++ compiles them).

    Counting comes before the others.
    """

    check: bool
    profiled: bool
    arch: str


def way(check: bool) -> Way:
    """How kernels run now, if they shall be checked or not."""
    return Way(check and not is_profiling(), is_profiling(), "" if is_profiling() else ptx_arch())


def module(source: str, filename: str, names: tuple[str, ...], options: tuple[str, ...], way: Way):
    """A .cu text as g++ or, for an architecture, NVRTC compiles it."""
    if way.arch:
        from ..ptx.module import NvidiaModule

        return NvidiaModule(source, filename, names, options, way.check, way.arch)
    from .module import Module

    return Module(source, filename, names, options, way.check, way.profiled)
