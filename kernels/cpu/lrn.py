"""Local response normalisation across channels (Krizhevsky et al. 2012, section 3.3).

    y[c] = x[c] / d[c]^beta,   d[c] = k + alpha * sum of x[j]^2 for j in the window of c

Plain adds ``size`` shifted copies of the whole image. Here one pixel's channels are finished before the next: they are
contiguous and stay in the first-level cache. A general power costs 20 times a multiplication, so the paper's
beta = 0.75 is taken by two square roots.
"""

from __future__ import annotations

import numba
import numpy as np

from ..checks import same_shape
from .jit import helper, kernel


@helper
def _window_sum(v, before, after, total):
    """total[c] = sum of v[c - before .. c + after], cut off at both ends. No running sum: a NaN stays in its window."""
    size = len(v)
    total[:] = 0
    for shift in range(-before, after + 1):
        source, target = v[max(0, shift) :], total[max(0, -shift) :]
        for c in range(size - abs(shift)):
            target[c] += source[c]


@helper
def _to_minus(d, beta, out):
    """out[c] = d[c]^-beta"""
    one = d.dtype.type(1)
    if beta == 0.75:
        for c in range(len(d)):
            root = np.sqrt(d[c])
            out[c] = one / (root * np.sqrt(root))
    else:
        for c in range(len(d)):
            out[c] = d[c] ** -beta


@helper
def _denominator(x, p, before, after, alpha, k, squares, d):
    """d[c] = k + alpha * sum of x[p, j]^2"""
    for c in range(len(d)):
        squares[c] = x[p, c] * x[p, c]
    _window_sum(squares, before, after, d)
    for c in range(len(d)):
        d[c] = k + alpha * d[c]


def local_response_norm(x, size, alpha, beta, k):
    """y, shaped like x (N, H, W, C)."""
    y = np.empty_like(x)
    number = x.dtype.type
    _local_response_norm(_rows(x), int(size), number(alpha), number(beta), number(k), _rows(y))
    return y


def _rows(x):
    """(N, H, W, C) -> (N*H, W, C): one task per image row."""
    n, h, w, c = x.shape
    return x.reshape(n * h, w, c)


@kernel
def _local_response_norm(x, size, alpha, beta, k, y):
    for row in numba.prange(len(x)):
        _, w, c_size = x.shape
        squares, d, power = np.empty(c_size, x.dtype), np.empty(c_size, x.dtype), np.empty(c_size, x.dtype)
        for p in range(w):
            _denominator(x[row], p, size // 2, (size - 1) // 2, alpha, k, squares, d)
            _to_minus(d, beta, power)
            for c in range(c_size):
                y[row, p, c] = x[row, p, c] * power[c]


def local_response_norm_backward(grad, x, size, alpha, beta, k):
    """dx[c] = grad[c] d[c]^-beta - 2 alpha beta x[c] * sum of grad[j] x[j] d[j]^(-beta-1), j whose window holds c"""
    same_shape("local_response_norm_backward", grad=grad, x=x)
    dx = np.empty_like(x)
    number = x.dtype.type
    _local_response_norm_backward(_rows(grad), _rows(x), int(size), number(alpha), number(beta), number(k), _rows(dx))
    return dx


@kernel
def _local_response_norm_backward(grad, x, size, alpha, beta, k, dx):
    for row in numba.prange(len(x)):
        _, w, c_size = x.shape
        squares, d, power = np.empty(c_size, x.dtype), np.empty(c_size, x.dtype), np.empty(c_size, x.dtype)
        sent, received = np.empty(c_size, x.dtype), np.empty(c_size, x.dtype)
        factor = x.dtype.type(2) * alpha * beta
        for p in range(w):
            _denominator(x[row], p, size // 2, (size - 1) // 2, alpha, k, squares, d)
            _to_minus(d, beta, power)
            for c in range(c_size):
                sent[c] = grad[row, p, c] * x[row, p, c] * (power[c] / d[c])
            _window_sum(sent, (size - 1) // 2, size // 2, received)  # the window the other way round
            for c in range(c_size):
                dx[row, p, c] = grad[row, p, c] * power[c] - factor * x[row, p, c] * received[c]
