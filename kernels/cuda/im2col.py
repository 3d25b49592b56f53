"""im2col and its transpose. Convolutions use the two ``fill`` functions, which may split the channels into groups."""

from __future__ import annotations

from . import backend
from .launcher import Kernel
from .window import WINDOW, Window, ints

IM2COL = Kernel(
    "im2col.cu", "im2col<T>", f"const T* x, T* columns, long long rows, int per_image, {WINDOW}, int groups"
)
COL2IM = Kernel(
    "im2col.cu",
    "col2im<T>",
    f"const T* columns, T* x, long long rows, long long size, int per_image, {WINDOW}, int groups",
)


def im2col(x, kernel_size, stride, padding, dilation):
    """(N, H, W, C) -> (N*OH*OW, KH*KW*C): row (n, oh, ow) holds what that output pixel sees, in the order kh, kw, c."""
    window = Window.over(x.shape, kernel_size, stride, padding, dilation)
    return columns_of(x, window, 1)[0]


def columns_of(x, window: Window, groups: int):
    """im2col of each group of the channels: (G, N*OH*OW, KH*KW*C/G)."""
    oh, ow = window.out
    rows = window.n * oh * ow
    shape = (groups, rows, window.taps * (window.c // groups))
    columns = backend.module_of(x).empty(shape, x.dtype)
    IM2COL((x, columns, rows, oh * ow * window.c, *window.numbers(), groups), threads=rows * window.c)
    return columns


def col2im(columns, input_shape, kernel_size, stride, padding, dilation):
    """The transpose of :func:`im2col`; ``input_shape`` is the logical (N, C, H, W), the result is (N, H, W, C).

    Raises
    ------
    ValueError
        If the columns are not those of such images.
    """
    n, c, h, w = ints(input_shape)
    window = Window.over((n, h, w, c), kernel_size, stride, padding, dilation)
    expected = (n * window.out[0] * window.out[1], window.taps * c)
    if columns.size != expected[0] * expected[1]:
        raise ValueError(f"col2im: columns of images {(n, c, h, w)} are {expected}, got {columns.shape}")
    x = backend.module_of(columns).empty((n, h, w, c), columns.dtype)
    images_of(columns, x, window, 1)
    return x


def images_of(columns, x, window: Window, groups: int) -> None:
    """Fill x (N, H, W, C) with the sums over columns (G, N*OH*OW, KH*KW*C/G)."""
    rows, per_image = window.n * window.out[0] * window.out[1], window.h * window.w * window.c
    COL2IM((columns, x, rows, x.size, per_image, *window.numbers(), groups), threads=x.size)
