"""The index arithmetic of convolution and pooling, and the rules by which work is cut into tasks.

As in the plain room, output pixel (oh, ow) sees, through kernel offset (kh, kw), the pixel (oh*sh + kh*dh - top,
ow*sw + kw*dw - left). Gradients ask the other way round: which output saw this pixel through that offset?
"""

from __future__ import annotations

import numpy as np

from .jit import helper, inlined

BLOCK_BYTES = 512 * 1024  # a task's gathered matrix: half of a small second-level cache, as BLAS packs a copy beside it
WANTED_TASKS = 16  # enough for the cores of a laptop; more only shrinks the matrices


def ints(values) -> tuple[int, ...]:
    """A tuple of Python ints: one type for the compiler, whatever the caller had."""
    return tuple(map(int, values))


def output_size(size: tuple, kernel_size: tuple, stride: tuple, padding: tuple, dilation: tuple) -> tuple[int, int]:
    """(OH, OW) = floor((H + padding - dilation (K - 1) - 1) / stride) + 1."""
    rows = size[0] + padding[0] + padding[1] - dilation[0] * (kernel_size[0] - 1) - 1
    columns = size[1] + padding[2] + padding[3] - dilation[1] * (kernel_size[1] - 1) - 1
    return rows // stride[0] + 1, columns // stride[1] + 1


def rows_per_block(total: int, row_bytes: int, at_least: int = 1) -> int:
    """How many of ``total`` rows one task takes: what fits BLOCK_BYTES, evened out, but not fewer than ``at_least``."""
    if total == 0:
        return 1
    rows = max(at_least, min(BLOCK_BYTES // max(row_bytes, 1), -(-total // WANTED_TASKS)), 1)
    return -(-total // -(-total // rows))  # as many blocks, of equal size


def splits(width: int, tasks: int, at_least: int) -> int:
    """Into how many equal parts to cut ``width`` columns when the rows alone give only ``tasks`` tasks.

    >>> splits(512, tasks=2, at_least=64)  # 2 blocks of rows * 4 pieces of 128 columns = 8 tasks
    4
    >>> splits(512, tasks=8, at_least=64)  # enough tasks already
    1
    >>> splits(96, tasks=1, at_least=64)  # halves of 48 would be too thin
    1
    """
    best = 1
    while tasks * best < WANTED_TASKS // 2 and width % (2 * best) == 0 and width // (2 * best) >= at_least:
        best *= 2
    return best


@helper
def seen_by(i, k, stride, before, dilation, size):
    """The output row (or column) that saw input row ``i`` through kernel row ``k``; -1 if none did."""
    shifted = i + before - k * dilation
    if shifted < 0 or shifted % stride != 0:
        return -1
    o = shifted // stride
    return o if o < size else -1


@helper
def gather(x, first, count, channel, width, kernel_size, stride, padding, dilation, out_size, columns):
    """im2col of ``count`` output pixels and ``width`` channels from the given first ones: (count, KH*KW*width).

    Channels lie side by side, and so do neighbouring pixels: without dilation, what a window sees of one image row is
    one run of KW*C numbers.
    """
    _, h, w, c = x.shape
    kh_size, kw_size = kernel_size
    oh_size, ow_size = out_size
    run = kw_size * width
    one_run = width == c and dilation[1] == 1
    x, columns = x.reshape(-1), columns.reshape(-1)
    n, pixel = first // (oh_size * ow_size), first % (oh_size * ow_size)
    oh, ow = pixel // ow_size, pixel % ow_size
    to = 0
    for _ in range(count):
        left = ow * stride[1] - padding[2]
        for kh in range(kh_size):
            ih = oh * stride[0] + kh * dilation[0] - padding[0]
            row = (n * h + ih) * w  # number of the pixel (n, ih, 0)
            if ih < 0 or ih >= h:
                clear(columns, to, run)
            elif one_run and left >= 0 and left + kw_size <= w:
                copy(x, (row + left) * c, columns, to, run)
            else:  # tap by tap: at the image's edge, with dilation, or for one group of the channels
                for kw in range(kw_size):
                    iw = left + kw * dilation[1]
                    if iw < 0 or iw >= w:
                        clear(columns, to + kw * width, width)
                    else:
                        copy(x, (row + iw) * c + channel, columns, to + kw * width, width)
            to += run
        ow += 1
        if ow == ow_size:
            ow, oh = 0, oh + 1
            if oh == oh_size:
                oh, n = 0, n + 1


@inlined
def copy(source, start, target, to, count):
    """target[to : to + count] = source[start : start + count], both flat.

    Unsigned indices, because Numba must ask of a signed one whether it is negative, and then the loop does not
    vectorise (measured: 10 against 50 GB/s). Views would do too, but making them costs more than copying 48 numbers.
    """
    unsigned_start, unsigned_to = np.uint64(start), np.uint64(to)
    for i in range(np.uint64(count)):
        target[unsigned_to + i] = source[unsigned_start + i]


@inlined
def clear(target, to, count):
    """target[to : to + count] = 0"""
    unsigned_to = np.uint64(to)
    for i in range(np.uint64(count)):
        target[unsigned_to + i] = 0


@helper
def take_columns(matrix, first_row, first_column, block):
    """block = the part of ``matrix`` that begins there, made contiguous"""
    width, flat, target = matrix.shape[1], matrix.reshape(-1), block.reshape(-1)
    rows, columns = block.shape
    for r in range(rows):
        copy(flat, (first_row + r) * width + first_column, target, r * columns, columns)


@helper
def place_columns(block, matrix, first_row, first_column):
    """The part of ``matrix`` that begins there = block"""
    width, source, flat = matrix.shape[1], block.reshape(-1), matrix.reshape(-1)
    rows, columns = block.shape
    for r in range(rows):
        copy(source, r * columns, flat, (first_row + r) * width + first_column, columns)
