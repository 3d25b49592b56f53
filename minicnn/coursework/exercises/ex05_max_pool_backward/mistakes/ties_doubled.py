# mistake: every one of the equal values in a window gets the whole gradient
# loses: ties
# says: doubled
"""Exercise 5: max pooling and its backward pass."""

import numpy as np

EXERCISE = "ex05_max_pool_backward"
VARIANT = "last"


def offsets(shape, kernel, stride):
    """Rows and columns of the pixels that all windows see at one place of the window, for each place."""
    (kh, kw), (sh, sw), (h, w) = kernel, stride, shape[2:]
    if VARIANT == "circular":
        oh, ow = -(-h // sh), -(-w // sw)
    else:
        oh, ow = (h - kh) // sh + 1, (w - kw) // sw + 1
    for i in range(kh):
        for j in range(kw):
            yield ((np.arange(oh) * sh + i) % h)[:, None], (np.arange(ow) * sw + j) % w


def max_pool(x, kernel, stride):
    y = np.max([x[:, :, rows, columns] for rows, columns in offsets(x.shape, kernel, stride)], axis=0)
    return y, (x, y, kernel, stride)


def max_pool_backward(dout, cache):
    x, y, kernel, stride = cache
    dx = np.zeros(x.shape)
    for rows, columns in offsets(x.shape, kernel, stride):
        dx[:, :, rows, columns] += dout * (x[:, :, rows, columns] == y)
    return dx
