"""Softmax and cross-entropy in one, and its gradient: a warp finishes a row. See cross_entropy.cu.

With label smoothing s the target is t = (1-s) onehot + s/K (Szegedy et al. 2016, section 7).
"""

from __future__ import annotations

from ..checks import labels_in_range, one_each
from . import backend
from .launcher import Kernel

FORWARD = Kernel(
    "cross_entropy.cu",
    "softmax_cross_entropy<T>",
    "const T* logits, const long long* labels, T* loss, T* p, double smoothing, long long rows, int classes",
)
BACKWARD = Kernel(
    "cross_entropy.cu",
    "softmax_cross_entropy_backward<T>",
    "const T* grad, const T* p, const long long* labels, T* dlogits, T everywhere, T at_label, long long rows, "
    "int classes",
)
WARP = 32


def softmax_cross_entropy(logits, labels, smoothing, checked=False):
    """(N, K), labels (N,) int64 -> loss (N,) = -sum of t log p, and p (N, K) for the backward.

    ``checked`` says that the labels are known to be classes, so that the device need not be asked, and waited for.
    """
    n, k = logits.shape
    labels = _checked("softmax_cross_entropy", labels, n, "rows of logits", k, checked)
    xp = backend.module_of(logits)
    loss, p = xp.empty(n, logits.dtype), xp.empty(logits.shape, logits.dtype)
    FORWARD((logits, labels, loss, p, float(smoothing), n, k), threads=n * WARP)
    return loss, p


def softmax_cross_entropy_backward(grad, probabilities, labels, smoothing, checked=False):
    """dlogits = grad * (p - t)"""
    n, k = probabilities.shape
    one_each("softmax_cross_entropy_backward", n, "rows", grad=grad)
    labels = _checked("softmax_cross_entropy_backward", labels, n, "rows", k, checked)
    d = backend.module_of(grad).empty(probabilities.shape, probabilities.dtype)
    BACKWARD((grad, probabilities, labels, d, smoothing / k, 1 - smoothing, n, k), threads=n * WARP)
    return d


def _checked(kernel: str, labels, rows: int, of: str, classes: int, checked: bool):
    """The labels as int64. One that names no class would read beyond the row; whether there is one can be known by
    waiting for the device, or by having looked at them before they were sent there (``checked``)."""
    one_each(kernel, rows, of, labels=labels)
    if not checked:
        labels_in_range(kernel, labels, classes)
    return labels.astype("int64", copy=False)
