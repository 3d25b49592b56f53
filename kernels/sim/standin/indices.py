"""What may stand between the brackets of ``a[...]``, and what may be written there."""

from __future__ import annotations

import numpy as np

from . import records
from .border import SCALARS, DeviceArray


def index_operand(index):
    """What picks elements, as NumPy takes it. NumPy arrays and lists are allowed: CuPy copies them to the device."""
    if isinstance(index, DeviceArray):
        index = index._host
    elif isinstance(index, (list, np.ndarray)):
        index = np.asarray(index, None if len(index) else np.intp) if isinstance(index, list) else index
        records.to_device("index", index.nbytes)
    else:
        return index
    if index.dtype.kind not in "iub":
        raise IndexError(f"arrays used as indices must be of integer or boolean type. (actual: {index.dtype.type})")
    return index


def index_of(index) -> tuple[tuple, bool]:
    """An index as NumPy takes it, and whether it is a basic one, which gives a view (also of a single element)."""
    parts = tuple(index_operand(part) for part in (index if isinstance(index, tuple) else (index,)))
    basic = not any(isinstance(part, (np.ndarray, bool, np.bool_)) for part in parts)
    if basic and not any(part is Ellipsis for part in parts):
        parts += (Ellipsis,)  # else NumPy would give a scalar for a single element
    return parts, basic


def value_of(value, purpose: str):
    """What may be written to elements: a device array, or one number."""
    if isinstance(value, DeviceArray):
        return value._host
    if isinstance(value, list):
        value = np.array(value)
    if isinstance(value, np.ndarray):
        if value.ndim:
            raise ValueError(f"non-scalar numpy.ndarray cannot be used for {purpose}")
        return value.item()
    if isinstance(value, SCALARS):
        return value
    raise TypeError(f"Unsupported type {type(value)}")
