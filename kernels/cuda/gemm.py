"""The matrix product for linear layers: cuBLAS, through ``xp.matmul``."""

from __future__ import annotations

from . import backend

MOST = 2**31 - 1  # rows or columns


def matmul(a, b, transpose_a, transpose_b):
    """op(a) @ op(b) for each entry of a batch: (B, M, K) @ (B, K, N) -> (B, M, N); op transposes the last two axes.

    Raises
    ------
    ValueError
        If the shapes do not fit together, or one size does not fit cuBLAS, which counts with ints.
    """
    xp = backend.module_of(a)
    a = a.swapaxes(1, 2) if transpose_a else a  # (B, M, K), a view: cuBLAS reads either order
    b = b.swapaxes(1, 2) if transpose_b else b  # (B, K, N)
    if a.shape[0] != b.shape[0] or a.shape[2] != b.shape[1]:
        raise ValueError(f"matmul: {a.shape} @ {b.shape} does not fit")
    if max(*a.shape, *b.shape) > MOST:
        raise ValueError(f"matmul: {a.shape} @ {b.shape}, but cuBLAS takes sizes up to {MOST}; cut the batch")
    if a.shape[0] == 1:  # one product: as matrices, because CuPy copies a transposed batch together first
        return xp.ascontiguousarray(xp.matmul(a[0], b[0])).reshape(1, a.shape[1], b.shape[2])
    return xp.ascontiguousarray(xp.matmul(a, b))
