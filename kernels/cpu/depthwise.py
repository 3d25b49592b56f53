"""Depthwise convolution (MobileNet, Howard et al. 2017, section 3.1): each channel has its own few filters, so there is
nothing for BLAS to multiply. The loops run over the channels, which lie side by side, and vectorise there.

M is the channel multiplier: output channel c*M + m belongs to input channel c. Weights are turned to (KH, KW, M, C)
so that for one offset they lie side by side as well. Padding is multiplied too (0 * NaN = NaN, as in plain).
"""

from __future__ import annotations

import numba
import numpy as np

from .conv_gradients import add_partials
from .jit import helper, kernel
from .windows import seen_by


def _channels_innermost(weight, channels):
    """(O, KH, KW, 1) -> (KH, KW, M, C)"""
    o, kh, kw, _ = weight.shape
    return np.ascontiguousarray(weight.reshape(channels, o // channels, kh, kw).transpose(2, 3, 1, 0))


def forward(x, weight, bias, y, stride, padding, dilation):
    """Fill y (N, OH, OW, O)."""
    bias = bias if bias.size else np.zeros(len(weight), x.dtype)
    _depthwise(x, _channels_innermost(weight, x.shape[3]), bias, y, stride, padding, dilation)


@kernel
def _depthwise(x, weight, bias, y, stride, padding, dilation):
    n_size, h, w, c_size = x.shape
    _, oh_size, ow_size, o_size = y.shape
    kh_size, kw_size, m_size, _ = weight.shape
    three_by_three = kh_size == 3 and kw_size == 3 and m_size == 1
    for row in numba.prange(n_size * oh_size):
        n, oh = row // oh_size, row % oh_size
        total = np.empty((m_size, c_size), x.dtype)
        top = oh * stride[0] - padding[0]
        rows_inside = three_by_three and top >= 0 and top + 2 * dilation[0] < h
        for ow in range(ow_size):
            left = ow * stride[1] - padding[2]
            if rows_inside and left >= 0 and left + 2 * dilation[1] < w:
                _nine_taps(x, n, top, left, dilation, weight, bias, y, oh, ow)
                continue
            for m in range(m_size):
                for c in range(c_size):
                    total[m, c] = bias[c * m_size + m]
            for kh in range(kh_size):
                for kw in range(kw_size):
                    _add_one(x, n, top + kh * dilation[0], left + kw * dilation[1], weight, kh, kw, total)
            for m in range(m_size):
                for c in range(c_size):
                    y[n, oh, ow, c * m_size + m] = total[m, c]


@helper
def _add_one(x, n, ih, iw, weight, kh, kw, total):
    """total[m, c] += weight[kh, kw, m, c] * x[n, ih, iw, c], where x is 0 outside."""
    inside = 0 <= ih < x.shape[1] and 0 <= iw < x.shape[2]
    for m in range(total.shape[0]):
        if inside:
            for c in range(total.shape[1]):
                total[m, c] += weight[kh, kw, m, c] * x[n, ih, iw, c]
        else:
            for c in range(total.shape[1]):
                total[m, c] += weight[kh, kw, m, c] * x.dtype.type(0)


@helper
def _nine_taps(x, n, top, left, dilation, weight, bias, y, oh, ow):
    """A whole 3x3 window inside the image: the sum stays in a register, where tap by tap it is stored nine times."""
    dh, dw = dilation
    for c in range(x.shape[3]):
        y[n, oh, ow, c] = (
            bias[c]
            + weight[0, 0, 0, c] * x[n, top, left, c]
            + weight[0, 1, 0, c] * x[n, top, left + dw, c]
            + weight[0, 2, 0, c] * x[n, top, left + 2 * dw, c]
            + weight[1, 0, 0, c] * x[n, top + dh, left, c]
            + weight[1, 1, 0, c] * x[n, top + dh, left + dw, c]
            + weight[1, 2, 0, c] * x[n, top + dh, left + 2 * dw, c]
            + weight[2, 0, 0, c] * x[n, top + 2 * dh, left, c]
            + weight[2, 1, 0, c] * x[n, top + 2 * dh, left + dw, c]
            + weight[2, 2, 0, c] * x[n, top + 2 * dh, left + 2 * dw, c]
        )


def input_grad(grad, weight, dx, stride, padding, dilation):
    """Fill dx (N, H, W, C): with stride 1 a convolution with the turned kernel, else each pixel gathers what saw it."""
    o, kh, kw, _ = weight.shape
    c = dx.shape[3]
    turned = _channels_innermost(weight, c)
    if stride == (1, 1) and o == c and np.isfinite(weight).all():  # else zeros around the gradient would spread NaNs
        turned = np.ascontiguousarray(turned[::-1, ::-1])
        before = (dilation[0] * (kh - 1) - padding[0], 0, dilation[1] * (kw - 1) - padding[2], 0)
        _depthwise(grad, turned, np.zeros(c, grad.dtype), dx, stride, before, dilation)
    else:
        _depthwise_input_grad(grad, turned, dx, stride, padding, dilation)


@kernel
def _depthwise_input_grad(grad, weight, dx, stride, padding, dilation):
    n_size, h, w, c_size = dx.shape
    _, oh_size, ow_size, _ = grad.shape
    kh_size, kw_size, m_size, _ = weight.shape
    for row in numba.prange(n_size * h):
        n, ih = row // h, row % h
        for iw in range(w):
            for c in range(c_size):
                dx[n, ih, iw, c] = 0
            for kh in range(kh_size):
                oh = seen_by(ih, kh, stride[0], padding[0], dilation[0], oh_size)
                for kw in range(kw_size):
                    ow = seen_by(iw, kw, stride[1], padding[2], dilation[1], ow_size)
                    if oh >= 0 and ow >= 0:
                        if m_size == 1:
                            for c in range(c_size):
                                dx[n, ih, iw, c] += weight[kh, kw, 0, c] * grad[n, oh, ow, c]
                        else:
                            for m in range(m_size):
                                for c in range(c_size):
                                    dx[n, ih, iw, c] += weight[kh, kw, m, c] * grad[n, oh, ow, c * m_size + m]


def weight_grad(grad, x, dw, stride, padding, dilation):
    """Fill dw (O, KH, KW, 1)."""
    o, kh, kw, _ = dw.shape
    c = x.shape[3]
    shares = min(16, grad.shape[0] * grad.shape[1])
    partial = np.zeros((shares, kh, kw, o // c, c), np.float64)
    _depthwise_weight_grad(grad, x, partial, stride, padding, dilation)
    total = np.empty((kh, kw, o // c, c), np.float64)
    add_partials(partial.reshape(shares, dw.size), total.reshape(-1))
    dw[...] = total.transpose(3, 2, 0, 1).reshape(dw.shape)  # (C, M, KH, KW)


@kernel
def _depthwise_weight_grad(grad, x, partial, stride, padding, dilation):
    """A task is a share of the output rows. One row sums in x's dtype, the rows in float64, so long sums stay exact."""
    n_size, oh_size, ow_size, _ = grad.shape
    shares, kh_size, kw_size, m_size, c_size = partial.shape
    total = n_size * oh_size
    three_wide = kw_size == 3 and m_size == 1
    for share in numba.prange(shares):
        row_sum = np.empty((kh_size, kw_size, m_size, c_size), x.dtype)
        for row in range(share * total // shares, (share + 1) * total // shares):
            n, oh = row // oh_size, row % oh_size
            row_sum[:, :, :, :] = 0
            for kh in range(kh_size):
                ih = oh * stride[0] + kh * dilation[0] - padding[0]
                for ow in range(ow_size):
                    left = ow * stride[1] - padding[2]
                    if three_wide and 0 <= ih < x.shape[1] and left >= 0 and left + 2 * dilation[1] < x.shape[2]:
                        _multiply_add_three(grad, x, n, oh, ow, ih, left, dilation[1], row_sum, kh)
                        continue
                    for kw in range(kw_size):
                        _multiply_add(grad, x, n, oh, ow, ih, left + kw * dilation[1], row_sum[kh, kw])
            for kh in range(kh_size):
                for kw in range(kw_size):
                    for m in range(m_size):
                        for c in range(c_size):
                            partial[share, kh, kw, m, c] += row_sum[kh, kw, m, c]


@helper
def _multiply_add(grad, x, n, oh, ow, ih, iw, total):
    """total[m, c] += grad[n, oh, ow, c*M + m] * x[n, ih, iw, c], where x is 0 outside."""
    m_size, c_size = total.shape
    inside = 0 <= ih < x.shape[1] and 0 <= iw < x.shape[2]
    if inside and m_size == 1:
        for c in range(c_size):
            total[0, c] += grad[n, oh, ow, c] * x[n, ih, iw, c]
    else:
        for m in range(m_size):
            for c in range(c_size):
                seen = x[n, ih, iw, c] if inside else x.dtype.type(0)
                total[m, c] += grad[n, oh, ow, c * m_size + m] * seen


@helper
def _multiply_add_three(grad, x, n, oh, ow, ih, left, dilation, total, kh):
    """One whole row of a 3-wide window inside the image: the gradient is read once for three products."""
    for c in range(x.shape[3]):
        g = grad[n, oh, ow, c]
        total[kh, 0, 0, c] += g * x[n, ih, left, c]
        total[kh, 1, 0, c] += g * x[n, ih, left + dilation, c]
        total[kh, 2, 0, c] += g * x[n, ih, left + 2 * dilation, c]
