"""Max, average and adaptive average pooling, and their gradients. Shapes: x (N, C, H, W), y (N, C, OH, OW)."""

from __future__ import annotations

import numpy as np

from .windows import crop, offsets, pad, padding_to_cover, seen_through


def max_pool2d(x, kernel_size, stride, padding, dilation, output_size):
    """y = the largest value of each window, and which one it was: index = kh*KW + kw, int32, (N, C, OH, OW).

    Padding is -inf, so it never wins; the first maximum wins ties; a NaN wins over everything, as in PyTorch.

    >>> y, index = max_pool2d(np.array([[[[1., 7.], [7., 2.]]]]), (2, 2), (2, 2), (0, 0, 0, 0), (1, 1), (1, 1))
    >>> float(y[0, 0, 0, 0]), int(index[0, 0, 0, 0])
    (7.0, 1)
    """
    padding = padding_to_cover(x.shape[2:], kernel_size, stride, padding, dilation, output_size)
    windows = [seen_through(offset, stride, dilation, output_size) for offset in offsets(kernel_size)]
    padded = pad(x, padding, -np.inf)
    seen = np.stack([padded[window] for window in windows])  # (KH*KW, N, C, OH, OW): the image, shifted by each offset
    y, index = seen.max(0), seen.argmax(0)  # (N, C, OH, OW)

    # argmax takes the first NaN, PyTorch the last; and where y is -inf, argmax may take padding for a pixel.
    index = np.where(np.isnan(y), len(seen) - 1 - np.isnan(seen)[::-1].argmax(0), index)
    image = pad(np.ones((1, 1, *x.shape[2:]), bool), padding)  # True on the image, False on the padding
    inside = np.stack([image[window] for window in windows])  # (KH*KW, 1, 1, OH, OW)
    index = np.where(y == -np.inf, np.where(inside.any(0), inside.argmax(0), -1), index)  # -1: a window without pixels
    return y, index.astype(np.int32)


def max_pool2d_backward(grad, index, input_size, kernel_size, stride, padding, dilation):
    """dx: each pixel sums the gradients of the windows that it won."""
    out_size = grad.shape[2:]
    padding = padding_to_cover(input_size, kernel_size, stride, padding, dilation, out_size)
    dx = pad(np.zeros((*grad.shape[:2], *input_size), grad.dtype), padding)
    for tap, offset in enumerate(offsets(kernel_size)):
        dx[seen_through(offset, stride, dilation, out_size)] += np.where(index == tap, grad, 0)
    return crop(dx, padding, input_size)


def _window_areas(input_size, kernel_size, stride, padding, output_size, count_include_pad):
    """(OH, OW): by what each window's sum is divided: its pixels inside the image, or inside image and padding."""
    top, bottom, left, right = padding
    heights, widths = (
        np.minimum(start + k, size + (after if count_include_pad else 0))
        - np.maximum(start, -before if count_include_pad else 0)
        for start, k, size, before, after in (
            (np.arange(output_size[0]) * stride[0] - top, kernel_size[0], input_size[0], top, bottom),
            (np.arange(output_size[1]) * stride[1] - left, kernel_size[1], input_size[1], left, right),
        )
    )
    return heights[:, None] * widths[None, :]


def avg_pool2d(x, kernel_size, stride, padding, output_size, count_include_pad):
    """y = the mean of each window; padding counts as zeros if ``count_include_pad``, else not at all.

    What ``ceil_mode`` adds beyond the padding never counts (PyTorch's rule).

    >>> avg_pool2d(np.arange(4.0).reshape(1, 1, 2, 2), (2, 2), (2, 2), (0, 0, 0, 0), (1, 1), True).tolist()
    [[[[1.5]]]]
    """
    areas = _window_areas(x.shape[2:], kernel_size, stride, padding, output_size, count_include_pad)
    x = pad(x, padding_to_cover(x.shape[2:], kernel_size, stride, padding, (1, 1), output_size))
    total = sum(
        x[seen_through(offset, stride, (1, 1), output_size)].astype(np.float64) for offset in offsets(kernel_size)
    )
    return (total / areas).astype(x.dtype)


def avg_pool2d_backward(grad, input_size, kernel_size, stride, padding, count_include_pad):
    """dx: each pixel gets 1/area of the gradient of every window it lies in."""
    out_size = grad.shape[2:]
    areas = _window_areas(input_size, kernel_size, stride, padding, out_size, count_include_pad)
    padding = padding_to_cover(input_size, kernel_size, stride, padding, (1, 1), out_size)
    dx = pad(np.zeros((*grad.shape[:2], *input_size), grad.dtype), padding)
    share = grad / areas.astype(grad.dtype)
    for offset in offsets(kernel_size):
        dx[seen_through(offset, stride, (1, 1), out_size)] += share
    return crop(dx, padding, input_size)


def _adaptive_windows(size, output_size):
    """Output o covers the inputs from floor(o*size/output_size) to ceil((o+1)*size/output_size)."""
    return [slice(o * size // output_size, -((o + 1) * size // -output_size)) for o in range(output_size)]


def adaptive_avg_pool2d(x, output_size):
    """y = the mean over windows that tile the image, overlapping where the sizes do not divide.

    >>> adaptive_avg_pool2d(np.arange(3.0).reshape(1, 1, 1, 3), (1, 2)).tolist()
    [[[[0.5, 1.5]]]]
    """
    y = np.empty((*x.shape[:2], *output_size), x.dtype)
    for oh, rows in enumerate(_adaptive_windows(x.shape[2], output_size[0])):
        for ow, columns in enumerate(_adaptive_windows(x.shape[3], output_size[1])):
            y[:, :, oh, ow] = x[:, :, rows, columns].mean((2, 3), dtype=np.float64)
    return y


def adaptive_avg_pool2d_backward(grad, input_size):
    """dx: each pixel gets 1/area of the gradient of every window it lies in."""
    dx = np.zeros((*grad.shape[:2], *input_size), grad.dtype)
    for oh, rows in enumerate(_adaptive_windows(input_size[0], grad.shape[2])):
        for ow, columns in enumerate(_adaptive_windows(input_size[1], grad.shape[3])):
            area = (rows.stop - rows.start) * (columns.stop - columns.start)
            dx[:, :, rows, columns] += (grad[:, :, oh, ow] / area)[:, :, None, None]
    return dx
