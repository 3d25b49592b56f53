"""Devices: where arrays live and which array module computes on them."""
from __future__ import annotations

from .errors import DeviceError

DEVICES = ("cpu",)


def check_device(device: str) -> str:
    """The device's name, or a DeviceError that lists those there are."""
    if device not in DEVICES:
        raise DeviceError(f"there is no device {device!r} in this version; it computes on {', '.join(map(repr, DEVICES))}")
    return device
