"""What kernels meet in ResNet-18, GoogLeNet and AlexNet: for ``minicnn kernels report``, and to try a change on.

For every kernel of ``KERNELS`` :func:`workloads` has the shapes of layers of these models at 224 x 224 pixels, for as
few images as tell the same story: all of them run in seconds. What their bytes and FLOPs are held against stands in
:mod:`.formulas`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from . import KERNELS
from .plain.windows import output_size

#: title, images, C, H, W, O, kernel, stride, padding, groups
CONVOLUTIONS = (
    ("ResNet-18 conv1", 1, 3, 224, 224, 64, 7, 2, 3, 1),
    ("ResNet-18 layer1", 1, 64, 56, 56, 64, 3, 1, 1, 1),
    ("ResNet-18 layer4", 4, 512, 7, 7, 512, 3, 1, 1, 1),
    ("ResNet-18 layer2 shortcut", 4, 64, 56, 56, 128, 1, 2, 0, 1),
    ("GoogLeNet 3a 5x5", 4, 16, 28, 28, 32, 5, 1, 2, 1),
    ("AlexNet conv1", 1, 3, 224, 224, 64, 11, 4, 2, 1),
    ("AlexNet conv2", 1, 64, 27, 27, 192, 5, 1, 2, 1),
)
#: none of the three models has depthwise convolutions, for which there are kernels of their own: layers of MobileNet
DEPTHWISE = (
    ("MobileNet block 2", 1, 64, 112, 112, 64, 3, 2, 1, 64),
    ("MobileNet block 7", 2, 512, 14, 14, 512, 3, 1, 1, 512),
)
#: title, images, C, H, W, kernel, stride, padding before and after
MAX_POOLS = (
    ("ResNet-18 maxpool", 1, 64, 112, 112, 3, 2, (1, 1)),
    ("GoogLeNet maxpool1", 1, 64, 112, 112, 3, 2, (0, 1)),  # ceil_mode: one pixel more behind
    ("GoogLeNet 3a pool", 1, 192, 28, 28, 3, 1, (1, 1)),
    ("AlexNet pool1", 2, 64, 55, 55, 3, 2, (0, 0)),
    ("AlexNet pool5", 4, 256, 13, 13, 3, 2, (0, 0)),
)
AVERAGE_POOLS = (("GoogLeNet aux1", 2, 512, 14, 14, 5, 3, (0, 0)), ("GoogLeNet avgpool", 4, 1024, 7, 7, 7, 1, (0, 0)))
#: title, images, C, H, W, rows and columns of the result
ADAPTIVE_POOLS = (("ResNet-18 avgpool", 8, 512, 7, 7, 1), ("AlexNet avgpool", 8, 256, 6, 6, 6))
#: title, images, C, H, W
IMAGES = (
    ("ResNet-18 conv1", 1, 64, 112, 112),
    ("ResNet-18 layer2", 2, 128, 28, 28),
    ("ResNet-18 layer4", 8, 512, 7, 7),
    ("GoogLeNet 3a", 4, 96, 28, 28),
)
LRN_IMAGES = (("GoogLeNet norm2", 1, 192, 56, 56), ("AlexNet norm1", 1, 96, 55, 55))
#: title, batch, M, N, K of products (batch, M, K) @ (batch, K, N)
PRODUCTS = (
    ("ResNet-18 layer1, columns of 1 image", 1, 3136, 64, 576),
    ("ResNet-18 fc, 32 images", 1, 32, 1000, 512),
    ("AlexNet fc7, 32 images", 1, 32, 4096, 4096),
)
#: title, images, classes
LOGITS = (("ImageNet's 1000 classes", 64, 1000), ("CIFAR's 10 classes", 512, 10))
#: title, shape of the parameters
PARAMETERS = (("ResNet-18 layer3 weight", (256, 256, 3, 3)), ("AlexNet fc8 bias", (1000,)))


@dataclass(frozen=True)
class Workload:
    """One call of a kernel.

    Attributes
    ----------
    kernel, title : str
        Whose call, and of what layer.
    shapes : str
        Of the arrays, in words.
    arguments : tuple
        Arrays on the device "sim", logical (N, C, H, W), and options.
    """

    kernel: str
    title: str
    arguments: tuple = field(repr=False)

    def __call__(self):
        """Run it."""
        return KERNELS[self.kernel](*self.arguments)

    @property
    def shapes(self) -> str:
        arrays = ["x".join(map(str, a.shape)) for a in self.arguments if hasattr(a, "shape")]
        return ", ".join(arrays)


def workloads(name: str, dtype=np.float32) -> list[Workload]:
    """All workloads of a kernel, with arrays on the device "sim"; the same numbers every time."""
    make = Maker(np.random.default_rng(0), np.dtype(dtype))
    return [Workload(name, title, arguments) for title, arguments in MAKERS[name](make)]


class Maker:
    """Makes arrays on the device "sim"."""

    def __init__(self, rng: np.random.Generator, dtype: np.dtype) -> None:
        from .sim import standin

        self.rng, self.dtype, self.xp = rng, dtype, standin

    def __call__(self, *shape: int):
        return self.xp.asarray(self.rng.standard_normal(shape).astype(self.dtype))

    def image(self, n: int, c: int, h: int, w: int):
        """(N, C, H, W), channels-last in memory, as all images are on a device."""
        return self(n, h, w, c).transpose(0, 3, 1, 2)

    def integers(self, low: int, high: int, shape: tuple, dtype):
        return self.xp.asarray(self.rng.integers(low, high, shape).astype(dtype))


def _geometry(h, w, kernel, stride, padding):
    """((stride, padding, dilation), output size) of square windows."""
    before, after = padding if isinstance(padding, tuple) else (padding, padding)
    geometry = (stride, stride), (before, after, before, after), (1, 1)
    return geometry, output_size((h, w), (kernel, kernel), *geometry)


def _convolutions(make):
    for title, n, c, h, w, o, kernel, stride, padding, groups in (*CONVOLUTIONS, *DEPTHWISE):
        geometry, out = _geometry(h, w, kernel, stride, padding)
        yield title, (n, c, h, w), (o, c // groups, kernel, kernel), (n, o, *out), geometry, groups


def _conv2d(make):
    for title, x, weight, _, geometry, groups in _convolutions(make):
        bias = make(weight[0]) if "AlexNet" in title else None  # the others leave it to batch normalisation
        yield title, (make.image(*x), make.image(*weight), bias, *geometry, groups)


def _conv2d_input_grad(make):
    for title, x, weight, y, geometry, groups in _convolutions(make):
        if x[1] > 3:  # nobody asks for the gradient of a picture
            yield title, (make.image(*y), make.image(*weight), x[2:], *geometry, groups)


def _conv2d_weight_grad(make):
    for title, x, weight, y, geometry, groups in _convolutions(make):
        yield title, (make.image(*y), make.image(*x), weight[2:], *geometry, groups)


def _im2col(make):
    for title, x, weight, _, geometry, groups in _convolutions(make):
        if groups == 1:
            yield title, (make.image(*x), weight[2:], *geometry)


def _col2im(make):
    for title, x, weight, y, geometry, groups in _convolutions(make):
        if groups == 1 and x[1] > 3:
            columns = make(y[0] * y[2] * y[3], math.prod(weight[1:]))
            yield title, (columns, x, weight[2:], *geometry)


def _matmul(make):
    for title, batch, m, n, k in PRODUCTS:
        yield title, (make(batch, m, k), make(batch, k, n), False, False)


def _pools(pools):
    for title, n, c, h, w, kernel, stride, padding in pools:
        (stride, padding, dilation), out = _geometry(h, w, kernel, stride, padding)
        yield title, (n, c, h, w), ((kernel, kernel), stride, padding), dilation, out


def _max_pool2d(make):
    for title, x, pool, dilation, out in _pools(MAX_POOLS):
        yield title, (make.image(*x), *pool, dilation, out)


def _max_pool2d_backward(make):
    for title, x, pool, dilation, _ in _pools(MAX_POOLS):
        y, index = KERNELS["max_pool2d"](make.image(*x), *pool, dilation, _)
        yield title, (y, index, x[2:], *pool, dilation)


def _avg_pool2d(make):
    for title, x, pool, _, out in _pools(AVERAGE_POOLS):
        yield title, (make.image(*x), *pool, out, True)


def _avg_pool2d_backward(make):
    for title, x, pool, _, out in _pools(AVERAGE_POOLS):
        yield title, (make.image(*x[:2], *out), x[2:], *pool, True)


def _adaptive_avg_pool2d(make):
    for title, n, c, h, w, out in ADAPTIVE_POOLS:
        yield title, (make.image(n, c, h, w), (out, out))


def _adaptive_avg_pool2d_backward(make):
    for title, n, c, h, w, out in ADAPTIVE_POOLS:
        yield title, (make.image(n, c, out, out), (h, w))


def _of_images(images, arguments: Callable):
    def make_all(make):
        for title, *shape in images:
            yield title, arguments(make, make.image(*shape))

    return make_all


def _statistics(make, x):
    """Mean and variance (float64), weight."""
    c = x.shape[1]
    return make(c).astype("float64"), (make(c) ** 2).astype("float64"), make(c)


def _of_logits(arguments: Callable):
    def make_all(make):
        for title, n, classes in LOGITS:
            yield title, arguments(make, make(n, classes), make.integers(0, classes, (n,), "int64"))

    return make_all


def _of_parameters(arguments: Callable):
    def make_all(make):
        for title, shape in PARAMETERS:
            yield title, arguments(make, functools.partial(make, *shape))

    return make_all


#: kernel -> function that yields (title, arguments)
MAKERS: dict[str, Callable] = {
    "conv2d": _conv2d,
    "conv2d_input_grad": _conv2d_input_grad,
    "conv2d_weight_grad": _conv2d_weight_grad,
    "im2col": _im2col,
    "col2im": _col2im,
    "matmul": _matmul,
    "max_pool2d": _max_pool2d,
    "max_pool2d_backward": _max_pool2d_backward,
    "avg_pool2d": _avg_pool2d,
    "avg_pool2d_backward": _avg_pool2d_backward,
    "adaptive_avg_pool2d": _adaptive_avg_pool2d,
    "adaptive_avg_pool2d_backward": _adaptive_avg_pool2d_backward,
    "channel_sum": _of_images(IMAGES, lambda make, x: (x,)),
    "channel_stats": _of_images(IMAGES, lambda make, x: (x,)),
    "batch_norm": _of_images(IMAGES, lambda make, x: (x, *_statistics(make, x), make(x.shape[1]), 1e-5)),
    "batch_norm_backward": _of_images(IMAGES, lambda make, x: (x, x.copy(), *_statistics(make, x), 1e-5, True)),
    "batch_norm_relu": _of_images(
        IMAGES, lambda make, x: (x, *_statistics(make, x), make(x.shape[1]), x.copy(), 1e-5, math.inf)
    ),
    "batch_norm_relu_backward": _of_images(
        IMAGES, lambda make, x: (x, x.copy(), *_statistics(make, x), make(x.shape[1]), 1e-5, True, math.inf)
    ),
    "local_response_norm": _of_images(LRN_IMAGES, lambda make, x: (x, 5, 1e-4, 0.75, 2.0)),
    "local_response_norm_backward": _of_images(LRN_IMAGES, lambda make, x: (x, x.copy(), 5, 1e-4, 0.75, 2.0)),
    "relu": _of_images(IMAGES, lambda make, x: (x,)),
    "relu_backward": _of_images(IMAGES, lambda make, x: (x, x.copy())),
    "relu6": _of_images(IMAGES, lambda make, x: (x,)),
    "relu6_backward": _of_images(IMAGES, lambda make, x: (x, x.copy())),
    "leaky_relu": _of_images(IMAGES, lambda make, x: (x, 0.01)),
    "leaky_relu_backward": _of_images(IMAGES, lambda make, x: (x, x.copy(), 0.01)),
    "softmax_cross_entropy": _of_logits(lambda make, z, labels: (z, labels, 0.1)),
    "softmax_cross_entropy_backward": _of_logits(lambda make, z, labels: (make(len(z)), z, labels, 0.1)),
    "dropout": _of_images((("GoogLeNet head", 64, 1024, 1, 1), ("AlexNet classifier", 8, 9216, 1, 1)),
                          lambda make, x: (x, 0.5, 1, 0)),
    "sgd_update": _of_parameters(lambda make, new: (new(), new(), new(), 0.1, 0.9, 1e-4, False)),
    "adam_update": _of_parameters(
        lambda make, new: (new(), new(), new(), new() ** 2, 1e-3, 0.9, 0.999, 1e-8, 1e-4, 1, False)
    ),
    "rmsprop_update": _of_parameters(
        lambda make, new: (new(), new(), new() ** 2, None, new(), 1e-2, 0.9, 1e-8, 1e-4, 0.9, False)
    ),
}  # fmt: skip
