"""2-d convolution and its two gradients, by blocks of im2col and BLAS; 3x3 ones in float32 by Winograd's algorithm.

Plain multiplies once per kernel offset and walks over the whole output each time. Here a task takes a block of output
pixels, gathers what they see into a workspace of its own, (rows, KH*KW*C), and multiplies it with the whole weight
matrix while it is still in cache (Chellapilla et al. 2006, cut into blocks). A 1x1 convolution needs no gathering: the
pixels *are* the rows. Depthwise convolutions have too little to multiply for BLAS; see :mod:`.depthwise`.

Shapes: x (N, H, W, C), weight (O, KH, KW, C/G), bias (O,) or empty, y (N, OH, OW, O).
"""

from __future__ import annotations

import numba
import numpy as np

from . import depthwise, direct, winograd
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
    geometry = kernel_size, stride, padding, dilation, groups
    if _by_winograd(algorithm, geometry, x.dtype, n, out_size, c, o) and winograd.forward(x, weight, bias, y, padding):
        return y
    if _directly(algorithm, geometry, x.dtype, y.size) and (algorithm == "direct" or direct.pays(out_size, kernel_size, c, o)):
        direct.forward(x, weight, bias, y, stride, padding)
        return y
    total, patch = n * out_size[0] * out_size[1], kernel_size[0] * kernel_size[1] * cg
    rows = rows_per_block(total, patch * x.itemsize, at_least=128)
    pieces = splits(o // groups, -(-total // rows) * groups, at_least=64)
    pointwise = out_size == (h, w) and kernel_size == [1, 1] and padding == (0, 0, 0, 0) and groups == 1
    parts = groups * pieces
    turned = np.empty((0, 0, 0), x.dtype)
    if rows_at_once(patch, o // parts):  # narrow: BLAS will not pack, and reads (KH*KW*C, O) faster than (O, KH*KW*C)
        turned = np.ascontiguousarray(weight.reshape(parts, o // parts, patch).swapaxes(1, 2))
    kernel_size = ints(kernel_size)
    _conv2d(x, weight, turned, bias, y, rows, pieces, pointwise, kernel_size, stride, padding, dilation, groups)
    return y


def _by_winograd(algorithm: str, geometry: tuple, dtype, n: int, out_size: tuple, c: int, o: int) -> bool:
    """Whether to try :mod:`.winograd`: if it can do this, and it was asked for or promises to be faster."""
    if algorithm in ("im2col", "direct") or n == 0 or not winograd.fits(*geometry, dtype):
        return False
    return algorithm == "winograd" or winograd.pays(n, out_size, c, o)


def _directly(algorithm: str, geometry: tuple, dtype, size: int) -> bool:
    """Whether :mod:`.direct` can do this, and was not excluded."""
    return algorithm in ("auto", "direct") and size > 0 and direct.fits(*geometry[3:], dtype)


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
    geometry = weight.shape[1:3], stride, padding, dilation, groups
    if _by_winograd(algorithm, geometry, grad.dtype, n, input_size, len(weight), cg) and winograd.input_grad(
        grad, weight, dx, padding
    ):
        return dx
    if (_directly(algorithm, geometry, grad.dtype, dx.size * grad.size) and (algorithm == "direct" or direct.pays_input_grad(input_size, stride, weight.shape[1:3], len(weight), cg))) and direct.input_grad(grad, weight, dx, stride, padding):
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
    winograd_too = _by_winograd(algorithm, geometry, x.dtype, len(x), grad.shape[1:3], c, o)
    if grad.size == 0:
        dw[...] = 0
    elif c == groups and groups > 1:
        depthwise.weight_grad(grad, x, dw, stride, padding, dilation)
    elif _directly(algorithm, geometry, x.dtype, x.size) and not winograd_too and (algorithm == "direct" or direct.pays_weight_grad(kernel_size, c, o)):
        direct.weight_grad(grad, x, dw, stride, padding)
    elif not (
        _by_winograd(algorithm, geometry, x.dtype, len(x), grad.shape[1:3], c, o)
        and winograd.weight_grad(grad, x, dw, padding)
    ):
        weight_grad(grad, x, dw, stride, padding, dilation, groups)
    return dw
