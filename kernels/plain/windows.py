"""The one piece of index arithmetic that convolution and pooling share: which input pixel does an output pixel see?

Output pixel (oh, ow) sees, through kernel offset (kh, kw), the padded pixel (oh*sh + kh*dh, ow*sw + kw*dw). For one
offset that is a strided slice of the padded image, as large as the output.
"""

from __future__ import annotations

import numpy as np


def pad(x: np.ndarray, padding: tuple, value: float = 0.0) -> np.ndarray:
    """(N, C, H, W) with ``padding`` = (top, bottom, left, right) rows and columns of ``value`` around it."""
    top, bottom, left, right = padding
    n, c, h, w = x.shape
    out = np.full((n, c, h + top + bottom, w + left + right), value, x.dtype)
    out[:, :, top : top + h, left : left + w] = x
    return out


def crop(x: np.ndarray, padding: tuple, size: tuple) -> np.ndarray:
    """The inverse of :func:`pad`: the (H, W) = ``size`` pixels inside the padding."""
    top, left = padding[0], padding[2]
    return x[:, :, top : top + size[0], left : left + size[1]]


def offsets(kernel_size: tuple):
    """All (kh, kw), row by row.

    >>> list(offsets((2, 2)))
    [(0, 0), (0, 1), (1, 0), (1, 1)]
    """
    return ((kh, kw) for kh in range(kernel_size[0]) for kw in range(kernel_size[1]))


def seen_through(offset: tuple, stride: tuple, dilation: tuple, output_size: tuple) -> tuple:
    """The slice of the padded image that the output sees through one kernel offset."""
    (kh, kw), (sh, sw), (dh, dw), (oh, ow) = offset, stride, dilation, output_size
    rows = slice(kh * dh, kh * dh + (oh - 1) * sh + 1, sh)
    columns = slice(kw * dw, kw * dw + (ow - 1) * sw + 1, sw)
    return (slice(None), slice(None), rows, columns)


def padding_to_cover(
    size: tuple, kernel_size: tuple, stride: tuple, padding: tuple, dilation: tuple, output_size: tuple
):
    """``padding``, with as much added at the bottom and right as the last windows reach (``ceil_mode``)."""
    reach = [(o - 1) * s + d * (k - 1) + 1 for o, s, d, k in zip(output_size, stride, dilation, kernel_size)]
    top, bottom, left, right = padding
    return (top, max(bottom, reach[0] - size[0] - top), left, max(right, reach[1] - size[1] - left))


def output_size(size: tuple, kernel_size: tuple, stride: tuple, padding: tuple, dilation: tuple) -> tuple[int, int]:
    """(OH, OW) = floor((H + padding - dilation (K - 1) - 1) / stride) + 1.

    >>> output_size((224, 224), (7, 7), (2, 2), (3, 3, 3, 3), (1, 1))
    (112, 112)
    """
    around = (padding[0] + padding[1], padding[2] + padding[3])
    return tuple(
        (n + p - d * (k - 1) - 1) // s + 1 for n, p, d, k, s in zip(size, around, dilation, kernel_size, stride)
    )
