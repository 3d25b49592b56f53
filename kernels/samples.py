"""Small valid arguments for every kernel, one set for each path inside it: what ``minicnn warmup`` compiles with, and
what ``minicnn doctor`` compares the rooms on. Arrays are logical (N, C, H, W)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

SAME = ((1, 1), (1, 1, 1, 1), (1, 1))  # stride, padding, dilation of a 3x3 convolution that keeps the size
HALF = ((2, 2), (1, 1, 1, 1), (1, 1))  # and of one that halves it
POOL = ((2, 2), (2, 2), (0, 0, 0, 0))  # kernel size, stride, padding


def samples(dtype=np.float32) -> Iterator[tuple[str, tuple]]:
    """(kernel name, arguments), deterministic."""
    rng = np.random.default_rng(0)

    def array(*shape):
        return rng.standard_normal(shape).astype(dtype)

    x, y, half, vector = array(2, 4, 6, 6), array(2, 4, 6, 6), array(2, 4, 3, 3), array(4)
    image_size = (6, 6)

    # full 3x3 in both ways, pointwise 1x1, grouped, depthwise, and 3x3 with stride 2: full and depthwise
    for grad, weight, bias, geometry, groups, algorithm in (
        (y, array(4, 4, 3, 3), vector, SAME, 1, "im2col"),
        (y, array(4, 4, 3, 3), vector, SAME, 1, "winograd"),
        (y, array(4, 4, 3, 3), vector, SAME, 1, "direct"),
        (y, array(4, 4, 1, 1), None, ((1, 1), (0, 0, 0, 0), (1, 1)), 1, "auto"),
        (y, array(4, 2, 3, 3), vector, SAME, 2, "auto"),
        (y, array(4, 1, 3, 3), None, SAME, 4, "auto"),
        (half, array(4, 4, 3, 3), vector, HALF, 1, "auto"),
        (half, array(4, 1, 3, 3), None, HALF, 4, "auto"),
    ):
        yield "conv2d", (x, weight, bias, *geometry, groups, algorithm)
        yield "conv2d_input_grad", (grad, weight, image_size, *geometry, groups, algorithm)
        yield "conv2d_weight_grad", (grad, x, weight.shape[2:], *geometry, groups, algorithm)
    many = array(1, 64, 3, 3)  # many small groups
    yield "conv2d", (many, array(64, 2, 3, 3), None, *SAME, 32)
    yield "conv2d_input_grad", (many, array(64, 2, 3, 3), (3, 3), *SAME, 32)
    yield "conv2d_weight_grad", (many, many, (3, 3), *SAME, 32)
    broken = array(4, 4, 3, 3)
    broken[0, 0, 0, 0] = np.nan  # then the gradient takes a path that keeps NaN where it belongs
    yield "conv2d_input_grad", (y, broken, image_size, *SAME, 1)

    yield "im2col", (x, (3, 3), *SAME)
    yield "col2im", (array(2 * 6 * 6, 3 * 3 * 4), x.shape, (3, 3), *SAME)
    # what is cut, in the cpu room: rows of y, its columns (a linear layer), the sum (few rows times a tall matrix)
    for a, b, transpose_a, transpose_b in (
        (array(1, 5, 5), array(1, 5, 5), False, False),
        (array(1, 2, 5), array(1, 6, 5), False, True),
        (array(1, 2, 16), array(1, 16, 5), False, False),
        (array(1, 5, 5), array(1, 5, 5), True, False),
    ):
        yield "matmul", (a, b, transpose_a, transpose_b)

    yield "max_pool2d", (x, *POOL, (1, 1), (3, 3))
    yield "max_pool2d_backward", (half, np.zeros(half.shape, np.int32), image_size, *POOL, (1, 1))
    yield "avg_pool2d", (x, *POOL, (3, 3), True)
    yield "avg_pool2d_backward", (half, image_size, *POOL, True)
    yield "adaptive_avg_pool2d", (x, (1, 1))
    yield "adaptive_avg_pool2d_backward", (half, image_size)

    mean, var = np.zeros(4), np.ones(4)  # float64, whatever the images are
    yield "channel_sum", (x,)
    yield "channel_stats", (x,)
    yield "batch_norm", (x, mean, var, vector, vector, 1e-5)
    yield "batch_norm_backward", (y, x, mean, var, vector, 1e-5, True)
    for residual in (None, x):
        yield "batch_norm_relu", (x, mean, var, vector, vector, residual, 1e-5, np.inf)
    yield "batch_norm_relu_backward", (y, x, mean, var, vector, vector, 1e-5, True, np.inf)
    yield "local_response_norm", (x, 5, 1e-4, 0.75, 2.0)
    yield "local_response_norm_backward", (y, x, 5, 1e-4, 0.75, 2.0)

    for name in ("relu", "relu6"):
        yield name, (x,)
        yield f"{name}_backward", (y, x)
    yield "leaky_relu", (x, 0.01)
    yield "leaky_relu_backward", (y, x, 0.01)

    logits, labels = array(3, 5), np.array([0, 4, 2])
    yield "softmax_cross_entropy", (logits, labels, 0.1)
    yield "softmax_cross_entropy_backward", (array(3), np.full((3, 5), 0.2, dtype), labels, 0.1)
    yield "dropout", (x, 0.5, 1, 2)
    for velocity, momentum in ((None, 0.0), (array(4, 3), 0.9)):
        yield "sgd_update", (array(4, 3), array(4, 3), velocity, 0.1, momentum, 1e-4, False)
    square = np.ones((4, 3), dtype)
    yield "adam_update", (array(4, 3), array(4, 3), array(4, 3), square, 1e-3, 0.9, 0.999, 1e-8, 0.0, 1, False)
    for mean, velocity, inside in ((None, None, False), (np.zeros((4, 3), dtype), array(4, 3), True)):
        options = (1e-2, 0.99, 1e-8, 1e-4, 0.9, inside)
        yield "rmsprop_update", (array(4, 3), array(4, 3), square.copy(), mean, velocity, *options)
