"""How the rows of a block are handed to BLAS.

OpenBLAS packs both matrices into a layout of its own before it multiplies, unless the product of the three sizes is at
most a million; then it reads them where they lie. On thin blocks that is faster: (64, 147) @ (147, 64) ran at 200
GFLOPS a core and (128, 147) @ (147, 64) at 110 (OpenBLAS 0.3.30, AVX-512). So narrow layers take few rows at a time.

As far as measured: on processors with AVX-512 (SkylakeX and newer). Where OpenBLAS has no such path, thin blocks are
still right, but may cost time.
"""

from __future__ import annotations

import numpy as np

from .jit import helper

UNPACKED = 1_000_000  # sizes multiplied, in OpenBLAS interface/gemm.c and its "small matrix" kernels
FEWEST_ROWS = 16  # below, the right matrix is read too often for too little


def rows_at_once(k, n):
    """How many rows of (rows, k) @ (k, n) to multiply at once; 0: all, packing pays off."""
    rows = UNPACKED // max(1, k * n)
    if rows < FEWEST_ROWS:
        return 0
    return rows // 8 * 8


_rows_at_once = helper(rows_at_once)


@helper
def multiply(a, b, product):
    """product = a @ b: (rows, K) @ (K, N), all C-contiguous"""
    rows = _rows_at_once(b.shape[0], b.shape[1])
    if rows == 0 or rows >= len(a):
        np.dot(a, b, product)
    else:
        for first in range(0, len(a), rows):
            np.dot(a[first : first + rows], b, product[first : first + rows])
