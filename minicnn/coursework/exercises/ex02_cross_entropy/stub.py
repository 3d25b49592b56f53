"""Exercise 2: softmax cross-entropy. The task is in task.md."""

import numpy as np  # noqa: F401 - for what you write

EXERCISE = "ex02_cross_entropy"
VARIANT = "smoothed"
HINTS = "full"


def log_softmax(z):
    """log p (N, K) for logits z (N, K), whatever their size."""
    raise NotImplementedError("write log_softmax")


def cross_entropy(z, labels):
    """(loss, cache): the mean over the batch, a number, for logits z (N, K) and labels (N,)."""
    raise NotImplementedError("write cross_entropy")


def cross_entropy_backward(dout, cache):
    """dz (N, K), given the number dout and the cache of the forward pass."""
    raise NotImplementedError("write cross_entropy_backward")
