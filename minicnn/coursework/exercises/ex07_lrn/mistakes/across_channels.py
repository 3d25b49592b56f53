# mistake: the window goes across channels, where it should stay within one
# loses: window, borders, output, neighbours, gradient
# says: over the channels on both sides
# variants: within
"""Exercise 7: local response normalisation."""

import numpy as np

EXERCISE = "ex07_lrn"
VARIANT = "within"


def window_sum(v, size):
    """For each element of v (N, C, H, W) the sum of v over its window, an array of the same shape."""
    before, after = (size - 1, 0) if VARIANT == "preceding" else (size // 2, size // 2)
    for axis in (1,):
        v = np.moveaxis(v, axis, 0)
        padded = np.zeros((before + len(v) + after, *v.shape[1:]))
        padded[before : before + len(v)] = v
        v = np.moveaxis(sum(padded[t : t + len(v)] for t in range(size)), 0, axis)
    return v


def lrn(x, size, alpha, beta, k):
    """(y, cache): x (N, C, H, W), each element divided by a power of the energy in its window.

    The cache is whatever the backward needs of arrays, numbers, and tuples, lists and dicts of these.
    """
    share = alpha / {"average": size, "within": size**2}.get(VARIANT, 1)
    d = k + share * window_sum(x**2, size)
    return x / d**beta, (x, d, size, share, beta)


def lrn_backward(dout, cache):
    """dx (N, C, H, W), given dout (N, C, H, W) and the cache of the forward pass."""
    x, d, size, share, beta = cache
    part = dout * x / d ** (beta + 1)  # of each output, what its whole window gets
    if VARIANT == "preceding":  # a channel lies in its own window and in those of the channels after it
        received = window_sum(part[:, ::-1], size)[:, ::-1]
    else:
        received = window_sum(part, size)
    return dout / d**beta - 2 * share * beta * x * received
