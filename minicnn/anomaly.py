"""Which layer and which operation made the first NaN or infinity?"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import numpy as np

from .errors import AnomalyError

_state = threading.local()


@contextlib.contextmanager
def detect_anomaly() -> Iterator[None]:
    """In this block the first operation that makes NaN or infinity of finite numbers is an error, forward or backward.

    The message names the operation, the layer's path and the numbers. Every result is looked at, so training is slower.

    Raises
    ------
    AnomalyError
    """
    before = enabled()
    _state.enabled, _state.modules = True, []
    try:
        yield
    finally:
        _state.enabled = before


def enabled() -> bool:
    return getattr(_state, "enabled", False)


@contextlib.contextmanager
def inside(module) -> Iterator[None]:
    """While ``module`` runs: operations remember the way to it, for a backward that goes wrong later."""
    if not enabled():
        yield
        return
    _state.modules.append(module)
    try:
        yield
    finally:
        _state.modules.pop()


def modules_now() -> tuple:
    """The modules that are running, outermost first."""
    return tuple(_state.modules) if enabled() else ()


def _broken(array) -> bool:
    return isinstance(array, np.ndarray) and array.dtype.kind == "f" and not np.isfinite(array).all()


def _describe(array: np.ndarray) -> str:
    bad = np.argwhere(~np.isfinite(array))
    first = tuple(int(i) for i in bad[0])
    return f"{array[first]} at index {first}, and {len(bad)} of {array.size} elements are not finite"


def check_forward(name: str, inputs: list, out: np.ndarray) -> None:
    """An operation made something that is not finite of finite inputs."""
    if _broken(out) and not any(_broken(a) for a in inputs):
        largest = max((float(np.abs(a).max()) for a in inputs if isinstance(a, np.ndarray) and a.size), default=0.0)
        raise AnomalyError(f"{name} made {_describe(out)}; its inputs were finite, the largest {largest:g}")


def check_backward(name: str, modules: tuple, grad: np.ndarray, parts: list) -> None:
    """A backward made something that is not finite of a finite gradient."""
    if _broken(grad):
        return
    for i, part in enumerate(parts):
        if _broken(part):
            error = AnomalyError(f"the backward of {name} made {_describe(part)} for its input {i}")
            if modules:
                error.layer = repr(modules[-1]).split("\n")[0]
                error.path = next((p for p, m in modules[0].named_modules() if m is modules[-1]), None)
                error.path = error.path or type(modules[0]).__name__
            raise error
