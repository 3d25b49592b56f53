# mistake: the backward draws a new mask
# loses: gradient
# says: new mask
"""Exercise 8: dropout."""

import numpy as np

EXERCISE = "ex08_dropout"
VARIANT = "spatial"


def dropout(x, p, training, seed):
    """(y, cache): x (N, C, H, W) with a part of it set to 0 if training, else without.

    p, at least 0 and less than 1, is the probability of being dropped; seed is for np.random.default_rng. The cache is
    whatever the backward needs of arrays, numbers, and tuples, lists and dicts of these.
    """
    rng = np.random.default_rng(seed)
    shape = (*x.shape[:2], 1, 1) if VARIANT == "spatial" else x.shape
    if training:
        mask = rng.random(shape) >= p
        factor = mask * 1.0 if VARIANT == "original" else mask / (1 - p)
    else:
        factor = 1 - p if VARIANT == "original" else 1.0
    return x * factor, (factor, p, training, seed + 1)


def dropout_backward(dout, cache):
    """dx (N, C, H, W), given dout (N, C, H, W) and the cache of the forward pass."""
    factor, p, training, seed = cache
    if training:
        mask = np.random.default_rng(seed).random(factor.shape) >= p
        factor = mask * factor.max()
    return dout * factor
