"""What a kernel has to move and to compute, whatever the implementation: the formulas of ``minicnn kernels report``.

least bytes
    Each input read once, each result written once; of an array that is updated, both. Of a 1x1 convolution with stride
    2 the pixels that no window sees are left out, and of columns the zeros of the padding.
FLOPs
    :data:`FLOPS` has a formula for each kernel. Additions, multiplications, comparisons, divisions, roots and
    exponentials count as one each; integer arithmetic and conversions do not count.
library bytes
    What ``cupy.matmul`` moves at least: cuBLAS is NVIDIA's compiled code, which the simulator does not see.

All take the arguments and the results of a call (logical shapes).
"""

from __future__ import annotations

import math
from collections.abc import Callable

from . import KERNELS
from .layout import UPDATED
from .plain.windows import output_size


def least_bytes(kernel: str, arguments: tuple, results) -> int:
    """Bytes that any implementation has to move."""
    roles = KERNELS[kernel].roles
    total = sum(_bytes_seen(kernel, arguments, i) for i in range(len(roles)))
    total += sum(a.nbytes for a, role in zip(arguments, roles) if role == UPDATED and a is not None)
    return total + sum(r.nbytes for r in listed(results))


def flops(kernel: str, arguments: tuple, results) -> int:
    """By the formula in :data:`FLOPS`."""
    return int(FLOPS[kernel](arguments, listed(results)))


def library_bytes(kernel: str, arguments: tuple, results) -> int:
    """Of products by cuBLAS: both factors and the result, once each."""
    return int(LIBRARY[kernel](arguments, listed(results))) if kernel in LIBRARY else 0


def listed(results) -> tuple:
    """What a kernel returned, as a tuple of arrays."""
    return results if isinstance(results, tuple) else () if results is None else (results,)


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
    "col2im": lambda a, r: _inside(*a[1:]),
    # a comparison, or an addition, for each output number and each pixel of its window; for averages a division
    "max_pool2d": lambda a, r: r[0].size * _taps(a[1]),
    "max_pool2d_backward": lambda a, r: a[0].size,
    "avg_pool2d": lambda a, r: r[0].size * (_taps(a[1]) + 1),
    "avg_pool2d_backward": lambda a, r: 2 * a[0].size * _taps(a[2]),
    "adaptive_avg_pool2d": lambda a, r: a[0].size + r[0].size,
    "adaptive_avg_pool2d_backward": lambda a, r: 2 * r[0].size,
    # for each number: + ; + - * + ; - * + ; and backward + - * * + for the sums, - * - * - * for dx;
    # with a shortcut and ReLU + and two comparisons more, backward - * + and two comparisons, both times
    "channel_sum": lambda a, r: a[0].size,
    "channel_stats": lambda a, r: 4 * a[0].size,
    "batch_norm": lambda a, r: 3 * a[0].size,
    "batch_norm_backward": lambda a, r: 11 * a[0].size,
    "batch_norm_relu": lambda a, r: 6 * a[0].size,
    "batch_norm_relu_backward": lambda a, r: 21 * a[0].size,
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
IN_DOUBLE = (
    "channel_sum", "channel_stats", "batch_norm", "batch_norm_backward", "batch_norm_relu", "batch_norm_relu_backward",
    "avg_pool2d", "adaptive_avg_pool2d",
)  # fmt: skip


def _inside(shape, kernel_size, stride, padding, dilation) -> int:
    """How many entries of the columns are copies of a pixel: the others are zeros of the padding."""
    n, c, *image = shape
    out = output_size(image, kernel_size, stride, padding, dilation)
    sides = zip(image, kernel_size, out, stride, padding[::2], dilation)
    return (
        n
        * c
        * math.prod(
            sum(0 <= i * s + tap * d - before < size for i in range(o) for tap in range(k))
            for size, k, o, s, before, d in sides
        )
    )


def _bytes_seen(kernel: str, arguments: tuple, i: int) -> int:
    """Of one argument, the bytes that the result depends on."""
    array = arguments[i]
    if array is None:
        return 0
    if kernel == "col2im":
        return _inside(*arguments[1:]) * array.dtype.itemsize
    if (kernel, i) == ("conv2d", 0):
        size, stride = arguments[1].shape[2:], arguments[3]
    elif (kernel, i) in (("im2col", 0), ("conv2d_weight_grad", 1)):
        size, stride = arguments[i + 1 : i + 3]
    else:
        return array.nbytes
    seen = [min(1.0, k / s) for k, s in zip(size, stride)]  # a window of 1 with stride 2 sees every second pixel
    return int(array.nbytes * math.prod(seen))


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
