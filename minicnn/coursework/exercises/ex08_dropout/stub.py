"""Exercise 8: dropout. The task is in task.md."""

import numpy as np  # noqa: F401 - for what you write

EXERCISE = "ex08_dropout"
VARIANT = "spatial"
HINTS = "full"


def dropout(x, p, training, seed):
    """(y, cache): x (N, C, H, W) with a part of it set to 0 if training, else without.

    p, at least 0 and less than 1, is the probability of being dropped; seed is for np.random.default_rng. The cache is
    whatever the backward needs of arrays, numbers, and tuples, lists and dicts of these.
    """
    raise NotImplementedError("write dropout")


def dropout_backward(dout, cache):
    """dx (N, C, H, W), given dout (N, C, H, W) and the cache of the forward pass."""
    raise NotImplementedError("write dropout_backward")
