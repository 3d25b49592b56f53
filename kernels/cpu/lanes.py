"""The loops of :mod:`.grouped`: pixels become lines of LANES groups, lines are multiplied, and lines become pixels.

All arrays of lines are walked flat with unsigned indices and a constant number of lanes; otherwise Numba and LLVM do
not vectorise (see :func:`.windows.copy`).
"""

from __future__ import annotations

import numba
import numpy as np

from .jit import helper, inlined, kernel

LANES = 32  # groups side by side: two vectors of AVX-512 in float32, four of AVX2
FOUR, TWO = 4, 2  # a product at once: four lines by two, summed over four


@kernel
def convolve(x, packed, bias, y, rows, kernel_size, stride, before, dilation, groups, step, corner, size):
    """y[n, i*step + corner] = the convolution of x at output pixel i, for all i within ``size``.

    A task is ``rows`` output rows of one image, in one block of lanes.
    """
    n_size, _, _, c = x.shape
    blocks, pairs, taps = packed.shape[:3]
    cg, og = c // groups, y.shape[3] // groups
    deep = (cg + FOUR - 1) // FOUR * FOUR
    (kh, kw), (count, wide) = kernel_size, size
    quartets = (wide + FOUR - 1) // FOUR
    seen_rows = (rows - 1) * stride[0] + (kh - 1) * dilation[0] + 1
    seen_columns = (quartets * FOUR - 1) * stride[1] + (kw - 1) * dilation[1] + 1
    per_image = (count + rows - 1) // rows
    for task in numba.prange(n_size * per_image * blocks):
        block, n, begin = task % blocks, task // blocks // per_image, task // blocks % per_image * rows
        lines = np.empty(seen_rows * seen_columns * deep * LANES, x.dtype)
        sums = np.empty(pairs * FOUR * TWO * LANES, x.dtype)
        weights = packed[block].reshape(-1)
        end = min(begin + rows, count)
        for r in range((end - begin - 1) * stride[0] + (kh - 1) * dilation[0] + 1):
            ih = begin * stride[0] - before[0] + r
            spread_row(x, n, ih, -before[1], seen_columns, block, groups, deep, lines, r * seen_columns * deep * LANES)
        for i in range(begin, end):
            for four in range(quartets):
                at = ((i - begin) * stride[0] * seen_columns + four * FOUR * stride[1]) * deep * LANES
                for pair in range(pairs):
                    _clear_tile(sums, pair * FOUR * TWO * LANES)
                    w = pair * taps * FOUR * TWO * LANES
                    for a in range(kh):
                        for b in range(kw):
                            tap = at + (a * dilation[0] * seen_columns + b * dilation[1]) * deep * LANES
                            for _ in range(deep // FOUR):
                                multiply_add(
                                    sums, pair * FOUR * TWO * LANES, weights, w, TWO * LANES,
                                    lines, tap, tap + LANES, tap + 2 * LANES, tap + 3 * LANES, stride[1] * deep * LANES,
                                )  # fmt: skip
                                tap += FOUR * LANES
                                w += FOUR * TWO * LANES
                for p in range(min(FOUR, wide - four * FOUR)):
                    row, column = i * step[0] + corner[0], (four * FOUR + p) * step[1] + corner[1]
                    _collect_pixel(sums, p, bias, y, ((n * y.shape[1] + row) * y.shape[2] + column) * y.shape[3], block, groups, og)


@kernel
def weight_products(grad, x, partial, rows, kernel_size, stride, before, dilation, groups):
    """partial[share]: the sum, over the share's pixels, of a line of grad times a line of x, for all pairs of lines."""
    n_size, oh, ow, o = grad.shape
    shares, blocks, taps, pairs = partial.shape[:4]
    cg = x.shape[3] // groups
    deep, out_deep = (cg + FOUR - 1) // FOUR * FOUR, pairs * TWO
    kh, kw = kernel_size
    quartets = (ow + FOUR - 1) // FOUR
    seen_rows = (rows - 1) * stride[0] + (kh - 1) * dilation[0] + 1
    seen_columns = (ow - 1) * stride[1] + (kw - 1) * dilation[1] + 1
    per_image = (oh + rows - 1) // rows
    total, pixel = n_size * per_image, stride[1] * deep * LANES
    for task in numba.prange(shares * blocks):
        share, block = task // blocks, task % blocks
        sums = partial[share, block].reshape(-1)
        sums[:] = 0
        lines = np.empty(seen_rows * seen_columns * deep * LANES + FOUR * LANES, x.dtype)
        nothing = seen_rows * seen_columns * deep * LANES  # a line of zeros
        lines[nothing:] = 0
        grads = np.empty(quartets * FOUR * out_deep * LANES, x.dtype)
        for part in range(share * total // shares, (share + 1) * total // shares):
            n, begin = part // per_image, part % per_image * rows
            end = min(begin + rows, oh)
            for r in range((end - begin - 1) * stride[0] + (kh - 1) * dilation[0] + 1):
                ih = begin * stride[0] - before[0] + r
                spread_row(x, n, ih, -before[1], seen_columns, block, groups, deep, lines, r * seen_columns * deep * LANES)
            for i in range(begin, end):
                spread_row(grad, n, i, 0, quartets * FOUR, block, groups, out_deep, grads, 0)
                to = 0
                for a in range(kh):
                    for b in range(kw):
                        tap = (((i - begin) * stride[0] + a * dilation[0]) * seen_columns + b * dilation[1]) * deep * LANES
                        for j in range(0, deep, FOUR):
                            for pair in range(pairs):
                                left, right = pair * TWO * LANES, tap + j * LANES
                                for _ in range(ow // FOUR):
                                    multiply_add(
                                        sums, to, grads, left, out_deep * LANES,
                                        lines, right, right + pixel, right + 2 * pixel, right + 3 * pixel, LANES,
                                    )  # fmt: skip
                                    left += FOUR * out_deep * LANES
                                    right += FOUR * pixel
                                if ow % FOUR > 0:
                                    multiply_add(
                                        sums, to, grads, left, out_deep * LANES,
                                        lines, right, right + pixel if ow % FOUR > 1 else nothing,
                                        right + 2 * pixel if ow % FOUR > 2 else nothing, nothing, LANES,
                                    )  # fmt: skip
                                to += FOUR * TWO * LANES


@inlined
def multiply_add(sums, to, left, at_left, next_left, right, right_0, right_1, right_2, right_3, across):
    """sums[p, q] += sum over u < 4 of  left[u, q] * right[u, p],  p < 4, q < 2, each a line of LANES numbers.

    sums lies as (4, 2, LANES); left[u, q] begins at at_left + u*next_left + q*LANES, right[u, p] at right_u +
    p*across. Each line that is loaded is used two or four times: as many products as loads.
    """
    s, one, step = np.uint64(to), np.uint64(LANES), np.uint64(across)
    l0, l1 = np.uint64(at_left), np.uint64(at_left + next_left)
    l2, l3 = np.uint64(at_left + 2 * next_left), np.uint64(at_left + 3 * next_left)
    r00, r10, r20, r30 = np.uint64(right_0), np.uint64(right_1), np.uint64(right_2), np.uint64(right_3)
    r01, r11, r21, r31 = r00 + step, r10 + step, r20 + step, r30 + step
    r02, r12, r22, r32 = r01 + step, r11 + step, r21 + step, r31 + step
    r03, r13, r23, r33 = r02 + step, r12 + step, r22 + step, r32 + step
    s01 = s + one
    s10 = s01 + one
    s11 = s10 + one
    s20 = s11 + one
    s21 = s20 + one
    s30 = s21 + one
    s31 = s30 + one
    m0, m1, m2, m3 = l0 + one, l1 + one, l2 + one, l3 + one
    for i in range(one):
        a0, a1, a2, a3 = left[l0 + i], left[l1 + i], left[l2 + i], left[l3 + i]
        b0, b1, b2, b3 = left[m0 + i], left[m1 + i], left[m2 + i], left[m3 + i]
        x0, x1, x2, x3 = right[r00 + i], right[r10 + i], right[r20 + i], right[r30 + i]
        sums[s + i] += a0 * x0 + a1 * x1 + a2 * x2 + a3 * x3
        sums[s01 + i] += b0 * x0 + b1 * x1 + b2 * x2 + b3 * x3
        x0, x1, x2, x3 = right[r01 + i], right[r11 + i], right[r21 + i], right[r31 + i]
        sums[s10 + i] += a0 * x0 + a1 * x1 + a2 * x2 + a3 * x3
        sums[s11 + i] += b0 * x0 + b1 * x1 + b2 * x2 + b3 * x3
        x0, x1, x2, x3 = right[r02 + i], right[r12 + i], right[r22 + i], right[r32 + i]
        sums[s20 + i] += a0 * x0 + a1 * x1 + a2 * x2 + a3 * x3
        sums[s21 + i] += b0 * x0 + b1 * x1 + b2 * x2 + b3 * x3
        x0, x1, x2, x3 = right[r03 + i], right[r13 + i], right[r23 + i], right[r33 + i]
        sums[s30 + i] += a0 * x0 + a1 * x1 + a2 * x2 + a3 * x3
        sums[s31 + i] += b0 * x0 + b1 * x1 + b2 * x2 + b3 * x3


@inlined
def _clear_tile(sums, to):
    for i in range(FOUR * TWO * LANES):
        sums[np.uint64(to) + np.uint64(i)] = 0


@helper
def spread_row(x, n, ih, left, columns, block, groups, deep, lines, to):
    """lines (columns, deep, LANES) from ``to`` on: x[n, ih, left:left + columns], groups innermost; 0 outside."""
    _, h, w, c = x.shape
    cg = c // groups
    first = block * LANES
    used = min(LANES, groups - first)
    full = used == LANES and cg == deep
    source = x.reshape(-1)
    pixel = deep * LANES
    for column in range(columns):
        iw = left + column
        inside = 0 <= ih < h and 0 <= iw < w
        if not inside or not full:
            for i in range(np.uint64(pixel)):
                lines[np.uint64(to) + i] = 0
        if inside:
            at = ((n * h + ih) * w + iw) * c + first * cg
            if full and cg == FOUR:
                for g in range(np.uint64(LANES)):
                    s, t = np.uint64(at) + np.uint64(4) * g, np.uint64(to) + g
                    lines[t] = source[s]
                    lines[t + np.uint64(LANES)] = source[s + np.uint64(1)]
                    lines[t + np.uint64(2 * LANES)] = source[s + np.uint64(2)]
                    lines[t + np.uint64(3 * LANES)] = source[s + np.uint64(3)]
            else:
                for j in range(cg):
                    for g in range(np.uint64(used)):
                        lines[np.uint64(to + j * LANES) + g] = source[np.uint64(at + j) + g * np.uint64(cg)]
        to += pixel


@helper
def _collect_pixel(sums, p, bias, y, to, block, groups, og):
    """y[to + g*O/G + o] = sums[o // 2, p, o % 2, g], plus bias"""
    first = block * LANES
    used = min(LANES, groups - first)
    target = y.reshape(-1)
    for o in range(og):
        s = np.uint64(((o // TWO * FOUR + p) * TWO + o % TWO) * LANES)
        t = np.uint64(to + first * og + o)
        for g in range(np.uint64(used)):
            target[t + g * np.uint64(og)] = sums[s + g]
        if bias.size > 0:
            for g in range(used):
                target[to + (first + g) * og + o] += bias[(first + g) * og + o]
