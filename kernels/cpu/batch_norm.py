"""Batch normalisation over (N, H, W), per channel (Ioffe & Szegedy 2015, algorithm 1), and sums over the same axes.

Plain makes float64 copies of whole images. Here the pixels are cut into blocks that fit in cache; each block sums in
float64 into a row of its own, and the rows are added in order. The variance of a block is taken about the block's mean,
while the block is still in cache; blocks are joined by (Chan, Golub & LeVeque 1983)

    var = sum over blocks of (S + count * (mean of block - mean)^2) / pixels,  S = sum of (x - mean of block)^2

So x is read from memory once, and E[x^2] - E[x]^2 never appears.
"""

from __future__ import annotations

import numba
import numpy as np

from ..checks import one_each, same_shape
from .jit import kernel
from .windows import rows_per_block


def _pixels(x):
    """(N, H, W, C) -> (N*H*W, C), and how to cut it: pixels per block and number of blocks."""
    c = x.shape[3]
    rows = x.reshape(x.shape[0] * x.shape[1] * x.shape[2], c)
    per_block = rows_per_block(len(rows), c * x.itemsize)
    return rows, per_block, -(-len(rows) // per_block)


def _float64(v):
    return np.ascontiguousarray(v, np.float64)


def channel_sum(x):
    """(N, H, W, C) -> (C,): the gradient of a bias."""
    x, per_block, blocks = _pixels(x)
    sums = np.zeros((blocks, x.shape[1]), np.float64)
    _channel_sum(x, sums, per_block)
    return sums.sum(0).astype(x.dtype)


@kernel
def _channel_sum(x, sums, per_block):
    for block in numba.prange(len(sums)):
        for p in range(block * per_block, min((block + 1) * per_block, len(x))):
            for c in range(x.shape[1]):
                sums[block, c] += x[p, c]


def channel_stats(x):
    """(N, H, W, C) -> mean (C,) and biased variance (C,), both float64."""
    x, per_block, blocks = _pixels(x)
    sums, squares = np.zeros((2, blocks, x.shape[1]), np.float64)
    _channel_stats(x, sums, squares, per_block)
    counts = np.minimum(per_block, len(x) - per_block * np.arange(blocks))[:, None]  # (blocks, 1)
    with np.errstate(invalid="ignore", divide="ignore"):  # an infinity among the pixels, or no pixels: NaN, as in plain
        mean = sums.sum(0) / np.float64(len(x))
        between = counts * np.square(sums / counts - mean)
        return mean, (squares + between).sum(0) / np.float64(len(x))


@kernel
def _channel_stats(x, sums, squares, per_block):
    """squares[block, c] = sum of (x - mean of the block)^2, called S by Chan et al."""
    c_size = x.shape[1]
    for block in numba.prange(len(sums)):
        begin, end = block * per_block, min((block + 1) * per_block, len(x))
        for p in range(begin, end):
            for c in range(c_size):
                sums[block, c] += x[p, c]
        mean = np.empty(c_size, np.float64)
        for c in range(c_size):
            mean[c] = sums[block, c] / np.float64(end - begin)
        for p in range(begin, end):
            for c in range(c_size):
                difference = x[p, c] - mean[c]
                squares[block, c] += difference * difference


def batch_norm(x, mean, var, weight, bias, eps):
    """y = (x - mean) / sqrt(var + eps) * weight + bias"""
    one_each("batch_norm", x.shape[3], "channels", mean=mean, var=var, weight=weight, bias=bias)
    y = np.empty_like(x)
    with np.errstate(invalid="ignore", divide="ignore"):
        scale = weight / np.sqrt(var + eps)
    _batch_norm(_pixels(x)[0], _float64(mean), _float64(scale), _float64(bias), _pixels(y)[0])
    return y


@kernel
def _batch_norm(x, mean, scale, bias, y):
    for p in numba.prange(len(x)):
        for c in range(x.shape[1]):
            y[p, c] = (x[p, c] - mean[c]) * scale[c] + bias[c]


def batch_norm_backward(grad, x, mean, var, weight, eps, training):
    """Gradients by x, weight and bias. In training, mean and var depend on x too, which adds the two subtracted terms:

    dx = weight / sqrt(var + eps) * (grad - mean(grad) - xhat * mean(grad * xhat)),  xhat = (x - mean) / sqrt(var + eps)
    """
    same_shape("batch_norm_backward", grad=grad, x=x)
    one_each("batch_norm_backward", x.shape[3], "channels", mean=mean, var=var, weight=weight)
    dx = np.empty_like(x)
    with np.errstate(invalid="ignore", divide="ignore"):
        inverse_std = _float64(1 / np.sqrt(var + eps))
    mean, (x, per_block, blocks), grad = _float64(mean), _pixels(x), _pixels(grad)[0]
    sums = np.zeros((2, blocks, x.shape[1]), np.float64)
    _batch_norm_sums(grad, x, mean, inverse_std, sums, per_block)
    dbias, dweight = sums.sum(1)  # (C,), (C,)
    count = np.float64(max(len(x), 1))
    means, scale = (dbias / count, dweight / count), _float64(weight * inverse_std)
    _batch_norm_backward(grad, x, mean, inverse_std, *means, scale, bool(training), _pixels(dx)[0])
    return dx, dweight.astype(x.dtype), dbias.astype(x.dtype)


@kernel
def _batch_norm_sums(grad, x, mean, inverse_std, sums, per_block):
    """sums[0] = sum of grad, sums[1] = sum of grad * xhat, for each block"""
    for block in numba.prange(sums.shape[1]):
        for p in range(block * per_block, min((block + 1) * per_block, len(x))):
            for c in range(x.shape[1]):
                g = np.float64(grad[p, c])
                sums[0, block, c] += g
                sums[1, block, c] += g * ((x[p, c] - mean[c]) * inverse_std[c])


@kernel
def _batch_norm_backward(grad, x, mean, inverse_std, grad_mean, product_mean, scale, training, dx):
    for p in numba.prange(len(x)):
        if training:
            for c in range(x.shape[1]):
                xhat = (x[p, c] - mean[c]) * inverse_std[c]
                dx[p, c] = (grad[p, c] - grad_mean[c] - xhat * product_mean[c]) * scale[c]
        else:
            for c in range(x.shape[1]):
                dx[p, c] = grad[p, c] * scale[c]
