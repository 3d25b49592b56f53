"""Devices: where arrays live, which kernels compute on them, and with how many threads."""

from __future__ import annotations

import contextlib

from . import kernels
from .errors import ArgumentError, DeviceError

DEVICES = ("cpu",)


def check_device(device: str) -> str:
    """The device's name, or a DeviceError that lists those there are."""
    if device not in DEVICES:
        raise DeviceError(
            f"there is no device {device!r} in this version; it computes on {', '.join(map(repr, DEVICES))}"
        )
    return device


@contextlib.contextmanager
def as_argument_error():
    """``kernels`` knows nothing of minicnn and raises plain ValueErrors; in this block they become ArgumentErrors."""
    try:
        yield
    except ValueError as error:
        raise ArgumentError(str(error)) from None


class use_room(kernels.use_room):  # noqa: N801 - reads as a verb, like mc.no_grad
    __doc__ = kernels.use_room.__doc__

    def __init__(self, room: str) -> None:
        with as_argument_error():
            super().__init__(room)


def set_num_threads(n: int) -> None:
    with as_argument_error():
        kernels.set_num_threads(n)


def check_room() -> str:
    """The room that kernels will run in; an ArgumentError if MINICNN_ROOM names none."""
    with as_argument_error():
        return kernels.current_room()


set_num_threads.__doc__ = kernels.set_num_threads.__doc__
