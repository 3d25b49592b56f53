"""minicnn: convolutional neural networks from scratch, to read, to change and to train.

>>> import minicnn as mc
>>> x = mc.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
>>> (x * x).sum().backward()
>>> x.grad.tolist()
[[2.0, 4.0], [6.0, 8.0]]
"""

from __future__ import annotations

import importlib
import os

if not os.path.isdir(os.path.join(__path__[0], "kernels")):  # a checkout: kernels/ lies beside minicnn/
    __path__.append(os.path.dirname(__path__[0]))

from ._version import __version__
from .anomaly import detect_anomaly
from .autograd import Function, enable_grad, no_grad
from .device import set_num_threads, use_room
from .errors import (
    AnomalyError,
    ArgumentError,
    DataError,
    DeviceError,
    DivergedError,
    DtypeError,
    FileError,
    GradcheckError,
    GraphError,
    LabelError,
    MinicnnError,
    ShapeError,
)
from .gradcheck import gradcheck, gradcheck_pair, rel_error
from .kernels import get_num_threads
from .ops import methods as _methods  # noqa: F401 - gives Tensor its operators
from .ops.registry import replace
from .ops.shape import cat, split, stack
from .random import manual_seed
from .summary import summary
from .tensor import Tensor, tensor
from .weights import load, save

_LATER = ("data", "experiments", "functional", "inside", "models", "nn", "optim", "plots", "profiling", "training")


def __getattr__(name: str):
    """Submodules that are imported at first use, so that ``import minicnn`` stays quick."""
    if name == "Trainer":
        return importlib.import_module(".training", __name__).Trainer
    if name == "compare":
        return importlib.import_module(".comparison", __name__).compare
    if name == "profile":
        return importlib.import_module(".profiling", __name__).profile
    if name in _LATER:
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module 'minicnn' has no attribute {name!r}")


__all__ = [  # noqa: F822 - Trainer, compare and profile are loaded at first use
    "AnomalyError",
    "ArgumentError",
    "DataError",
    "DeviceError",
    "DivergedError",
    "DtypeError",
    "FileError",
    "Function",
    "GradcheckError",
    "GraphError",
    "LabelError",
    "MinicnnError",
    "ShapeError",
    "Tensor",
    "Trainer",
    "__version__",
    "cat",
    "compare",
    "detect_anomaly",
    "enable_grad",
    "get_num_threads",
    "gradcheck",
    "gradcheck_pair",
    "load",
    "manual_seed",
    "no_grad",
    "profile",
    "rel_error",
    "replace",
    "save",
    "set_num_threads",
    "split",
    "stack",
    "summary",
    "tensor",
    "use_room",
]
