"""The loops of :mod:`.grouped`: pixels become lines of LANES groups, lines are multiplied, and lines become pixels.

All arrays of lines are walked flat and with unsigned indices; otherwise LLVM does not vectorise (see
:func:`.windows.copy`).
"""

from __future__ import annotations

import numba
import numpy as np

from .jit import helper, inlined, kernel
from .tile import LANES, SIDE, TILE, multiply_add
from .windows import clear

APART = 16  # numbers between pixels: at multiples of 2 KB, all would want the same few places in the cache


@kernel
def convolve(x, packed, bias, y, rows, kernel_size, stride, before, dilation, groups, step, corner, size):
    """y[n, i*step + corner] = the convolution of x at output pixel i, for all i within ``size``.

    A task is ``rows`` output rows of one image, in one block of lanes.
    """
    n_size, _, _, c = x.shape
    blocks, quartets, kh, run = packed.shape[:4]
    cg = c // groups
    kw, together = kernel_size[1], (run if dilation[1] == 1 else cg)  # lines that lie side by side
    fours = (size[1] + SIDE - 1) // SIDE
    seen_rows = (rows - 1) * stride[0] + (kh - 1) * dilation[0] + 1
    seen_columns = (fours * SIDE - 1) * stride[1] + (kw - 1) * dilation[1] + 1
    pixel = cg * LANES
    per_image = (size[0] + rows - 1) // rows
    for task in numba.prange(n_size * per_image * blocks):
        block, n, begin = task % blocks, task // blocks // per_image, task // blocks % per_image * rows
        end = min(begin + rows, size[0])
        lines = np.empty(seen_rows * seen_columns * pixel, x.dtype)
        sums = np.empty(fours * quartets * TILE, x.dtype)
        weights = packed[block].reshape(-1)
        for r in range((end - begin - 1) * stride[0] + (kh - 1) * dilation[0] + 1):
            ih = begin * stride[0] - before[0] + r
            spread_row(x, n, ih, -before[1], seen_columns, block, groups, lines, r * seen_columns * pixel, pixel)
        for i in range(begin, end):
            sums[:] = 0
            for quartet in range(quartets):
                for a in range(kh):
                    row = ((i - begin) * stride[0] + a * dilation[0]) * seen_columns
                    for b in range(0, run, together):
                        left = ((quartet * kh + a) * run + b) * SIDE * LANES
                        right = (row + b // cg * dilation[1]) * pixel
                        for four in range(fours):
                            multiply_add(
                                sums, (quartet * fours + four) * TILE, weights, left, SIDE * LANES,
                                lines, right, LANES, stride[1] * pixel, together,
                            )  # fmt: skip
                            right += SIDE * stride[1] * pixel
            for j in range(size[1]):
                row, column = i * step[0] + corner[0], j * step[1] + corner[1]
                to = (n * y.shape[1] + row) * y.shape[2] + column
                _collect_pixel(sums, j, fours, bias, y, to, block, groups)


@kernel
def weight_products(grad, x, partial, rows, kernel_size, stride, before, dilation, groups):
    """partial[share]: the sum, over the share's pixels, of a line of grad times a line of x, for all pairs of lines."""
    n_size, oh, ow, o = grad.shape
    shares, blocks, taps, deep, quartets = partial.shape[:5]
    cg, og = x.shape[3] // groups, o // groups
    kh, kw = kernel_size
    seen_rows = (rows - 1) * stride[0] + (kh - 1) * dilation[0] + 1
    seen_columns = (ow - 1) * stride[1] + (kw - 1) * dilation[1] + 1
    pixel, grad_pixel = cg * LANES + APART, og * LANES + APART
    per_image = (oh + rows - 1) // rows
    total = n_size * per_image
    for task in numba.prange(shares * blocks):
        share, block = task // blocks, task % blocks
        sums = partial[share, block].reshape(-1)
        sums[:] = 0
        lines = np.empty(seen_rows * seen_columns * pixel + SIDE * LANES, x.dtype)
        grads = np.empty(ow * grad_pixel + SIDE * LANES, x.dtype)
        if deep * SIDE > cg or quartets * SIDE > og:  # then tiles reach beyond a pixel's lines
            lines[:] = 0
            grads[:] = 0
        for part in range(share * total // shares, (share + 1) * total // shares):
            n, begin = part // per_image, part % per_image * rows
            end = min(begin + rows, oh)
            for r in range((end - begin - 1) * stride[0] + (kh - 1) * dilation[0] + 1):
                ih = begin * stride[0] - before[0] + r
                spread_row(x, n, ih, -before[1], seen_columns, block, groups, lines, r * seen_columns * pixel, pixel)
            for i in range(begin, end):
                spread_row(grad, n, i, 0, ow, block, groups, grads, 0, grad_pixel)
                to = 0
                for tap in range(taps):
                    row = (i - begin) * stride[0] + tap // kw * dilation[0]
                    right = (row * seen_columns + tap % kw * dilation[1]) * pixel
                    for j in range(deep):
                        for quartet in range(quartets):
                            multiply_add(
                                sums, to, grads, quartet * SIDE * LANES, grad_pixel,
                                lines, right + j * SIDE * LANES, stride[1] * pixel, LANES, ow,
                            )  # fmt: skip
                            to += TILE


@helper
def spread_row(x, n, ih, left, columns, block, groups, lines, to, pixel):
    """Pixels x[n, ih, left : left + columns] become lines (C/G, LANES); 0 outside the image.

    The first pixel's begin at ``to``, each further pixel's ``pixel`` numbers later.
    """
    _, h, w, c = x.shape
    cg = c // groups
    first = block * LANES
    lanes = min(LANES, groups - first)
    source = x.reshape(-1)
    for column in range(columns):
        iw = left + column
        inside = 0 <= ih < h and 0 <= iw < w
        if not inside or lanes < LANES:
            clear(lines, to, cg * LANES)
        if inside:
            at = ((n * h + ih) * w + iw) * c + first * cg
            if lanes == LANES and cg == 4:  # the usual ones; with numbers that it knows, LLVM turns them in registers
                _turn(source, at, 4, 1, lines, to, 1, LANES, LANES, 4)
            elif lanes == LANES and cg == 8:
                _turn(source, at, 8, 1, lines, to, 1, LANES, LANES, 8)
            elif lanes == LANES and cg == 16:
                _turn(source, at, 16, 1, lines, to, 1, LANES, LANES, 16)
            else:
                _turn(source, at, cg, 1, lines, to, 1, LANES, lanes, cg)
        to += pixel


@helper
def _collect_pixel(sums, j, fours, bias, y, to, block, groups):
    """Pixel j of a row of tiles, sums (quartets of o, fours, SIDE, SIDE, LANES), becomes pixel number ``to`` of y."""
    og = y.shape[3] // groups
    first = block * LANES
    lanes = min(LANES, groups - first)
    target, to = y.reshape(-1), to * y.shape[3] + first * og
    for quartet in range((og + SIDE - 1) // SIDE):
        at, begin = (quartet * fours * SIDE + j) * SIDE * LANES, to + quartet * SIDE
        if lanes == LANES and og == 4:
            _turn(sums, at, 1, LANES, target, begin, 4, 1, LANES, 4)
        elif lanes == LANES and og == 8:
            _turn(sums, at, 1, LANES, target, begin, 8, 1, LANES, 4)
        elif lanes == LANES and og == 16:
            _turn(sums, at, 1, LANES, target, begin, 16, 1, LANES, 4)
        else:
            _turn(sums, at, 1, LANES, target, begin, og, 1, lanes, min(SIDE, og - quartet * SIDE))
    if bias.size > 0:
        for i in range(np.uint64(lanes * og)):
            target[np.uint64(to) + i] += bias[np.uint64(first * og) + i]


@inlined
def _turn(source, at, down, across, target, to, target_down, target_across, rows, columns):
    """target[r, c] = source[r, c], each flat, from where it begins and with its own distances between rows, columns"""
    at, down, across = np.uint64(at), np.uint64(down), np.uint64(across)
    to, target_down, target_across = np.uint64(to), np.uint64(target_down), np.uint64(target_across)
    for r in range(np.uint64(rows)):
        for c in range(np.uint64(columns)):
            target[to + r * target_down + c * target_across] = source[at + r * down + c * across]
