"""im2col and its transpose. Plain stacks KH*KW shifted copies; here each row is copied once, run by run.

col2im is a gather: every pixel looks up the windows that hold it and sums their entries, so tasks never collide.
"""

from __future__ import annotations

import numba
import numpy as np

from .jit import kernel
from .windows import gather, ints, output_size, rows_per_block, seen_by


def im2col(x, kernel_size, stride, padding, dilation):
    """(N, H, W, C) -> (N*OH*OW, KH*KW*C): row (n, oh, ow) holds what that output pixel sees, in the order kh, kw, c."""
    kernel_size, stride, padding, dilation = map(ints, (kernel_size, stride, padding, dilation))
    n, h, w, c = x.shape
    out_size = output_size((h, w), kernel_size, stride, padding, dilation)
    columns = np.empty((n * out_size[0] * out_size[1], kernel_size[0] * kernel_size[1] * c), x.dtype)
    rows = rows_per_block(len(columns), columns.shape[1] * x.itemsize)
    _im2col(x, columns, rows, kernel_size, stride, padding, dilation, out_size)
    return columns


@kernel
def _im2col(x, columns, rows, kernel_size, stride, padding, dilation, out_size):
    total = len(columns)
    for block in numba.prange((total + rows - 1) // rows):
        first = block * rows
        count = min(rows, total - first)
        own = columns[first : first + count]
        gather(x, first, count, 0, x.shape[3], kernel_size, stride, padding, dilation, out_size, own)


def col2im(columns, input_shape, kernel_size, stride, padding, dilation):
    """The transpose of :func:`im2col`; ``input_shape`` is the logical (N, C, H, W), the result is (N, H, W, C)."""
    kernel_size, stride, padding, dilation = map(ints, (kernel_size, stride, padding, dilation))
    n, c, h, w = ints(input_shape)
    oh, ow = output_size((h, w), kernel_size, stride, padding, dilation)
    columns = columns.reshape(n, oh, ow, kernel_size[0] * kernel_size[1], c)
    x = np.empty((n, h, w, c), columns.dtype)
    _col2im(columns, x, kernel_size, stride, padding, dilation)
    return x


@kernel
def _col2im(columns, x, kernel_size, stride, padding, dilation):
    n_size, h, w, c_size = x.shape
    _, oh_size, ow_size, _, _ = columns.shape
    for row in numba.prange(n_size * h):
        n, ih = row // h, row % h
        for iw in range(w):
            for c in range(c_size):
                x[n, ih, iw, c] = 0
            for kh in range(kernel_size[0]):
                oh = seen_by(ih, kh, stride[0], padding[0], dilation[0], oh_size)
                for kw in range(kernel_size[1]):
                    ow = seen_by(iw, kw, stride[1], padding[2], dilation[1], ow_size)
                    if oh >= 0 and ow >= 0:
                        tap = kh * kernel_size[1] + kw
                        for c in range(c_size):
                            x[n, ih, iw, c] += columns[n, oh, ow, tap, c]
