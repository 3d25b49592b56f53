"""Convolution without im2col: a few pixels' sums stay in registers from the first product to the last.

Where channels are few, im2col writes and reads each number KH*KW times for too few products, and Winograd's transforms
cost more than they save. The trick (Georganas et al. 2018, arXiv:1808.05567, section II): with channels innermost, what
COUNT neighbouring pixels of a row sum for LANES output channels is a small matrix product, and needs no gathered
matrix. Through kernel row kh, pixel i sees KW*C numbers side by side that begin at i*sw*C, so

    block[i, :] += seen[kh, i*sw*C + k] * w[kh, k, :]      for each kh, each k of these KW*C, and i < COUNT

takes one vector of weights and COUNT numbers for COUNT multiply-add instructions, and the block, (COUNT, LANES), never
leaves the registers (:mod:`.vectors`). ``seen`` is a copy of the few image rows that a task needs, with the zeros
around them: it fits the first-level cache, and spares the loop all questions about edges.

The gradient by the input is the same with turned weights, phase by phase as in :mod:`.conv_gradients`. In the gradient
by the weights the block stands for COUNT weights and LANES output channels, and the loop runs over pixels.
"""

from __future__ import annotations

import numba
import numpy as np

from .conv_gradients import phases
from .jit import helper, inlined, kernel
from .vectors import COUNT, LANES, add_to, multiply_add, prefetch, repeat, store, zeros
from .windows import clear, copy, ints

SEEN_BYTES = 24 * 1024  # of copied rows: weights and results must pass through the first-level cache beside them
SHARES = 16  # of the sum over all pixels
STRIP_PIXELS = 512  # of which one sum is made before it is added to others: long sums in float32 lose digits


def fits(dilation: tuple, groups: int, dtype) -> bool:
    """Whether this convolution can be computed here at all: without dilation or groups, in float32.

    In float64 the block would take twice the registers.
    """
    return (dilation, groups) == ((1, 1), 1) and dtype == np.float32


def pays(kernel_size: tuple, side: int, run: int, width: int) -> bool:
    """Whether this takes less time than im2col, by counting, in units of a multiplication and an addition.

    Blocks cover ``side`` pixels (or weights) side by side and ``width`` channels, and one at an edge costs as much as
    any. im2col first gathers runs of ``run`` numbers for ``width`` products each; a gathered number costs as much as
    some 10 products, and each run as 100 (fitted to times of 28 layers, two threads, AVX-512). A kernel of one pixel
    gathers next to nothing.

    >>> pays((3, 3), 32, 48, 16), pays((3, 3), 8, 192, 64), pays((7, 7), 112, 21, 64)
    (True, False, True)
    """
    blocks = 1.3 * _whole(side, COUNT) * _whole(width, LANES)
    return kernel_size != (1, 1) and blocks < side * (1.3 * width + 10 + 100 / run)


def _whole(size: int, multiple: int) -> int:
    """``size`` rounded up to whole multiples."""
    return -(-size // multiple) * multiple


def _rows(size: int, taps: int, stride: int, row_bytes: int) -> int:
    """How many of ``size`` output rows a task takes: as many as what they see fits in SEEN_BYTES; evened out."""
    rows = max(1, min(size, (SEEN_BYTES // row_bytes - taps) // stride + 1))
    return -(-size // -(-size // rows))


def _slabs(weight):
    """(taps, C, O) -> (slabs, taps * C, LANES), each vector in one line of the cache; zeros where O ends."""
    taps, c, o = weight.shape
    slabs = -(-o // LANES)
    room = np.zeros(slabs * taps * c * LANES + LANES, weight.dtype)
    begin = -room.ctypes.data // room.itemsize % LANES
    filled = room[begin : begin + slabs * taps * c * LANES].reshape(slabs, taps, c, LANES)
    for slab in range(slabs):
        part = weight[..., slab * LANES : (slab + 1) * LANES]
        filled[slab, ..., : part.shape[2]] = part
    return filled.reshape(slabs, taps * c, LANES)


def forward(x, weight, bias, y, stride, padding) -> None:
    """Fill y (N, OH, OW, O) from x (N, H, W, C), weight (O, KH, KW, C) and bias (O,) or nothing."""
    o, kh, kw, c = weight.shape
    slabs = _slabs(weight.reshape(o, kh * kw, c).transpose(1, 2, 0))
    _convolve(x, slabs, _begin(bias, o), y, (kh, kw), stride, padding[::2], y.shape[1:3], (0, 0), (1, 1))


def _begin(bias, o: int):
    """What each sum begins with, (slabs * LANES,)"""
    begin = np.zeros(_whole(o, LANES), np.float32)
    begin[: bias.size] = bias
    return begin


def input_grad(grad, weight, dx, stride, padding) -> bool:
    """Fill dx (N, H, W, C) with the gradient by the input, from grad (N, OH, OW, O).

    Returns False if a weight is not finite: 0 * NaN = NaN, so zeros around the gradient would spread it too far.
    """
    if not np.isfinite(weight).all():
        return False
    c = dx.shape[3]
    taps, pads, sizes, first, order = phases(dx.shape, weight.shape[1:3], stride, padding, (1, 1))
    if not taps.all():
        dx[...] = 0  # no output saw the pixels of some phase
    for phase in range(len(taps)):
        count = taps[phase].prod()
        kh, kw = order[first[phase] : first[phase] + count].T
        if count and sizes[phase].all():
            slabs = _slabs(weight[:, kh, kw].swapaxes(0, 1))  # (taps, O, C)
            origin, geometry = divmod(phase, stride[1]), (ints(a[phase]) for a in (taps, pads, sizes))
            kernel_size, pad, size = geometry
            _convolve(grad, slabs, _begin(np.empty(0), c), dx, kernel_size, (1, 1), pad, size, origin, stride)
    return True


def _convolve(x, slabs, begin, y, kernel_size, stride, before, size, origin, spacing) -> None:
    """y[:, origin[0] + i * spacing[0], origin[1] + j * spacing[1]] = the convolution, for i, j below ``size``."""
    width = (_whole(size[1], COUNT) - 1) * stride[1] + kernel_size[1]  # what whole blocks of a row see
    rows = _rows(size[0], kernel_size[0], stride[0], width * x.shape[3] * x.itemsize)
    _convolve_rows(x, slabs, begin, y, kernel_size, stride, before, size, origin, spacing, rows, width)


@kernel
def _convolve_rows(x, slabs, begin, y, kernel_size, stride, before, size, origin, spacing, rows, width):
    """A task is a few rows of one image; what they see is ``seen`` (rows seen, width, C)."""
    c, (_, oh, ow, o) = x.shape[3], y.shape
    blocks = (size[0] + rows - 1) // rows
    source, weights, target = x.reshape(-1), slabs.reshape(-1), y.reshape(-1)
    steps = stride[1] * c, width * c  # in ``seen``, from pixel to pixel and from row to row
    taps = kernel_size[0], kernel_size[1] * c
    for task in numba.prange(len(x) * blocks):
        n, first = task // blocks, task % blocks * rows
        count = min(rows, size[0] - first)
        seen = np.empty(((count - 1) * stride[0] + kernel_size[0]) * width * c, x.dtype)
        _take_rows(x, n, first * stride[0] - before[0], -before[1], width, seen)
        edge = np.empty(COUNT * LANES, x.dtype)
        next_rows = (n * x.shape[1] + (first + count - 1) * stride[0] - before[0] + kernel_size[0]) * x.shape[2] * c
        for slab in range(len(slabs)):
            lanes, w_at = min(LANES, o - slab * LANES), slab * slabs.shape[1] * LANES
            for row in range(count):
                if slab == 0:
                    _read_ahead(source, next_rows + row * stride[0] * x.shape[2] * c, stride[0] * x.shape[2] * c)
                line = (n * oh + origin[0] + (first + row) * spacing[0]) * ow + origin[1]
                for column in range(0, size[1], COUNT):
                    at = row * stride[0] * steps[1] + column * steps[0]
                    to, step = (line + column * spacing[1]) * o + slab * LANES, spacing[1] * o
                    pixels = min(COUNT, size[1] - column)
                    if pixels == COUNT and lanes == LANES:
                        _pixels(seen, at, steps, taps, weights, w_at, begin, slab * LANES, target, to, step)
                    else:
                        _pixels(seen, at, steps, taps, weights, w_at, begin, slab * LANES, edge, 0, LANES)
                        for i in range(pixels):
                            copy(edge, i * LANES, target, to + i * step, lanes)


@helper
def _pixels(seen, at, steps, taps, weights, w_at, bias, b_at, target, to, step):
    if steps[0] == LANES:
        _pix(seen, at, LANES, steps[1], taps, weights, w_at, bias, b_at, target, to, step)
    elif steps[0] == 2 * LANES:
        _pix(seen, at, 2 * LANES, steps[1], taps, weights, w_at, bias, b_at, target, to, step)
    else:
        _pix(seen, at, steps[0], steps[1], taps, weights, w_at, bias, b_at, target, to, step)


@inlined
def _pix(seen, at, st, gap, taps, weights, w_at, bias, b_at, target, to, step):
    """COUNT pixels and LANES channels of the result, from begin[b_at] on: the loop of the docstring above."""
    block = repeat(bias, b_at)
    kh_size, run = taps
    for kh in range(kh_size):
        begin, fours = at + kh * gap, run // 4 * 4
        for k in range(begin, begin + fours, 4):  # four at a time: the loop's end is predicted more often
            block = multiply_add(block, seen, k, st, weights, w_at)
            block = multiply_add(block, seen, k + 1, st, weights, w_at + LANES)
            block = multiply_add(block, seen, k + 2, st, weights, w_at + 2 * LANES)
            block = multiply_add(block, seen, k + 3, st, weights, w_at + 3 * LANES)
            w_at += 4 * LANES
        for k in range(begin + fours, begin + run):
            block = multiply_add(block, seen, k, st, weights, w_at)
            w_at += LANES
    store(block, target, to, step)


@helper
def _read_ahead(numbers, first, count):
    """Have ``count`` numbers, as far as there are so many, on their way from memory while others are computed with."""
    for at in range(max(0, first), min(first + count, len(numbers)), 16):
        prefetch(numbers, at)


@helper
def _take_rows(x, n, ih, iw, width, seen):
    """seen = as many rows of ``width`` pixels as it holds, from (ih, iw) of image ``n`` on; zeros outside the image."""
    _, h, w, c = x.shape
    pixels = x.reshape(-1)
    left = max(0, min(width, -iw))  # pixels before the image begins, and before it ends
    right = max(left, min(width, w - iw))
    for row in range(len(seen) // (width * c)):
        to = row * width * c
        if 0 <= ih + row < h:
            clear(seen, to, left * c)
            copy(pixels, ((n * h + ih + row) * w + iw + left) * c, seen, to + left * c, (right - left) * c)
            clear(seen, to + right * c, (width - right) * c)
        else:
            clear(seen, to, width * c)


def weight_grad(grad, x, dw, stride, padding) -> None:
    """Fill dw (O, KH, KW, C) from grad (N, OH, OW, O) and x (N, H, W, C)."""
    o, kh, kw, c = dw.shape
    n, oh, ow, _ = grad.shape
    width = (ow - 1) * stride[1] + kw
    rows = min(_rows(oh, kh, stride[0], width * c * x.itemsize), max(1, STRIP_PIXELS // ow))
    run, depth = _whole(kw * c, COUNT), _whole(o, LANES)
    partial = np.zeros((min(SHARES, n * -(-oh // rows)), kh, run, depth), x.dtype)
    _weight_grad(grad, x, partial, kw * c, stride, padding[::2], rows, width)
    total = partial.sum(0)[:, : kw * c, :o]  # over shares, in order
    dw[...] = total.reshape(kh, kw, c, o).transpose(3, 0, 1, 2)


@kernel
def _weight_grad(grad, x, partial, run, stride, before, rows, width):
    """A task is a share of all strips of rows. A strip is summed on its own before its share adds it.

    ``sent`` is the gradient of a strip (pixels, depth); where its channels must be filled up with zeros, a copy.
    """
    (_, oh, ow, o), c = grad.shape, x.shape[3]
    shares, kh_size, whole_run, depth = partial.shape
    source, flat = x.reshape(-1), grad.reshape(-1)
    strips = (oh + rows - 1) // rows  # of an image
    steps = stride[1] * c, stride[0] * width * c  # in ``seen``, from pixel to pixel and from row to row
    for share in numba.prange(shares):
        total = partial[share].reshape(-1)
        seen = np.zeros(((rows - 1) * stride[0] + kh_size) * width * c + COUNT, x.dtype)
        copied = np.zeros(rows * ow * depth if depth > o else 0, x.dtype)
        for strip in range(share * len(x) * strips // shares, (share + 1) * len(x) * strips // shares):
            n, first = strip // strips, strip % strips * rows
            size = min(rows, oh - first), ow
            _take_rows(x, n, first * stride[0] - before[0], -before[1], width, seen[:-COUNT])
            sent, begin = flat, (n * oh + first) * ow * o
            if depth > o:
                for p in range(size[0] * ow):
                    copy(sent, begin + p * o, copied, p * depth, o)
                sent, begin = copied, 0
            next_rows = (n * x.shape[1] + (first + size[0] - 1) * stride[0] - before[0] + kh_size) * x.shape[2] * c
            steps_in_all = kh_size * ((run + COUNT - 1) // COUNT)
            each_x = rows * stride[0] * x.shape[2] * c // steps_in_all
            each_g = rows * ow * o // steps_in_all
            next_g = (n * oh + first + size[0]) * ow * o
            for kh in range(kh_size):
                for k in range(0, run, COUNT):
                    _read_ahead(source, next_rows, each_x)
                    _read_ahead(flat, next_g, each_g)
                    next_rows += each_x
                    next_g += each_g
                    at, to = kh * width * c + k, (kh * whole_run + k) * depth
                    for lane in range(0, depth, LANES):
                        _weights(seen, at, steps, size, sent, begin + lane, total, to + lane, depth)


@helper
def _weights(seen, at, steps, size, sent, sent_at, total, to, depth):
    """COUNT weights and LANES channels of the gradient, summed over ``size`` pixels and added to ``total``."""
    block = zeros()
    for row in range(size[0]):
        k = at + row * steps[1]
        for _ in range(size[1]):
            block = multiply_add(block, seen, k, 1, sent, sent_at)
            k, sent_at = k + steps[0], sent_at + depth
    add_to(block, total, to, depth)
