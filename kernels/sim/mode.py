"""Whether kernels of the device "sim" are checked: slower by a factor of ten or more, and nothing goes unseen. And
whether their accesses to memory are counted, for which checking rests."""

from __future__ import annotations

import os

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
