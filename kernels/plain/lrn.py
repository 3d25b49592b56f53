"""Local response normalisation across channels (Krizhevsky et al. 2012, section 3.3).

    y[c] = x[c] / d[c]^beta,   d[c] = k + alpha * sum of x[j]^2 for j in the window of c

The window of ``size`` channels reaches from c - size//2 to c + (size-1)//2, cut off at both ends (PyTorch's window; the
paper's where the size is odd). ``alpha`` multiplies the sum here: whoever wants the average passes alpha / size.
"""

from __future__ import annotations

import numpy as np


def _window_sum(v, before, after):
    """Sum over channels c - before .. c + after. Shifted slices, not a cumulative sum: a NaN stays in its window."""
    total = np.zeros_like(v)
    channels = v.shape[1]
    for shift in range(-before, after + 1):
        to = slice(max(0, -shift), max(0, channels - max(0, shift)))
        source = slice(max(0, shift), max(0, channels + min(0, shift)))
        total[:, to] += v[:, source]
    return total


def local_response_norm(x, size, alpha, beta, k):
    """y, shaped like x (N, C, H, W).

    >>> local_response_norm(np.ones((1, 3, 1, 1)), 3, 1.0, 1.0, 1.0).ravel().round(3).tolist()
    [0.333, 0.25, 0.333]
    """
    d = k + alpha * _window_sum(x * x, size // 2, (size - 1) // 2)
    return x * d**-beta


def local_response_norm_backward(grad, x, size, alpha, beta, k):
    """dx[c] = grad[c] d[c]^-beta - 2 alpha beta x[c] * sum of grad[j] x[j] d[j]^(-beta-1) for j whose windows hold c.

    Those j reach from c - (size-1)//2 to c + size//2: the window the other way round.
    """
    d = k + alpha * _window_sum(x * x, size // 2, (size - 1) // 2)
    received = _window_sum(grad * x * d ** (-beta - 1), (size - 1) // 2, size // 2)
    return grad * d**-beta - 2 * alpha * beta * x * received
