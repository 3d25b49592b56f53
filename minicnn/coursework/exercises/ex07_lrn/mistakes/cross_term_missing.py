# mistake: the denominator is treated as a constant in the backward
# loses: alone, neighbours, gradient
# says: cross-term is missing
"""Exercise 7: local response normalisation."""

import numpy as np

EXERCISE = "ex07_lrn"
VARIANT = "within"


def window_sum(v, size):
    """For each element of v (N, C, H, W) the sum of v over its window, an array of the same shape."""
    before, after = (size - 1, 0) if VARIANT == "preceding" else (size // 2, size // 2)
    axes = (2, 3) if VARIANT == "within" else (1,)
    for axis in axes:
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
    return x / d**beta, (d, beta)


def lrn_backward(dout, cache):
    """dx (N, C, H, W), given dout (N, C, H, W) and the cache of the forward pass."""
    d, beta = cache
    return dout / d**beta
