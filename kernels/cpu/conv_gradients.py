"""The two gradients of a convolution that is not depthwise, as blocks of gathering and BLAS, like the forward.

By the input: with stride 1, dx is a convolution of the output's gradient with the kernel turned by 180 degrees. With a
stride, pixels (ih, iw) of the same (ih mod sh, iw mod sw), a *phase*, were seen through the same few offsets, and each
phase is such a stride-1 convolution with those offsets only. So no multiplication with zeros is done, and no pixel
is added to by two tasks.

By the weight: a sum over all output pixels. Their rows are cut into shares by shape alone; each share sums into a
partial of its own, and the partials are added in order.
"""

from __future__ import annotations

from math import gcd

import numba
import numpy as np

from .blas import multiply, rows_at_once
from .jit import kernel
from .windows import copy, gather, rows_per_block, seen_by, splits, take_columns

PARTIAL_BYTES = 16 * 1024 * 1024  # all partial weight gradients together


def _axis_phases(size, taps_in_all, stride, before, dilation):
    """For one axis, each phase as (taps, pad, size): the kernel rows, ordered by the output rows that saw through them.

    Pixel i*stride + phase was seen through tap k by output row i + (phase + before - k*dilation) / stride.
    """
    phases = []
    for phase in range(stride):
        taps = [k for k in reversed(range(taps_in_all)) if (phase + before - k * dilation) % stride == 0]
        pad = -((phase + before - taps[0] * dilation) // stride) if taps else 0
        phases.append((taps, pad, max(0, -(-(size - phase) // stride))))
    return phases


def _phases(dx_shape, kernel_size, stride, padding, dilation):
    """The table that the kernel reads, one row per phase, and the order in which it wants the weights' offsets."""
    table, order = [], []
    _, h, w, _ = dx_shape
    across = _axis_phases(w, kernel_size[1], stride[1], padding[2], dilation[1])
    for ph, (taps_h, top, rows) in enumerate(_axis_phases(h, kernel_size[0], stride[0], padding[0], dilation[0])):
        for pw, (taps_w, left, columns) in enumerate(across):
            table.append((ph, pw, len(taps_h), len(taps_w), top, left, rows, columns, len(order)))
            order += [(kh, kw) for kh in taps_h for kw in taps_w]
    return np.array(table, np.int64), np.array(order, np.int64)


def input_grad(grad, weight, dx, stride, padding, dilation, groups):
    """Fill dx (N, H, W, C)."""
    n, h, w, c = dx.shape
    o, kh, kw, cg = weight.shape
    og = o // groups
    table, order = _phases(dx.shape, (kh, kw), stride, padding, dilation)
    total = n * int(table[0, 6] * table[0, 7])  # phase (0, 0) has the most pixels
    rows = rows_per_block(total, -(-len(order) // len(table)) * og * grad.itemsize, at_least=128)
    pieces = splits(cg, -(-total // rows) * groups * len(table), at_least=64)
    turned = np.empty((groups * pieces, len(order), og, cg // pieces), weight.dtype)
    finite = np.empty(o, weight.dtype)
    _turn_weights(weight, turned, finite, order, groups, pieces)
    if not np.isfinite(finite).all():  # 0 * NaN = NaN: zeros gathered around the gradient would spread them too far
        _input_grad_one_by_one(grad, weight, dx, stride, padding, dilation, groups)
        return
    spacing = (dilation[0] // gcd(stride[0], dilation[0]), dilation[1] // gcd(stride[1], dilation[1]))
    pointwise = (kh, kw) == (1, 1) and stride == (1, 1) and padding == (0, 0, 0, 0) and groups == 1
    _input_grad(grad, turned, dx, rows, pieces, pointwise, table, stride, spacing)


@kernel
def _turn_weights(weight, turned, finite, order, groups, pieces):
    """(O, KH, KW, C/G) -> (parts, offsets, O/G, C/G/pieces), offsets in ``order``; finite[o] is 0, or NaN."""
    o_size, _, _, cg = weight.shape
    og, width = o_size // groups, cg // pieces
    for o in numba.prange(o_size):
        group, row = o // og, o % og
        check = weight.dtype.type(0)
        for tap in range(len(order)):
            kh, kw = order[tap, 0], order[tap, 1]
            for piece in range(pieces):
                to = ((group * pieces + piece) * len(order) + tap) * og + row
                copy(weight[o, kh, kw], piece * width, turned.reshape(-1), to * width, width)
            for c in range(cg):
                check += weight[o, kh, kw, c] * weight.dtype.type(0)
        finite[o] = check


@kernel
def _input_grad(grad, turned, dx, rows, pieces, pointwise, table, stride, spacing):
    """A task is a block of pixels of one phase and one piece of the channels. Phases alternate: they differ in work."""
    n_size, h, w, c = dx.shape
    parts, _, og, width = turned.shape
    phases = len(table)
    blocks = (n_size * table[0, 6] * table[0, 7] + rows - 1) // rows
    grad_rows = grad.reshape(grad.shape[0] * grad.shape[1] * grad.shape[2], grad.shape[3])  # (N*OH*OW, O)
    dx_rows, dx_flat = dx.reshape(n_size * h * w, c), dx.reshape(-1)
    for task in numba.prange(blocks * parts * phases):
        block, part, phase = task // (parts * phases), task // phases % parts, task % phases
        ph, pw, taps_h, taps_w = table[phase, 0], table[phase, 1], table[phase, 2], table[phase, 3]
        top, left, row_size, column_size = table[phase, 4], table[phase, 5], table[phase, 6], table[phase, 7]
        offset = table[phase, 8]
        first = block * rows
        count = min(rows, n_size * row_size * column_size - first)
        taps = taps_h * taps_w
        if count > 0:
            if pointwise:
                columns = grad_rows[first : first + count]  # (count, O)
            else:
                columns = np.empty((count, taps * og), grad.dtype)
                channel, size, pad = part // pieces * og, (row_size, column_size), (top, 0, left, 0)
                gather(grad, first, count, channel, og, (taps_h, taps_w), (1, 1), pad, spacing, size, columns)
            if parts == 1 and phases == 1:
                product = dx_rows[first : first + count]  # (count, C): straight into the result
            else:
                product = np.empty((count, width), grad.dtype)
            if taps > 0:
                multiply(columns, turned[part, offset : offset + taps].reshape(taps * og, width), product)
            else:
                product[:, :] = 0  # no output saw these pixels
            if parts > 1 or phases > 1:
                product_flat = product.reshape(-1)
                for t in range(count):
                    n, pixel = (first + t) // (row_size * column_size), (first + t) % (row_size * column_size)
                    ih = ph + pixel // column_size * stride[0]
                    iw = pw + pixel % column_size * stride[1]
                    copy(product_flat, t * width, dx_flat, ((n * h + ih) * w + iw) * c + part * width, width)


@kernel
def _input_grad_one_by_one(grad, weight, dx, stride, padding, dilation, groups):
    """The definition, for weights that hold NaN or infinity: only what was really multiplied may meet them."""
    n_size, h, w, c = dx.shape
    _, oh_size, ow_size, o_size = grad.shape
    _, kh_size, kw_size, cg = weight.shape
    og = o_size // groups
    for row in numba.prange(n_size * h):
        n, ih = row // h, row % h
        dx[n, ih] = 0
        for iw in range(w):
            for kh in range(kh_size):
                oh = seen_by(ih, kh, stride[0], padding[0], dilation[0], oh_size)
                for kw in range(kw_size):
                    ow = seen_by(iw, kw, stride[1], padding[2], dilation[1], ow_size)
                    if oh >= 0 and ow >= 0:
                        for o in range(o_size):
                            for j in range(cg):
                                dx[n, ih, iw, o // og * cg + j] += weight[o, kh, kw, j] * grad[n, oh, ow, o]


def weight_grad(grad, x, dw, stride, padding, dilation, groups):
    """Fill dw (O, KH, KW, C/G)."""
    o, kh, kw, cg = dw.shape
    total, patch = grad.size // o, kh * kw * cg
    shares = max(1, min(16, PARTIAL_BYTES // dw.nbytes, total // 512))
    pieces = splits(o // groups, shares * groups, at_least=64)
    rows = rows_per_block(-(-total // shares), patch * x.itemsize, at_least=256)
    few = rows_at_once(patch, o // (groups * pieces))
    if few >= 48:  # with fewer, adding up the products would cost more than it saves
        rows = min(rows, few)
    pointwise = (kh, kw) == (1, 1) and grad.shape[1:3] == x.shape[1:3] and padding == (0, 0, 0, 0) and groups == 1
    partial = np.empty((shares, o, patch), dw.dtype)
    _weight_grad(grad, x, partial, rows, pieces, pointwise, (kh, kw), stride, padding, dilation, groups)
    add_partials(partial.reshape(shares, dw.size), dw.reshape(-1))


@kernel
def _weight_grad(grad, x, partial, rows, pieces, pointwise, kernel_size, stride, padding, dilation, groups):
    """A task is a share of the output pixels and one piece of the output channels."""
    n_size, oh, ow, o = grad.shape
    shares, _, patch = partial.shape
    cg, parts, total = x.shape[3] // groups, groups * pieces, n_size * oh * ow
    width = o // parts
    x_rows = x.reshape(x.shape[0] * x.shape[1] * x.shape[2], x.shape[3])  # (N*H*W, C)
    grad_rows = grad.reshape(total, o)  # (N*OH*OW, O)
    for task in numba.prange(shares * parts):
        share, part = task // parts, task % parts
        begin, end = share * total // shares, (share + 1) * total // shares
        own = partial[share, part * width : (part + 1) * width]  # (width, KH*KW*C/G)
        product = np.empty((width, patch), x.dtype)
        for first in range(begin, end, rows):
            count = min(rows, end - first)
            if pointwise:
                columns = x_rows[first : first + count]  # (count, C)
            else:
                columns = np.empty((count, patch), x.dtype)
                channel = part // pieces * cg
                gather(x, first, count, channel, cg, kernel_size, stride, padding, dilation, (oh, ow), columns)
            if parts == 1:
                rows_of_grad = grad_rows[first : first + count]  # (count, O)
            else:
                rows_of_grad = np.empty((count, width), x.dtype)
                take_columns(grad_rows, first, part * width, rows_of_grad)
            if first == begin:
                np.dot(rows_of_grad.T, columns, own)
            else:
                np.dot(rows_of_grad.T, columns, product)
                for i in range(width):
                    for j in range(patch):
                        own[i, j] += product[i, j]


@kernel
def add_partials(partial, total):
    """total = partial[0] + partial[1] + ..., in this order: (P, size) -> (size,)"""
    for i in numba.prange(len(total)):
        value = partial[0, i]
        for share in range(1, len(partial)):
            value += partial[share, i]
        total[i] = value
