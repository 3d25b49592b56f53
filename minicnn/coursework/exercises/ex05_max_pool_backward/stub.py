"""Exercise 5: max pooling and its backward pass. The task is in task.md."""

import numpy as np  # noqa: F401 - for what you write

EXERCISE = "ex05_max_pool_backward"
VARIANT = "last"
HINTS = "full"


def max_pool(x, kernel, stride):
    """The largest value of each window.

    x (N, C, H, W); kernel (KH, KW); stride (SH, SW). Returns y (N, C, OH, OW), and a cache: whatever the backward needs
    of arrays, numbers, and tuples, lists and dicts of these.
    """
    raise NotImplementedError("write max_pool")


def max_pool_backward(dout, cache):
    """dx (N, C, H, W), given dout (N, C, OH, OW) and the cache of the forward pass."""
    raise NotImplementedError("write max_pool_backward")
