"""Exercise 11: grouped convolution is a few towers side by side. The task is in task.md."""

import numpy as np

EXERCISE = "ex11_grouped_convolution"
VARIANT = "interleaved"
HINTS = "full"


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


def grouped_conv(x, w, groups):
    """(y, cache): y (N, F, H-KH+1, W-KW+1) of x (N, C, H, W) and w (F, C/G, KH, KW), for G groups."""
    raise NotImplementedError("write grouped_conv")


def grouped_conv_backward(dout, cache):
    """(dx, dw), of the shapes of x and w, given dout of the shape of y."""
    raise NotImplementedError("write grouped_conv_backward")


def from_towers(weights):
    """w (F, C/G, KH, KW) of a grouped convolution, from the weights of G towers, each (F/G, C/G, KH, KW)."""
    raise NotImplementedError("write from_towers")


def as_ordinary(w, groups):
    """The weight (F, C, KH, KW) of the convolution with one group that computes the same as w (F, C/G, KH, KW)."""
    raise NotImplementedError("write as_ordinary")
