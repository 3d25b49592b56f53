# mistake: the first rows and columns of the padded gradient are taken for dx
# loses: padding, gradient
# says: wrong place
# variants: dilated, flipped, plain
"""Exercise 4: the backward pass of convolution."""

import numpy as np

EXERCISE = "ex04_conv_backward"
VARIANT = "dilated"


def conv_backward(dout, x, w, stride, padding):
    """(dx, dw, db), the gradients of the convolution in task.md, given dout, that of its output.

    dout (N, K, OH, OW); x (N, C, H, W); w (K, C, KH, KW); stride (SH, SW); padding (PH, PW): so many rows above and
    below, so many columns left and right. Returns dx (N, C, H, W), dw (K, C, KH, KW), db (K,).
    """
    (sh, sw), (ph, pw), (kh, kw), (oh, ow) = stride, padding, w.shape[2:], dout.shape[2:]
    dilation = 2 if VARIANT == "dilated" else 1
    mode = "wrap" if VARIANT == "circular" else "constant"
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)), mode=mode)
    dpadded, dw = np.zeros(padded.shape), np.zeros(w.shape)
    for p in range(kh):
        for q in range(kw):
            top, left = (kh - 1 - p, kw - 1 - q) if VARIANT == "flipped" else (dilation * p, dilation * q)
            rows, columns = slice(top, top + sh * (oh - 1) + 1, sh), slice(left, left + sw * (ow - 1) + 1, sw)
            dw[:, :, p, q] = np.einsum("nkij,ncij->kc", dout, padded[:, :, rows, columns])
            dpadded[:, :, rows, columns] += np.einsum("nkij,kc->ncij", dout, w[:, :, p, q])
    db = dout.sum(axis=(0, 2, 3))
    return dpadded[:, :, : x.shape[2], : x.shape[3]], dw, db
