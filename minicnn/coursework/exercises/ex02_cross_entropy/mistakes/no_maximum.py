# mistake: exp of the logits as they are
# loses: large_logits, small_probabilities
# says: overflow
"""Exercise 2: softmax cross-entropy."""

import numpy as np

EXERCISE = "ex02_cross_entropy"
VARIANT = "smoothed"


def log_softmax(z):
    """log p (N, K) for logits z (N, K), whatever their size."""
    return z - np.log(np.exp(z).sum(axis=1, keepdims=True))


def cross_entropy(z, labels):
    """(loss, cache): the mean over the batch, a number, for logits z (N, K) and labels (N,)."""
    n, k = z.shape
    temperature = 2 if VARIANT == "tempered" else 1
    smoothing = 0.2 if VARIANT == "smoothed" else 0.0
    target = np.full((n, k), smoothing / (k - 1))
    target[np.arange(n), labels] = 1 - smoothing
    logp = log_softmax(z / temperature)
    loss = -(target * logp).sum() / n * temperature**2
    return loss, (logp, target, temperature)


def cross_entropy_backward(dout, cache):
    """dz (N, K), given the number dout and the cache of the forward pass."""
    logp, target, temperature = cache
    return dout * (np.exp(logp) - target) / len(logp) * temperature
