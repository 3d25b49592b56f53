"""Batch normalisation over (N, H, W), per channel (Ioffe & Szegedy 2015, algorithm 1), and sums over the same axes.

Statistics are float64 whatever the images are: float32 sums along channels-last memory lose digits (a variance was
8.7 % off at 64x64x56x56), and the variance is taken about the mean, never as E[x^2] - E[x]^2.
"""

from __future__ import annotations

import numpy as np

PIXELS = (0, 2, 3)  # all axes but the channels


def _per_channel(v):
    return v[:, None, None]  # (C, 1, 1): broadcasts over (N, C, H, W)


def channel_sum(x):
    """(N, C, H, W) -> (C,): the gradient of a bias."""
    return x.sum(PIXELS, dtype=np.float64).astype(x.dtype)


def channel_stats(x):
    """(N, C, H, W) -> mean (C,) and biased variance (C,), both float64.

    >>> [a.tolist() for a in channel_stats(np.array([1.0, 3.0]).reshape(2, 1, 1, 1))]
    [[2.0], [1.0]]
    """
    mean = x.mean(PIXELS, dtype=np.float64)
    return mean, np.square(x - _per_channel(mean)).mean(PIXELS)


def batch_norm(x, mean, var, weight, bias, eps):
    """y = (x - mean) / sqrt(var + eps) * weight + bias"""
    scale = weight / np.sqrt(var + eps)
    return ((x - _per_channel(mean)) * _per_channel(scale) + _per_channel(bias)).astype(x.dtype)


def batch_norm_backward(grad, x, mean, var, weight, eps, training):
    """Gradients by x, weight and bias. In training, mean and var depend on x too, which adds the two subtracted terms:

    dx = weight / sqrt(var + eps) * (grad - mean(grad) - xhat * mean(grad * xhat)),  xhat = (x - mean) / sqrt(var + eps)
    """
    inverse_std = 1 / np.sqrt(var + eps)
    xhat = (x - _per_channel(mean)) * _per_channel(inverse_std)  # (N, C, H, W)
    dbias = grad.sum(PIXELS, dtype=np.float64)
    dweight = (grad * xhat).sum(PIXELS)
    dx = grad.astype(np.float64)
    if training:
        count = x.size // x.shape[1]
        dx = dx - _per_channel(dbias / count) - xhat * _per_channel(dweight / count)
    dx = dx * _per_channel(weight * inverse_std)
    return dx.astype(x.dtype), dweight.astype(x.dtype), dbias.astype(x.dtype)
