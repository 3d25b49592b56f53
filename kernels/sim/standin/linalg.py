"""``cupy.linalg``: the norm."""

from __future__ import annotations

import numpy as np

from .border import array_operand, computed

__all__ = ["norm"]


def norm(x, ord=None, axis=None, keepdims=False):
    return computed(np.linalg.norm, array_operand(x), ord, axis, keepdims)
