"""Softmax and cross-entropy in one. Plain makes five arrays of (N, K); here a row is finished before the next begins.

With label smoothing s the target is t = (1-s) onehot + s/K (Szegedy et al. 2016, section 7).
"""

from __future__ import annotations

import numba
import numpy as np

from ..checks import labels_in_range, one_each, whole
from .jit import inlined, kernel


def softmax_cross_entropy(logits, labels, smoothing, checked=False):
    """(N, K), labels (N,) int64 -> loss (N,) = -sum of t log p, and p (N, K) for the backward."""
    n, k = logits.shape
    one_each("softmax_cross_entropy", n, "rows of logits", labels=labels)
    whole("softmax_cross_entropy", labels)
    loss, p, wrong = np.empty(n, logits.dtype), np.empty_like(logits), np.zeros(1, bool)
    _softmax_cross_entropy(logits, labels, float(smoothing), loss, p, wrong)
    if wrong[0]:
        labels_in_range("softmax_cross_entropy", labels, k)  # raises
    return loss, p


@inlined
def _is_class(label, k_size):
    """Also of labels that were checked: compiled code would read whatever lies there, and looking costs nothing here.

    Negative ones count from the end, as in NumPy.
    """
    return -k_size <= label < k_size


@kernel
def _softmax_cross_entropy(logits, labels, smoothing, loss, p, wrong):
    for row in numba.prange(len(logits)):
        k_size = logits.shape[1]
        if not _is_class(labels[row], k_size):
            wrong[0] = True  # a parallel loop cannot raise
            continue
        largest = logits[row, 0]
        for k in range(1, k_size):
            if logits[row, k] > largest or logits[row, k] != logits[row, k]:  # once NaN, it stays
                largest = logits[row, k]
        total, shifted_sum = 0.0, 0.0
        for k in range(k_size):
            shifted = logits[row, k] - largest
            p[row, k] = np.exp(shifted)
            total += p[row, k]
            shifted_sum += shifted
        for k in range(k_size):
            p[row, k] /= total
        log_total = np.log(total)
        value = -(1 - smoothing) * (logits[row, labels[row]] - largest - log_total)
        if smoothing != 0:
            value -= smoothing * (shifted_sum / k_size - log_total)
        loss[row] = value


def softmax_cross_entropy_backward(grad, probabilities, labels, smoothing, checked=False):
    """dlogits = grad * (p - t)"""
    n, k = probabilities.shape
    one_each("softmax_cross_entropy_backward", n, "rows", grad=grad, labels=labels)
    whole("softmax_cross_entropy_backward", labels)
    d, wrong = np.empty_like(probabilities), np.zeros(1, bool)
    everywhere, at_label = d.dtype.type(smoothing / k), d.dtype.type(1 - smoothing)
    _softmax_cross_entropy_backward(grad, probabilities, labels, everywhere, at_label, d, wrong)
    if wrong[0]:
        labels_in_range("softmax_cross_entropy_backward", labels, k)  # raises
    return d


@kernel
def _softmax_cross_entropy_backward(grad, probabilities, labels, everywhere, at_label, d, wrong):
    for row in numba.prange(len(d)):
        if not _is_class(labels[row], d.shape[1]):
            wrong[0] = True
            continue
        for k in range(d.shape[1]):
            d[row, k] = (probabilities[row, k] - everywhere) * grad[row]
        k = labels[row]
        d[row, k] = (probabilities[row, k] - everywhere - at_label) * grad[row]
