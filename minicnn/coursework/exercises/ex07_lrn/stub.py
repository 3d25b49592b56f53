"""Exercise 7: local response normalisation. The task is in task.md."""

import numpy as np  # noqa: F401 - for what you write

EXERCISE = "ex07_lrn"
VARIANT = "within"
HINTS = "full"


def window_sum(v, size):
    """For each element of v (N, C, H, W) the sum of v over its window, an array of the same shape."""
    raise NotImplementedError("write window_sum")


def lrn(x, size, alpha, beta, k):
    """(y, cache): x (N, C, H, W), each element divided by a power of the energy in its window.

    The cache is whatever the backward needs of arrays, numbers, and tuples, lists and dicts of these.
    """
    raise NotImplementedError("write lrn")


def lrn_backward(dout, cache):
    """dx (N, C, H, W), given dout (N, C, H, W) and the cache of the forward pass."""
    raise NotImplementedError("write lrn_backward")
