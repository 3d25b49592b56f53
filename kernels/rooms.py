"""Which room a kernel call goes to, and the call itself."""

from __future__ import annotations

import functools
import importlib
import os
import warnings
from types import ModuleType

import numpy as np

from . import shapes
from .layout import FLAT, IMAGE, STATISTIC, UPDATED, run_in_room

ROOMS = ("plain", "cpu")
COMPUTED = (np.dtype("float32"), np.dtype("float64"))
_chosen: str | None = None  # by use_room; None: MINICNN_ROOM, else the fastest that is installed


class use_room:  # noqa: N801 - reads as a verb, like mc.no_grad
    """Run kernels in this room from now on, or inside a ``with`` block.

    Parameters
    ----------
    room : {"plain", "cpu"}
        ``plain`` is the NumPy definition in ``kernels/plain``; ``cpu`` is Numba. Applies to all threads.

    Raises
    ------
    ValueError
        If there is no such room.
    """

    def __init__(self, room: str) -> None:
        global _chosen
        self._before = _chosen
        _chosen = _checked(room, "use_room")

    def __enter__(self) -> use_room:
        return self

    def __exit__(self, *exc_info: object) -> None:
        global _chosen
        _chosen = self._before


def _checked(room: str, source: str) -> str:
    if room == "cuda":
        raise ValueError(f"{source}: arrays on a device are computed there, in the cuda room; NumPy arrays never are")
    if room not in ROOMS:
        raise ValueError(f"{source}: there is no room {room!r}; the rooms are {', '.join(map(repr, ROOMS))}")
    if room == "cpu" and _why_no_numba():
        raise ValueError(f"{source}: the cpu room needs Numba ({_numba_problem}); pip install --upgrade numba")
    return room


def current_room() -> str:
    """The room that the next kernel call on NumPy arrays will use."""
    if _chosen is not None:
        return _chosen
    wanted = os.environ.get("MINICNN_ROOM")
    if wanted:
        return _checked(wanted, "MINICNN_ROOM")
    return "cpu" if numba_works() else "plain"


@functools.cache
def _cpu() -> ModuleType:
    """The cpu room, which takes half a second to import; an import statement in each call would take its time, too."""
    return importlib.import_module(".cpu", __package__)


_numba_problem: str | None = None  # why Numba cannot be used; "" if it can; None: not tried yet


def _why_no_numba() -> str:
    """Import Numba, once. It may be missing, or refuse the NumPy it finds."""
    global _numba_problem
    if _numba_problem is None:
        try:
            importlib.import_module("numba")
            _numba_problem = ""
        except ImportError as error:
            _numba_problem = str(error)
    return _numba_problem


def numba_works() -> bool:
    """Whether the cpu room can be entered; the first time that it cannot, one warning says why and what to do."""
    first = _numba_problem is None
    why = _why_no_numba()
    if why and first:
        warnings.warn(
            f"Numba cannot be used ({why}), so kernels run in the plain NumPy room: correct, but slow. "
            "`pip install --upgrade numba` makes them fast.",
            RuntimeWarning,
            stacklevel=3,
        )
    return not why


def set_num_threads(n: int) -> None:
    """Use ``n`` threads in the cpu room. Results do not depend on ``n``: work is cut by shapes, not by threads."""
    if not isinstance(n, (int, np.integer)) or n < 1:
        raise ValueError(f"set_num_threads: n must be a whole number >= 1, got {n!r}")
    if numba_works():
        _cpu().apply_num_threads(int(n))


def get_num_threads() -> int:
    """How many threads the cpu room uses."""
    return _cpu().num_threads() if numba_works() else 1


class Kernel:
    """One entry of ``KERNELS``: callable on logical arrays, forwards to a room's function of that name.

    Arrays on a device go to the cuda room, NumPy arrays to the current room (see :class:`use_room`).
    """

    def __init__(
        self, name: str, file: str, roles: tuple[str, ...], results: tuple[str, ...], optional: tuple[int, ...] = ()
    ) -> None:
        self.name, self.file, self.roles, self.results, self.optional = name, file, roles, results, optional
        self._functions: dict[str, object] = {}

    def __repr__(self) -> str:
        return f"<kernel {self.name}, in kernels/*/{self.file}.py>"

    def function(self, room: str):
        """The room's own function, e.g. to read its source; takes what that room takes (see the layout adapter)."""
        if room not in self._functions:
            room = room if room == "cuda" else _checked(room, self.name)
            module = importlib.import_module(f".{room}.{self.file}", __package__)
            self._functions[room] = getattr(module, self.name)
        return self._functions[room]

    def __call__(self, *args, **keywords):
        arrays, options = args[: len(self.roles)], args[len(self.roles) :]
        on_device = self._check(arrays)
        if shapes.wanted():
            return shapes.RULES[self.name](*arrays, *options, **keywords)
        if on_device:
            function = self.function("cuda")
            return run_in_room(function, arrays, options, keywords, self.roles, self.results)
        room = current_room()
        function = self.function(room)
        if room == "plain":
            return function(*arrays, *options, **keywords)
        cpu = _cpu()
        with cpu.lock, cpu.entering(self.name):
            return run_in_room(function, arrays, options, keywords, self.roles, self.results)

    def _check(self, arrays: tuple) -> bool:
        """Compiled code does not look before it reads, so what any room would get wrong stops here.

        All arrays lie in one place: in the host's memory, or (then the result is True) on a device. All floating
        arrays have one dtype, but for statistics; what is computed element by element has one shape. What more a
        kernel asks of its shapes is said in its own file.
        """
        first, on_device, kind = arrays[0], False, np.ndarray
        if not isinstance(first, kind):
            on_device, kind = _device_kind(first)
        for i, a in enumerate(arrays):
            if not isinstance(a, kind) and (a is not None or i not in self.optional):
                raise TypeError(_misplaced(self.name, i, a, first if i else None))
        dtype, shape = first.dtype, first.shape
        if dtype not in COMPUTED:
            raise TypeError(f"{self.name} computes in float32 or float64, got {dtype}")
        for a, role in zip(arrays, self.roles):
            if a is None:
                continue
            if a.dtype != dtype and role != STATISTIC and a.dtype.kind == "f":
                raise TypeError(f"{self.name} was given {dtype} and {a.dtype}; convert one of them")
            if role == IMAGE and a.ndim != 4:
                raise ValueError(f"{self.name} takes images (N, C, H, W), got shape {a.shape}")
            if a.shape != shape and role in (FLAT, UPDATED):
                raise ValueError(f"{self.name} goes element by element, but the shapes are {shape} and {a.shape}")
        return on_device


def _device_kind(array: object) -> tuple[bool, type]:
    """(whether it lies on a device, the type that all arrays of the call must have)"""
    from .cuda import backend

    on_device = backend.is_device_array(array)
    return on_device, backend.module_of(array).ndarray if on_device else np.ndarray


def _misplaced(name: str, i: int, array: object, first: object) -> str:
    """What is wrong with argument ``i``: no array at all, or one in another place than the first argument."""
    from .cuda import backend

    device = "cpu" if isinstance(array, np.ndarray) else backend.device_of(array)
    if device is None:
        return f"{name} takes NumPy arrays or arrays on a device, got {type(array).__name__} as argument {i + 1}"
    where = backend.device_of(first) or "cpu"
    return (
        f"{name} was given argument 1 on the device {where!r} and argument {i + 1} on {device!r}; move one of them "
        "(xp.asarray(a) copies to a device, a.get() from it)"
    )
