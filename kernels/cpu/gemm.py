"""The matrix product for linear layers, cut into tasks that each call BLAS on one thread.

``np.dot`` wants whole contiguous matrices, so which way to cut follows from what lies side by side in memory:

* x @ W.T, a layer's forward: W's rows are contiguous, so a task takes some of them, that is some output columns;
* few rows times a tall matrix, the gradient by x: W is read once in whole rows, each task sums over its own share of K;
* everything else, the gradient by W: a task takes some output rows.
"""

from __future__ import annotations

import numba
import numpy as np

from .conv_gradients import add_partials
from .jit import kernel
from .windows import place_columns, take_columns

TASKS = 16


def matmul(a, b, transpose_a, transpose_b):
    """op(a) @ op(b) for each entry of a batch: (B, M, K) @ (B, K, N) -> (B, M, N); op transposes the last two axes."""
    (batch, m, k), (batch_b, k_b, n) = _shape(a, transpose_a), _shape(b, transpose_b)
    if batch != batch_b or k != k_b:
        raise ValueError(f"matmul: ({batch}, {m}, {k}) @ ({batch_b}, {k_b}, {n}) does not fit")
    y = np.empty((batch, m, n), a.dtype)
    pieces = max(1, TASKS // max(batch, 1))
    if y.size == 0 or k == 0:
        y[...] = 0
    elif transpose_b and n > m:
        _matmul_by_columns(a, b, y, _part(n, pieces), transpose_a)
    elif not transpose_b and k >= 8 * m:  # partials of M*N numbers each must stay small beside the K*N that are read
        shares = max(1, min(pieces, k // (4 * m)))
        partial = np.empty((shares, batch, m, n), a.dtype)
        _matmul_by_inner(a, b, partial, transpose_a)
        add_partials(partial.reshape(shares, y.size), y.reshape(-1))
    else:
        _matmul_by_rows(a, b, y, _part(m, pieces), transpose_a, transpose_b)
    return y


def _shape(a, transposed):
    batch, rows, columns = a.shape
    return (batch, columns, rows) if transposed else (batch, rows, columns)


def _part(size: int, pieces: int) -> int:
    """Rows (or columns) of one task: as many as wanted, but none too thin: BLAS packs the other matrix for each."""
    return max(128, -(-size // pieces))


@kernel
def _matmul_by_columns(a, b, y, part, transpose_a):
    """b is (B, N, K)."""
    batch, m, n = y.shape
    blocks = (n + part - 1) // part
    for task in numba.prange(batch * blocks):
        i, first = task // blocks, task % blocks * part
        count = min(part, n - first)
        product = np.empty((m, count), y.dtype)
        if transpose_a:
            np.dot(a[i].T, b[i, first : first + count].T, product)
        else:
            np.dot(a[i], b[i, first : first + count].T, product)
        place_columns(product, y[i], 0, first)


@kernel
def _matmul_by_inner(a, b, partial, transpose_a):
    """b is (B, K, N)."""
    shares, batch, m, _ = partial.shape
    k = b.shape[1]
    for task in numba.prange(shares * batch):
        share, i = task // batch, task % batch
        begin, end = share * k // shares, (share + 1) * k // shares
        if transpose_a:
            np.dot(a[i, begin:end].T, b[i, begin:end], partial[share, i])
        else:
            own = np.empty((m, end - begin), a.dtype)  # columns of a, side by side
            take_columns(a[i], 0, begin, own)
            np.dot(own, b[i, begin:end], partial[share, i])


@kernel
def _matmul_by_rows(a, b, y, part, transpose_a, transpose_b):
    batch, m, _ = y.shape
    k = b.shape[2] if transpose_b else b.shape[1]
    blocks = (m + part - 1) // part
    for task in numba.prange(batch * blocks):
        i, first = task // blocks, task % blocks * part
        count = min(part, m - first)
        if transpose_a:
            columns = np.empty((k, count), a.dtype)
            take_columns(a[i], 0, first, columns)
            if transpose_b:
                np.dot(columns.T, b[i].T, y[i, first : first + count])
            else:
                np.dot(columns.T, b[i], y[i, first : first + count])
        elif transpose_b:
            np.dot(a[i, first : first + count], b[i].T, y[i, first : first + count])
        else:
            np.dot(a[i, first : first + count], b[i], y[i, first : first + count])
