"""The transforms of :mod:`.winograd`: between a tile's pixels and its 36 values, and those of the weights.

B^T, G and A^T belong to the points 0, 1, -1, 2, -2 and infinity (Lavin & Gray 2015, section 4.3). They hold few
numbers, so each is written out as the sums that it means. A transform runs over all channels of a tile at once.

Indices are unsigned and arrays flat, and no loop writes more than two of them, because only then does the compiler see
that it may take sixteen channels at a time (measured: 2.2 times as fast).
"""

from __future__ import annotations

import numba
import numpy as np

from .jit import helper, inlined, kernel
from .windows import clear, copy

TILE, OUT = 6, 4  # pixels that a tile sees and outputs that it has, along each axis
VALUES = TILE * TILE
TOGETHER = 8  # tiles of one task

# G: a polynomial's values at 0, 1, -1, 2, -2 are sums of its coefficients times powers; at infinity only the highest
# counts. B^T would hold 1 / the product of the differences between points; as usual those stand here instead.
POINTS = np.array([0.0, 1, -1, 2, -2])
SCALE = np.array([1 / 4, -1 / 6, -1 / 6, 1 / 24, 1 / 24])


def evaluation(taps: int) -> np.ndarray:
    """G (6, taps): from a filter's taps to its values.

    >>> (evaluation(3)[:5] / SCALE[:, None]).astype(int).tolist()
    [[1, 0, 0], [1, 1, 1], [1, -1, 1], [1, 2, 4], [1, -2, 4]]
    """
    return np.vstack([SCALE[:, None] * POINTS[:, None] ** np.arange(taps), np.eye(1, taps, taps - 1)])


G3, G4 = evaluation(3).astype(np.float32), evaluation(4).astype(np.float32)


@inlined
def _input_lines(source, at, step, target, to, gap, count):
    """B^T: target's lines to, to + gap, ... = sums of source's six lines at, at + step, ...; each of ``count`` numbers.

    |  4  0 -5  0  1  0 |    The rows for 1 and -1, and for 2 and -2, are a sum and a difference of the same two terms:
    |  0 -4 -4  1  1  0 |    even powers of the point and odd ones.
    |  0  4 -4 -1  1  0 |
    |  0 -2 -1  2  1  0 |
    |  0  2 -1 -2  1  0 |
    |  0  4  0 -5  0  1 |
    """
    n, s0, t0 = np.uint64(count), np.uint64(at), np.uint64(to)
    s1, s2, s3 = np.uint64(at + step), np.uint64(at + 2 * step), np.uint64(at + 3 * step)
    s4, s5 = np.uint64(at + 4 * step), np.uint64(at + 5 * step)
    t1, t2, t3 = np.uint64(to + gap), np.uint64(to + 2 * gap), np.uint64(to + 3 * gap)
    t4, t5 = np.uint64(to + 4 * gap), np.uint64(to + 5 * gap)
    for i in range(n):
        target[t0 + i] = 4 * source[s0 + i] - 5 * source[s2 + i] + source[s4 + i]
    for i in range(n):
        even, odd = source[s4 + i] - 4 * source[s2 + i], source[s3 + i] - 4 * source[s1 + i]
        target[t1 + i] = even + odd
        target[t2 + i] = even - odd
    for i in range(n):
        even, odd = source[s4 + i] - source[s2 + i], 2 * (source[s3 + i] - source[s1 + i])
        target[t3 + i] = even + odd
        target[t4 + i] = even - odd
    for i in range(n):
        target[t5 + i] = 4 * source[s1 + i] - 5 * source[s3 + i] + source[s5 + i]


@inlined
def _output_lines(source, at, step, target, to, gap, count):
    """A^T: target's lines to, to + gap, ... = sums of source's six lines at, at + step, ...; each of ``count`` numbers.

    | 1  1  1  1  1  0 |
    | 0  1 -1  2 -2  0 |
    | 0  1  1  4  4  0 |
    | 0  1 -1  8 -8  1 |
    """
    n, s0, t0 = np.uint64(count), np.uint64(at), np.uint64(to)
    s1, s2, s3 = np.uint64(at + step), np.uint64(at + 2 * step), np.uint64(at + 3 * step)
    s4, s5 = np.uint64(at + 4 * step), np.uint64(at + 5 * step)
    t1, t2, t3 = np.uint64(to + gap), np.uint64(to + 2 * gap), np.uint64(to + 3 * gap)
    for i in range(n):
        ones, twos = source[s1 + i] + source[s2 + i], source[s3 + i] + source[s4 + i]
        target[t0 + i] = source[s0 + i] + ones + twos
        target[t2 + i] = ones + 4 * twos
    for i in range(n):
        ones, twos = source[s1 + i] - source[s2 + i], source[s3 + i] - source[s4 + i]
        target[t1 + i] = ones + 2 * twos
        target[t3 + i] = ones + 8 * twos + source[s5 + i]


@inlined
def _where(number, tiles):
    """(image, row, column) of the top left output of a tile, of ``tiles`` = (rows, columns) an image."""
    n, inside = number // (tiles[0] * tiles[1]), number % (tiles[0] * tiles[1])
    return n, inside // tiles[1] * OUT, inside % tiles[1] * OUT


@kernel
def spread(x, first, count, tiles, before, values):
    """values[:, t] (36, C) = B^T d B of the 6x6 pixels that tile number first + t sees; ``before`` = (top, left)."""
    _, h, w, c = x.shape
    pixels, flat, gap = x.reshape(-1), values.reshape(-1), values.shape[1] * c
    run = TILE * c
    for task in numba.prange((count + TOGETHER - 1) // TOGETHER):
        tile, half = np.empty(TILE * run, x.dtype), np.empty(TILE * run, x.dtype)
        for t in range(task * TOGETHER, min(count, task * TOGETHER + TOGETHER)):
            n, ih, iw = _where(first + t, tiles)
            ih, iw = ih - before[0], iw - before[1]
            if ih >= 0 and iw >= 0 and ih + TILE <= h and iw + TILE <= w:  # six runs of six pixels
                _input_lines(pixels, ((n * h + ih) * w + iw) * c, w * c, half, 0, run, run)
            else:
                _take_tile(x, n, ih, iw, TILE, tile)
                _input_lines(tile, 0, run, half, 0, run, run)
            for i in range(TILE):
                _input_lines(half, i * run, c, flat, i * TILE * gap + t * c, gap, c)


@helper
def _take_tile(x, n, ih, iw, size, tile):
    """tile = the ``size`` * ``size`` pixels from (ih, iw) on, zeros outside the image"""
    _, h, w, c = x.shape
    pixels = x.reshape(-1)
    for a in range(size):
        for b in range(size):
            to = (a * size + b) * c
            if 0 <= ih + a < h and 0 <= iw + b < w:
                copy(pixels, ((n * h + ih + a) * w + iw + b) * c, tile, to, c)
            else:
                clear(tile, to, c)


@kernel
def collect(products, first, count, bias, y, finite):
    """The outputs of tile number first + t = A^T m A + bias, m = products[:, t] (36, O); finite[tile] = 0, or NaN."""
    _, oh, ow, o = y.shape
    tiles = ((oh + OUT - 1) // OUT, (ow + OUT - 1) // OUT)
    source, gap = products.reshape(-1), products.shape[1] * o
    for task in numba.prange((count + TOGETHER - 1) // TOGETHER):
        half, outputs = np.empty(OUT * TILE * o, y.dtype), np.empty(OUT * OUT * o, y.dtype)
        for t in range(task * TOGETHER, min(count, task * TOGETHER + TOGETHER)):
            for j in range(TILE):
                _output_lines(source, j * gap + t * o, TILE * gap, half, j * o, TILE * o, o)
            for i in range(OUT):
                _output_lines(half, i * TILE * o, o, outputs, i * OUT * o, o, o)
            n, row, column = _where(first + t, tiles)
            finite[first + t] = _place_tile(outputs, bias, y, n, row, column)


@helper
def _place_tile(outputs, bias, y, n, row, column):
    """y[n, row:, column:] = outputs + bias, as far as they lie inside; returns 0, or NaN if one is not finite"""
    _, oh, ow, o = y.shape
    target = y.reshape(-1)
    check = y.dtype.type(0)
    size = np.uint64(o)
    for a in range(min(OUT, oh - row)):
        for b in range(min(OUT, ow - column)):
            at, to = np.uint64((a * OUT + b) * o), np.uint64(((n * oh + row + a) * ow + column + b) * o)
            if bias.size > 0:
                for i in range(size):
                    target[to + i] = outputs[at + i] + bias[i]
            else:
                for i in range(size):
                    target[to + i] = outputs[at + i]
            for i in range(size):
                check += outputs[at + i] * 0
    return check


@kernel
def spread_grad(grad, first, count, tiles, values):
    """values[:, t] (36, O) = G g G^T of the 4x4 gradients of tile number first + t, G (6, 4)."""
    _, oh, ow, o = grad.shape
    flat, gap = values.reshape(-1), values.shape[1] * o
    for task in numba.prange((count + TOGETHER - 1) // TOGETHER):
        tile, half = np.empty(OUT * OUT * o, grad.dtype), np.empty(TILE * OUT * o, grad.dtype)
        for t in range(task * TOGETHER, min(count, task * TOGETHER + TOGETHER)):
            n, row, column = _where(first + t, tiles)
            _take_tile(grad, n, row, column, OUT, tile)
            _evaluate(tile, 0, OUT * o, half, 0, OUT * o, OUT * o)
            for i in range(TILE):
                _evaluate(half, i * OUT * o, o, flat, i * TILE * gap + t * o, gap, o)


@inlined
def _evaluate(source, at, step, target, to, gap, count):
    """G (6, 4): the values of a polynomial whose four coefficients are lines of source."""
    n, s0, s1 = np.uint64(count), np.uint64(at), np.uint64(at + step)
    s2, s3 = np.uint64(at + 2 * step), np.uint64(at + 3 * step)
    t0, t1, t2 = np.uint64(to), np.uint64(to + gap), np.uint64(to + 2 * gap)
    t3, t4, t5 = np.uint64(to + 3 * gap), np.uint64(to + 4 * gap), np.uint64(to + 5 * gap)
    quarter, sixth, twelfth = np.float32(1 / 4), np.float32(-1 / 6), np.float32(1 / 24)
    for i in range(n):
        target[t0 + i] = quarter * source[s0 + i]
        target[t5 + i] = source[s3 + i]
    for i in range(n):
        even, odd = sixth * (source[s0 + i] + source[s2 + i]), sixth * (source[s1 + i] + source[s3 + i])
        target[t1 + i] = even + odd
        target[t2 + i] = even - odd
    for i in range(n):
        even = twelfth * (source[s0 + i] + 4 * source[s2 + i])
        odd = twelfth * (2 * source[s1 + i] + 8 * source[s3 + i])
        target[t3 + i] = even + odd
        target[t4 + i] = even - odd


@kernel
def transform_weights(weight, turned, transformed):
    """U[:, a] (36, B) = G w G^T, for weight (A, 3, 3, B); ``turned``: w is rotated by 180 degrees first."""
    a_size, _, _, b_size = weight.shape
    for a in numba.prange(a_size):
        half = np.empty((TILE, 3, b_size), weight.dtype)
        first, last = (2, 0) if turned else (0, 2)
        for i in range(TILE):
            for k in range(3):
                kw = 2 - k if turned else k
                for b in range(b_size):
                    half[i, k, b] = (
                        G3[i, 0] * weight[a, first, kw, b]
                        + G3[i, 1] * weight[a, 1, kw, b]
                        + G3[i, 2] * weight[a, last, kw, b]
                    )
        for i in range(TILE):
            for j in range(TILE):
                for b in range(b_size):
                    transformed[i * TILE + j, a, b] = (
                        G3[j, 0] * half[i, 0, b] + G3[j, 1] * half[i, 1, b] + G3[j, 2] * half[i, 2, b]
                    )


@kernel
def weights_from(total, dw):
    """dw (O, 3, 3, C) = A^T dU A, with the A^T (3, 6) that has three rows."""
    o_size, _, _, c_size = dw.shape
    for o in numba.prange(o_size):
        half = np.empty((3, TILE, c_size), dw.dtype)
        for j in range(TILE):
            for c in range(c_size):
                m1, m2 = total[TILE + j, o, c], total[2 * TILE + j, o, c]
                m3, m4 = total[3 * TILE + j, o, c], total[4 * TILE + j, o, c]
                half[0, j, c] = total[j, o, c] + m1 + m2 + m3 + m4
                half[1, j, c] = m1 - m2 + 2 * (m3 - m4)
                half[2, j, c] = m1 + m2 + 4 * (m3 + m4) + total[5 * TILE + j, o, c]
        for k in range(3):
            for c in range(c_size):
                m1, m2, m3, m4 = half[k, 1, c], half[k, 2, c], half[k, 3, c], half[k, 4, c]
                dw[o, k, 0, c] = half[k, 0, c] + m1 + m2 + m3 + m4
                dw[o, k, 1, c] = m1 - m2 + 2 * (m3 - m4)
                dw[o, k, 2, c] = m1 + m2 + 4 * (m3 + m4) + half[k, 5, c]
