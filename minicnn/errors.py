"""The errors that minicnn raises on purpose: each names the numbers at fault, what would fit, and the layer's path.

All derive from :class:`MinicnnError` and from the built-in error that a NumPy or PyTorch user would catch. ``.path`` is the
layer's path in the outermost model that was called (``"layer1.0.conv2"``), or None outside a model; ``Module.__call__``
fills it in.
"""
from __future__ import annotations

import os
import traceback

_PACKAGE = os.path.dirname(os.path.abspath(__file__))
_KERNELS = os.path.join(os.path.dirname(_PACKAGE), "kernels")


class MinicnnError(Exception):
    """Base of all errors that minicnn raises on purpose."""

    path: str | None = None
    layer: str | None = None  # what stands at that path, e.g. "Conv2d(3, 64, kernel_size=3)"

    def __str__(self) -> str:
        message = super().__str__()
        return f"{self.path} = {self.layer}: {message}" if self.path is not None else message

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows (IPython's protocol): the reader's own lines and the message, not the library's."""
        lines = ["Traceback (the lines inside minicnn are left out)\n"]
        frames = traceback.extract_tb(self.__traceback__)
        own = [f for f in frames if not f.filename.startswith((_PACKAGE, _KERNELS))]
        own = [f for f in own if f"{os.sep}IPython{os.sep}" not in f.filename]
        return [*lines, *traceback.format_list(own), f"{type(self).__name__}: {self}"]


class ShapeError(MinicnnError, ValueError):
    """Shapes do not fit together."""


class ArgumentError(MinicnnError, ValueError):
    """An option has a value that makes no sense."""


class DtypeError(MinicnnError, TypeError):
    """Element types do not fit together, or cannot be computed with."""


class LabelError(MinicnnError, ValueError):
    """Labels do not name a class."""


class DeviceError(MinicnnError, ValueError):
    """A device is unknown or not to be had."""


class GraphError(MinicnnError, RuntimeError):
    """The graph cannot be walked: freed, never built, or no gradient to start from."""


class DataError(MinicnnError, ValueError):
    """A data set is missing, empty, or not what it should be."""


class DivergedError(MinicnnError, ArithmeticError):
    """Training left the finite numbers."""


class FileError(MinicnnError, ValueError):
    """A file of weights or a checkpoint cannot be used."""
