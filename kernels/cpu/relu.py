"""ReLU and its relatives, on flat arrays: one pass, no temporary mask. NaN in, NaN out.

Comparisons are written so that a NaN fails them and falls through to "keep".
"""

from __future__ import annotations

import numba
import numpy as np

from .jit import kernel


def relu(x):
    """max(x, 0) (Nair & Hinton 2010)"""
    y = np.empty_like(x)
    _relu(x, y)
    return y


@kernel
def _relu(x, y):
    for i in numba.prange(len(x)):
        y[i] = x.dtype.type(0) if x[i] <= 0 else x[i]


def relu_backward(grad, y):
    """grad where y > 0, else 0; a NaN passes the gradient on."""
    dx = np.empty_like(grad)
    _relu_backward(grad, y, dx)
    return dx


@kernel
def _relu_backward(grad, y, dx):
    for i in numba.prange(len(grad)):
        dx[i] = grad.dtype.type(0) if y[i] <= 0 else grad[i]


def relu6(x):
    """min(max(x, 0), 6) (Krizhevsky 2010; MobileNetV2)"""
    y = np.empty_like(x)
    _relu6(x, y)
    return y


@kernel
def _relu6(x, y):
    for i in numba.prange(len(x)):
        value = x.dtype.type(0) if x[i] <= 0 else x[i]
        y[i] = x.dtype.type(6) if value >= 6 else value


def relu6_backward(grad, y):
    """grad where 0 < y < 6, else 0."""
    dx = np.empty_like(grad)
    _relu6_backward(grad, y, dx)
    return dx


@kernel
def _relu6_backward(grad, y, dx):
    for i in numba.prange(len(grad)):
        dx[i] = grad.dtype.type(0) if (y[i] <= 0) | (y[i] >= 6) else grad[i]


def leaky_relu(x, slope):
    """x if x > 0, else slope * x (Maas et al. 2013); slope >= 0"""
    y = np.empty_like(x)
    _leaky_relu(x, x.dtype.type(slope), y)
    return y


@kernel
def _leaky_relu(x, slope, y):
    for i in numba.prange(len(x)):
        y[i] = x[i] if x[i] > 0 else slope * x[i]


def leaky_relu_backward(grad, y, slope):
    """grad where y > 0, else slope * grad."""
    dx = np.empty_like(grad)
    _leaky_relu_backward(grad, y, grad.dtype.type(slope), dx)
    return dx


@kernel
def _leaky_relu_backward(grad, y, slope, dx):
    for i in numba.prange(len(grad)):
        dx[i] = grad[i] if y[i] > 0 else slope * grad[i]
