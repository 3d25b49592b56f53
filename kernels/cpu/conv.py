"""2-d convolution and its two gradients, by blocks of im2col and BLAS, and by what :func:`_choose` finds faster.

Plain multiplies once per kernel offset and walks over the whole output each time. Here a task takes a block of output
pixels, gathers what they see into a workspace of its own, (rows, KH*KW*C), and multiplies it with the whole weight
matrix while it is still in cache (Chellapilla et al. 2006, cut into blocks). A 1x1 convolution needs no gathering: the
pixels *are* the rows. Depthwise convolutions have too little to multiply for BLAS; see :mod:`.depthwise`.

Shapes: x (N, H, W, C), weight (O, KH, KW, C/G), bias (O,) or empty, y (N, OH, OW, O).
"""

from __future__ import annotations

import numba
import numpy as np

from . import depthwise, direct, grouped, winograd
from .blas import multiply, rows_at_once
from .conv_gradients import input_grad, weight_grad
from .jit import helper, kernel
from .windows import gather, ints, output_size, place_columns, rows_per_block, splits


def conv2d(x, weight, bias, stride, padding, dilation, groups, algorithm="auto"):
    """y[n, oh, ow, o] = bias[o] + sum over kh, kw, c of  w[o, kh, kw, c] * x[n, ih, iw, c]

    where  ih = oh*sh + kh*dh - top,  iw = ow*sw + kw*dw - left
    """
    stride, padding, dilation = map(ints, (stride, padding, dilation))
    n, h, w, c = x.shape
    o, *kernel_size, cg = weight.shape
    _check(c, cg, o, groups)
    if bias.size not in (0, o):
        raise ValueError(f"conv2d: {o} output channels need {o} biases, got {bias.size}")
    out_size = output_size((h, w), kernel_size, stride, padding, dilation)
    y = np.empty((n, *out_size, o), x.dtype)
    if cg == 1 and groups > 1:
        depthwise.forward(x, weight, bias, y, stride, padding, dilation)
        return y
    if algorithm != "im2col" and grouped.pays(groups, cg, o // groups):
        grouped.forward(x, weight, bias, y, stride, padding, dilation, groups)
        return y
    geometry, sides = (kernel_size, stride, padding, dilation, groups), (out_size[1], c, o)
    way = _choose(algorithm, geometry, x.dtype, (n, out_size, c, o), sides)
    if way == "winograd" and winograd.forward(x, weight, bias, y, padding):
        return y
    if way == "direct":
        direct.forward(x, weight, bias, y, stride, padding)
        return y
    total, patch = n * out_size[0] * out_size[1], kernel_size[0] * kernel_size[1] * cg
    pointwise = out_size == (h, w) and kernel_size == [1, 1] and padding == (0, 0, 0, 0) and groups == 1
    thick = 192 if pointwise or total > 4096 else 128  # rows, as BLAS likes them; fewer where there would be few tasks
    rows = rows_per_block(total, 0 if pointwise else patch * x.itemsize, at_least=thick)
    pieces = splits(o // groups, -(-total // rows) * groups, at_least=64)
    parts = groups * pieces
    turned = np.empty((0, 0, 0), x.dtype)
    if rows_at_once(patch, o // parts):  # narrow: BLAS will not pack, and reads (KH*KW*C, O) faster than (O, KH*KW*C)
        turned = np.ascontiguousarray(weight.reshape(parts, o // parts, patch).swapaxes(1, 2))
    kernel_size = ints(kernel_size)
    _conv2d(x, weight, turned, bias, y, rows, pieces, pointwise, kernel_size, stride, padding, dilation, groups)
    return y


def _choose(algorithm: str, geometry: tuple, dtype, layer: tuple, sides: tuple) -> str:
    """ "winograd", "direct" or "im2col": what was asked for, if it can do this; else what promises to be fastest.

    ``layer`` is (N, (OH, OW), C, O), which :func:`.winograd.pays` counts with; ``sides`` are the pixels (or weights)
    side by side, the channels that are read, and those that are written, for :func:`.direct.pays`.
    """
    kernel_size, _, _, dilation, groups = geometry
    if layer[0] == 0 or min(sides) == 0:
        return "im2col"
    can = {"winograd": winograd.fits(*geometry, dtype), "direct": direct.fits(dilation, groups, dtype), "im2col": True}
    if algorithm != "auto":
        return algorithm if can[algorithm] else "im2col"
    directly = can["direct"] and direct.pays(tuple(kernel_size), *sides)
    if can["winograd"] and winograd.pays(*layer) and not (directly and direct.narrow(*sides[1:])):
        return "winograd"
    return "direct" if directly else "im2col"


def _check(c: int, cg: int, o: int, groups: int) -> None:
    """Compiled code does not look before it reads, so a wrong shape has to stop here."""
    if c != cg * groups or o % groups:
        raise ValueError(f"conv2d: {groups} groups cannot join {c} channels and weights for {cg} into {o} outputs")


def _check_grad(name, grad, n, input_size, filters, stride, padding, dilation) -> None:
    """The gradient has the shape of what ``filters`` = (O, KH, KW) make of ``n`` images."""
    o, *kernel_size = filters
    expected = (n, *output_size(input_size, kernel_size, stride, padding, dilation), o)
    if grad.shape != expected:
        raise ValueError(f"{name}: the gradient should be {expected} channels-last, it is {grad.shape}")


@kernel
def _conv2d(x, weight, turned, bias, y, rows, pieces, pointwise, kernel_size, stride, padding, dilation, groups):
    """A task is a block of output pixels and one piece of the output channels: one group, or a part of it."""
    n, oh, ow, o = y.shape
    cg = weight.shape[3]
    total, patch, parts = n * oh * ow, kernel_size[0] * kernel_size[1] * cg, groups * pieces
    x_rows = x.reshape(x.shape[0] * x.shape[1] * x.shape[2], x.shape[3])  # (N*H*W, C)
    y_rows = y.reshape(total, o)  # (N*OH*OW, O)
    weight_rows = weight.reshape(o, patch)  # (O, KH*KW*C/G)
    width = o // parts
    for task in numba.prange((total + rows - 1) // rows * parts):
        block, part = task // parts, task % parts
        first = block * rows
        count = min(rows, total - first)
        if pointwise:
            columns = x_rows[first : first + count]  # (count, C)
        else:
            columns = np.empty((count, patch), x.dtype)
            group = part // pieces
            gather(x, first, count, group * cg, cg, kernel_size, stride, padding, dilation, (oh, ow), columns)
        if parts == 1:
            product = y_rows[first : first + count]  # (count, O): straight into the result
        else:
            product = np.empty((count, width), x.dtype)
        if turned.size > 0:
            multiply(columns, turned[part], product)
        else:
            np.dot(columns, weight_rows[part * width : (part + 1) * width].T, product)
        if bias.size > 0:
            add_bias(product, bias[part * width : (part + 1) * width])
        if parts > 1:
            place_columns(product, y_rows, first, part * width)


@helper
def add_bias(product, bias):
    """product (rows, O) += bias (O,)"""
    for t in range(product.shape[0]):
        for j in range(product.shape[1]):
            product[t, j] += bias[j]


def conv2d_input_grad(grad, weight, input_size, stride, padding, dilation, groups, algorithm="auto"):
    """dx[n, ih, iw, c] = sum over o, kh, kw of  w[o, kh, kw, c] * grad[n, oh, ow, o]

    where  ih = oh*sh + kh*dh - top,  iw = ow*sw + kw*dw - left
    """
    stride, padding, dilation = map(ints, (stride, padding, dilation))
    n, cg = len(grad), weight.shape[3]
    _check(cg * groups, cg, weight.shape[0], groups)
    input_size = ints(input_size)
    _check_grad("conv2d_input_grad", grad, n, input_size, weight.shape[:3], stride, padding, dilation)
    dx = np.empty((n, *input_size, cg * groups), grad.dtype)
    if cg == 1 and groups > 1:
        depthwise.input_grad(grad, weight, dx, stride, padding, dilation)
        return dx
    by_lanes = algorithm != "im2col" and grouped.pays(groups, cg, len(weight) // groups)
    if by_lanes and grouped.input_grad(grad, weight, dx, stride, padding, dilation, groups):
        return dx
    o, *kernel_size, _ = weight.shape
    geometry = kernel_size, stride, padding, dilation, groups
    sides = -(-input_size[1] // stride[1]), o, cg  # pixels of one phase, see :mod:`.conv_gradients`
    way = _choose(algorithm, geometry, grad.dtype, (n, input_size, o, cg), sides)
    if way == "winograd" and winograd.input_grad(grad, weight, dx, padding):
        return dx
    if way == "direct" and direct.input_grad(grad, weight, dx, stride, padding):
        return dx
    input_grad(grad, weight, dx, stride, padding, dilation, groups)
    return dx


def conv2d_weight_grad(grad, x, kernel_size, stride, padding, dilation, groups, algorithm="auto"):
    """dw[o, kh, kw, c] = sum over n, oh, ow of  grad[n, oh, ow, o] * x[n, ih, iw, c]

    where  ih = oh*sh + kh*dh - top,  iw = ow*sw + kw*dw - left
    """
    kernel_size, stride, padding, dilation = map(ints, (kernel_size, stride, padding, dilation))
    o, c = grad.shape[3], x.shape[3]
    _check(c, c // groups, o, groups)
    _check_grad("conv2d_weight_grad", grad, len(x), x.shape[1:3], (o, *kernel_size), stride, padding, dilation)
    dw = np.empty((o, *kernel_size, c // groups), x.dtype)
    geometry = kernel_size, stride, padding, dilation, groups
    if grad.size == 0:
        dw[...] = 0
    elif c == groups and groups > 1:
        depthwise.weight_grad(grad, x, dw, stride, padding, dilation)
    elif algorithm != "im2col" and grouped.pays(groups, c // groups, o // groups):
        grouped.weight_grad(grad, x, dw, stride, padding, dilation, groups)
    else:
        layer, sides = (len(x), grad.shape[1:3], c, o), (kernel_size[1] * c, c, o)
        way = _choose(algorithm, geometry, x.dtype, layer, sides)
        if way == "direct":
            direct.weight_grad(grad, x, dw, stride, padding)
        elif way == "im2col" or not winograd.weight_grad(grad, x, dw, padding):
            weight_grad(grad, x, dw, stride, padding, dilation, groups)
    return dw
