"""The matrix product, the one large product of the framework (linear layers use it; convolutions have their own)."""

from __future__ import annotations


def matmul(a, b, transpose_a, transpose_b):
    """op(a) @ op(b) for each entry of a batch: (B, M, K) @ (B, K, N) -> (B, M, N); op transposes the last two axes.

    >>> import numpy as np
    >>> matmul(np.ones((1, 2, 3)), np.ones((1, 4, 3)), False, True).shape
    (1, 2, 4)
    """
    return (a.swapaxes(1, 2) if transpose_a else a) @ (b.swapaxes(1, 2) if transpose_b else b)
