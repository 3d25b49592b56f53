"""What is timed: calls of the size that a training step of ResNet-18 or MobileNet makes, for a batch of 32.

Convolutions and pools are 3x3, pools with stride 2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from .. import kernels

SAME = ((1, 1), (1, 1, 1, 1), (1, 1))  # stride, padding, dilation of a 3x3 convolution that keeps the size
POOL = ((3, 3), (2, 2), (1, 1, 1, 1))  # kernel size, stride, padding: halves an even size


@dataclass(frozen=True)
class Workload:
    """One call of a kernel.

    Attributes
    ----------
    title, kernel : str
    arguments : tuple
        Device arrays, logical (N, C, H, W), channels side by side in memory; and options.
    flops : float
        Multiply-adds count as two; 0 where memory is what takes time.
    cupy : callable, optional
        The same, or as much of it as there is, by CuPy's own operations.
    """

    title: str
    kernel: str
    arguments: tuple
    flops: float = 0
    cupy: Callable | None = None

    @property
    def shapes(self) -> str:
        return ", ".join("x".join(map(str, a.shape)) for a in self.arguments if hasattr(a, "shape"))


class Maker:
    """Makes device arrays of random numbers; images as all images are on a device, channels-last in memory."""

    def __init__(self, xp) -> None:
        self.xp, self.rng = xp, np.random.default_rng(0)

    def __call__(self, *shape: int):
        return self.xp.asarray(self.rng.standard_normal(shape, np.float32))

    def image(self, n: int, c: int, h: int, w: int):
        return self(n, h, w, c).transpose(0, 3, 1, 2)


def workloads(xp, small: bool) -> Iterator[Workload]:
    """All of them; ``small`` ones are for trying out whether they run."""
    make = Maker(xp)
    n, c, side = (2, 8, 8) if small else (32, 64, 56)
    yield from _convolutions(make, n, c, side)
    yield from _pools(make, n, c, 2 * side)
    yield from _by_channel(make, n, c, side)
    yield from _by_element(make, n, c, side)
    yield from _losses(make, *((16, 10) if small else (256, 1000)))
    yield from _updates(make, 1000 if small else 2_359_296)  # ResNet-18's largest weight, 512x512x3x3


def _convolutions(make: Maker, n: int, c: int, side: int) -> Iterator[Workload]:
    xp = make.xp
    x, y, weight = make.image(n, c, side, side), make.image(n, c, side, side), make.image(c, c, 3, 3)
    flops = 2 * n * side * side * c * c * 9
    columns, matrix = kernels.im2col(x, (3, 3), *SAME), make(9 * c, c)
    product = xp.empty((n * side * side, c), "float32")
    rows = y.transpose(0, 2, 3, 1).reshape(-1, c)
    yield Workload("im2col", "im2col", (x, (3, 3), *SAME))
    yield Workload("col2im", "col2im", (columns, x.shape, (3, 3), *SAME))
    yield Workload("conv2d", "conv2d", (x, weight, None, *SAME, 1), flops,
                   lambda: xp.matmul(columns, matrix, out=product))  # fmt: skip
    yield Workload("conv2d_input_grad", "conv2d_input_grad", (y, weight, (side, side), *SAME, 1), flops,
                   lambda: xp.matmul(rows, matrix.T))  # fmt: skip
    yield Workload("conv2d_weight_grad", "conv2d_weight_grad", (y, x, (3, 3), *SAME, 1), flops,
                   lambda: xp.matmul(rows.T, columns))  # fmt: skip
    deep = make.image(c, 1, 3, 3)
    flops = 2 * n * side * side * c * 9
    yield Workload("conv2d, depthwise", "conv2d", (x, deep, None, *SAME, c), flops)
    yield Workload("conv2d_input_grad, depthwise", "conv2d_input_grad", (y, deep, (side, side), *SAME, c), flops)
    yield Workload("conv2d_weight_grad, depthwise", "conv2d_weight_grad", (y, x, (3, 3), *SAME, c), flops)
    a, b = make(1, n * side, 9 * c), make(1, 9 * c, c)
    yield Workload("matmul", "matmul", (a, b, False, False), 2 * n * side * 9 * c * c, lambda: xp.matmul(a, b))


def _pools(make: Maker, n: int, c: int, side: int) -> Iterator[Workload]:
    x, y = make.image(n, c, side, side), make.image(n, c, side // 2, side // 2)
    half = (side // 2, side // 2)
    index = kernels.max_pool2d(x, *POOL, (1, 1), half)[1]
    yield Workload("max_pool2d", "max_pool2d", (x, *POOL, (1, 1), half))
    yield Workload("max_pool2d_backward", "max_pool2d_backward", (y, index, (side, side), *POOL, (1, 1)))
    yield Workload("avg_pool2d", "avg_pool2d", (x, *POOL, half, True))
    yield Workload("avg_pool2d_backward", "avg_pool2d_backward", (y, (side, side), *POOL, True))
    one = make.image(n, c, 1, 1)
    yield Workload("adaptive_avg_pool2d", "adaptive_avg_pool2d", (x, (1, 1)), cupy=lambda: x.mean((2, 3)))
    yield Workload("adaptive_avg_pool2d_backward", "adaptive_avg_pool2d_backward", (one, (side, side)))


def _by_channel(make: Maker, n: int, c: int, side: int) -> Iterator[Workload]:
    xp = make.xp
    x, grad = make.image(n, c, side, side), make.image(n, c, side, side)
    rows = x.transpose(0, 2, 3, 1).reshape(-1, c)  # (N H W, C), a view
    weight, bias = make(c), make(c)
    mean, var = kernels.channel_stats(x)
    scale = weight / xp.sqrt(var.astype("float32") + np.float32(1e-5))
    yield Workload("channel_sum", "channel_sum", (x,), cupy=lambda: rows.sum(0))
    yield Workload("channel_stats", "channel_stats", (x,), cupy=lambda: (rows.mean(0), rows.var(0)))
    yield Workload("batch_norm", "batch_norm", (x, mean, var, weight, bias, 1e-5),
                   cupy=lambda: (rows - mean.astype("float32")) * scale + bias)  # fmt: skip
    yield Workload("batch_norm_backward", "batch_norm_backward", (grad, x, mean, var, weight, 1e-5, True))
    yield Workload("batch_norm_relu", "batch_norm_relu", (x, mean, var, weight, bias, grad, 1e-5, np.inf))
    passed = (grad, x, mean, var, weight, bias, 1e-5, True, np.inf)
    yield Workload("batch_norm_relu_backward", "batch_norm_relu_backward", passed)
    yield Workload("local_response_norm", "local_response_norm", (x, 5, 1e-4, 0.75, 2.0))
    yield Workload("local_response_norm_backward", "local_response_norm_backward", (grad, x, 5, 1e-4, 0.75, 2.0))


def _by_element(make: Maker, n: int, c: int, side: int) -> Iterator[Workload]:
    xp = make.xp
    x, y = make.image(n, c, side, side), make.image(n, c, side, side)
    flat, other = (a.transpose(0, 2, 3, 1) for a in (x, y))  # contiguous, which is fairer to CuPy
    yield Workload("relu", "relu", (x,), cupy=lambda: xp.maximum(flat, 0))
    yield Workload("relu_backward", "relu_backward", (y, x), cupy=lambda: other * (flat > 0))
    yield Workload("relu6", "relu6", (x,), cupy=lambda: xp.clip(flat, 0, 6))
    yield Workload("relu6_backward", "relu6_backward", (y, x), cupy=lambda: other * ((flat > 0) & (flat < 6)))
    yield Workload("leaky_relu", "leaky_relu", (x, 0.01), cupy=lambda: xp.where(flat > 0, flat, flat * 0.01))
    yield Workload("leaky_relu_backward", "leaky_relu_backward", (y, x, 0.01))
    yield Workload("dropout", "dropout", (x, 0.5, 1, 2))


def _losses(make: Maker, n: int, classes: int) -> Iterator[Workload]:
    xp = make.xp
    logits, labels = make(n, classes), xp.asarray(make.rng.integers(0, classes, n))
    probabilities = kernels.softmax_cross_entropy(logits, labels, 0.1, True)[1]

    def by_cupy():
        shifted = logits - logits.max(1, keepdims=True)
        exp = xp.exp(shifted)
        return exp / exp.sum(1, keepdims=True)

    yield Workload("softmax_cross_entropy", "softmax_cross_entropy", (logits, labels, 0.1, True), cupy=by_cupy)
    yield Workload(
        "softmax_cross_entropy_backward", "softmax_cross_entropy_backward", (make(n), probabilities, labels, 0.1, True)
    )


def _updates(make: Maker, size: int) -> Iterator[Workload]:
    xp = make.xp
    weight, grad, velocity, square = make(size), make(size), make(size), xp.ones(size, "float32")

    def sgd_by_cupy():
        step = 0.9 * velocity + grad + 1e-4 * weight
        return weight - 0.01 * step

    def adam_by_cupy():
        mean = 0.9 * velocity + 0.1 * grad
        return weight - 1e-3 * mean / (xp.sqrt(0.999 * square + 0.001 * grad * grad) + 1e-8)

    adam = (1e-3, 0.9, 0.999, 1e-8, 0.0, 1, False)
    yield Workload("sgd_update", "sgd_update", (weight, grad, velocity, 0.0, 0.9, 1e-4, False), cupy=sgd_by_cupy)
    yield Workload("adam_update", "adam_update", (weight, grad, velocity, square, *adam), cupy=adam_by_cupy)
    yield Workload("rmsprop_update", "rmsprop_update",
                   (weight, grad, square, None, None, 1e-3, 0.99, 1e-8, 0.0, 0.0, False))  # fmt: skip
