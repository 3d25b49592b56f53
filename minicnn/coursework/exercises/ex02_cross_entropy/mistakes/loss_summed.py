# mistake: the losses are summed, and so is the gradient: no /N anywhere
# loses: loss, gradient
# says: divide by N
"""Exercise 2: softmax cross-entropy."""

import numpy as np

EXERCISE = "ex02_cross_entropy"
VARIANT = "smoothed"


def log_softmax(z):
    """log p (N, K) for logits z (N, K), whatever their size."""
    z = z - z.max(axis=1, keepdims=True)  # the largest becomes 0
    return z - np.log(np.exp(z).sum(axis=1, keepdims=True))


def cross_entropy(z, labels):
    """(loss, cache): the mean over the batch, a number, for logits z (N, K) and labels (N,)."""
    n, k = z.shape
    temperature = 2 if VARIANT == "tempered" else 1
    smoothing = 0.2 if VARIANT == "smoothed" else 0.0
    target = np.full((n, k), smoothing / (k - 1))
    target[np.arange(n), labels] = 1 - smoothing
    logp = log_softmax(z / temperature)
    loss = -(target * logp).sum() * temperature**2
    return loss, (logp, target, temperature)


def cross_entropy_backward(dout, cache):
    """dz (N, K), given the number dout and the cache of the forward pass."""
    logp, target, temperature = cache
    return dout * (np.exp(logp) - target) * temperature
