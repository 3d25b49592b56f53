"""Awkward valid arguments for every kernel: what ``minicnn kernels check`` holds a kernel against its definition on.

Sizes are odd, not square, and no multiples of a warp or a block; strides, paddings and dilations differ between rows
and columns; there are ties, empty batches and single pixels. That is where an index that is one off, a swapped H and W
or a missing guard shows. Arrays are logical (N, C, H, W).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .plain.windows import output_size

#: N, C, H, W, O, kernel, stride, padding (top, bottom, left, right), dilation, groups
CONVOLUTIONS = (
    (2, 3, 7, 9, 5, (3, 3), (1, 1), (1, 1, 1, 1), (1, 1), 1),
    (1, 4, 9, 6, 6, (3, 2), (2, 1), (1, 0, 2, 1), (1, 2), 2),
    (3, 33, 5, 4, 7, (1, 1), (1, 1), (0, 0, 0, 0), (1, 1), 1),
    (2, 6, 11, 5, 6, (3, 3), (2, 2), (1, 1, 1, 1), (1, 1), 6),
    (1, 5, 8, 13, 10, (5, 3), (3, 2), (2, 2, 1, 0), (1, 1), 5),
    (1, 1, 1, 1, 1, (1, 1), (1, 1), (0, 0, 0, 0), (1, 1), 1),
    (0, 3, 7, 9, 5, (3, 3), (1, 1), (1, 1, 1, 1), (1, 1), 1),
)
#: N, C, H, W, kernel, stride, padding
POOLS = (
    (2, 3, 7, 9, (2, 2), (2, 2), (0, 0, 0, 0)),
    (1, 35, 9, 6, (3, 3), (2, 2), (1, 1, 1, 1)),
    (2, 1, 5, 12, (3, 2), (2, 3), (1, 0, 0, 1)),
    (1, 2, 4, 4, (4, 4), (1, 1), (0, 0, 0, 0)),
    (0, 3, 7, 9, (2, 2), (2, 2), (0, 0, 0, 0)),
)
IMAGES = ((2, 3, 7, 9), (3, 33, 5, 1), (1, 1, 1, 2), (2, 70, 3, 4))


def trials(name: str, dtype=np.float32) -> Iterator[tuple]:
    """Arguments for the kernel ``name``, one tuple after another; the same ones every time."""
    draw = _Draw(np.random.default_rng(sum(map(ord, name))), np.dtype(dtype))
    yield from globals()[f"_{name}"](draw)


class _Draw:
    """A source of numbers of one dtype."""

    def __init__(self, rng: np.random.Generator, dtype: np.dtype) -> None:
        self.rng, self.dtype = rng, dtype

    def __call__(self, *shape: int) -> np.ndarray:
        return self.rng.standard_normal(shape).astype(self.dtype)

    def tied(self, *shape: int) -> np.ndarray:
        """Whole numbers, many of them equal."""
        return self.rng.integers(-2, 3, shape).astype(self.dtype)


def _geometries():
    for n, c, h, w, o, kernel, stride, padding, dilation, groups in CONVOLUTIONS:
        out = output_size((h, w), kernel, stride, padding, dilation)
        yield (n, c, h, w), (n, o, *out), (o, c // groups, *kernel), (stride, padding, dilation), groups


def _conv2d(draw):
    for x, _, weight, geometry, groups in _geometries():
        yield draw(*x), draw(*weight), draw(weight[0]), *geometry, groups
        yield draw(*x), draw(*weight), None, *geometry, groups


def _conv2d_input_grad(draw):
    for x, y, weight, geometry, groups in _geometries():
        yield draw(*y), draw(*weight), x[2:], *geometry, groups


def _conv2d_weight_grad(draw):
    for x, y, weight, geometry, groups in _geometries():
        yield draw(*y), draw(*x), weight[2:], *geometry, groups


def _im2col(draw):
    for x, _, weight, geometry, _ in _geometries():
        yield draw(*x), weight[2:], *geometry


def _col2im(draw):
    for x, y, weight, geometry, _ in _geometries():
        rows, columns = y[0] * y[2] * y[3], weight[2] * weight[3] * x[1]
        yield draw(rows, columns), x, weight[2:], *geometry


def _matmul(draw):
    for batch, m, n, k in ((1, 5, 7, 3), (3, 1, 33, 17), (2, 31, 1, 65), (1, 4, 4, 0)):
        yield draw(batch, m, k), draw(batch, k, n), False, False
        yield draw(batch, k, m), draw(batch, k, n), True, False
        yield draw(batch, m, k), draw(batch, n, k), False, True


def _max_pool2d(draw):
    for n, c, h, w, *pool in POOLS:
        out = output_size((h, w), *pool, (1, 1))
        yield draw(n, c, h, w), *pool, (1, 1), out
        yield draw.tied(n, c, h, w), *pool, (1, 1), out
        last_starts_inside = tuple((o * s) - p < size for o, s, p, size in zip(out, pool[1], pool[2][::2], (h, w)))
        if n and all(last_starts_inside):  # ceil_mode: one more window, which reaches beyond the image
            yield draw(n, c, h, w), *pool, (1, 1), (out[0] + 1, out[1] + 1)


def _max_pool2d_backward(draw):
    for n, c, h, w, *pool in POOLS:
        out, taps = output_size((h, w), *pool, (1, 1)), pool[0][0] * pool[0][1]
        index = draw.rng.integers(0, taps, (n, c, *out)).astype(np.int32)
        yield draw(n, c, *out), index, (h, w), *pool, (1, 1)


def _avg_pool2d(draw):
    for n, c, h, w, *pool in POOLS:
        for include in (True, False):
            yield draw(n, c, h, w), *pool, output_size((h, w), *pool, (1, 1)), include


def _avg_pool2d_backward(draw):
    for n, c, h, w, *pool in POOLS:
        for include in (True, False):
            yield draw(n, c, *output_size((h, w), *pool, (1, 1))), (h, w), *pool, include


def _adaptive_avg_pool2d(draw):
    for n, c, h, w in IMAGES:
        for out in ((1, 1), (2, 3), (h, w)):
            yield draw(n, c, h, w), out


def _adaptive_avg_pool2d_backward(draw):
    for n, c, h, w in IMAGES:
        for out in ((1, 1), (2, 3), (h, w)):
            yield draw(n, c, *out), (h, w)


def _channel_sum(draw):
    for shape in IMAGES:
        yield (draw(*shape),)


def _channel_stats(draw):
    for shape in IMAGES:
        yield (draw(*shape) + draw.dtype.type(100),)  # far from 0, where E[x^2] - E[x]^2 loses all digits


def _batch_norm(draw):
    for shape in IMAGES:
        c = shape[1]
        yield draw(*shape), draw.rng.random(c), draw.rng.random(c) + 0.1, draw(c), draw(c), 1e-5


def _batch_norm_backward(draw):
    for shape in IMAGES:
        c = shape[1]
        for training in (True, False):
            mean, var = draw.rng.random(c), draw.rng.random(c) + 0.1
            yield draw(*shape), draw(*shape), mean, var, draw(c), 1e-5, training


def _local_response_norm(draw):
    for shape in IMAGES:
        for size in (1, 4, 5):
            yield draw(*shape), size, 0.3, 0.75, 2.0


def _local_response_norm_backward(draw):
    for shape in IMAGES:
        for size in (1, 4, 5):
            yield draw(*shape), draw(*shape), size, 0.3, 0.75, 2.0


def _elements(draw):
    for shape in (*IMAGES, (1023,), (1, 1), (0, 3)):
        yield draw(*shape)


def _relu(draw):
    return ((x,) for x in _elements(draw))


def _relu_backward(draw):
    return ((x, draw.tied(*x.shape)) for x in _elements(draw))


def _relu6(draw):
    return ((4 * x,) for x in _elements(draw))


def _relu6_backward(draw):
    return ((x, 3 * draw.tied(*x.shape)) for x in _elements(draw))


def _leaky_relu(draw):
    return ((x, 0.1) for x in _elements(draw))


def _leaky_relu_backward(draw):
    return ((x, draw.tied(*x.shape), 0.1) for x in _elements(draw))


def _softmax_cross_entropy(draw):
    for n, classes in ((3, 5), (1, 1), (7, 33), (2, 100), (65, 3)):
        for smoothing in (0.0, 0.1):
            yield 10 * draw(n, classes), draw.rng.integers(0, classes, n), smoothing


def _softmax_cross_entropy_backward(draw):
    for n, classes in ((3, 5), (1, 1), (7, 33), (2, 100), (65, 3)):
        probabilities = draw.rng.dirichlet(np.ones(classes), n).astype(draw.dtype)
        yield draw(n), probabilities, draw.rng.integers(0, classes, n), 0.1


def _dropout(draw):
    return ((x, 0.4, 7, 2**40 + i) for i, x in enumerate(_elements(draw)))


def _sgd_update(draw):
    for x in _elements(draw):
        yield x, draw(*x.shape), None, 0.1, 0.0, 1e-2, False
        for nesterov in (False, True):
            yield x.copy(), draw(*x.shape), draw(*x.shape), 0.1, 0.9, 1e-2, nesterov


def _adam_update(draw):
    for x in _elements(draw):
        for decoupled in (False, True):
            state = draw(*x.shape), np.abs(draw(*x.shape))
            yield x.copy(), draw(*x.shape), *state, 1e-2, 0.9, 0.999, 1e-8, 1e-2, 3, decoupled


def _rmsprop_update(draw):
    for x in _elements(draw):
        square = np.abs(draw(*x.shape)) + 1
        yield x.copy(), draw(*x.shape), square.copy(), None, None, 1e-2, 0.99, 1e-8, 1e-2, 0.0, False
        yield x.copy(), draw(*x.shape), square, draw(*x.shape) / 10, draw(*x.shape), 1e-2, 0.99, 1e-8, 0.0, 0.9, True
