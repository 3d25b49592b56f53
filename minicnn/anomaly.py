"""Which layer and which operation made the first NaN or infinity?"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np

from . import running
from .device import is_array, to_numpy
from .errors import AnomalyError


class _Checks(running.Watcher):
    def forward_ends(self, ctx, inputs, out) -> None:
        check_forward(ctx.function.__name__, inputs, out)

    def backward_ends(self, node, grad, parts) -> None:
        check_backward(node.function.__name__, node.modules, grad, parts)


@contextlib.contextmanager
def detect_anomaly() -> Iterator[None]:
    """In this block the first operation that makes NaN or infinity of finite numbers is an error, forward or backward.

    The message names the operation, the layer's path and the numbers. Every result is looked at, so training is slower.

    Raises
    ------
    AnomalyError

    Examples
    --------
    >>> import minicnn as mc
    >>> with detect_anomaly():
    ...     mc.tensor([0.0, 1.0]).log()  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    minicnn.errors.AnomalyError: Log made -inf at index (0,), and 1 of 2 elements are not finite; ...
    """
    with running.watched_by(_Checks()):
        yield


def enabled() -> bool:
    """True inside ``detect_anomaly`` (per thread)."""
    return any(isinstance(watcher, _Checks) for watcher in running.watchers())


def _broken(array) -> bool:
    return is_array(array) and array.dtype.kind == "f" and not np.isfinite(array).all()


def _describe(array: np.ndarray) -> str:
    array = to_numpy(array)
    bad = np.argwhere(~np.isfinite(array))
    first = tuple(int(i) for i in bad[0])
    return f"{array[first]} at index {first}, and {len(bad)} of {array.size} elements are not finite"


def check_forward(name: str, inputs: list, out: np.ndarray) -> None:
    """An operation made something that is not finite of finite inputs."""
    if _broken(out) and not any(_broken(a) for a in inputs):
        largest = max((float(np.abs(a).max()) for a in inputs if is_array(a) and a.size), default=0.0)
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
