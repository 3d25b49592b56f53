"""Exercise 11: grouped convolution is a few towers side by side."""

import numpy as np

EXERCISE = "ex11_grouped_convolution"
VARIANT = "interleaved"


def conv(x, w):
    """One group, given: y (N, F, H-KH+1, W-KW+1) of x (N, C, H, W) and w (F, C, KH, KW)."""
    windows = np.lib.stride_tricks.sliding_window_view(x, w.shape[2:], axis=(2, 3))  # (N, C, OH, OW, KH, KW)
    return np.einsum("ncijab,fcab->nfij", windows, w)


def conv_backward(dout, x, w):
    """One group, given: (dx, dw) for dout (N, F, OH, OW)."""
    windows = np.lib.stride_tricks.sliding_window_view(x, w.shape[2:], axis=(2, 3))
    dw = np.einsum("ncijab,nfij->fcab", windows, dout)
    dx, (oh, ow) = np.zeros(x.shape), dout.shape[2:]
    for a, b in np.ndindex(*w.shape[2:]):
        dx[:, :, a : a + oh, b : b + ow] += np.einsum("nfij,fc->ncij", dout, w[:, :, a, b])
    return dx, dw


def inputs(channels, groups, g):
    """The input channels of group g."""
    if VARIANT == "interleaved":
        return slice(g, None, groups)
    size = channels // groups
    return slice(g * size, (g + 1) * size)


def outputs(filters, groups, g):
    """The output channels of group g, which are its filters."""
    if VARIANT == "blocked":
        size = filters // groups
        return slice(g * size, (g + 1) * size)
    return slice(g, None, groups)


def grouped_conv(x, w, groups):
    """(y, cache): y (N, F, H-KH+1, W-KW+1) of x (N, C, H, W) and w (F, C/G, KH, KW), for G groups."""
    ### BEGIN SOLUTION
    n, c, h, wide = x.shape
    f, _, kh, kw = w.shape
    y = np.empty((n, f, h - kh + 1, wide - kw + 1))
    for g in range(groups):
        mine = outputs(f, groups, g)
        y[:, mine] = conv(x[:, inputs(c, groups, g)], w[mine])
    return y, (x, w, groups)
    ### END SOLUTION


def grouped_conv_backward(dout, cache):
    """(dx, dw), of the shapes of x and w, given dout of the shape of y."""
    ### BEGIN SOLUTION
    x, w, groups = cache
    dx, dw = np.empty(x.shape), np.empty(w.shape)
    for g in range(groups):
        seen, mine = inputs(x.shape[1], groups, g), outputs(len(w), groups, g)
        dx[:, seen], dw[mine] = conv_backward(dout[:, mine], x[:, seen], w[mine])
    return dx, dw
    ### END SOLUTION


def from_towers(weights):
    """w (F, C/G, KH, KW) of a grouped convolution, from the weights of G towers, each (F/G, C/G, KH, KW)."""
    ### BEGIN SOLUTION
    groups, (f, *rest) = len(weights), weights[0].shape
    w = np.empty((groups * f, *rest))
    for g, tower in enumerate(weights):
        w[outputs(groups * f, groups, g)] = tower
    return w
    ### END SOLUTION


def as_ordinary(w, groups):
    """The weight (F, C, KH, KW) of the convolution with one group that computes the same as w (F, C/G, KH, KW)."""
    ### BEGIN SOLUTION
    f, c, kh, kw = w.shape
    whole = np.zeros((f, c * groups, kh, kw))
    for g in range(groups):
        mine = outputs(f, groups, g)
        whole[mine, inputs(c * groups, groups, g)] = w[mine]
    return whole
    ### END SOLUTION
