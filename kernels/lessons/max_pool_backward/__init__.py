"""The gradient of max pooling: a scatter with atomics, and the same turned around into a gather.

grad, index (N, OH, OW, C) -> dx (N, H, W, C). index is what ``max_pool2d`` gives: kh*KW + kw of the first largest pixel
of the window, or -1 for a window without pixels. As in ``kernels/cuda``, without dilation.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...checks import pooled_size, same_shape
from ...cuda import backend
from ...plain import pooling as plain
from ...plain.windows import output_size
from ..catalogue import Lesson, Version, kernel

SIZES = "long long size, int per_image"
WINDOW = (
    "int h, int w, int channels, int kh_size, int kw_size, int oh_size, int ow_size, int sh, int sw, int top, int left"
)
SIGNATURE = f"const T* grad, const int* index, T* dx, {SIZES}, {WINDOW}"
ZEROS = kernel("max_pool_backward/1_atomics.cu", "zeros<T>", "T* dx, long long size")
SCATTER = kernel("max_pool_backward/1_atomics.cu", "max_pool_backward<T>", SIGNATURE)
GATHER = kernel("max_pool_backward/2_gather.cu", "max_pool_backward<T>", SIGNATURE)


def atomics(grad, index, input_size, kernel_size, stride, padding, block=256, blocks=None):
    """A thread for each window and channel, which adds its gradient to the pixel that won."""
    dx, window = _prepared(grad, index, input_size, kernel_size, stride, padding)
    ZEROS((dx, dx.size), blocks=_blocks(dx.size, block, blocks), block=block)
    sizes = grad.size, grad.size // max(1, len(grad))
    SCATTER((grad, index, dx, *sizes, *window), blocks=_blocks(grad.size, block, blocks), block=block)
    return dx


def gather(grad, index, input_size, kernel_size, stride, padding, block=256, blocks=None):
    """A thread for each pixel and channel, which adds up the gradients of the windows that it won."""
    dx, window = _prepared(grad, index, input_size, kernel_size, stride, padding)
    sizes = dx.size, dx.size // max(1, len(dx))
    GATHER((grad, index, dx, *sizes, *window), blocks=_blocks(dx.size, block, blocks), block=block)
    return dx


def _blocks(size: int, block: int, blocks: int | None) -> int:
    """One thread for each number, or fewer that stride."""
    return min(-(-size // block), blocks or size)


def _prepared(grad, index, input_size, kernel_size, stride, padding):
    """Memory for dx, and the values for ``WINDOW``."""
    same_shape("max_pool_backward", grad=grad, index=index)
    pooled_size("max_pool_backward", grad, input_size, kernel_size, stride, padding)
    n, oh, ow, c = grad.shape
    dx = backend.module_of(grad).empty((n, *input_size, c), grad.dtype)
    return dx, (*input_size, c, *kernel_size, oh, ow, *stride, padding[0], padding[2])


def definition(grad, index, input_size, kernel_size, stride, padding) -> np.ndarray:
    """The plain room's, whose arrays are (N, C, H, W)."""
    first = grad.transpose(0, 3, 1, 2), index.transpose(0, 3, 1, 2)
    dx = plain.max_pool2d_backward(*first, input_size, kernel_size, stride, padding, (1, 1))
    return np.ascontiguousarray(dx.transpose(0, 2, 3, 1))


def _arguments(rng: np.random.Generator, dtype: np.dtype, x: tuple, kernel_size, stride, padding, more=0) -> tuple:
    """Gradients, and the winners of an image (N, H, W, C) of whole numbers with many ties. ``more``: ceil_mode."""
    n, h, w, c = x
    out = tuple(o + more for o in output_size((h, w), kernel_size, stride, padding, (1, 1)))
    image = rng.integers(-2, 3, (n, c, h, w)).astype(dtype)
    _, index = plain.max_pool2d(image, kernel_size, stride, padding, (1, 1), out)
    index = np.ascontiguousarray(index.transpose(0, 2, 3, 1))
    return rng.standard_normal(index.shape).astype(dtype), index, (h, w), kernel_size, stride, padding


def _draw(rng: np.random.Generator, dtype: np.dtype) -> Iterator[tuple]:
    for case in (
        ((2, 7, 9, 3), (2, 2), (2, 2), (0, 0, 0, 0)),
        ((1, 9, 6, 35), (3, 3), (2, 2), (1, 1, 1, 1)),
        ((2, 5, 12, 1), (3, 2), (1, 3), (1, 0, 0, 1)),
        ((1, 4, 4, 2), (4, 4), (1, 1), (0, 0, 0, 0)),
        ((1, 6, 8, 33), (3, 3), (1, 1), (1, 1, 1, 1)),
        ((2, 8, 6, 5), (3, 3), (2, 2), (0, 0, 0, 0), 1),  # ceil_mode: a last window reaches beyond the image
        ((1, 3, 2, 2), (1, 1), (2, 2), (0, 1, 0, 1)),  # windows without a pixel
        ((0, 7, 9, 3), (2, 2), (2, 2), (0, 0, 0, 0)),
    ):
        yield _arguments(rng, dtype, *case)


def _workload(rng: np.random.Generator, dtype: np.dtype) -> tuple:
    """ResNet's only max pooling, on a quarter of its image: 3x3 with stride 2, 64 channels."""
    return _arguments(rng, dtype, (1, 56, 56, 64), (3, 3), (2, 2), (1, 1, 1, 1))


LESSON = Lesson(
    name="max_pool_backward",
    title="gradient of max pooling",
    formula="dx[n, ih, iw, c] = sum of grad[n, oh, ow, c] over the windows whose index names pixel (ih, iw)",
    definition=definition,
    versions=(
        Version((ZEROS, SCATTER), atomics, ({}, {"block": 32, "blocks": 2}, {"block": 1024}), repeats=False),
        Version((GATHER,), gather, ({}, {"block": 32, "blocks": 2}, {"block": 1024})),
    ),
    draw=_draw,
    workload=_workload,
    flops=lambda grad, *_: grad.size,
)
