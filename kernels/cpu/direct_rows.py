"""The loops of :mod:`.direct`: over images, strips of rows, blocks of pixels or weights, and what a block sums."""

from __future__ import annotations

import numba
import numpy as np

from .jit import helper, inlined, kernel
from .vectors import COUNT, LANES, add_to, multiply_add, prefetch, repeat, store, zeros
from .windows import clear, copy


@kernel
def convolve(x, slabs, begin, y, kernel_size, stride, before, size, origin, spacing, rows, width):
    """y[:, origin[0] + i * spacing[0], origin[1] + j * spacing[1]] = the convolution, for i, j below ``size``.

    A task is ``rows`` rows of outputs of one image; what they see is ``seen`` (rows seen, width, C).
    """
    c, (_, oh, ow, o) = x.shape[3], y.shape
    strips = (size[0] + rows - 1) // rows  # of an image
    source, weights, target = x.reshape(-1), slabs.reshape(-1), y.reshape(-1)
    steps = stride[1] * c, width * c  # in ``seen``, from pixel to pixel and from row to row
    taps, to_step = (kernel_size[0], kernel_size[1] * c), spacing[1] * o
    for task in numba.prange(len(x) * strips):
        n, first = task // strips, task % strips * rows
        count = min(rows, size[0] - first)
        seen = np.empty(((count - 1) * stride[0] + kernel_size[0]) * width * c, x.dtype)
        end = _take_rows(x, n, first * stride[0] - before[0], -before[1], width, seen)
        edge = np.empty(COUNT * LANES, x.dtype)
        for row in range(count):
            end = _read_ahead(source, end, stride[0] * x.shape[2] * c)
            line = (n * oh + origin[0] + (first + row) * spacing[0]) * ow + origin[1]
            for column in range(0, size[1], COUNT):
                at, pixels = row * stride[0] * steps[1] + column * steps[0], min(COUNT, size[1] - column)
                for slab in range(len(slabs)):
                    b_at, w_at = slab * LANES, slab * slabs.shape[1] * LANES
                    to, lanes = (line + column * spacing[1]) * o + b_at, min(LANES, o - b_at)
                    if pixels == COUNT and lanes == LANES:
                        _pixels(seen, at, steps, taps, weights, w_at, begin, b_at, target, to, to_step)
                    else:  # a block that reaches beyond the image or the channels
                        _pixels(seen, at, steps, taps, weights, w_at, begin, b_at, edge, 0, LANES)
                        for i in range(pixels):
                            copy(edge, i * LANES, target, to + i * to_step, lanes)


@helper
def _pixels(seen, at, steps, taps, weights, w_at, begin, b_at, target, to, step):
    """COUNT pixels and LANES channels of the result.

    Where the compiler knows how far apart the pixels are, it needs one register for all their addresses, not eight.
    """
    if steps[0] == LANES:
        _sums(seen, at, LANES, steps[1], taps, weights, w_at, begin, b_at, target, to, step)
    elif steps[0] == 2 * LANES:
        _sums(seen, at, 2 * LANES, steps[1], taps, weights, w_at, begin, b_at, target, to, step)
    else:
        _sums(seen, at, steps[0], steps[1], taps, weights, w_at, begin, b_at, target, to, step)


@inlined
def _sums(seen, at, apart, row_step, taps, weights, w_at, begin, b_at, target, to, step):
    """begin[b_at :] plus the products of COUNT pixels: the loop in the docstring of :mod:`.direct`."""
    block = repeat(begin, b_at)
    kh_size, run = taps
    for kh in range(kh_size):
        first, fours = at + kh * row_step, run // 4 * 4
        for k in range(first, first + fours, 4):  # four at a time: fewer ends of loops, which are guessed wrong
            block = multiply_add(block, seen, k, apart, weights, w_at)
            block = multiply_add(block, seen, k + 1, apart, weights, w_at + LANES)
            block = multiply_add(block, seen, k + 2, apart, weights, w_at + 2 * LANES)
            block = multiply_add(block, seen, k + 3, apart, weights, w_at + 3 * LANES)
            w_at += 4 * LANES
        for k in range(first + fours, first + run):
            block = multiply_add(block, seen, k, apart, weights, w_at)
            w_at += LANES
    store(block, target, to, step)


@helper
def _read_ahead(numbers, first, count):
    """Have ``count`` numbers on their way from memory while others are computed with; returns where they end."""
    for at in range(max(0, first), min(first + count, len(numbers)), 64 // numbers.itemsize):
        prefetch(numbers, at)
    return first + count


@helper
def _take_rows(x, n, ih, iw, width, seen):
    """seen = as many rows of ``width`` pixels as it holds, from (ih, iw) of image ``n`` on; zeros outside the image.

    Returns where in x the following rows begin.
    """
    _, h, w, c = x.shape
    pixels = x.reshape(-1)
    left = max(0, min(width, -iw))  # pixels before the image begins, and before it ends
    right = max(left, min(width, w - iw))
    rows = len(seen) // (width * c)
    for row in range(rows):
        to = row * width * c
        if 0 <= ih + row < h:
            clear(seen, to, left * c)
            copy(pixels, ((n * h + ih + row) * w + iw + left) * c, seen, to + left * c, (right - left) * c)
            clear(seen, to + right * c, (width - right) * c)
        else:
            clear(seen, to, width * c)
    return (n * h + ih + rows) * w * c


@kernel
def products(grad, x, partial, run, stride, before, rows, width):
    """partial[share] (KH, KW*C, depth) = sum over the share's pixels of what they see times their gradient.

    A task is a share of all strips of ``rows`` rows. A strip is summed on its own before its share adds it.
    """
    (_, oh, ow, o), c = grad.shape, x.shape[3]
    shares, kh_size, whole_run, depth = partial.shape
    source, grads = x.reshape(-1), grad.reshape(-1)
    strips = (oh + rows - 1) // rows  # of an image
    steps = stride[1] * c, stride[0] * width * c  # in ``seen``, from pixel to pixel and from row to row of outputs
    blocks = kh_size * whole_run // COUNT
    for share in numba.prange(shares):
        total = partial[share].reshape(-1)
        seen = np.zeros(((rows - 1) * stride[0] + kh_size) * width * c + COUNT, x.dtype)  # blocks may reach beyond
        filled = np.zeros(rows * ow * depth if depth > o else 0, x.dtype)
        for strip in range(share * len(x) * strips // shares, (share + 1) * len(x) * strips // shares):
            n, first = strip // strips, strip % strips * rows
            size = min(rows, oh - first), ow
            end = _take_rows(x, n, first * stride[0] - before[0], -before[1], width, seen[:-COUNT])
            sent, at_sent = grads, (n * oh + first) * ow * o
            end_sent = at_sent + size[0] * ow * o
            if depth > o:  # zeros behind the channels
                _widen(grads, at_sent, o, filled, depth, size[0] * ow)
                sent, at_sent = filled, 0
            for block in range(blocks):
                end = _read_ahead(source, end, rows * stride[0] * x.shape[2] * c // blocks)
                end_sent = _read_ahead(grads, end_sent, rows * ow * o // blocks)
                kh, k = block * COUNT // whole_run, block * COUNT % whole_run
                for lane in range(0, depth, LANES):
                    to = block * COUNT * depth + lane
                    _weights(seen, kh * width * c + k, steps, size, sent, at_sent + lane, total, to, depth)


@helper
def _widen(source, at, width, target, wide, count):
    """``count`` rows of ``width`` numbers each become rows of ``wide`` numbers; the rest of each stays as it is."""
    for i in range(count):
        copy(source, at + i * width, target, i * wide, width)


@helper
def _weights(seen, at, steps, size, sent, at_sent, total, to, depth):
    """COUNT weights and LANES channels: the sum over ``size`` pixels of what they see times their gradient."""
    block = zeros()
    for row in range(size[0]):
        k = at + row * steps[1]
        for _ in range(size[1]):
            block = multiply_add(block, seen, k, 1, sent, at_sent)
            k, at_sent = k + steps[0], at_sent + depth
    add_to(block, total, to, depth)
