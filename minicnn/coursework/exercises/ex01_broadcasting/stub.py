"""Exercise 1: the backward pass of broadcasting. The task is in task.md."""

import numpy as np  # noqa: F401 - for what you write

EXERCISE = "ex01_broadcasting"
VARIANT = "weighted"
HINTS = "full"


def unbroadcast(grad, shape):
    """The gradient of an array of shape ``shape``, given the gradient of what it was broadcast to."""
    raise NotImplementedError("write unbroadcast")


def forward(x, b, w):
    """(y, cache) for three arrays that are broadcast against each other."""
    raise NotImplementedError("write forward")


def backward(dout, cache):
    """(dx, db, dw), each of the shape of its array, given dout of the shape of y."""
    raise NotImplementedError("write backward")
