"""2-d convolution and its two gradients: im2col, then one large product by cuBLAS (Chellapilla et al. 2006).

The columns are KH*KW times as large as the image, so they are made for a few images at a time. A 1x1 convolution needs
none: the pixels *are* the rows. Groups become a batch of products. Depthwise convolutions have too little to multiply
for cuBLAS; see :mod:`.depthwise`.

Shapes: x (N, H, W, C), weight (O, KH, KW, C/G), bias (O,) or empty, y (N, OH, OW, O).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from . import backend, depthwise
from .im2col import columns_of, images_of
from .launcher import Kernel
from .window import Window, ints

COLUMN_BYTES = 256 * 1024 * 1024  # at most so much for the columns at a time, but at least one image's
MOST_ROWS = 2**31 - 1  # of a product: cuBLAS counts with ints

ADD_BIAS = Kernel("conv.cu", "add_bias<T>", "T* y, const T* bias, long long size, int channels")


def conv2d(x, weight, bias, stride, padding, dilation, groups, algorithm="auto"):
    """y[n, oh, ow, o] = bias[o] + sum over kh, kw, c of  w[o, kh, kw, c] * x[n, ih, iw, c]

    where  ih = oh*sh + kh*dh - top,  iw = ow*sw + kw*dw - left
    """
    o, kh, kw, cg = weight.shape
    _check(x.shape[3], cg, o, groups)
    if bias.size not in (0, o):
        raise ValueError(f"conv2d: {o} output channels need {o} biases, got {bias.size}")
    window = Window.over(x.shape, (kh, kw), stride, padding, dilation)
    y = backend.module_of(x).empty((window.n, *window.out, o), x.dtype)
    if cg == 1 and groups > 1:
        depthwise.forward(x, weight, y, window)
    else:
        _products(x, weight, y, window, groups)
    if bias.size:
        ADD_BIAS((y, bias, y.size, o), threads=y.size)
    return y


def _products(x, weight, y, window: Window, groups: int) -> None:
    """y = columns @ weight^T, for each group and as many images at a time as the columns' memory allows."""
    xp = backend.module_of(x)
    o = len(weight)
    weight = weight.reshape(groups, o // groups, -1).swapaxes(1, 2)  # (G, KH*KW*C/G, O/G), a view
    for images, part in _parts(window, groups, x.dtype.itemsize):
        columns = _columns(x[images], part, groups)  # (G, rows, KH*KW*C/G)
        if groups == 1:
            xp.matmul(columns[0], weight[0], out=y[images].reshape(-1, o))
        else:
            product = xp.matmul(columns, weight)  # (G, rows, O/G)
            y[images].reshape(-1, groups, o // groups)[...] = product.transpose(1, 0, 2)


def conv2d_input_grad(grad, weight, input_size, stride, padding, dilation, groups, algorithm="auto"):
    """dx[n, ih, iw, c] = sum over o, kh, kw of  w[o, kh, kw, c] * grad[n, oh, ow, o]

    where  ih = oh*sh + kh*dh - top,  iw = ow*sw + kw*dw - left
    """
    xp = backend.module_of(grad)
    o, kh, kw, cg = weight.shape
    _check(cg * groups, cg, o, groups)
    shape = (len(grad), *ints(input_size), cg * groups)  # (N, H, W, C)
    window = Window.over(shape, (kh, kw), stride, padding, dilation)
    _check_grad("conv2d_input_grad", grad, window, o)
    dx = xp.empty(shape, grad.dtype)
    if cg == 1 and groups > 1:
        depthwise.input_grad(grad, weight, dx, window)
        return dx
    weight = weight.reshape(groups, o // groups, -1)  # (G, O/G, KH*KW*C/G)
    for images, part in _parts(window, groups, grad.dtype.itemsize):
        rows = _grouped(grad[images], groups)  # (G, rows, O/G)
        if _pointwise(window, groups):
            xp.matmul(rows[0], weight[0], out=dx[images].reshape(-1, cg))
        else:
            images_of(_product(xp, rows, weight), dx[images], part, groups)
    return dx


def conv2d_weight_grad(grad, x, kernel_size, stride, padding, dilation, groups, algorithm="auto"):
    """dw[o, kh, kw, c] = sum over n, oh, ow of  grad[n, oh, ow, o] * x[n, ih, iw, c]

    where  ih = oh*sh + kh*dh - top,  iw = ow*sw + kw*dw - left
    """
    xp = backend.module_of(grad)
    o, c = grad.shape[3], x.shape[3]
    _check(c, c // groups, o, groups)
    window = Window.over(x.shape, kernel_size, stride, padding, dilation)
    _check_grad("conv2d_weight_grad", grad, window, o)
    if c == groups and groups > 1:
        return depthwise.weight_grad(grad, x, window)
    dw = xp.zeros((groups, o // groups, window.taps * (c // groups)), x.dtype)
    for images, part in _parts(window, groups, x.dtype.itemsize):
        rows = _grouped(grad[images], groups).swapaxes(1, 2)  # (G, O/G, rows)
        dw += _product(xp, rows, _columns(x[images], part, groups))
    return dw.reshape(o, *window.kernel_size, c // groups)


def _check(c: int, cg: int, o: int, groups: int) -> None:
    """Kernels do not look before they read, so a wrong shape has to stop here."""
    if c != cg * groups or o % groups:
        raise ValueError(f"conv2d: {groups} groups cannot join {c} channels and weights for {cg} into {o} outputs")


def _check_grad(name: str, grad, window: Window, o: int) -> None:
    """The gradient has the shape of the output."""
    expected = (window.n, *window.out, o)
    if grad.shape != expected:
        raise ValueError(f"{name}: the gradient should be {expected} channels-last, it is {grad.shape}")


def _pointwise(window: Window, groups: int) -> bool:
    """Whether the pixels are the rows, so that no columns are needed."""
    return window.sees_one_pixel and groups == 1


def _parts(window: Window, groups: int, itemsize: int) -> Iterator[tuple[slice, Window]]:
    """The batch in runs of images whose columns fit ``COLUMN_BYTES``, each as a slice and the windows over it."""
    rows = window.out[0] * window.out[1]
    at_once = MOST_ROWS // rows
    if not _pointwise(window, groups):
        at_once = min(at_once, COLUMN_BYTES // max(1, rows * window.taps * window.c * itemsize))
    at_once = max(1, at_once)
    for first in range(0, window.n, at_once):
        last = min(first + at_once, window.n)
        yield slice(first, last), replace(window, n=last - first)


def _columns(x, window: Window, groups: int):
    """(G, N*OH*OW, KH*KW*C/G)"""
    if _pointwise(window, groups):
        return x.reshape(1, -1, window.c)
    return columns_of(x, window, groups)


def _grouped(rows, groups: int):
    """(N, OH, OW, O) -> (G, N*OH*OW, O/G), a view."""
    o = rows.shape[3]
    return rows.reshape(-1, groups, o // groups).transpose(1, 0, 2)


def _product(xp, a, b):
    """a @ b for each group: one product as matrices, because CuPy copies a transposed batch together first."""
    return xp.matmul(a[0], b[0])[None] if len(a) == 1 else xp.matmul(a, b)
