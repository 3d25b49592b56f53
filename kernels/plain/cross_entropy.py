"""Softmax and cross-entropy in one, for stability: the exponentials are taken of z - max(z), each row its own maximum.

With label smoothing s the target is t = (1-s) onehot + s/K (Szegedy et al. 2016, section 7).
"""

from __future__ import annotations

import numpy as np


def softmax_cross_entropy(logits, labels, smoothing, checked=False):
    """(N, K), labels (N,) int64 -> loss (N,) = -sum of t log p, and p (N, K) for the backward.

    ``checked`` says that the labels are known to be classes, so that a device need not be asked, and waited for.

    >>> softmax_cross_entropy(np.array([[1000.0, 0.0]]), np.array([0]), 0.0)[1].tolist()
    [[1.0, 0.0]]
    """
    shifted = logits - logits.max(1, keepdims=True)
    exp = np.exp(shifted)
    total = exp.sum(1, keepdims=True)
    log_p = shifted - np.log(total)  # (N, K)
    loss = -(1 - smoothing) * log_p[np.arange(len(logits)), labels]
    if smoothing:
        loss = loss - smoothing * log_p.mean(1)
    return loss.astype(logits.dtype), exp / total


def softmax_cross_entropy_backward(grad, probabilities, labels, smoothing, checked=False):
    """dlogits = grad * (p - t)"""
    d = probabilities - probabilities.dtype.type(smoothing / probabilities.shape[1])
    d[np.arange(len(d)), labels] -= probabilities.dtype.type(1 - smoothing)
    return d * grad[:, None]
