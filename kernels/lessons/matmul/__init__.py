"""The matrix product: what tiles in shared memory and results in registers save. a (M, K), b (K, N), c (M, N)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...cuda import backend
from ..catalogue import Lesson, Version, kernel

SIGNATURE = "const T* a, const T* b, T* c, int m, int n, int k"
NAIVE = kernel("matmul/1_naive.cu", "matmul<T>", SIGNATURE)
TILED = kernel("matmul/2_tiled.cu", "matmul<T>", SIGNATURE)
REGISTER_BLOCKED = kernel("matmul/3_register_blocked.cu", "matmul<T>", SIGNATURE)


def naive(a, b, block=(32, 8)):
    """A thread for each number of c."""
    return _product(NAIVE, a, b, tile=block, block=block)


def tiled(a, b):
    """A block for each 16 x 16 numbers of c."""
    return _product(TILED, a, b, tile=(16, 16), block=(16, 16))


def register_blocked(a, b):
    """A block for each 64 x 64 numbers of c, a thread for 4 x 4."""
    return _product(REGISTER_BLOCKED, a, b, tile=(64, 64), block=(16, 16))


def _product(kernel, a, b, tile: tuple[int, int], block: tuple[int, int]):
    """Launch a block for each tile of c, (columns, rows)."""
    (m, k), (rows, n) = a.shape, b.shape
    if k != rows:
        raise ValueError(f"matmul: a {a.shape} has {k} columns, b {b.shape} has {rows} rows; they must be as many")
    c = backend.module_of(a).empty((m, n), a.dtype)
    kernel((a, b, c, m, n, k), blocks=(-(-n // tile[0]), -(-m // tile[1])), block=block)
    return c


def _draw(rng: np.random.Generator, dtype: np.dtype) -> Iterator[tuple]:
    for m, n, k in (
        (5, 7, 3), (1, 1, 1), (33, 17, 65), (64, 64, 64), (70, 130, 21), (3, 200, 1), (129, 2, 31), (4, 5, 0), (0, 3, 2)
    ):  # fmt: skip
        yield rng.standard_normal((m, k)).astype(dtype), rng.standard_normal((k, n)).astype(dtype)


def _workload(rng: np.random.Generator, dtype: np.dtype) -> tuple:
    return tuple(rng.standard_normal((2, 256, 256)).astype(dtype))


LESSON = Lesson(
    name="matmul",
    title="matrix product",
    formula="c[i, j] = sum over l of a[i, l] * b[l, j]",
    definition=np.matmul,
    versions=(
        Version((NAIVE,), naive, ({}, {"block": (16, 16)}, {"block": (64, 1)})),
        Version((TILED,), tiled),
        Version((REGISTER_BLOCKED,), register_blocked),
    ),
    draw=_draw,
    workload=_workload,
    flops=lambda a, b: 2 * a.shape[0] * a.shape[1] * b.shape[1],
)
