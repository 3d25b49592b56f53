"""ReLU and its relatives, on arrays of any shape. NaN in, NaN out; the slope at the kink is PyTorch's.

The backward functions take the *output* y: for these functions it says all that the input says, and it is kept anyway.
"""

from __future__ import annotations

import numpy as np


def relu(x):
    """max(x, 0) (Nair & Hinton 2010)

    >>> relu(np.array([-1.0, 0.0, 2.0, np.nan])).tolist()
    [0.0, 0.0, 2.0, nan]
    """
    return np.maximum(x, 0)


def relu_backward(grad, y):
    """grad where y > 0, else 0; a NaN passes the gradient on.

    >>> relu_backward(np.array([5.0, 5.0]), np.array([0.0, 2.0])).tolist()
    [0.0, 5.0]
    """
    return np.where(y <= 0, 0, grad).astype(grad.dtype)


def relu6(x):
    """min(max(x, 0), 6) (Krizhevsky 2010; MobileNetV2)"""
    return np.clip(x, 0, 6)


def relu6_backward(grad, y):
    """grad where 0 < y < 6, else 0."""
    return np.where((y <= 0) | (y >= 6), 0, grad).astype(grad.dtype)


def leaky_relu(x, slope):
    """x if x > 0, else slope * x (Maas et al. 2013); slope >= 0"""
    return np.where(x > 0, x, x * x.dtype.type(slope))


def leaky_relu_backward(grad, y, slope):
    """grad where y > 0, else slope * grad."""
    return np.where(y > 0, grad, grad * grad.dtype.type(slope))
