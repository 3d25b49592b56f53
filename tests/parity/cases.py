"""Every operation as a drawn call: ``CASES[name](draw)`` gives minicnn's call, PyTorch's call, and the arrays."""

from __future__ import annotations

from .array_cases import INDICES, index_for_torch
from .case_table import CASES
from .layer_cases import conv2d_calls

__all__ = ["CASES", "INDICES", "conv2d_calls", "index_for_torch"]
