"""The sum of a vector: one queue of atomics, a tree in shared memory, warp shuffles. x (size,) -> total (1,)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...cuda import backend
from ..catalogue import Lesson, Version, kernel

ATOMICS = kernel("reduction/1_atomics.cu", "sum<T>", "const T* x, T* total, long long size")
SHARED = kernel("reduction/2_shared.cu", "sum<T>", "const T* x, T* partial, long long size")
SHUFFLE = kernel("reduction/3_shuffle.cu", "sum<T>", "const T* x, T* partial, long long size")
PER_BLOCK, MOST_BLOCKS = 1024, 1024  # numbers of x for each block, at least; and then no more blocks


def atomics(x, block=256, blocks=None):
    """Every number is added to the total in memory."""
    total = backend.module_of(x).zeros(1, x.dtype)
    ATOMICS((x, total, x.size), blocks=min(-(-x.size // block), blocks or x.size), block=block)
    return total


def shared(x, blocks=None):
    """Blocks of 256 threads."""
    return _twice(SHARED, x, 256, blocks)


def shuffle(x, block=256, blocks=None):
    """Blocks of whole warps."""
    return _twice(SHUFFLE, x, block, blocks)


def _twice(kernel, x, block: int, blocks: int | None):
    """A sum for each block, then the sum of these."""
    xp = backend.module_of(x)
    blocks = blocks or max(1, min(-(-x.size // PER_BLOCK), MOST_BLOCKS))
    partial, total = xp.empty(blocks, x.dtype), xp.empty(1, x.dtype)
    kernel((x, partial, x.size), blocks=blocks, block=block)
    kernel((partial, total, blocks), blocks=1, block=block)
    return total


def definition(x) -> np.ndarray:
    """In double, rounded at the end."""
    return x.sum(dtype=np.float64, keepdims=True).astype(x.dtype)


def _draw(rng: np.random.Generator, dtype: np.dtype) -> Iterator[tuple]:
    """Whole numbers, none of them 0: exact in any order, and one that is forgotten or counted twice shows."""
    for size in (0, 1, 31, 33, 257, 1000, 4099):
        yield ((rng.integers(1, 10, size) * rng.choice([-1, 1], size)).astype(dtype),)
    yield (rng.standard_normal(999).astype(dtype),)


def _workload(rng: np.random.Generator, dtype: np.dtype) -> tuple:
    return (rng.standard_normal(2**18).astype(dtype),)


LESSON = Lesson(
    name="reduction",
    title="sum of a vector",
    formula="total = x[0] + x[1] + ...",
    definition=definition,
    versions=(
        Version((ATOMICS,), atomics, ({}, {"block": 32, "blocks": 3}, {"block": 1024}), repeats=False),
        Version((SHARED,), shared, ({}, {"blocks": 1}, {"blocks": 7})),
        Version((SHUFFLE,), shuffle, ({}, {"block": 32, "blocks": 3}, {"block": 1024}, {"block": 96, "blocks": 40})),
    ),
    draw=_draw,
    workload=_workload,
    flops=lambda x: x.size,
)
