# mistake: the stride is dropped, the windows lie side by side
# loses: overlapping
# says: stride was dropped
"""Exercise 5: max pooling and its backward pass."""

import numpy as np

EXERCISE = "ex05_max_pool_backward"
VARIANT = "last"


def max_pool(x, kernel, stride):
    """The largest value of each window.

    x (N, C, H, W); kernel (KH, KW); stride (SH, SW). Returns y (N, C, OH, OW), and a cache: whatever the backward needs
    of arrays, numbers, and tuples, lists and dicts of these.
    """
    (kh, kw), (sh, sw), (h, w) = kernel, kernel, x.shape[2:]
    if VARIANT == "circular":
        oh, ow = -(-h // sh), -(-w // sw)
    else:
        oh, ow = (h - kh) // sh + 1, (w - kw) // sw + 1
    y = np.full((*x.shape[:2], oh, ow), -np.inf)
    winner = np.zeros(y.shape, int)  # number of the pixel, row by row
    for i in range(kh):
        for j in range(kw):
            rows, columns = (np.arange(oh) * sh + i) % h, (np.arange(ow) * sw + j) % w
            here = x[:, :, rows[:, None], columns]  # (N, C, OH, OW)
            better = here >= y if VARIANT == "last" else here > y
            y = np.where(better, here, y)
            winner = np.where(better, rows[:, None] * w + columns, winner)
    return y, (winner, x.shape)


def max_pool_backward(dout, cache):
    """dx (N, C, H, W), given dout (N, C, OH, OW) and the cache of the forward pass."""
    winner, (n, c, h, w) = cache
    dx = np.zeros((n, c, h * w))
    images, channels = np.arange(n)[:, None, None, None], np.arange(c)[:, None, None]
    np.add.at(dx, (images, channels, winner), dout)
    return dx.reshape(n, c, h, w)
