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
from .jit import helper, inlined, kernel
from .windows import rows_per_block


def _pixels(x):
    """(N, H, W, C) -> (N*H*W, C)"""
    return x.reshape(x.shape[0] * x.shape[1] * x.shape[2], x.shape[3])


def _blocks(x):
    """How to cut (N*H*W, C): pixels per block and number of blocks."""
    per_block = rows_per_block(len(x), x.shape[1] * x.itemsize)
    return per_block, -(-len(x) // per_block)


def _float64(v):
    return np.ascontiguousarray(v, np.float64)


@helper
def _total(sums, c):
    """What all blocks have found for channel c, added in order: (blocks, C) -> a number"""
    total = np.float64(0)
    for block in range(len(sums)):
        total += sums[block, c]
    return total


def channel_sum(x):
    """(N, H, W, C) -> (C,): the gradient of a bias."""
    x = _pixels(x)
    per_block, blocks = _blocks(x)
    y = np.empty(x.shape[1], x.dtype)
    _channel_sum(x, per_block, np.zeros((blocks, x.shape[1]), np.float64), y)
    return y


@inlined
def four(p, c_size):
    """Where pixels p to p + 3 begin in a flat array, unsigned, so that loops over channels vectorise (see `copy`).

    Sums over pixels take four at a time: each sum is then loaded and stored a quarter as often.
    """
    step = np.uint64(c_size)
    first = np.uint64(p) * step
    return first, first + step, first + step + step, first + step + step + step


@helper
def _add_pixels(x, begin, end, sums):
    """sums[c] += x[p, c] for the pixels from ``begin`` to ``end``"""
    flat, whole = x.reshape(-1), begin + (end - begin) // 4 * 4
    for p in range(begin, whole, 4):
        p0, p1, p2, p3 = four(p, x.shape[1])
        for c in range(np.uint64(x.shape[1])):
            pair, other = np.float64(flat[p0 + c]) + flat[p1 + c], np.float64(flat[p2 + c]) + flat[p3 + c]
            sums[c] += pair + other
    for p in range(whole, end):
        for c in range(x.shape[1]):
            sums[c] += x[p, c]


@helper
def _add_squares(x, begin, end, mean, sums):
    """sums[c] += (x[p, c] - mean[c])^2 for the pixels from ``begin`` to ``end``"""
    flat, whole = x.reshape(-1), begin + (end - begin) // 4 * 4
    for p in range(begin, whole, 4):
        p0, p1, p2, p3 = four(p, x.shape[1])
        for c in range(np.uint64(x.shape[1])):
            x0, x1, x2, x3 = (
                flat[p0 + c] - mean[c],
                flat[p1 + c] - mean[c],
                flat[p2 + c] - mean[c],
                flat[p3 + c] - mean[c],
            )
            sums[c] += (x0 * x0 + x1 * x1) + (x2 * x2 + x3 * x3)
    for p in range(whole, end):
        for c in range(x.shape[1]):
            difference = x[p, c] - mean[c]
            sums[c] += difference * difference


@kernel
def _channel_sum(x, per_block, sums, y):
    for block in numba.prange(len(sums)):
        _add_pixels(x, block * per_block, min((block + 1) * per_block, len(x)), sums[block])
    for c in range(x.shape[1]):
        y[c] = _total(sums, c)


def channel_stats(x):
    """(N, H, W, C) -> mean (C,) and biased variance (C,), both float64. Infinities, or no pixels: NaN."""
    x = _pixels(x)
    per_block, blocks = _blocks(x)
    sums, squares = np.zeros((2, blocks, x.shape[1]), np.float64)
    mean, var = np.empty((2, x.shape[1]), np.float64)
    _channel_stats(x, per_block, sums, squares, mean, var)
    return mean, var


@kernel
def _channel_stats(x, per_block, sums, squares, mean, var):
    """squares[block, c] = sum of (x - mean of the block)^2, called S by Chan et al."""
    c_size = x.shape[1]
    for block in numba.prange(len(sums)):
        begin, end = block * per_block, min((block + 1) * per_block, len(x))
        _add_pixels(x, begin, end, sums[block])
        block_mean = np.empty(c_size, np.float64)
        for c in range(c_size):
            block_mean[c] = sums[block, c] / np.float64(end - begin)
        _add_squares(x, begin, end, block_mean, squares[block])
    for c in range(c_size):
        mean[c] = _total(sums, c) / len(x)
        between = np.float64(0)
        for block in range(len(sums)):
            count = np.float64(min(per_block, len(x) - block * per_block))
            difference = sums[block, c] / count - mean[c]
            between += count * difference * difference
        var[c] = (_total(squares, c) + between) / len(x)


def batch_norm(x, mean, var, weight, bias, eps):
    """y = (x - mean) / sqrt(var + eps) * weight + bias"""
    one_each("batch_norm", x.shape[3], "channels", mean=mean, var=var, weight=weight, bias=bias)
    y = np.empty_like(x)
    _batch_norm(_pixels(x), _float64(mean), _float64(var), weight, bias, float(eps), _pixels(y))
    return y


@helper
def _scale_and_shift(var, weight, bias, eps):
    """weight / sqrt(var + eps) and bias, both (C,) in float64."""
    scale, shift = np.empty(len(var), np.float64), np.empty(len(var), np.float64)
    for c in range(len(var)):
        scale[c], shift[c] = weight[c] / np.sqrt(var[c] + eps), bias[c]
    return scale, shift


@kernel
def _batch_norm(x, mean, var, weight, bias, eps, y):
    scale, shift = _scale_and_shift(var, weight, bias, eps)
    for p in numba.prange(len(x)):
        for c in range(x.shape[1]):
            y[p, c] = (x[p, c] - mean[c]) * scale[c] + shift[c]


def batch_norm_backward(grad, x, mean, var, weight, eps, training):
    """Gradients by x, weight and bias. In training, mean and var depend on x too, which adds the two subtracted terms:

    dx = weight / sqrt(var + eps) * (grad - mean(grad) - xhat * mean(grad * xhat)),  xhat = (x - mean) / sqrt(var + eps)
    """
    same_shape("batch_norm_backward", grad=grad, x=x)
    one_each("batch_norm_backward", x.shape[3], "channels", mean=mean, var=var, weight=weight)
    dx, (dweight, dbias) = np.empty_like(x), np.empty((2, x.shape[3]), x.dtype)
    x, grad, mean, var, eps = _pixels(x), _pixels(grad), _float64(mean), _float64(var), float(eps)
    per_block, blocks = _blocks(x)
    sums = np.zeros((2, blocks, x.shape[1]), np.float64)
    _batch_norm_sums(grad, x, mean, var, eps, per_block, sums)
    _batch_norm_backward(grad, x, mean, var, weight, eps, sums, bool(training), _pixels(dx), dweight, dbias)
    return dx, dweight, dbias


@helper
def _inverse_std(var, eps):
    """1 / sqrt(var + eps), (C,)"""
    result = np.empty(len(var), np.float64)
    for c in range(len(var)):
        result[c] = 1 / np.sqrt(var[c] + eps)
    return result


@inlined
def four_products(g0, g1, g2, g3, flat, p0, p1, p2, p3, mean):
    """The sum of g * (x - mean) over four pixels."""
    return (g0 * (flat[p0] - mean) + g1 * (flat[p1] - mean)) + (g2 * (flat[p2] - mean) + g3 * (flat[p3] - mean))


@helper
def _add_products(grad, x, begin, end, mean, sums, products):
    """sums[c] += grad and products[c] += grad * (x - mean[c]), for the pixels from ``begin`` to ``end``"""
    flat, flat_grad, whole = x.reshape(-1), grad.reshape(-1), begin + (end - begin) // 4 * 4
    for p in range(begin, whole, 4):
        p0, p1, p2, p3 = four(p, x.shape[1])
        for c in range(np.uint64(x.shape[1])):
            g0, g1 = np.float64(flat_grad[p0 + c]), np.float64(flat_grad[p1 + c])
            g2, g3 = np.float64(flat_grad[p2 + c]), np.float64(flat_grad[p3 + c])
            sums[c] += (g0 + g1) + (g2 + g3)
            products[c] += four_products(g0, g1, g2, g3, flat, p0 + c, p1 + c, p2 + c, p3 + c, mean[c])
    for p in range(whole, end):
        for c in range(x.shape[1]):
            sums[c] += grad[p, c]
            products[c] += grad[p, c] * (x[p, c] - mean[c])


@kernel
def _batch_norm_sums(grad, x, mean, var, eps, per_block, sums):
    """sums[0] = sum of grad, sums[1] = sum of grad * xhat, for each block"""
    inverse_std = _inverse_std(var, eps)
    for block in numba.prange(sums.shape[1]):
        begin, end = block * per_block, min((block + 1) * per_block, len(x))
        _add_products(grad, x, begin, end, mean, sums[0, block], sums[1, block])
        for c in range(x.shape[1]):
            sums[1, block, c] *= inverse_std[c]


@helper
def _add_sums(sums, pixels, training, dweight, dbias):
    """The gradients by weight and bias from each block's sums, and the means of grad and grad * xhat that dx needs."""
    grad_mean, product_mean = np.zeros(len(dbias), np.float64), np.zeros(len(dbias), np.float64)
    for c in range(len(dbias)):
        grad_sum, product_sum = _total(sums[0], c), _total(sums[1], c)
        dbias[c], dweight[c] = grad_sum, product_sum
        if training:  # else mean and var are constants
            grad_mean[c], product_mean[c] = grad_sum / np.float64(pixels), product_sum / np.float64(pixels)
    return grad_mean, product_mean


@kernel
def _batch_norm_backward(grad, x, mean, var, weight, eps, sums, training, dx, dweight, dbias):
    grad_mean, product_mean = _add_sums(sums, len(x), training, dweight, dbias)
    inverse_std = _inverse_std(var, eps)
    scale = np.empty(len(weight), np.float64)
    for c in range(len(weight)):  # written out: of weight * inverse_std Numba makes a second parallel loop
        scale[c] = weight[c] * inverse_std[c]
    for p in numba.prange(len(x)):
        if training:
            for c in range(x.shape[1]):
                xhat = (x[p, c] - mean[c]) * inverse_std[c]
                dx[p, c] = (grad[p, c] - grad_mean[c] - xhat * product_mean[c]) * scale[c]
        else:
            for c in range(x.shape[1]):
                dx[p, c] = grad[p, c] * scale[c]
