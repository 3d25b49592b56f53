"""Exercise 6: batch normalisation. The task is in task.md."""

import numpy as np  # noqa: F401 - for what you write

EXERCISE = "ex06_batch_norm"
VARIANT = "cumulative"
HINTS = "full"


def batch_norm(x, gamma, beta, state, training, eps):
    """(y, state, cache): each channel normalised, scaled and shifted.

    x (N, C, H, W); gamma and beta (C,); state {"mean": (C,), "var": (C,), "batches": int}; training True or False.
    Returns y (N, C, H, W), the new state, and a cache: whatever the backward needs of arrays, numbers, and tuples,
    lists and dicts of these.
    """
    raise NotImplementedError("write batch_norm")


def batch_norm_backward(dout, cache):
    """(dx, dgamma, dbeta), of shapes (N, C, H, W), (C,), (C,), given dout (N, C, H, W) and the forward pass's cache."""
    raise NotImplementedError("write batch_norm_backward")
