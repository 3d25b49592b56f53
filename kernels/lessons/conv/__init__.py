"""Convolution: direct, by im2col and a product, and by that product without the columns.

x (N, H, W, C), weight (O, KH, KW, C) -> y (N, OH, OW, O), as in ``kernels/cuda``; without bias, dilation and groups.
``stride`` is (rows, columns), ``padding`` (top, bottom, left, right).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...cuda import backend
from ...cuda.im2col import columns_of
from ...cuda.window import Window
from ...plain.conv import conv2d as plain_conv2d
from ..catalogue import Lesson, Version, kernel

WINDOW = (
    "int h, int w, int channels, int outputs, int kh_size, int kw_size, int oh_size, int ow_size, "
    "int sh, int sw, int top, int left"
)
DIRECT = kernel(
    "conv/1_direct.cu", "conv2d<T>", f"const T* x, const T* weight, T* y, long long size, int per_image, {WINDOW}"
)
COLUMNS_TIMES_WEIGHTS = kernel(
    "conv/2_im2col_gemm.cu",
    "columns_times_weights<T>",
    "const T* columns, const T* weight, T* y, long long rows, int outputs, int depth",
)
IMPLICIT = kernel(
    "conv/3_implicit_gemm.cu", "conv2d<T>", f"const T* x, const T* weight, T* y, long long rows, {WINDOW}"
)
TILE = 64  # pixels, and outputs, of a block of the products


def direct(x, weight, stride, padding, block=256, blocks=None):
    """A thread for each number of y, or fewer that stride."""
    window, y = _prepared(x, weight, stride, padding)
    wanted = -(-y.size // block) if blocks is None else min(blocks, y.size)
    per_image = y.size // max(1, len(y))
    DIRECT((x, weight, y, y.size, per_image, *_numbers(window, len(weight))), blocks=wanted, block=block)
    return y


def im2col_gemm(x, weight, stride, padding):
    """The columns in memory, then a block for each 64 pixels and 64 outputs."""
    window, y = _prepared(x, weight, stride, padding)
    columns = columns_of(x, window, 1)  # (1, N*OH*OW, KH*KW*C)
    _, rows, depth = columns.shape
    grid = -(-rows // TILE), -(-len(weight) // TILE)
    COLUMNS_TIMES_WEIGHTS((columns, weight, y, rows, len(weight), depth), blocks=grid, block=(16, 16))
    return y


def implicit_gemm(x, weight, stride, padding):
    """A block for each 64 pixels and 64 outputs."""
    window, y = _prepared(x, weight, stride, padding)
    rows, outputs = window.n * window.out[0] * window.out[1], len(weight)
    grid = -(-rows // TILE), -(-outputs // TILE)
    IMPLICIT((x, weight, y, rows, *_numbers(window, outputs)), blocks=grid, block=(16, 16))
    return y


def _prepared(x, weight, stride, padding):
    """The windows, and memory for y."""
    o, kh, kw, c = weight.shape
    if x.shape[3] != c:
        raise ValueError(f"conv: x {x.shape} has {x.shape[3]} channels, the weights {weight.shape} are for {c}")
    window = Window.over(x.shape, (kh, kw), stride, padding, (1, 1))
    return window, backend.module_of(x).empty((window.n, *window.out, o), x.dtype)


def _numbers(window: Window, outputs: int) -> tuple[int, ...]:
    """The values for ``WINDOW``."""
    h, w, channels, *rest, _, _ = window.numbers()
    return h, w, channels, outputs, *rest


def definition(x, weight, stride, padding) -> np.ndarray:
    """The plain room's convolution, whose arrays are (N, C, H, W) and (O, C, KH, KW)."""
    y = plain_conv2d(x.transpose(0, 3, 1, 2), weight.transpose(0, 3, 1, 2), None, stride, padding, (1, 1), 1)
    return np.ascontiguousarray(y.transpose(0, 2, 3, 1))


def _draw(rng: np.random.Generator, dtype: np.dtype) -> Iterator[tuple]:
    for x, weight, stride, padding in (
        ((2, 7, 9, 3), (5, 3, 3), (1, 1), (1, 1, 1, 1)),
        ((1, 9, 6, 4), (6, 3, 2), (2, 1), (1, 0, 2, 1)),
        ((3, 5, 4, 33), (7, 1, 1), (1, 1), (0, 0, 0, 0)),
        ((1, 8, 13, 16), (70, 5, 3), (3, 2), (2, 2, 1, 0)),
        ((2, 11, 5, 17), (65, 2, 3), (1, 2), (0, 1, 1, 1)),
        ((1, 1, 1, 1), (1, 1, 1), (1, 1), (0, 0, 0, 0)),
        ((0, 7, 9, 3), (5, 3, 3), (1, 1), (1, 1, 1, 1)),
    ):
        filters = rng.standard_normal((*weight, x[3])).astype(dtype)
        yield rng.standard_normal(x).astype(dtype), filters, stride, padding


def _workload(rng: np.random.Generator, dtype: np.dtype) -> tuple:
    """A block of ResNet's first stage on a quarter of its image: 3x3, 64 channels to 64."""
    x = rng.standard_normal((1, 14, 14, 64)).astype(dtype)
    return x, rng.standard_normal((64, 3, 3, 64)).astype(dtype), (1, 1), (1, 1, 1, 1)


def flops(x, weight, stride, padding) -> int:
    """A multiplication and an addition for each weight and result; those with the padding count, too."""
    window = Window.over(x.shape, weight.shape[1:3], stride, padding, (1, 1))
    return 2 * window.n * window.out[0] * window.out[1] * weight.size


LESSON = Lesson(
    name="conv",
    title="convolution",
    formula="y[n, oh, ow, o] = sum over kh, kw, c of w[o, kh, kw, c] * x[n, oh*sh + kh - top, ow*sw + kw - left, c]",
    definition=definition,
    versions=(
        Version((DIRECT,), direct, ({}, {"block": 32, "blocks": 2}, {"block": 96})),
        Version((COLUMNS_TIMES_WEIGHTS,), im2col_gemm),
        Version((IMPLICIT,), implicit_gemm),
    ),
    draw=_draw,
    workload=_workload,
    flops=flops,
)
