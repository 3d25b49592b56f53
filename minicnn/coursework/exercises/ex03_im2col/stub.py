"""Exercise 3: im2col. The task is in task.md."""

import numpy as np  # noqa: F401 - for what you write

EXERCISE = "ex03_im2col"
VARIANT = "circular"
HINTS = "full"


def im2col(x, kernel, stride, padding):
    """The matrix of all patches of x (N, C, H, W); task.md says how it is laid out.

    kernel (KH, KW); stride (SH, SW); padding (PH, PW): so many rows above and below, so many columns left and right.
    """
    raise NotImplementedError("write im2col")


def col2im(matrix, shape, kernel, stride, padding):
    """Images of shape (N, C, H, W): every pixel is the sum of the entries of the matrix that im2col copied from it."""
    raise NotImplementedError("write col2im")


def conv(x, w, b, stride, padding):
    """y (N, K, OH, OW) for x (N, C, H, W), w (K, C, KH, KW) and b (K,): im2col and one product of two matrices."""
    raise NotImplementedError("write conv")
