"""What kernels meet in ResNet-18, GoogLeNet and AlexNet: for ``minicnn kernels report``, and to try a change on.

:data:`WORKLOADS` has, for every kernel of ``KERNELS``, the shapes of layers of these models at 224 x 224 pixels, for as
few images as tell the same story. The report counts how a kernel uses memory on them; what it is held against follows
from the shapes alone:

least bytes
    Each input read once, each result written once; of an array that is updated, both. Of a 1x1 convolution with stride
    2 the pixels that no window sees are left out.
FLOPs
    :data:`FLOPS` has a formula for each kernel. Additions, multiplications, comparisons, divisions, roots and
    exponentials count as one each; integer arithmetic and conversions do not count.
library bytes
    What ``cupy.matmul`` moves at least: cuBLAS is NVIDIA's compiled code, which the simulator does not see.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from . import KERNELS
from .layout import UPDATED
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

    def least_bytes(self, results) -> int:
        """Each input read once, each result written once."""
        roles = KERNELS[self.kernel].roles
        total = sum(_bytes_seen(self, i) for i in range(len(roles)))
        total += sum(a.nbytes for a, role in zip(self.arguments, roles) if role == UPDATED and a is not None)
        return total + sum(r.nbytes for r in listed(results))

    def flops(self, results) -> int:
        """By the formula in :data:`FLOPS`."""
        return int(FLOPS[self.kernel](self.arguments, listed(results)))

    def library_bytes(self, results) -> int:
        """Of products by cuBLAS: both factors and the result, once each."""
        found = LIBRARY.get(self.kernel)
        return int(found(self.arguments, listed(results))) if found else 0


def listed(results) -> tuple:
    """What a kernel returned, as a tuple of arrays."""
    return results if isinstance(results, tuple) else () if results is None else (results,)


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


def _taps(kernel_size) -> int:
    return math.prod(kernel_size)


def _lrn_power(a) -> int:
    """alpha * sum + k, and d^-0.75 by two roots, a product and a division; the window's sum of squares."""
    return 2 * a[-4] + 2 + 4


#: kernel -> FLOPs, of its arguments and its results (logical shapes)
FLOPS: dict[str, Callable[[tuple, tuple], int]] = {
    # a multiplication and an addition for each output number and each weight that it sees; the bias
    "conv2d": lambda a, r: 2 * r[0].size * math.prod(a[1].shape[1:]) + (0 if a[2] is None else r[0].size),
    "conv2d_input_grad": lambda a, r: 2 * a[0].size * math.prod(a[1].shape[1:]),
    "conv2d_weight_grad": lambda a, r: 2 * a[0].size * math.prod(r[0].shape[1:]),
    "matmul": lambda a, r: 2 * r[0].size * a[0].shape[-1],
    # copies; and an addition for each copy
    "im2col": lambda a, r: 0,
    "col2im": lambda a, r: a[0].size,
    # a comparison, or an addition, for each output number and each pixel of its window; for averages a division
    "max_pool2d": lambda a, r: r[0].size * _taps(a[1]),
    "max_pool2d_backward": lambda a, r: a[0].size,
    "avg_pool2d": lambda a, r: r[0].size * (_taps(a[1]) + 1),
    "avg_pool2d_backward": lambda a, r: 2 * a[0].size * _taps(a[2]),
    "adaptive_avg_pool2d": lambda a, r: a[0].size + r[0].size,
    "adaptive_avg_pool2d_backward": lambda a, r: 2 * r[0].size,
    # for each number: + ; + - * + ; - * + ; and backward + - * * + for the sums, - * - * - * for dx
    "channel_sum": lambda a, r: a[0].size,
    "channel_stats": lambda a, r: 4 * a[0].size,
    "batch_norm": lambda a, r: 3 * a[0].size,
    "batch_norm_backward": lambda a, r: 11 * a[0].size,
    # the denominator and its power, * x; backward twice the denominator, * * / for what is sent, the window's sum of
    # that, and * * * * - for dx
    "local_response_norm": lambda a, r: a[0].size * (_lrn_power(a) + 1),
    "local_response_norm_backward": lambda a, r: a[0].size * (2 * _lrn_power(a) + 3 + a[-4] + 5),
    # one or two comparisons; leaky: and a product
    "relu": lambda a, r: a[0].size,
    "relu_backward": lambda a, r: a[0].size,
    "relu6": lambda a, r: 2 * a[0].size,
    "relu6_backward": lambda a, r: 2 * a[0].size,
    "leaky_relu": lambda a, r: 2 * a[0].size,
    "leaky_relu_backward": lambda a, r: 2 * a[0].size,
    # maximum, -, exp, two sums, /; backward - and *
    "softmax_cross_entropy": lambda a, r: 6 * a[0].size,
    "softmax_cross_entropy_backward": lambda a, r: 2 * a[1].size,
    "dropout": lambda a, r: a[0].size,
    # weight decay * +, velocity * +, step * -
    "sgd_update": lambda a, r: 6 * a[0].size,
    # decay * +, mean - * +, square * * * +, root, /, +, *, /, -
    "adam_update": lambda a, r: 15 * a[0].size,
    # decay * +, square * * * +, + root + /, velocity * +, step * -
    "rmsprop_update": lambda a, r: 14 * a[0].size,
}
#: computed in double, whatever the arrays are: sums of many numbers would lose digits
IN_DOUBLE = ("channel_sum", "channel_stats", "batch_norm", "batch_norm_backward", "avg_pool2d", "adaptive_avg_pool2d")


def _bytes_seen(workload: Workload, i: int) -> int:
    """Of one argument, the bytes that the result depends on."""
    array, kernel = workload.arguments[i], workload.kernel
    if array is None:
        return 0
    window = {"conv2d": (0, 1), "im2col": (0, None), "conv2d_weight_grad": (1, None)}.get(kernel)
    if window is None or window[0] != i:
        return array.nbytes
    if kernel == "conv2d":
        size, stride = workload.arguments[1].shape[2:], workload.arguments[3]
    else:
        size, stride = workload.arguments[i + 1], workload.arguments[i + 2]
    left_out = [min(1.0, k / s) for k, s in zip(size, stride)]  # a window of 1 with stride 2 sees every second pixel
    return int(array.nbytes * math.prod(left_out))


def _columns(size: int, weight: tuple, itemsize: int) -> int:
    """Bytes of rows x (KH*KW*C) columns, and of weights, and of rows x O."""
    o, *rest = weight
    rows = size // o
    return itemsize * (rows * math.prod(rest) + o * math.prod(rest) + size)


def _product(weight_of: Callable, y_of: Callable) -> Callable:
    """Of a convolution: columns, weights and outputs; none if it is depthwise."""

    def bytes_moved(a, r):
        weight, y = weight_of(a, r), y_of(a, r)
        return 0 if weight.shape[1] == 1 else _columns(y.size, weight.shape, y.dtype.itemsize)

    return bytes_moved


LIBRARY: dict[str, Callable[[tuple, tuple], int]] = {
    "conv2d": _product(lambda a, r: a[1], lambda a, r: r[0]),
    "conv2d_input_grad": _product(lambda a, r: a[1], lambda a, r: a[0]),
    "conv2d_weight_grad": _product(lambda a, r: r[0], lambda a, r: a[0]),
    "matmul": lambda a, r: a[0].nbytes + a[1].nbytes + r[0].nbytes,
}
