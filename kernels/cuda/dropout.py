"""Dropout (Srivastava et al. 2014) whose random bits are a function of (seed, offset, position), by Philox4x32-10."""

from __future__ import annotations

from . import backend
from .launcher import Kernel

DROPOUT = Kernel(
    "dropout.cu",
    "dropout<T>",
    "const T* x, T* y, unsigned long long threshold, T scale, unsigned long long seed, unsigned long long offset, "
    "long long size",
)
LOW = 2**64 - 1


def dropout(x, p, seed, offset):
    """x * 0 with probability p, else x / (1 - p). Element i of flat x uses number i % 4 of block i // 4."""
    y = backend.module_of(x).empty(x.shape, x.dtype)
    scale = 1 / (1 - p) if p < 1 else 0.0
    bits = int(seed) & LOW, int(offset) & LOW
    DROPOUT((x, y, round(p * 2**32), scale, *bits, x.size), threads=-(-x.size // 4))
    return y
