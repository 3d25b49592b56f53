"""Devices: where arrays live, which kernels compute on them, and with how many threads.

========  =====================  ==============================================================================
device    its arrays             its kernels
========  =====================  ==============================================================================
"cpu"     numpy.ndarray          the rooms ``plain`` and ``cpu``, see :class:`use_room`
"cuda"    cupy.ndarray           ``kernels/cuda/*.cu`` on an NVIDIA GPU
"sim"     the stand-in's ndarray the same ``.cu`` files, compiled by g++ and run on the CPU (``kernels/sim``)
========  =====================  ==============================================================================

Nothing moves by itself: ``x.to("cuda")`` and ``model.to("cuda")`` do. An array's own type says where it lives, and
NumPy hands ``np.exp(x)`` on to whoever made x (NEP 13, NEP 18): most operations read the same on all devices.
"""

from __future__ import annotations

import contextlib
import threading

import numpy as np

from . import kernels
from .errors import ArgumentError, DeviceError
from .kernels.cuda import backend

DEVICES = ("cpu", "cuda", "sim")


def check_device(device: str) -> str:
    """The device's name, or a DeviceError: there is none of this name, or it cannot be used here, and why."""
    if device not in DEVICES:
        raise DeviceError(f"there is no device {device!r}; the devices are {', '.join(map(repr, DEVICES))}")
    if device != "cpu":
        _module(device)
    return device


def _module(device: str):
    """The array module of a device that is not the CPU."""
    try:
        return backend.array_module(device)
    except backend.DeviceUnavailable as error:
        raise DeviceError(str(error)) from None


def is_array(value) -> bool:
    """Whether this is an array of any device."""
    return isinstance(value, np.ndarray) or backend.is_device_array(value)


def plain_array(value):
    """NumPy's scalars, which 0-d results of NumPy are, as arrays; arrays of any device as they are."""
    return value if is_array(value) else np.asarray(value)


def device_of(array) -> str:
    """The name of the device that an array lives on."""
    return "cpu" if isinstance(array, np.ndarray) else backend.device_of(array)


def module_of(array):
    """NumPy, CuPy or the stand-in: whose array it is. For what NumPy does not hand on, such as ``arange``."""
    return np if isinstance(array, np.ndarray) else backend.module_of(array)


def to_device(array, device: str):
    """The same numbers on another device, in the same memory layout; the array itself if it is there already."""
    here = device_of(array)
    if here == device:
        return array
    if array.ndim == 4:  # copying between devices makes C order, and channels shall stay side by side in memory
        return _copied(array.transpose(0, 2, 3, 1), here, device).transpose(0, 3, 1, 2)  # (N, C, H, W)
    return _copied(array, here, device)


def _copied(array, here: str, device: str):
    host = array if here == "cpu" else array.get()
    return host if device == "cpu" else _module(device).asarray(np.asarray(host, order="C"))


def to_numpy(array) -> np.ndarray:
    """A NumPy array of the same numbers: the array itself if it is one."""
    return array if isinstance(array, np.ndarray) else to_device(array, "cpu")


class sending_once:  # noqa: N801 - reads as a verb, like mc.no_grad
    """In this block :func:`sent` copies equal labels to a device once: a step's losses and its accuracy share them."""

    def __enter__(self) -> None:
        self._before = _sent.arrays
        _sent.arrays = []

    def __exit__(self, *exc_info: object) -> None:
        _sent.arrays = self._before


class _Sent(threading.local):
    arrays: list | None = None  # (the numbers, the device, the array there), in sending_once


_sent = _Sent()


def sent(array, device: str):
    """The same numbers on a device, for reading: in :class:`sending_once` one array for all equal ones."""
    arrays = _sent.arrays
    if arrays is None or device_of(array) == device or not isinstance(array, np.ndarray):
        return to_device(array, device)
    for numbers, where, there in arrays:
        if where == device and numbers.dtype == array.dtype and np.array_equal(numbers, array):
            return there
    arrays.append((array.copy(), device, to_device(array, device)))
    return arrays[-1][2]


def number_on(device: str, value, dtype) -> np.ndarray:
    """A 0-d array of one number; the GPU fills it in itself, nothing is copied there."""
    return np.asarray(value, dtype) if device == "cpu" else _module(device).full((), value, dtype)


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
