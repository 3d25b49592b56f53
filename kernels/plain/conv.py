"""2-d convolution (cross-correlation, as every CNN framework means it) and its two gradients.

    y[n, o, oh, ow] = bias[o] + sum over c, kh, kw of
                      w[o, c, kh, kw] * x[n, c, oh*sh + kh*dh - top, ow*sw + kw*dw - left]

With ``groups`` = G the channels fall into G runs, and group g of the outputs sees only group g of the inputs
(Krizhevsky et al. 2012, section 3.2; G = C is the depthwise convolution of MobileNet, Howard et al. 2017, section 3.1).

Shapes: x (N, C, H, W), weight (O, C/G, KH, KW), bias (O,) or None, y (N, O, OH, OW).
"""

from __future__ import annotations

import numpy as np

from .windows import crop, offsets, output_size, pad, seen_through


def conv2d(x, weight, bias, stride, padding, dilation, groups, algorithm="auto"):
    """Convolution by kernel offsets: one small matrix product for each (kh, kw).

    The definition, in seven loops:

    >>> rng = np.random.default_rng(0)
    >>> x, w = rng.standard_normal((2, 3, 5, 6)), rng.standard_normal((4, 3, 3, 2))
    >>> y = np.zeros((2, 4, 3, 3))
    >>> for n in range(2):
    ...     for o in range(4):
    ...         for oh in range(3):
    ...             for ow in range(3):
    ...                 for c in range(3):
    ...                     for kh in range(3):
    ...                         for kw in range(2):
    ...                             ih, iw = oh * 2 + kh - 1, ow * 2 + kw
    ...                             if 0 <= ih < 5 and 0 <= iw < 6:
    ...                                 y[n, o, oh, ow] += w[o, c, kh, kw] * x[n, c, ih, iw]
    >>> fast = conv2d(x, w, None, stride=(2, 2), padding=(1, 1, 0, 0), dilation=(1, 1), groups=1)
    >>> bool(np.allclose(fast, y))
    True
    """
    n, g = len(x), groups
    o, cg, *kernel_size = weight.shape
    oh, ow = out_size = output_size(x.shape[2:], kernel_size, stride, padding, dilation)
    x = pad(x, padding)  # (N, C, H', W')
    weight = weight.reshape(g, o // g, cg, *kernel_size)  # (G, O/G, C/G, KH, KW)
    y = np.zeros((n, g, o // g, oh * ow), x.dtype)
    for kh, kw in offsets(kernel_size):
        seen = x[seen_through((kh, kw), stride, dilation, out_size)].reshape(n, g, cg, oh * ow)
        y += weight[..., kh, kw] @ seen  # (G, O/G, C/G) @ (N, G, C/G, OH*OW)
    y = y.reshape(n, o, oh, ow)
    return y if bias is None else y + bias[:, None, None]


def conv2d_input_grad(grad, weight, input_size, stride, padding, dilation, groups, algorithm="auto"):
    """dx: every input pixel collects, through each offset that saw it, w^T times the gradient of that output pixel.

    dx[n, c, ih, iw] = sum over o, kh, kw of  w[o, c, kh, kw] * grad[n, o, oh, ow]

    where  ih = oh*sh + kh*dh - top,  iw = ow*sw + kw*dw - left
    """
    n, g = len(grad), groups
    o, cg, *kernel_size = weight.shape
    oh, ow = grad.shape[2:]
    weight = weight.reshape(g, o // g, cg, *kernel_size)
    grad = grad.reshape(n, g, o // g, oh * ow)
    dx = pad(np.zeros((n, g * cg, *input_size), grad.dtype), padding)  # (N, C, H', W')
    for kh, kw in offsets(kernel_size):
        sent = weight[..., kh, kw].swapaxes(1, 2) @ grad  # (G, C/G, O/G) @ (N, G, O/G, OH*OW)
        dx[seen_through((kh, kw), stride, dilation, (oh, ow))] += sent.reshape(n, g * cg, oh, ow)
    return crop(dx, padding, input_size)


def conv2d_weight_grad(grad, x, kernel_size, stride, padding, dilation, groups, algorithm="auto"):
    """dw: each weight sums, over batch and pixels, the gradient times what it was multiplied with.

    dw[o, c, kh, kw] = sum over n, oh, ow of  grad[n, o, oh, ow] * x[n, c, oh*sh + kh*dh - top, ow*sw + kw*dw - left]
    """
    n, o, oh, ow = grad.shape
    g, cg = groups, x.shape[1] // groups
    x = pad(x, padding)
    grad = grad.reshape(n, g, o // g, oh * ow).transpose(1, 2, 0, 3).reshape(g, o // g, n * oh * ow)
    dw = np.empty((g, o // g, cg, *kernel_size), x.dtype)
    for kh, kw in offsets(kernel_size):
        seen = x[seen_through((kh, kw), stride, dilation, (oh, ow))].reshape(n, g, cg, oh * ow)
        seen = seen.transpose(1, 0, 3, 2).reshape(g, n * oh * ow, cg)
        dw[..., kh, kw] = grad @ seen  # (G, O/G, N*OH*OW) @ (G, N*OH*OW, C/G)
    return dw.reshape(o, cg, *kernel_size)
