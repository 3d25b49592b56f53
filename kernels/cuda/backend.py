"""Where device arrays live, and the only module of the project that imports CuPy.

Two devices hold arrays that are not NumPy's: ``"cuda"``, a GPU through CuPy, and ``"sim"``, CUDA on the CPU through
our stand-in for CuPy. Both are array modules with the same names, so what is written for one runs on the other. Neither
is imported before somebody asks for it; an array's device is found without importing anything, because an array can
only exist where its module has been imported already.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

_KERNELS = __package__.rpartition(".")[0]  # "minicnn.kernels", or "kernels" in a checkout
_MODULES = {"cuda": "cupy", "sim": f"{_KERNELS}.sim.standin"}
DEVICES = tuple(_MODULES)
INSTALL = "pip install 'minicnn-from-scratch[cuda13]' (for a driver of CUDA 12: [cuda12])"
_usable: set[str] = set()  # devices that were asked for and answered
_device_of_type: dict[type, str] = {}  # types of arrays seen so far: launches ask often


class DeviceUnavailable(RuntimeError):  # noqa: N818 - says what is the case
    """A device cannot be used on this machine; the message is one sentence that says why, and the remedy."""


def array_module(device: str) -> ModuleType:
    """CuPy for ``"cuda"``, our stand-in for ``"sim"``: where ``empty``, ``matmul`` and ``RawModule`` come from.

    Raises
    ------
    ValueError
        If there is no such device.
    DeviceUnavailable
        If this machine lacks what the device needs: CuPy, a driver, a GPU; g++ or Linux.
    """
    if device not in _MODULES:
        raise ValueError(f"there is no device {device!r} for device arrays; there are {', '.join(map(repr, DEVICES))}")
    if device not in _usable:
        why = why_not(device)
        if why:
            raise DeviceUnavailable(why)
        _usable.add(device)
    return importlib.import_module(_MODULES[device])


def why_not(device: str) -> str | None:
    """One sentence on why ``device`` cannot be used here and what to do, or None if it can. Imports what it asks."""
    if device == "sim":
        return importlib.import_module(f"{_KERNELS}.sim").why_not()
    return _why_not_cuda()


def _why_not_cuda() -> str | None:
    try:
        cupy = importlib.import_module("cupy")
    except ImportError as error:
        return f"the device 'cuda' needs CuPy, which cannot be imported ({error}): {INSTALL}"
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        if "InsufficientDriver" in str(error):  # what CUDA says of an old driver, and of none at all
            return (
                f"the device 'cuda' needs an NVIDIA driver, which is missing or older than this CuPy's CUDA ({error}): "
                "install or update the driver (`nvidia-smi` shows it), or use the device 'sim', which needs no GPU"
            )
        return f"the device 'cuda' needs a GPU ({error}): check `nvidia-smi`, or use the device 'sim', which needs none"
    if count == 0:
        return "the device 'cuda' needs a GPU and CUDA sees none: check `nvidia-smi`, or use the device 'sim'"
    return None


def device_of(array: object) -> str | None:
    """``"cuda"`` or ``"sim"`` for a device array, None for anything else."""
    device = _device_of_type.get(type(array))
    if device is None:
        for name, where in _MODULES.items():
            module = sys.modules.get(where)
            if module is not None and isinstance(array, getattr(module, "ndarray", ())):
                device = _device_of_type[type(array)] = name
    return device


def is_device_array(x: object) -> bool:
    """Whether ``x`` is an array of CuPy or of the simulator."""
    return device_of(x) is not None


def module_of(array: object) -> ModuleType:
    """The array module that a device array belongs to.

    Raises
    ------
    TypeError
        If it is no device array.
    """
    device = device_of(array)
    if device is None:
        raise TypeError(f"a device array (CuPy's or the simulator's) is needed, got {type(array).__name__}")
    return sys.modules[_MODULES[device]]


def missing_toolkit(error: Exception) -> str | None:
    """One sentence on what CuPy lacks to compile kernels, if that is why ``error`` was raised; else None."""
    text = f"{type(error).__name__}: {error}"
    if "Failed to find CUDA headers" in text:
        missing = "the CUDA headers, which it compiles kernels with"
    elif "DynamicLibNotFound" in text or "libnvrtc" in text:
        missing = "NVRTC, NVIDIA's compiler"
    else:
        return None
    return f"CuPy does not find {missing}: {INSTALL} brings it"
