"""Exercise 4: the backward pass of convolution. The task is in task.md."""

import numpy as np  # noqa: F401 - for what you write

EXERCISE = "ex04_conv_backward"
VARIANT = "dilated"
HINTS = "full"


def conv_backward(dout, x, w, stride, padding):
    """(dx, dw, db), the gradients of the convolution in task.md, given dout, that of its output.

    dout (N, K, OH, OW); x (N, C, H, W); w (K, C, KH, KW); stride (SH, SW); padding (PH, PW): so many rows above and
    below, so many columns left and right. Returns dx (N, C, H, W), dw (K, C, KH, KW), db (K,).
    """
    raise NotImplementedError("write conv_backward")
