"""The errors that minicnn raises on purpose: each names the numbers at fault, what would fit, and the layer's path.

All derive from :class:`MinicnnError` and from the built-in error that a NumPy or PyTorch user would catch. ``.path`` is
the layer's path in the outermost model that was called (``"layer1.0.conv2"``), or None outside a model;
``Module.__call__`` fills it in.
"""

from __future__ import annotations

import difflib
import os
import traceback
from collections.abc import Iterable

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
        own = [f for f in frames if not f.filename.startswith((_PACKAGE + os.sep, _KERNELS + os.sep))]
        own = [f for f in own if f"{os.sep}IPython{os.sep}" not in f.filename]
        return [*lines, *traceback.format_list(own), f"{type(self).__name__}: {self}"]


class ShapeError(MinicnnError, ValueError):
    """Shapes do not fit together."""


class ScalarError(ShapeError, TypeError):
    """A tensor without axes was used as a sequence; also a TypeError, as Python expects."""


class UnfinishedError(MinicnnError, NotImplementedError, AttributeError):
    """A class of the reader's own lacks something: its forward, its backward, or super().__init__()."""


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


class AnomalyError(MinicnnError, ArithmeticError):
    """An operation made NaN or infinity of finite numbers (under ``detect_anomaly``)."""


class FileError(MinicnnError, ValueError):
    """A file of weights or a checkpoint cannot be used, or a file cannot be written."""


class GradcheckError(MinicnnError, AssertionError):
    """A gradient is wrong, or cannot be checked here.

    Attributes
    ----------
    argument : str or None
        Which input or parameter.
    index : tuple of int or None
        The element that is furthest off.
    analytic, numeric : float or None
        Its gradient by backward, and by a central difference.
    diagnosis : str
        What kind of mistake the pattern of the mismatch points to; begins with a fixed phrase.
    errors : numpy.ndarray or None
        |analytic - numeric| in the argument's shape; NaN where a large argument was not checked.
    analytic_gradient, numeric_gradient : numpy.ndarray or None
        Both gradients, likewise.
    """

    def __init__(self, message: str, argument: str | None = None, diagnosis: str = "") -> None:
        super().__init__(message)
        self.argument, self.diagnosis = argument, diagnosis
        self.index = self.analytic = self.numeric = None
        self.errors = self.analytic_gradient = self.numeric_gradient = None

    def plot(self, path=None):
        """Draw analytic gradient, numeric gradient and their difference; 4-d arrays as a grid of channel maps.

        Parameters
        ----------
        path : path-like, optional
            Where to write the picture.

        Returns
        -------
        matplotlib.figure.Figure
        """
        if self.errors is None:
            raise ArgumentError(f"plot: this error holds no gradients to draw ({self.diagnosis})")
        from .gradcheck_map import draw_error_map

        return draw_error_map(self, path)


def suggest(wanted: object, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: names like it, or else all there are."""
    known = sorted(known)
    close = difflib.get_close_matches(str(wanted).lower(), known, n=3)
    return f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(known) or 'none'}"
