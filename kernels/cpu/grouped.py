"""Convolution in many groups of few channels (ResNeXt, Xie et al. 2017, section 3.1), with a group in every lane.

The trick. With 32 groups of 4 channels, each group is a convolution of its own, and so small that calling BLAS for it
costs more than what it multiplies. But all groups do the same. So let them do it side by side: a pixel's channels are
turned from (group, channel within) to (channel within, group), and now one vector instruction multiplies channel j of
*all* groups with the weights from j to o of all groups. Every number of a small matrix product has become a *line* of
LANES numbers, one a group:

    Y[pixel, o][lane] = sum over kh, kw, j of  W[kh, kw, j, o][lane] * X[pixel + (kh, kw), j][lane]

No zeros are multiplied and nothing is summed across lanes. (A depthwise convolution is the case of one j and one o.)
A task turns a few image rows into lines in a workspace, multiplies, and turns the result back. The gradient by the
input is such a convolution of the output's gradient, one for each phase of the stride (see :mod:`.conv_gradients`);
the gradient by the weights multiplies lines of both and sums over the pixels. Lines come in twos and fours
(:func:`.lanes.multiply_add`); what is missing to that, and to LANES, is filled with zeros.
"""

from __future__ import annotations

from math import gcd

import numpy as np

from .conv_gradients import add_partials, phases
from .lanes import convolve, weight_products
from .tile import LANES, SIDE

ROW_BYTES = 512 * 1024  # the lines of one task: a small second-level cache
TASKS = 16


def pays(groups: int, cg: int, og: int) -> bool:
    """Whether lanes are faster than a BLAS call a group: many groups, each small.

    Measured with 32 groups, two threads, AVX-512.

    >>> pays(32, 4, 4), pays(32, 32, 32), pays(3, 80, 20)
    (True, False, False)
    """
    used = groups / (LANES * _blocks(groups))
    return used >= 0.75 and 2 <= cg <= 16 and og <= 16


def _blocks(groups: int) -> int:
    return -(-groups // LANES)


def _quartets(size: int) -> int:
    return -(-size // SIDE)


def _packed(weight, kh: int):
    """(G, O/G, KH*KW, C/G) -> (blocks of lanes, quartets of o, KH, KW*C/G, SIDE, LANES), zeros where there is none."""
    groups, og, taps, cg = weight.shape
    blocks, quartets = _blocks(groups), _quartets(og)
    filled = np.zeros((blocks * LANES, quartets * SIDE, taps, cg), weight.dtype)
    filled[:groups, :og] = weight
    lines = filled.reshape(blocks, LANES, quartets, SIDE, kh, taps // kh * cg)
    return np.ascontiguousarray(lines.transpose(0, 2, 4, 5, 3, 1))


def _rows_per_task(n: int, rows: int, row_bytes: int) -> int:
    """How many of an image's output rows a task takes; ``row_bytes`` is what one of them needs as lines."""
    wanted = -(-TASKS // max(n, 1))  # tasks from each image
    fitting = max(1, min(ROW_BYTES // max(row_bytes, 1), -(-rows // wanted)))
    return -(-rows // -(-rows // fitting))


def forward(x, weight, bias, y, stride, padding, dilation, groups) -> None:
    """Fill y (N, OH, OW, O) from x (N, H, W, C), weight (O, KH, KW, C/G) and bias (O,) or nothing."""
    o, kh, kw, cg = weight.shape
    packed = _packed(weight.reshape(groups, o // groups, kh * kw, cg), kh)
    whole = (1, 1), (0, 0), y.shape[1:3]
    _convolve(x, packed, bias, y, (kh, kw), stride, (padding[0], padding[2]), dilation, groups, whole)


def _convolve(x, packed, bias, y, kernel_size, stride, before, dilation, groups, part) -> None:
    """Those pixels of y that ``part`` = (step, first, size) says."""
    step, first, size = part
    n, _, w, c = x.shape
    if n * size[0] * size[1] == 0:
        return
    row_bytes = stride[0] * w * LANES * (c // groups) * x.itemsize
    rows = _rows_per_task(n, size[0], row_bytes)
    convolve(x, packed, bias, y, rows, kernel_size, stride, before, dilation, groups, step, first, size)


def input_grad(grad, weight, dx, stride, padding, dilation, groups) -> bool:
    """Fill dx (N, H, W, C). False, and nothing done, if a weight is not finite: zeros would spread it too far."""
    if not np.isfinite(weight).all():
        return False
    o, kh, kw, cg = weight.shape
    og = o // groups
    taps, pads, sizes, first_offset, order = phases(dx.shape, (kh, kw), stride, padding, dilation)
    spacing = (dilation[0] // gcd(stride[0], dilation[0]), dilation[1] // gcd(stride[1], dilation[1]))
    turned = weight.reshape(groups, og, kh, kw, cg)[:, :, order[:, 0], order[:, 1]]  # (G, O/G, offsets, C/G)
    turned = turned.transpose(0, 3, 2, 1)  # (G, C/G, offsets, O/G)
    none = np.empty(0, dx.dtype)
    for phase, begin in enumerate(first_offset):
        corner = (phase // stride[1], phase % stride[1])
        size, kernel_size, before = (tuple(int(v) for v in a[phase]) for a in (sizes, taps, pads))
        count = kernel_size[0] * kernel_size[1]
        if count == 0:
            dx[:, corner[0] :: stride[0], corner[1] :: stride[1]] = 0  # no output saw these pixels
            continue
        packed = _packed(turned[:, :, begin : begin + count], kernel_size[0])
        _convolve(grad, packed, none, dx, kernel_size, (1, 1), before, spacing, groups, (stride, corner, size))
    return True


def weight_grad(grad, x, dw, stride, padding, dilation, groups) -> None:
    """Fill dw (O, KH, KW, C/G) from grad (N, OH, OW, O) and x (N, H, W, C)."""
    o, kh, kw, cg = dw.shape
    n, oh, _, _ = grad.shape
    og, blocks = o // groups, _blocks(groups)
    row_bytes = stride[0] * x.shape[2] * LANES * cg * x.itemsize
    rows = _rows_per_task(n, oh, row_bytes)
    shares = min(TASKS, n * -(-oh // rows))
    partial = np.empty((shares, blocks, kh * kw, _quartets(cg), _quartets(og), SIDE, SIDE, LANES), dw.dtype)
    weight_products(grad, x, partial, rows, (kh, kw), stride, (padding[0], padding[2]), dilation, groups)
    total = np.empty(partial.shape[1:], dw.dtype)
    add_partials(partial.reshape(shares, total.size), total.reshape(-1))
    filled = total.transpose(0, 6, 3, 5, 1, 2, 4)  # (blocks, LANES, quartets of o, SIDE, taps, quartets of j, SIDE)
    filled = filled.reshape(blocks * LANES, _quartets(og) * SIDE, kh * kw, _quartets(cg) * SIDE)
    dw[...] = filled[:groups, :og, :, :cg].reshape(dw.shape)
