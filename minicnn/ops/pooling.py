"""Max, average and adaptive average pooling."""

from __future__ import annotations

from .. import kernels
from ..autograd import Function
from ..errors import ArgumentError, ShapeError
from ..tensor import Tensor, as_tensor
from . import checks
from .registry import apply_op, register


@register("max_pool2d")
class MaxPool2d(Function):
    """y = the largest x in each window;  dx[pixel] = sum of dy over the windows it won (the first of equals wins)."""

    @staticmethod
    def forward(ctx, x, kernel_size, stride, padding, dilation, ceil_mode):
        ctx.input_size, ctx.geometry = x.shape[2:], (kernel_size, stride, padding, dilation)
        out_size = checks.output_size("max_pool2d", x, *ctx.geometry, ceil_mode)
        y, index = kernels.max_pool2d(x, *ctx.geometry, out_size)  # both (N, C, OH, OW); index = kh*KW + kw
        ctx.save_for_backward(index)
        return y

    @staticmethod
    def backward(ctx, grad):
        (index,) = ctx.saved
        return kernels.max_pool2d_backward(grad, index, ctx.input_size, *ctx.geometry)  # (N, C, H, W)


@register("avg_pool2d")
class AvgPool2d(Function):
    """y = sum of the window / area;  dx[pixel] = sum over the windows that hold it of  dy / area.

    The area is KH KW, less what ``ceil_mode`` adds at the end and, without ``count_include_pad``, less the padding.
    """

    @staticmethod
    def forward(ctx, x, kernel_size, stride, padding, ceil_mode, count_include_pad):
        ctx.input_size, ctx.geometry, ctx.include = x.shape[2:], (kernel_size, stride, padding), count_include_pad
        out_size = checks.output_size("avg_pool2d", x, *ctx.geometry, (1, 1), ceil_mode)
        return kernels.avg_pool2d(x, *ctx.geometry, out_size, count_include_pad)  # (N, C, OH, OW)

    @staticmethod
    def backward(ctx, grad):
        return kernels.avg_pool2d_backward(grad, ctx.input_size, *ctx.geometry, ctx.include)  # (N, C, H, W)


@register("adaptive_avg_pool2d")
class AdaptiveAvgPool2d(Function):
    """y = means over OH x OW windows that tile the image whatever its size; (1, 1) is global average pooling."""

    @staticmethod
    def forward(ctx, x, output_size):
        ctx.input_size = x.shape[2:]
        return kernels.adaptive_avg_pool2d(x, output_size)  # (N, C, OH, OW)

    @staticmethod
    def backward(ctx, grad):
        return kernels.adaptive_avg_pool2d_backward(grad, ctx.input_size)  # (N, C, H, W)


def _window(op: str, x: Tensor, kernel_size, stride, padding, dilation) -> dict:
    """The four options in normal form. Padding wider than half a window could hold a window without a single pixel."""
    checks.images(op, x)
    kernel_size = checks.pair(op, "kernel_size", kernel_size)
    stride = kernel_size if stride is None else checks.pair(op, "stride", stride)
    dilation = checks.pair(op, "dilation", dilation)
    padding = checks.sides(op, padding, kernel_size, stride, dilation)
    for k, d, before, after in zip(kernel_size, dilation, padding[::2], padding[1::2], strict=True):
        window = d * (k - 1) + 1
        if 2 * max(before, after) > window:
            raise ArgumentError(
                f"{op}: padding {max(before, after)} is more than half of the window {window}; "
                f"at most {window // 2} fits"
            )
    return {"kernel_size": kernel_size, "stride": stride, "padding": padding, "dilation": dilation}


def max_pool2d(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode: bool = False) -> Tensor:
    """The largest value of each window, channel by channel.

    Padding is -inf: an image of -1 stays -1 at its border. The first maximum (row by row) wins ties; NaN wins over all.

    Parameters
    ----------
    x : Tensor, (N, C, H, W)
    kernel_size, dilation : int or (rows, columns)
    stride : int or (rows, columns), optional
        ``kernel_size`` if left out. Smaller than the window: overlapping pooling (AlexNet, section 3.4).
    padding : int, (rows, columns) or (top, bottom, left, right)
        At most half of the window.
    ceil_mode : bool
        Round the output size up (Caffe's rule; GoogLeNet and ZFNet need it), without windows that start in the padding.

    Returns
    -------
    Tensor, (N, C, OH, OW)

    Raises
    ------
    ShapeError, ArgumentError
        If the window does not fit, or an option makes no sense.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[[[1.0, 2.0, 0.0], [3.0, 4.0, 0.0], [0.0, 0.0, 5.0]]]])  # (1, 1, 3, 3)
    >>> max_pool2d(x, 2).tolist()
    [[[[4.0]]]]
    >>> max_pool2d(x, 2, ceil_mode=True).tolist()
    [[[[4.0, 0.0], [0.0, 5.0]]]]
    """
    x = as_tensor(x)
    options = _window("max_pool2d", x, kernel_size, stride, padding, dilation)
    return apply_op("max_pool2d", x, **options, ceil_mode=bool(ceil_mode))


def avg_pool2d(
    x, kernel_size, stride=None, padding=0, ceil_mode: bool = False, count_include_pad: bool = True
) -> Tensor:
    """The mean of each window, channel by channel.

    ``count_include_pad`` counts the padding as zeros; without it a window at the border is divided by the pixels it
    has. Other parameters, results and errors as :func:`max_pool2d`.

    >>> import numpy as np
    >>> x = np.ones((1, 1, 2, 2))
    >>> avg_pool2d(x, 2, padding=1).tolist()
    [[[[0.25, 0.25], [0.25, 0.25]]]]
    >>> avg_pool2d(x, 2, padding=1, count_include_pad=False).tolist()
    [[[[1.0, 1.0], [1.0, 1.0]]]]
    """
    x = as_tensor(x)
    options = _window("avg_pool2d", x, kernel_size, stride, padding, 1)
    del options["dilation"]
    return apply_op("avg_pool2d", x, **options, ceil_mode=bool(ceil_mode), count_include_pad=bool(count_include_pad))


def adaptive_avg_pool2d(x, output_size) -> Tensor:
    """Means over windows that tile the image into ``output_size`` (an int or (rows, columns); None keeps an axis).

    Window o of OH covers rows floor(o H / OH) to ceil((o+1) H / OH), as in PyTorch.

    >>> import numpy as np
    >>> adaptive_avg_pool2d(np.arange(6.0).reshape(1, 1, 2, 3), 1).tolist()
    [[[[2.5]]]]
    """
    x = as_tensor(x)
    checks.images("adaptive_avg_pool2d", x)
    if 0 in x.shape[2:]:
        raise ShapeError(f"adaptive_avg_pool2d: the image has no pixels, shape {x.shape}")
    wanted = output_size if isinstance(output_size, (tuple, list)) else (output_size, output_size)
    if len(wanted) == 2:
        wanted = tuple(n if w is None else w for w, n in zip(wanted, x.shape[2:]))
    return apply_op("adaptive_avg_pool2d", x, output_size=checks.pair("adaptive_avg_pool2d", "output_size", wanted))
