"""Two operands side by side: which dtype they get, and what is wrong where they do not fit."""

from __future__ import annotations

import numbers

import numpy as np

from ..device import is_array
from ..errors import DtypeError, ShapeError
from ..tensor import Tensor, as_array


def alike(a, b) -> tuple:
    """Two operands in one dtype: a number takes the tensor's, integers beside floats become floats."""
    if isinstance(a, Tensor) and isinstance(b, Tensor) and a.dtype == b.dtype:
        return a, b  # as nearly always
    if isinstance(a, numbers.Real):
        a = _number_beside(a, b)
    elif isinstance(b, numbers.Real):
        b = _number_beside(b, a)
    floating = [v.dtype for v in (a, b) if getattr(v, "dtype", np.dtype(object)).kind == "f"]
    if len(floating) == 1 and hasattr(a, "dtype") and hasattr(b, "dtype"):
        a, b = (v if v.dtype.kind == "f" else Tensor(as_array(v).astype(floating[0])) for v in (a, b))
    return a, b


def _number_beside(number, other):
    """A number as a 0-d tensor: indices + 1 stay indices, indices * 0.5 are float32, booleans * 2 are int64."""
    if not isinstance(other, Tensor) and not is_array(other):
        return number
    dtype = other.dtype
    if dtype.kind != "f":
        whole = isinstance(number, numbers.Integral)
        dtype = np.float32 if not whole else np.int64 if dtype.kind == "b" else dtype
    return Tensor(np.asarray(number, dtype))


def explain(name: str, a, b) -> None:
    """Called when an operation on two inputs failed: say so if None or shapes that do not broadcast are to blame."""
    if a is None or b is None:
        raise DtypeError(
            f"{name} takes two tensors or numbers, got None; does the function that gave it lack its return?"
        ) from None
    shapes = as_array(a).shape, as_array(b).shape
    try:
        np.broadcast_shapes(*shapes)
    except ValueError:
        raise ShapeError(
            f"{name}: shapes {shapes[0]} and {shapes[1]} do not fit together; "
            "from the last axis backwards, lengths must be equal or 1"
        ) from None
