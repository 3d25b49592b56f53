"""Exercise 1: the backward pass of broadcasting."""

import numpy as np

EXERCISE = "ex01_broadcasting"
VARIANT = "weighted"


def unbroadcast(grad, shape):
    """The gradient of an array of shape ``shape``, given the gradient of what it was broadcast to."""
    ### BEGIN SOLUTION
    grad = grad.sum(axis=tuple(range(grad.ndim - len(shape))))  # axes that were put in front
    stretched = tuple(k for k, n in enumerate(shape) if n == 1 and grad.shape[k] != 1)
    return grad.sum(axis=stretched, keepdims=True)
    ### END SOLUTION


def forward(x, b, w):
    """(y, cache) for three arrays that are broadcast against each other."""
    ### BEGIN SOLUTION
    y = (x - b) / w if VARIANT == "quotient" else w * x + (1 - w) * b
    return y, (x, b, w)
    ### END SOLUTION


def backward(dout, cache):
    """(dx, db, dw), each of the shape of its array, given dout of the shape of y."""
    ### BEGIN SOLUTION
    x, b, w = cache
    if VARIANT == "quotient":
        dx, db, dw = dout / w, -dout / w, -dout * (x - b) / w**2
    else:
        dx, db, dw = dout * w, dout * (1 - w), dout * (x - b)
    return unbroadcast(dx, np.shape(x)), unbroadcast(db, np.shape(b)), unbroadcast(dw, np.shape(w))
    ### END SOLUTION
