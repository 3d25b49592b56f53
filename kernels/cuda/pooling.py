"""Max, average and adaptive average pooling, and their gradients. Shapes: x (N, H, W, C), y (N, OH, OW, C).

The windows' number is given, not worked out, as ``ceil_mode`` may add one.
"""

from __future__ import annotations

from ..checks import pooled_size, same_shape
from . import backend
from .launcher import Kernel
from .window import WINDOW, ints

SIZES = "long long size, int per_image"
AVERAGE = (
    "int h, int w, int channels, int kh_size, int kw_size, int oh_size, int ow_size, "
    "int sh, int sw, int top, int bottom, int left, int right, int count_include_pad"
)
ADAPTIVE = "int h, int w, int channels, int oh_size, int ow_size"

MAX = Kernel("pooling.cu", "max_pool2d<T>", f"const T* x, T* y, int* index, {SIZES}, {WINDOW}")
MAX_BACKWARD = Kernel(
    "pooling.cu", "max_pool2d_backward<T>", f"const T* grad, const int* index, T* dx, {SIZES}, {WINDOW}"
)
AVG = Kernel("pooling.cu", "avg_pool2d<T>", f"const T* x, T* y, {SIZES}, {AVERAGE}")
AVG_BACKWARD = Kernel("pooling.cu", "avg_pool2d_backward<T>", f"const T* grad, T* dx, {SIZES}, {AVERAGE}")
ADAPTIVE_AVG = Kernel("pooling.cu", "adaptive_avg_pool2d<T>", f"const T* x, T* y, {SIZES}, {ADAPTIVE}")
ADAPTIVE_AVG_BACKWARD = Kernel(
    "pooling.cu", "adaptive_avg_pool2d_backward<T>", f"const T* grad, T* dx, {SIZES}, {ADAPTIVE}"
)


def _sizes(result) -> tuple[int, int]:
    """The values for ``SIZES``: numbers of the result (N, H, W, C), and of one image of it."""
    return result.size, result.shape[1] * result.shape[2] * result.shape[3]


def _resized(x, size):
    """A new array of as many images and channels, of the given (H, W)."""
    return backend.module_of(x).empty((x.shape[0], *ints(size), x.shape[3]), x.dtype)


def max_pool2d(x, kernel_size, stride, padding, dilation, output_size):
    """y = the largest value of each window, and which one it was: index = kh*KW + kw, int32, (N, OH, OW, C)."""
    y = _resized(x, output_size)
    index = backend.module_of(x).empty(y.shape, "int32")
    window = _window(x.shape, y.shape, kernel_size, stride, padding, dilation)
    MAX((x, y, index, *_sizes(y), *window), threads=y.size)
    return y, index


def max_pool2d_backward(grad, index, input_size, kernel_size, stride, padding, dilation):
    """dx: each pixel sums the gradients of the windows that it won."""
    same_shape("max_pool2d_backward", grad=grad, index=index)
    pooled_size("max_pool2d_backward", grad, input_size, kernel_size, stride, padding, dilation)
    dx = _resized(grad, input_size)
    window = _window(dx.shape, grad.shape, kernel_size, stride, padding, dilation)
    MAX_BACKWARD((grad, index, dx, *_sizes(dx), *window), threads=dx.size)
    return dx


def _window(x_shape, y_shape, kernel_size, stride, padding, dilation) -> tuple[int, ...]:
    """The values for ``WINDOW``."""
    top, _, left, _ = padding
    return (*x_shape[1:], *kernel_size, *y_shape[1:3], *stride, top, left, *dilation)


def avg_pool2d(x, kernel_size, stride, padding, output_size, count_include_pad):
    """y = the mean of each window; padding counts as zeros if ``count_include_pad``, else not at all."""
    y = _resized(x, output_size)
    window = *x.shape[1:], *kernel_size, *y.shape[1:3], *stride, *padding, bool(count_include_pad)
    AVG((x, y, *_sizes(y), *window), threads=y.size)
    return y


def avg_pool2d_backward(grad, input_size, kernel_size, stride, padding, count_include_pad):
    """dx: each pixel gets 1/area of the gradient of every window it lies in."""
    pooled_size("avg_pool2d_backward", grad, input_size, kernel_size, stride, padding)
    dx = _resized(grad, input_size)
    window = *dx.shape[1:], *kernel_size, *grad.shape[1:3], *stride, *padding, bool(count_include_pad)
    AVG_BACKWARD((grad, dx, *_sizes(dx), *window), threads=dx.size)
    return dx


def adaptive_avg_pool2d(x, output_size):
    """y = the mean over windows that tile the image, overlapping where the sizes do not divide."""
    _check_products("adaptive_avg_pool2d", x.shape[1:3], output_size)
    y = _resized(x, output_size)
    ADAPTIVE_AVG((x, y, *_sizes(y), *x.shape[1:], *y.shape[1:3]), threads=y.size)
    return y


def adaptive_avg_pool2d_backward(grad, input_size):
    """dx: each pixel gets 1/area of the gradient of every window it lies in."""
    _check_products("adaptive_avg_pool2d_backward", input_size, grad.shape[1:3])
    dx = _resized(grad, input_size)
    ADAPTIVE_AVG_BACKWARD((grad, dx, *_sizes(dx), *dx.shape[1:], *grad.shape[1:3]), threads=dx.size)
    return dx


def _check_products(kernel: str, size: tuple, out_size: tuple) -> None:
    """The kernels multiply a window's number by the image's size, both ints."""
    for pixels, windows in zip(size, out_size, strict=True):
        if (pixels + 1) * (windows + 1) >= 2**31:
            raise ValueError(
                f"{kernel}: {pixels} pixels along one side and {windows} windows are too many: their product must stay "
                "below 2**31; pool in two steps"
            )
