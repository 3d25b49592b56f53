"""The loops of :mod:`.grouped`: pixels become lines of LANES groups, lines are multiplied, and lines become pixels.

All arrays of lines are walked flat and with unsigned indices; otherwise LLVM does not vectorise (see
:func:`.windows.copy`).
"""

from __future__ import annotations

import numba
import numpy as np

from .jit import helper, kernel
from .tile import LANES, SIDE, TILE, multiply_add


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
            spread_row(x, n, begin * stride[0] - before[0] + r, -before[1], seen_columns, block, groups, lines, r)
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
    pixel = cg * LANES
    per_image = (oh + rows - 1) // rows
    total = n_size * per_image
    for task in numba.prange(shares * blocks):
        share, block = task // blocks, task % blocks
        sums = partial[share, block].reshape(-1)
        sums[:] = 0
        lines = np.zeros((seen_rows * seen_columns * cg + SIDE) * LANES, x.dtype)  # tiles may reach a bit beyond
        grads = np.zeros((ow * og + SIDE) * LANES, x.dtype)
        for part in range(share * total // shares, (share + 1) * total // shares):
            n, begin = part // per_image, part % per_image * rows
            end = min(begin + rows, oh)
            for r in range((end - begin - 1) * stride[0] + (kh - 1) * dilation[0] + 1):
                spread_row(x, n, begin * stride[0] - before[0] + r, -before[1], seen_columns, block, groups, lines, r)
            for i in range(begin, end):
                spread_row(grad, n, i, 0, ow, block, groups, grads, 0)
                to = 0
                for tap in range(taps):
                    row = (i - begin) * stride[0] + tap // kw * dilation[0]
                    right = (row * seen_columns + tap % kw * dilation[1]) * pixel
                    for j in range(deep):
                        for quartet in range(quartets):
                            multiply_add(
                                sums, to, grads, quartet * SIDE * LANES, og * LANES,
                                lines, right + j * SIDE * LANES, stride[1] * pixel, LANES, ow,
                            )  # fmt: skip
                            to += TILE


@helper
def spread_row(x, n, ih, left, columns, block, groups, lines, row):
    """lines[row] (columns, C/G, LANES) = x[n, ih, left : left + columns], groups innermost; 0 outside the image."""
    _, h, w, c = x.shape
    cg = c // groups
    first = block * LANES
    lanes, gap = np.uint64(min(LANES, groups - first)), np.uint64(cg)
    pixel = cg * LANES
    source = x.reshape(-1)
    one, two, three = np.uint64(LANES), np.uint64(2 * LANES), np.uint64(3 * LANES)
    for column in range(columns):
        iw, to = left + column, np.uint64((row * columns + column) * pixel)
        inside = 0 <= ih < h and 0 <= iw < w
        if not inside or lanes < one:
            for i in range(np.uint64(pixel)):
                lines[to + i] = 0
        if inside:
            at = np.uint64(((n * h + ih) * w + iw) * c + first * cg)
            if cg == 4:  # as often, and faster when the compiler knows it
                for g in range(lanes):
                    s = at + np.uint64(4) * g
                    lines[to + g], lines[to + one + g] = source[s], source[s + np.uint64(1)]
                    lines[to + two + g], lines[to + three + g] = source[s + np.uint64(2)], source[s + np.uint64(3)]
            else:
                for j in range(np.uint64(cg)):
                    for g in range(lanes):
                        lines[to + j * one + g] = source[at + j + g * gap]


@helper
def _collect_pixel(sums, j, fours, bias, y, to, block, groups):
    """Pixel j of a row of tiles, sums (quartets of o, fours, SIDE, SIDE, LANES), becomes pixel number ``to`` of y."""
    og = y.shape[3] // groups
    first = block * LANES
    lanes, gap = np.uint64(min(LANES, groups - first)), np.uint64(og)
    target = y.reshape(-1)
    for o in range(og):
        s = np.uint64(((o // SIDE * fours * SIDE + j) * SIDE + o % SIDE) * LANES)
        t = np.uint64(to * y.shape[3] + first * og + o)
        if bias.size > 0:
            b = np.uint64(first * og + o)
            for g in range(lanes):
                target[t + g * gap] = sums[s + g] + bias[b + g * gap]
        else:
            for g in range(lanes):
                target[t + g * gap] = sums[s + g]
