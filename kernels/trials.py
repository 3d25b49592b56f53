"""Awkward valid arguments for every kernel: what ``minicnn kernels check`` holds a kernel against its definition on.

Sizes are odd, not square, and no multiples of a warp or a block; strides, paddings and dilations differ between rows
and columns; there are ties, empty batches, single pixels, infinities and NaN. That is where an index that is one off, a
swapped H and W or a missing guard shows; ``tests/sim/mutations.py`` tries whether it does. Arrays are logical
(N, C, H, W).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .plain.dropout import philox
from .plain.windows import output_size

#: N, C, H, W, O, kernel, stride, padding (top, bottom, left, right), dilation, groups
CONVOLUTIONS = (
    (2, 3, 7, 9, 5, (3, 3), (1, 1), (1, 1, 1, 1), (1, 1), 1),
    (1, 4, 9, 6, 6, (3, 2), (2, 1), (1, 0, 2, 1), (1, 2), 2),
    (3, 33, 5, 4, 7, (1, 1), (1, 1), (0, 0, 0, 0), (1, 1), 1),
    (2, 6, 11, 5, 6, (3, 3), (2, 2), (1, 1, 1, 1), (1, 1), 6),
    (1, 5, 8, 13, 10, (5, 3), (3, 2), (2, 2, 1, 0), (1, 1), 5),
    (1, 1, 1, 1, 1, (1, 1), (1, 1), (0, 0, 0, 0), (1, 1), 1),
    (2, 2, 10, 7, 6, (3, 2), (2, 1), (2, 0, 1, 3), (2, 3), 2),
    (3, 3, 23, 5, 6, (2, 3), (1, 2), (0, 1, 1, 1), (1, 1), 3),  # so many rows that several blocks share them
    (0, 3, 7, 9, 5, (3, 3), (1, 1), (1, 1, 1, 1), (1, 1), 1),
)
#: N, C, H, W, kernel, stride, padding, and for max pooling also dilation
POOLS = (
    (2, 3, 7, 9, (2, 2), (2, 2), (0, 0, 0, 0)),
    (1, 35, 9, 6, (3, 3), (2, 2), (1, 1, 1, 1)),
    (2, 1, 5, 12, (3, 2), (2, 3), (1, 0, 0, 1)),
    (1, 2, 4, 4, (4, 4), (1, 1), (0, 0, 0, 0)),
    (2, 3, 9, 12, (2, 3), (3, 2), (1, 0, 1, 1)),
    (0, 3, 7, 9, (2, 2), (2, 2), (0, 0, 0, 0)),
)
DILATED_POOLS = (
    (2, 3, 9, 8, (3, 2), (1, 2), (1, 0, 0, 1), (2, 3)),
    (1, 2, 8, 11, (2, 3), (2, 1), (0, 1, 1, 0), (3, 2)),
)
IMAGES = ((2, 3, 7, 9), (3, 33, 5, 1), (1, 1, 1, 2), (2, 70, 3, 4))
#: so many pixels that several blocks share them in batch normalisation
LARGE_IMAGES = ((3, 33, 13, 17), (1, 3, 33, 65), (1, 17, 92, 93))  # the last: more shares than a block has warps


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

    def special(self, *shape: int) -> np.ndarray:
        """Whole numbers, infinities and NaN."""
        x = self.tied(*shape)
        for value in (np.nan, np.inf, -np.inf):
            x[self.rng.random(shape) < 0.15] = value
        return x


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


def _pools(dilated: bool):
    """Shape of the image, (kernel, stride, padding), dilation, output size; also as ``ceil_mode`` has it."""
    for n, c, h, w, *pool in (*POOLS, *(DILATED_POOLS if dilated else ())):
        dilation = pool[3] if pool[3:] else (1, 1)
        out = output_size((h, w), *pool[:3], dilation)
        yield (n, c, h, w), pool[:3], dilation, out
        last_starts_inside = tuple((o * s) - p < size for o, s, p, size in zip(out, pool[1], pool[2][::2], (h, w)))
        if n and all(last_starts_inside):  # ceil_mode: one more window, which reaches beyond the image
            yield (n, c, h, w), pool[:3], dilation, (out[0] + 1, out[1] + 1)


def _max_pool2d(draw):
    for x, pool, dilation, out in _pools(dilated=True):
        for kind in (draw, draw.tied, draw.special):
            yield kind(*x), *pool, dilation, out
    # windows without a pixel, and with none but -infinity
    yield np.full((1, 2, 3, 4), -np.inf, draw.dtype), (2, 1), (2, 1), (2, 1, 0, 1), (1, 1), (3, 5)


def _max_pool2d_backward(draw):
    for x, pool, dilation, out in _pools(dilated=True):
        index = draw.rng.integers(-1, pool[0][0] * pool[0][1], (*x[:2], *out)).astype(np.int32)
        yield draw(*index.shape), index, x[2:], *pool, dilation


def _avg_pool2d(draw):
    for x, pool, _, out in _pools(dilated=False):
        for include in (True, False):
            yield draw(*x), *pool, out, include


def _avg_pool2d_backward(draw):
    for x, pool, _, out in _pools(dilated=False):
        for include in (True, False):
            yield draw(*x[:2], *out), x[2:], *pool, include


def _adaptive_avg_pool2d(draw):
    for n, c, h, w in IMAGES:
        for out in ((1, 1), (2, 3), (h, w)):
            yield draw(n, c, h, w), out


def _adaptive_avg_pool2d_backward(draw):
    for n, c, h, w in IMAGES:
        for out in ((1, 1), (2, 3), (h, w)):
            yield draw(n, c, *out), (h, w)


def _channel_sum(draw):
    for shape in (*IMAGES, *LARGE_IMAGES):
        yield (draw(*shape),)


def _channel_stats(draw):
    for shape in (*IMAGES, *LARGE_IMAGES):
        # far from 0, where E[x^2] - E[x]^2 loses digits, also in double; rows rise, so that parts differ
        yield ((draw(*shape) + 1e5 + np.arange(shape[2])[:, None] / 8).astype(draw.dtype),)


def _batch_norm(draw):
    for shape in (*IMAGES, *LARGE_IMAGES):
        c = shape[1]
        yield draw(*shape), draw.rng.random(c), draw.rng.random(c) + 0.1, draw(c), draw(c), 1e-2


def _batch_norm_backward(draw):
    for shape in (*IMAGES, *LARGE_IMAGES):
        c = shape[1]
        for training in (True, False):
            mean, var = draw.rng.random(c), draw.rng.random(c) + 0.1
            yield draw(*shape), draw(*shape), mean, var, draw(c), 1e-2, training


def _batch_norm_relu(draw):
    for i, arguments in enumerate(_batch_norm(draw)):
        *arguments, eps = arguments
        yield *arguments, draw(*arguments[0].shape) if i % 2 else None, eps, (np.inf, 6.0)[i % 2 == i % 4]


def _batch_norm_relu_backward(draw):
    for i, (grad, x, mean, var, weight, eps, training) in enumerate(_batch_norm_backward(draw)):
        yield grad, x, mean, var, weight, draw(len(weight)), eps, training, (np.inf, 6.0)[i % 2]


def _local_response_norm(draw):
    for shape in IMAGES:
        for size in (1, 4, 5):
            yield draw(*shape), size, 0.3, 0.75, 2.0
        yield draw(*shape), 6, 0.3, 0.4, 1.5


def _local_response_norm_backward(draw):
    for shape in IMAGES:
        for size in (1, 4, 5):
            yield draw(*shape), draw(*shape), size, 0.3, 0.75, 2.0
        yield draw(*shape), draw(*shape), 6, 0.3, 0.4, 1.5


def _elements(draw):
    for shape in (*IMAGES, (1023,), (1, 1), (0, 3)):
        yield draw(*shape)


def _outputs(draw):
    """Gradients, and the outputs y of an activation."""
    for x in _elements(draw):
        for kind in (draw, draw.tied, draw.special):
            yield x, 4 * kind(*x.shape)
        yield x, 3 * draw.tied(*x.shape)  # -6, -3, 0, 3, 6


def _relu(draw):
    yield from ((x,) for x in _elements(draw))
    yield (draw.special(99),)


def _relu6(draw):
    yield from ((4 * x,) for x in _elements(draw))
    yield (3 * draw.special(99),)


def _leaky_relu(draw):
    yield from ((x, 0.1) for x in _elements(draw))
    yield draw.special(99), 0.1


_relu_backward = _relu6_backward = _outputs


def _leaky_relu_backward(draw):
    return ((*arrays, 0.1) for arrays in _outputs(draw))


def _labels(draw, n: int, classes: int) -> np.ndarray:
    """Every second one counts from the end."""
    return draw.rng.integers(0, classes, n) - classes * (np.arange(n) % 2)


def _softmax_cross_entropy(draw):
    for n, classes in ((3, 5), (1, 1), (7, 33), (2, 100), (65, 3)):
        for smoothing in (0.0, 0.1):
            yield 10 * draw(n, classes), _labels(draw, n, classes), smoothing
    yield draw(5, 77), _labels(draw, 5, 77), 0.1  # no class stands out
    yield 1000 * draw(3, 40), _labels(draw, 3, 40), 0.1  # exp of these is infinite
    impossible = draw(3, 6)
    impossible[:, 2] = -np.inf
    yield impossible, np.array([0, 1, -1]), 0.0
    for column in (0, 40, 69):
        broken = draw(2, 70)
        broken[1, column] = np.nan
        yield broken, _labels(draw, 2, 70), 0.1


def _softmax_cross_entropy_backward(draw):
    for n, classes in ((3, 5), (1, 1), (7, 33), (2, 100), (65, 3)):
        probabilities = draw.rng.dirichlet(np.ones(classes), n).astype(draw.dtype)
        yield draw(n), probabilities, _labels(draw, n, classes), 0.1


def _dropout(draw):
    seed = 7 + 3 * 2**40
    for i, x in enumerate(_elements(draw)):
        yield x, 0.4, seed, 2**40 + i
    yield draw(2**18 + 3), 0.4, seed, 0  # so many blocks of four that their number needs more than 16 bits
    yield draw(9), 0.0, seed, 1
    yield draw(9), 1.0, seed, 2
    yield draw(9), int(philox(3, seed, 3)[2]) / 2**32, seed, 3  # just the number of one element, which is kept


def _weights(draw):
    """Parameters, and a rate of decay; without decay an infinite one must not become NaN."""
    for x in _elements(draw):
        yield x, 1e-2
    yield draw.rng.choice([-np.inf, np.inf, 1], 40).astype(draw.dtype), 0.0


def _sgd_update(draw):
    for x, decay in _weights(draw):
        yield x.copy(), draw(*x.shape), None, 0.1, 0.0, decay, False
        for nesterov in (False, True):
            yield x.copy(), draw(*x.shape), draw(*x.shape), 0.1, 0.9, decay, nesterov


def _adam_update(draw):
    for x, decay in _weights(draw):
        for decoupled in (False, True):
            state = draw(*x.shape), np.abs(draw(*x.shape))
            yield x.copy(), draw(*x.shape), *state, 1e-2, 0.9, 0.999, 1e-2, decay, 3, decoupled


def _rmsprop_update(draw):
    for x, decay in _weights(draw):
        square = np.abs(draw(*x.shape)) + 1
        yield x.copy(), draw(*x.shape), square.copy(), None, None, 1e-2, 0.99, 0.1, decay, 0.0, False
        for mean in (draw(*x.shape) / 10, 3 * square):  # of the second the square is larger: no variance is below 0
            yield x.copy(), draw(*x.shape), square.copy(), mean, draw(*x.shape), 1e-2, 0.99, 0.1, 0.0, 0.9, True
