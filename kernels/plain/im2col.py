"""im2col: lay every window that a convolution sees out as one row of a matrix; the convolution is then a product.

Chellapilla, Puri & Simard 2006, "High Performance Convolutional Neural Networks for Document Processing".
"""

from __future__ import annotations

import numpy as np

from .windows import crop, offsets, output_size, pad, seen_through


def im2col(x, kernel_size, stride, padding, dilation):
    """(N, C, H, W) -> (N*OH*OW, KH*KW*C): row (n, oh, ow) holds what that output pixel sees, in the order kh, kw, c.

    >>> x = np.arange(9.0).reshape(1, 1, 3, 3)
    >>> im2col(x, (2, 2), (1, 1), (0, 0, 0, 0), (1, 1))
    array([[0., 1., 3., 4.],
           [1., 2., 4., 5.],
           [3., 4., 6., 7.],
           [4., 5., 7., 8.]])
    """
    n, c = x.shape[:2]
    out_size = output_size(x.shape[2:], kernel_size, stride, padding, dilation)
    x = pad(x, padding)
    seen = [x[seen_through(offset, stride, dilation, out_size)] for offset in offsets(kernel_size)]
    columns = np.stack(seen, axis=-1)  # (N, C, OH, OW, KH*KW)
    return columns.transpose(0, 2, 3, 4, 1).reshape(n * out_size[0] * out_size[1], len(seen) * c)  # (N*OH*OW, KH*KW*C)


def col2im(columns, input_shape, kernel_size, stride, padding, dilation):
    """The transpose of :func:`im2col`: every pixel sums the column entries that were copies of it.

    >>> ones = im2col(np.ones((1, 1, 3, 3)), (2, 2), (1, 1), (0, 0, 0, 0), (1, 1))
    >>> col2im(ones, (1, 1, 3, 3), (2, 2), (1, 1), (0, 0, 0, 0), (1, 1))[0, 0].tolist()  # windows that saw it
    [[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]]
    """
    n, c, *size = input_shape
    oh, ow = output_size(size, kernel_size, stride, padding, dilation)
    taps = kernel_size[0] * kernel_size[1]
    columns = columns.reshape(n, oh, ow, taps, c).transpose(3, 0, 4, 1, 2)  # (KH*KW, N, C, OH, OW)
    x = pad(np.zeros(input_shape, columns.dtype), padding)
    for offset, copied in zip(offsets(kernel_size), columns):
        x[seen_through(offset, stride, dilation, (oh, ow))] += copied
    return crop(x, padding, size)
