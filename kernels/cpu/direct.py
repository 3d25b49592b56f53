"""Convolution without im2col: a few pixels' sums stay in registers from the first product to the last.

Where channels are few, im2col writes and reads each number KH*KW times for too few products, and Winograd's transforms
cost more than they save. The trick (Georganas et al. 2018, arXiv:1808.05567, section II): with channels innermost, what
COUNT neighbouring pixels of a row sum for LANES output channels is a small matrix product, and needs no gathered
matrix. Through kernel row kh, pixel i sees KW*C numbers side by side that begin at i*sw*C, so

    block[i, :] += seen[kh, i*sw*C + k] * w[kh, k, :]      for each kh, each k of these KW*C, and i < COUNT

takes one vector of weights and COUNT numbers for COUNT multiply-add instructions, and the block, (COUNT, LANES), never
leaves the registers (:mod:`.vectors`). ``seen`` is a copy of the few image rows that a task needs, with the zeros
around them: it fits the first-level cache, and spares the loop all questions about edges. The loops stand in
:mod:`.direct_rows`.

The gradient by the input is the same with turned weights, phase by phase as in :mod:`.conv_gradients`. In the gradient
by the weights the block stands for COUNT weights and LANES output channels, and the loop runs over pixels.
"""

from __future__ import annotations

import numpy as np

from .conv_gradients import phases
from .direct_rows import convolve, products
from .vectors import COUNT, LANES
from .windows import ints

SEEN_BYTES = 24 * 1024  # of copied rows: weights and results must pass through the first-level cache beside them
SHARES = 16  # of the sum over all pixels
STRIP_PIXELS = 512  # of which one sum is made before it is added to others: long sums in float32 lose digits


def fits(dilation: tuple, groups: int, dtype) -> bool:
    """Whether this convolution can be computed here at all: without dilation or groups, in float32.

    In float64 the block would take twice the registers.
    """
    return (dilation, groups) == ((1, 1), 1) and dtype == np.float32


def pays(kernel_size: tuple, side: int, c: int, width: int) -> bool:
    """Whether this takes less time than im2col, by counting, in units of a multiplication and an addition.

    Blocks cover ``side`` pixels (or weights) side by side and ``width`` channels, and one at an edge costs as much as
    any. im2col gathers runs of KW*C numbers for ``width`` products each; a gathered number costs as much as some 10
    products, and a run as 100 (fitted to times of 28 layers, two threads, AVX-512). A kernel of one pixel gathers next
    to nothing, and of more than 64 channels too few rows fit the cache.

    >>> pays((3, 3), 32, 16, 16), pays((3, 3), 8, 64, 64), pays((7, 7), 112, 3, 64)
    (True, False, True)
    """
    blocks = 1.2 * _whole(side, COUNT) * _whole(width, LANES)
    return kernel_size != (1, 1) and c <= 64 and blocks < side * (1.3 * width + 10 + 100 / (kernel_size[1] * c))


def narrow(c: int, o: int) -> bool:
    """Whether this is to be preferred to Winograd's algorithm where both pay off.

    At 32 channels such a layer takes as long both ways; but in a network, where memory is not in the cache, Winograd's
    36 matrices take longer (measured: a step of plain-20 130 ms against 133), and here no digit is lost.
    """
    return max(c, o) <= 32


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
    convolve(x, slabs, begin, y, kernel_size, stride, before, size, origin, spacing, rows, width)


def weight_grad(grad, x, dw, stride, padding) -> None:
    """Fill dw (O, KH, KW, C) from grad (N, OH, OW, O) and x (N, H, W, C)."""
    o, kh, kw, c = dw.shape
    n, oh, ow, _ = grad.shape
    width = (ow - 1) * stride[1] + kw
    rows = min(_rows(oh, kh, stride[0], width * c * x.itemsize), max(1, STRIP_PIXELS // ow))
    run, depth = _whole(kw * c, COUNT), _whole(o, LANES)
    partial = np.zeros((min(SHARES, n * -(-oh // rows)), kh, run, depth), x.dtype)
    products(grad, x, partial, kw * c, stride, padding[::2], rows, width)
    total = partial.sum(0)[:, : kw * c, :o]  # over shares, in order
    dw[...] = total.reshape(kh, kw, c, o).transpose(3, 0, 1, 2)
