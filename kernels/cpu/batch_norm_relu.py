"""Batch-norm, the addition of a shortcut and ReLU in one pass over memory.

These layers compute little and move much: what they cost is the number of times that images as large as a layer go
through memory. As three operations, forward reads or writes 1 (statistics) + 2 (batch-norm) + 3 (sum) + 2 (ReLU) of
them, and here 1 + 3. Backward, without a shortcut, takes 5 instead of 8: whether ReLU let a number through follows from
x, so ReLU's output is not read, and the gradient behind ReLU is never written.
"""

from __future__ import annotations

import numba
import numpy as np

from ..checks import one_each, same_shape
from .batch_norm import _float64, _pixels
from .jit import inlined, kernel


def batch_norm_relu(x, mean, var, weight, bias, residual, eps, ceiling):
    """y = min(max((x - mean) / sqrt(var + eps) * weight + bias + residual, 0), ceiling); residual may be empty"""
    one_each("batch_norm_relu", x.shape[3], "channels", mean=mean, var=var, weight=weight, bias=bias)
    if residual.size or residual.ndim == 4:
        same_shape("batch_norm_relu", x=x, residual=residual)
    y = np.empty_like(x)
    with np.errstate(invalid="ignore", divide="ignore"):
        scale = _float64(weight / np.sqrt(var + eps))
    added = residual.reshape(-1, x.shape[3])  # (N*H*W, C), or (0, C)
    _batch_norm_relu(_pixels(x)[0], _float64(mean), scale, _float64(bias), added, x.dtype.type(ceiling), _pixels(y)[0])
    return y


@inlined
def _normalised(x, mean, scale, bias, like):
    """One number through batch-norm, rounded to the images' dtype."""
    return like.dtype.type((x - mean) * scale + bias)


@kernel
def _batch_norm_relu(x, mean, scale, bias, residual, ceiling, y):
    for p in numba.prange(len(x)):
        if len(residual) > 0:
            for c in range(x.shape[1]):
                y[p, c] = _clipped(_normalised(x[p, c], mean[c], scale[c], bias[c], x) + residual[p, c], ceiling, x)
        else:
            for c in range(x.shape[1]):
                y[p, c] = _clipped(_normalised(x[p, c], mean[c], scale[c], bias[c], x), ceiling, x)


@inlined
def _clipped(value, ceiling, like):
    """A NaN fails both comparisons and stays."""
    value = like.dtype.type(0) if value <= 0 else value
    return ceiling if value >= ceiling else value


def batch_norm_relu_backward(grad, x, mean, var, weight, bias, eps, training, ceiling):
    """Gradients by x, weight and bias, without a residual. With g = grad where 0 < batch_norm(x) < ceiling, else 0:

    dx = weight / sqrt(var + eps) * (g - mean(g) - xhat * mean(g * xhat)),  xhat = (x - mean) / sqrt(var + eps)
    """
    same_shape("batch_norm_relu_backward", grad=grad, x=x)
    one_each("batch_norm_relu_backward", x.shape[3], "channels", mean=mean, var=var, weight=weight, bias=bias)
    dx = np.empty_like(x)
    with np.errstate(invalid="ignore", divide="ignore"):
        inverse_std = _float64(1 / np.sqrt(var + eps))
        scale = _float64(weight / np.sqrt(var + eps))
    mean, bias, ceiling, (x, per_block, blocks), grad = (
        _float64(mean), _float64(bias), x.dtype.type(ceiling), _pixels(x), _pixels(grad)[0]
    )  # fmt: skip
    sums = np.zeros((2, blocks, x.shape[1]), np.float64)
    _sums(grad, x, mean, inverse_std, scale, bias, ceiling, sums, per_block)
    dbias, dweight = sums.sum(1)  # (C,), (C,)
    count = np.float64(max(len(x), 1))
    means = (dbias / count, dweight / count) if training else (np.zeros_like(dbias), np.zeros_like(dweight))
    _gradient(grad, x, mean, inverse_std, scale, bias, ceiling, *means, _pixels(dx)[0])
    return dx, dweight.astype(x.dtype), dbias.astype(x.dtype)


@inlined
def _passed(grad, x, mean, scale, bias, ceiling, like):
    """The gradient, if ReLU let this number through; a NaN passes it on, as in :mod:`.relu`."""
    value = _normalised(x, mean, scale, bias, like)
    return np.float64(0) if value <= 0 or value >= ceiling else np.float64(grad)


@kernel
def _sums(grad, x, mean, inverse_std, scale, bias, ceiling, sums, per_block):
    """sums[0] = sum of g, sums[1] = sum of g * xhat, for each block of pixels"""
    for block in numba.prange(sums.shape[1]):
        for p in range(block * per_block, min((block + 1) * per_block, len(x))):
            for c in range(x.shape[1]):
                g = _passed(grad[p, c], x[p, c], mean[c], scale[c], bias[c], ceiling, x)
                sums[0, block, c] += g
                sums[1, block, c] += g * ((x[p, c] - mean[c]) * inverse_std[c])


@kernel
def _gradient(grad, x, mean, inverse_std, scale, bias, ceiling, grad_mean, product_mean, dx):
    for p in numba.prange(len(x)):
        for c in range(x.shape[1]):
            g = _passed(grad[p, c], x[p, c], mean[c], scale[c], bias[c], ceiling, x)
            xhat = (x[p, c] - mean[c]) * inverse_std[c]
            dx[p, c] = (g - grad_mean[c] - xhat * product_mean[c]) * scale[c]
