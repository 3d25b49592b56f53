"""Depthwise convolution: no products that cuBLAS would be good for, so the kernels sum directly. See depthwise.cu.

M is the channel multiplier: output channel c*M + m belongs to input channel c. Weights are turned to (KH*KW, O), so
that for one offset they lie side by side, as the pixels' channels do.
"""

from __future__ import annotations

from . import backend
from .launcher import Kernel
from .window import WINDOW, Window

SHARES = 64  # at most so many blocks share the rows that one weight's gradient sums over
ROWS_PER_SHARE = 32  # and each gets at least so many rows: 4 for each of its 8 lanes

FORWARD = Kernel(
    "depthwise.cu",
    "depthwise_forward<T>",
    f"const T* x, const T* weight, T* y, long long size, int per_image, {WINDOW}, int multiplier",
)
INPUT_GRAD = Kernel(
    "depthwise.cu",
    "depthwise_input_grad<T>",
    f"const T* grad, const T* weight, T* dx, long long size, int per_image, {WINDOW}, int multiplier",
)
WEIGHT_GRAD = Kernel(
    "depthwise.cu",
    "depthwise_weight_grad<T>",
    f"const T* grad, const T* x, double* partial, long long rows, {WINDOW}, int multiplier",
)
ADD_PARTIALS = Kernel(
    "depthwise.cu", "depthwise_add_partials<T>", "const double* partial, T* dw, long long size, int shares"
)


def _taps_first(weight):
    """(O, KH, KW, 1) -> (KH*KW, O)"""
    return backend.module_of(weight).ascontiguousarray(weight.reshape(len(weight), -1).T)


def forward(x, weight, y, window: Window) -> None:
    """Fill y (N, OH, OW, O)."""
    o = len(weight)
    per_image = window.out[0] * window.out[1] * o
    sizes = y.size, per_image, *window.numbers(), o // window.c
    FORWARD((x, _taps_first(weight), y, *sizes), threads=y.size)


def input_grad(grad, weight, dx, window: Window) -> None:
    """Fill dx (N, H, W, C)."""
    per_image = window.h * window.w * window.c
    sizes = dx.size, per_image, *window.numbers(), len(weight) // window.c
    INPUT_GRAD((grad, _taps_first(weight), dx, *sizes), threads=dx.size)


def weight_grad(grad, x, window: Window):
    """dw (O, KH, KW, 1). The rows are shared out by shape alone, so results do not depend on the GPU."""
    xp = backend.module_of(grad)
    o, taps, rows = grad.shape[3], window.taps, window.n * window.out[0]
    shares = max(1, min(SHARES, rows // ROWS_PER_SHARE))
    partial = xp.empty((shares, taps, o), "float64")
    sizes = rows, *window.numbers(), o // window.c
    WEIGHT_GRAD((grad, x, partial, *sizes), blocks=(-(-o // 32), taps, shares), block=(32, 8))
    dw = xp.empty((taps, o), x.dtype)
    ADD_PARTIALS((partial, dw, dw.size, shares), threads=dw.size)
    return xp.ascontiguousarray(dw.T).reshape(o, *window.kernel_size, 1)
