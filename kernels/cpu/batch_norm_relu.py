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
from .batch_norm import _add_sums, _blocks, _float64, _inverse_std, _pixels, _scale_and_shift, four, four_products
from .jit import helper, inlined, kernel


def batch_norm_relu(x, mean, var, weight, bias, residual, eps, ceiling):
    """y = min(max((x - mean) / sqrt(var + eps) * weight + bias + residual, 0), ceiling); residual may be empty"""
    one_each("batch_norm_relu", x.shape[3], "channels", mean=mean, var=var, weight=weight, bias=bias)
    if residual.size or residual.ndim == 4:
        same_shape("batch_norm_relu", x=x, residual=residual)
    y = np.empty_like(x)
    added = residual.reshape(-1, x.shape[3])  # (N*H*W, C), or (0, C)
    statistics = _float64(mean), _float64(var)
    _batch_norm_relu(_pixels(x), *statistics, weight, bias, float(eps), added, x.dtype.type(ceiling), _pixels(y))
    return y


@inlined
def _normalised(x, mean, scale, shift, like):
    """One number through batch-norm, rounded to the images' dtype."""
    return like.dtype.type((x - mean) * scale + shift)


@kernel
def _batch_norm_relu(x, mean, var, weight, bias, eps, residual, ceiling, y):
    scale, shift = _scale_and_shift(var, weight, bias, eps)
    for p in numba.prange(len(x)):
        if len(residual) > 0:
            for c in range(x.shape[1]):
                y[p, c] = _clipped(_normalised(x[p, c], mean[c], scale[c], shift[c], x) + residual[p, c], ceiling, x)
        else:
            for c in range(x.shape[1]):
                y[p, c] = _clipped(_normalised(x[p, c], mean[c], scale[c], shift[c], x), ceiling, x)


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
    dx, (dweight, dbias) = np.empty_like(x), np.empty((2, x.shape[3]), x.dtype)
    x, grad, ceiling = _pixels(x), _pixels(grad), x.dtype.type(ceiling)
    norm = _float64(mean), _float64(var), weight, bias, float(eps)
    per_block, blocks = _blocks(x)
    sums = np.zeros((2, blocks, x.shape[1]), np.float64)
    _sums(grad, x, *norm, ceiling, per_block, sums)
    _gradient(grad, x, *norm, ceiling, sums, bool(training), _pixels(dx), dweight, dbias)
    return dx, dweight, dbias


@inlined
def _passed(grad, x, mean, scale, shift, ceiling, like):
    """The gradient, if ReLU let this number through; a NaN passes it on, as in :mod:`.relu`."""
    value = _normalised(x, mean, scale, shift, like)
    return np.float64(0) if value <= 0 or value >= ceiling else np.float64(grad)


@helper
def _add_products(grad, x, begin, end, mean, scale, shift, ceiling, sums, products):
    """sums[c] += g and products[c] += g * (x - mean[c]), for the pixels from ``begin`` to ``end``"""
    flat, flat_grad, whole = x.reshape(-1), grad.reshape(-1), begin + (end - begin) // 4 * 4
    for p in range(begin, whole, 4):
        p0, p1, p2, p3 = four(p, x.shape[1])
        for c in range(np.uint64(x.shape[1])):
            g0 = _passed(flat_grad[p0 + c], flat[p0 + c], mean[c], scale[c], shift[c], ceiling, x)
            g1 = _passed(flat_grad[p1 + c], flat[p1 + c], mean[c], scale[c], shift[c], ceiling, x)
            g2 = _passed(flat_grad[p2 + c], flat[p2 + c], mean[c], scale[c], shift[c], ceiling, x)
            g3 = _passed(flat_grad[p3 + c], flat[p3 + c], mean[c], scale[c], shift[c], ceiling, x)
            sums[c] += (g0 + g1) + (g2 + g3)
            products[c] += four_products(g0, g1, g2, g3, flat, p0 + c, p1 + c, p2 + c, p3 + c, mean[c])
    for p in range(whole, end):
        for c in range(x.shape[1]):
            g = _passed(grad[p, c], x[p, c], mean[c], scale[c], shift[c], ceiling, x)
            sums[c] += g
            products[c] += g * (x[p, c] - mean[c])


@kernel
def _sums(grad, x, mean, var, weight, bias, eps, ceiling, per_block, sums):
    """sums[0] = sum of g, sums[1] = sum of g * xhat, for each block of pixels"""
    inverse_std, (scale, shift) = _inverse_std(var, eps), _scale_and_shift(var, weight, bias, eps)
    for block in numba.prange(sums.shape[1]):
        begin, end = block * per_block, min((block + 1) * per_block, len(x))
        _add_products(grad, x, begin, end, mean, scale, shift, ceiling, sums[0, block], sums[1, block])
        for c in range(x.shape[1]):
            sums[1, block, c] *= inverse_std[c]


@kernel
def _gradient(grad, x, mean, var, weight, bias, eps, ceiling, sums, training, dx, dweight, dbias):
    grad_mean, product_mean = _add_sums(sums, len(x), training, dweight, dbias)
    inverse_std, (scale, shift) = _inverse_std(var, eps), _scale_and_shift(var, weight, bias, eps)
    for p in numba.prange(len(x)):
        for c in range(x.shape[1]):
            g = _passed(grad[p, c], x[p, c], mean[c], scale[c], shift[c], ceiling, x)
            xhat = (x[p, c] - mean[c]) * inverse_std[c]
            dx[p, c] = (g - grad_mean[c] - xhat * product_mean[c]) * scale[c]
