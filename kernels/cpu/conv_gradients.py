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
from .jit import helper, kernel
from .windows import copy, gather, rows_per_block, seen_by, splits, take_columns

PARTIAL_BYTES = 16 * 1024 * 1024  # all partial weight gradients together


def _axis_phases(size, taps_in_all, stride, before, dilation):
    """For one axis, each phase as (taps, pad, size): the kernel rows, ordered by the output rows that saw through them.

    Pixel i*stride + phase was seen through tap k by output i + (phase + before - k*dilation) / stride, where that is
    whole. With kernel 3, stride 2 and padding 1, output o sees the pixels 2o-1, 2o, 2o+1 through its taps 0, 1, 2:

    * an even pixel 2i was seen through tap 1 alone, by output i;
    * an odd pixel 2i+1 through tap 2, by output i, and through tap 0, by output i+1.

    So dx of the even pixels is a convolution of the gradient with the kernel [tap 1], dx of the odd ones with [tap 2,
    tap 0]. ``pad`` is how far to the left of output i it begins; ``size`` is the number of such pixels, here of 7:

    >>> _axis_phases(7, 3, stride=2, before=1, dilation=1)
    [([1], 0, 4), ([2, 0], 0, 3)]
    """
    phases = []
    for phase in range(stride):
        taps = [k for k in reversed(range(taps_in_all)) if (phase + before - k * dilation) % stride == 0]
        pad = -((phase + before - taps[0] * dilation) // stride) if taps else 0
        phases.append((taps, pad, max(0, -(-(size - phase) // stride))))
    return phases


def phases(dx_shape, kernel_size, stride, padding, dilation):
    """All P = sh*sw phases of the image; phase p holds the pixels that are (p // sw, p % sw) modulo the stride.

    Returns their kernel sizes (P, 2), pads (P, 2), numbers of rows and columns (P, 2), and the kernel's offsets (kh,
    kw) in the order in which they want the weights, phase p from ``first_offset[p]`` on.
    """
    _, h, w, _ = dx_shape
    taps, pads, sizes, first_offset, order = [], [], [], [], []
    across = _axis_phases(w, kernel_size[1], stride[1], padding[2], dilation[1])
    for taps_h, top, rows in _axis_phases(h, kernel_size[0], stride[0], padding[0], dilation[0]):
        for taps_w, left, columns in across:
            taps.append((len(taps_h), len(taps_w)))
            pads.append((top, left))
            sizes.append((rows, columns))
            first_offset.append(len(order))
            order += [(kh, kw) for kh in taps_h for kw in taps_w]
    return tuple(np.array(a, np.int64) for a in (taps, pads, sizes, first_offset, order))


def input_grad(grad, weight, dx, stride, padding, dilation, groups):
    """Fill dx (N, H, W, C)."""
    n, h, w, c = dx.shape
    o, kh, kw, cg = weight.shape
    og = o // groups
    taps, pads, sizes, first_offset, order = phases(dx.shape, (kh, kw), stride, padding, dilation)
    total = n * int(sizes[0, 0] * sizes[0, 1])  # phase (0, 0) has the most pixels
    pointwise = (kh, kw) == (1, 1) and stride == (1, 1) and padding == (0, 0, 0, 0) and groups == 1
    row_bytes = -(-len(order) // len(taps)) * og * grad.itemsize
    rows = rows_per_block(total, 0 if pointwise else row_bytes, at_least=256)
    pieces = splits(cg, -(-total // rows) * groups * len(taps), at_least=64)
    turned = np.empty((groups * pieces, len(order), og, cg // pieces), weight.dtype)
    finite = np.empty(o, weight.dtype)
    _turn_weights(weight, turned, finite, order, groups, pieces)
    if not np.isfinite(finite).all():  # 0 * NaN = NaN: zeros gathered around the gradient would spread them too far
        _input_grad_one_by_one(grad, weight, dx, stride, padding, dilation, groups)
        return
    spacing = (dilation[0] // gcd(stride[0], dilation[0]), dilation[1] // gcd(stride[1], dilation[1]))
    _input_grad(grad, turned, dx, rows, pieces, pointwise, taps, pads, sizes, first_offset, stride, spacing)


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
def _input_grad(grad, turned, dx, rows, pieces, pointwise, taps, pads, sizes, first_offset, stride, spacing):
    """A task is a block of pixels of one phase and one piece of the channels. Phases alternate: they differ in work."""
    n_size, h, w, c = dx.shape
    parts, _, og, width = turned.shape
    phases = len(taps)
    blocks = (n_size * sizes[0, 0] * sizes[0, 1] + rows - 1) // rows
    grad_rows = grad.reshape(grad.shape[0] * grad.shape[1] * grad.shape[2], grad.shape[3])  # (N*OH*OW, O)
    dx_rows = dx.reshape(n_size * h * w, c)  # (N*H*W, C)
    for task in numba.prange(blocks * parts * phases):
        block, part, phase = task // (parts * phases), task // phases % parts, task % phases
        size = (sizes[phase, 0], sizes[phase, 1])
        first = block * rows
        count = min(rows, n_size * size[0] * size[1] - first)
        offsets = taps[phase, 0] * taps[phase, 1]
        if count > 0:
            if pointwise:
                columns = grad_rows[first : first + count]  # (count, O)
            else:
                columns = np.empty((count, offsets * og), grad.dtype)
                kernel_size, pad = (taps[phase, 0], taps[phase, 1]), (pads[phase, 0], 0, pads[phase, 1], 0)
                gather(grad, first, count, part // pieces * og, og, kernel_size, (1, 1), pad, spacing, size, columns)
            if parts == 1 and phases == 1:
                product = dx_rows[first : first + count]  # (count, C): straight into the result
            else:
                product = np.empty((count, width), grad.dtype)
            if offsets > 0:
                begin = first_offset[phase]
                multiply(columns, turned[part, begin : begin + offsets].reshape(offsets * og, width), product)
            else:
                product[:, :] = 0  # no output saw these pixels
            if parts > 1 or phases > 1:
                _place_phase(product, first, size, phase, stride, dx, part * width)


@helper
def _place_phase(product, first, size, phase, stride, dx, channel):
    """Row t of ``product`` belongs to pixel first + t of its phase: dx[n, i*sh + ph, j*sw + pw, channel:] = the row."""
    _, h, w, c = dx.shape
    count, width = product.shape
    rows, columns = size
    ph, pw = phase // stride[1], phase % stride[1]
    source, target = product.reshape(-1), dx.reshape(-1)
    for t in range(count):
        n, pixel = (first + t) // (rows * columns), (first + t) % (rows * columns)
        ih, iw = pixel // columns * stride[0] + ph, pixel % columns * stride[1] + pw
        copy(source, t * width, target, ((n * h + ih) * w + iw) * c + channel, width)


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
    pointwise = (kh, kw) == (1, 1) and grad.shape[1:3] == x.shape[1:3] and padding == (0, 0, 0, 0) and groups == 1
    share = -(-total // shares)
    rows = share if pointwise else rows_per_block(share, patch * x.itemsize, at_least=256)
    few = rows_at_once(patch, o // (groups * pieces))
    if few >= 48:  # with fewer, adding up the products would cost more than it saves
        rows = min(rows, few)
    partial = dw.reshape(1, o, patch) if shares == 1 else np.empty((shares, o, patch), dw.dtype)
    _weight_grad(grad, x, partial, rows, pieces, pointwise, (kh, kw), stride, padding, dilation, groups)
    if shares > 1:
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
        product = np.empty((width if end - begin > rows else 0, patch), x.dtype)  # for the second block and further
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
