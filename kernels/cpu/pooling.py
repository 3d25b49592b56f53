"""Max, average and adaptive average pooling, and their gradients. Shapes: x (N, H, W, C), y (N, OH, OW, C).

Plain walks over whole shifted images, once per kernel offset. Here a row of windows is finished before the next begins,
and the innermost loop runs over numbers that lie side by side in memory, so that it vectorises. A gradient is gathered:
each pixel visits the windows that hold it.
"""

from __future__ import annotations

import numba
import numpy as np

from ..checks import pooled_size, same_shape
from .jit import helper, kernel
from .windows import ints, seen_by


def max_pool2d(x, kernel_size, stride, padding, dilation, output_size):
    """y = the largest value of each window, and which one it was: index = kh*KW + kw, int32, (N, OH, OW, C)."""
    kernel_size, stride, padding, dilation = map(ints, (kernel_size, stride, padding, dilation))
    y = np.empty((x.shape[0], *ints(output_size), x.shape[3]), x.dtype)
    index = np.empty(y.shape, np.int32)
    _max_pool2d(x, y, index, kernel_size, stride, padding, dilation)
    return y, index


@kernel
def _max_pool2d(x, y, index, kernel_size, stride, padding, dilation):
    """A task is a row of outputs: for each offset in the window, all of them look at the pixel that they see there.

    These pixels are copied side by side first: a few channels of one pixel would not fill a vector register (24
    channels at 112x112, batch 16: 14 ms pixel by pixel, 1.9 so).
    """
    _, h, w, c = x.shape
    n_size, oh_size, ow_size, _ = y.shape
    y_rows, index_rows = y.reshape(n_size * oh_size, ow_size * c), index.reshape(n_size * oh_size, ow_size * c)
    for row in numba.prange(n_size * oh_size):
        n, oh = row // oh_size, row % oh_size
        best, tap = y_rows[row], index_rows[row]
        best[:] = -np.inf
        tap[:] = -1  # no pixel of this window was inside the image yet
        seen = np.empty(ow_size * c, x.dtype)
        for kh in range(kernel_size[0]):
            ih = oh * stride[0] + kh * dilation[0] - padding[0]
            if 0 <= ih < h:
                for kw in range(kernel_size[1]):
                    shift = kw * dilation[1] - padding[2]
                    begin, end = _outputs_inside(shift, stride[1], w, ow_size)
                    for ow in range(begin, end):
                        _copy(x[n, ih, ow * stride[1] + shift], seen[ow * c : (ow + 1) * c])
                    part = slice(begin * c, end * c)
                    _keep_larger(seen[part], best[part], tap[part], np.int32(kh * kernel_size[1] + kw))


@helper
def _outputs_inside(shift, stride, size, out_size):
    """The outputs o with 0 <= o*stride + shift < size are those from the first number up to the second."""
    begin = max(0, -(shift // stride))  # -(a // b): -a / b rounded up
    return begin, max(begin, min(out_size, -((shift - size) // stride)))


@helper
def _copy(channels, target):
    for c in range(len(target)):
        target[c] = channels[c]


@helper
def _keep_larger(seen, best, tap, this):
    """Each number replaces the maximum so far if it is larger, or NaN, or the first."""
    for i in range(len(best)):
        wins = (tap[i] < 0) | (seen[i] > best[i]) | (seen[i] != seen[i])  # `|`, not `or`: no branch, so this vectorises
        best[i] = seen[i] if wins else best[i]
        tap[i] = this if wins else tap[i]


def max_pool2d_backward(grad, index, input_size, kernel_size, stride, padding, dilation):
    """dx: each pixel sums the gradients of the windows that it won."""
    kernel_size, stride, padding, dilation = map(ints, (kernel_size, stride, padding, dilation))
    same_shape("max_pool2d_backward", grad=grad, index=index)
    pooled_size("max_pool2d_backward", grad, input_size, kernel_size, stride, padding, dilation)
    dx = np.empty((grad.shape[0], *ints(input_size), grad.shape[3]), grad.dtype)
    _max_pool2d_backward(grad, index, dx, kernel_size, stride, padding, dilation)
    return dx


@kernel
def _max_pool2d_backward(grad, index, dx, kernel_size, stride, padding, dilation):
    n_size, h, w, c_size = dx.shape
    _, oh_size, ow_size, _ = grad.shape
    for row in numba.prange(n_size * h):
        n, ih = row // h, row % h
        for iw in range(w):
            for c in range(c_size):
                dx[n, ih, iw, c] = 0
            for kh in range(kernel_size[0]):
                oh = seen_by(ih, kh, stride[0], padding[0], dilation[0], oh_size)
                for kw in range(kernel_size[1]):
                    ow = seen_by(iw, kw, stride[1], padding[2], dilation[1], ow_size)
                    if oh >= 0 and ow >= 0:
                        tap = np.int32(kh * kernel_size[1] + kw)
                        for c in range(c_size):
                            won = index[n, oh, ow, c] == tap
                            dx[n, ih, iw, c] += grad[n, oh, ow, c] if won else grad.dtype.type(0)


@helper
def _area_side(o, size, k, stride, before, after, count_include_pad):
    """Height (or width) of what window ``o`` covers: inside the image, or inside image and padding."""
    start = o * stride - before
    if count_include_pad:
        return min(start + k, size + after) - max(start, -before)
    return min(start + k, size) - max(start, 0)


def avg_pool2d(x, kernel_size, stride, padding, output_size, count_include_pad):
    """y = the mean of each window; padding counts as zeros if ``count_include_pad``, else not at all."""
    kernel_size, stride, padding = map(ints, (kernel_size, stride, padding))
    y = np.empty((x.shape[0], *ints(output_size), x.shape[3]), x.dtype)
    _avg_pool2d(x, y, kernel_size, stride, padding, bool(count_include_pad))
    return y


@kernel
def _avg_pool2d(x, y, kernel_size, stride, padding, count_include_pad):
    _, h, w, _ = x.shape
    n_size, oh_size, ow_size, c_size = y.shape
    for row in numba.prange(n_size * oh_size):
        n, oh = row // oh_size, row % oh_size
        total = np.empty(c_size, np.float64)
        top = oh * stride[0] - padding[0]
        height = _area_side(oh, h, kernel_size[0], stride[0], padding[0], padding[1], count_include_pad)
        for ow in range(ow_size):
            left = ow * stride[1] - padding[2]
            width = _area_side(ow, w, kernel_size[1], stride[1], padding[2], padding[3], count_include_pad)
            total[:] = 0
            bottom, right = min(top + kernel_size[0], h), min(left + kernel_size[1], w)
            _add_window(x, n, max(top, 0), bottom, max(left, 0), right, total)
            for c in range(c_size):
                y[n, oh, ow, c] = total[c] / np.float64(height * width)


@helper
def _add_window(x, n, top, bottom, left, right, total):
    """total[c] += the sum of x[n, top:bottom, left:right, c]"""
    for ih in range(top, bottom):
        for iw in range(left, right):
            for c in range(len(total)):
                total[c] += x[n, ih, iw, c]


def avg_pool2d_backward(grad, input_size, kernel_size, stride, padding, count_include_pad):
    """dx: each pixel gets 1/area of the gradient of every window it lies in."""
    kernel_size, stride, padding = map(ints, (kernel_size, stride, padding))
    pooled_size("avg_pool2d_backward", grad, input_size, kernel_size, stride, padding)
    dx = np.empty((grad.shape[0], *ints(input_size), grad.shape[3]), grad.dtype)
    _avg_pool2d_backward(grad, dx, kernel_size, stride, padding, bool(count_include_pad))
    return dx


@kernel
def _avg_pool2d_backward(grad, dx, kernel_size, stride, padding, count_include_pad):
    n_size, h, w, c_size = dx.shape
    _, oh_size, ow_size, _ = grad.shape
    for row in numba.prange(n_size * h):
        n, ih = row // h, row % h
        for iw in range(w):
            for c in range(c_size):
                dx[n, ih, iw, c] = 0
            for kh in range(kernel_size[0]):
                oh = seen_by(ih, kh, stride[0], padding[0], 1, oh_size)
                for kw in range(kernel_size[1]):
                    ow = seen_by(iw, kw, stride[1], padding[2], 1, ow_size)
                    if oh >= 0 and ow >= 0:
                        height = _area_side(oh, h, kernel_size[0], stride[0], padding[0], padding[1], count_include_pad)
                        width = _area_side(ow, w, kernel_size[1], stride[1], padding[2], padding[3], count_include_pad)
                        _add_share(grad, n, oh, ow, height * width, dx, ih, iw)


@helper
def _add_share(grad, n, oh, ow, area, dx, ih, iw):
    """dx[n, ih, iw] += grad[n, oh, ow] / area"""
    divisor = grad.dtype.type(area)
    for c in range(grad.shape[3]):
        dx[n, ih, iw, c] += grad[n, oh, ow, c] / divisor


def adaptive_avg_pool2d(x, output_size):
    """y = the mean over windows that tile the image, overlapping where the sizes do not divide."""
    y = np.empty((x.shape[0], *ints(output_size), x.shape[3]), x.dtype)
    _adaptive_avg_pool2d(x, y)
    return y


@helper
def _window_start(o, size, out_size):
    """Output o covers the inputs from floor(o*size/out_size) ..."""
    return o * size // out_size


@helper
def _window_stop(o, size, out_size):
    """... to ceil((o+1)*size/out_size)."""
    return ((o + 1) * size + out_size - 1) // out_size


@kernel
def _adaptive_avg_pool2d(x, y):
    _, h, w, _ = x.shape
    n_size, oh_size, ow_size, c_size = y.shape
    for pixel in numba.prange(n_size * oh_size * ow_size):  # often 1x1 outputs: the rows alone would be few
        n, oh, ow = pixel // (oh_size * ow_size), pixel // ow_size % oh_size, pixel % ow_size
        top, bottom = _window_start(oh, h, oh_size), _window_stop(oh, h, oh_size)
        left, right = _window_start(ow, w, ow_size), _window_stop(ow, w, ow_size)
        total = np.zeros(c_size, np.float64)
        _add_window(x, n, top, bottom, left, right, total)
        for c in range(c_size):
            y[n, oh, ow, c] = total[c] / np.float64((bottom - top) * (right - left))


def adaptive_avg_pool2d_backward(grad, input_size):
    """dx: each pixel gets 1/area of the gradient of every window it lies in."""
    dx = np.empty((grad.shape[0], *ints(input_size), grad.shape[3]), grad.dtype)
    _adaptive_avg_pool2d_backward(grad, dx)
    return dx


@kernel
def _adaptive_avg_pool2d_backward(grad, dx):
    """The windows that hold row ih run from floor(ih*OH/H) to ceil((ih+1)*OH/H): the formula the other way round."""
    n_size, h, w, c_size = dx.shape
    _, oh_size, ow_size, _ = grad.shape
    for row in numba.prange(n_size * h):
        n, ih = row // h, row % h
        for iw in range(w):
            for c in range(c_size):
                dx[n, ih, iw, c] = 0
            for oh in range(_window_start(ih, oh_size, h), _window_stop(ih, oh_size, h)):
                height = _window_stop(oh, h, oh_size) - _window_start(oh, h, oh_size)
                for ow in range(_window_start(iw, ow_size, w), _window_stop(iw, ow_size, w)):
                    width = _window_stop(ow, w, ow_size) - _window_start(ow, w, ow_size)
                    _add_share(grad, n, oh, ow, height * width, dx, ih, iw)
