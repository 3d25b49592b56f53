"""ReLU and its relatives, on flat arrays. NaN in, NaN out."""

from __future__ import annotations

from ..checks import same_shape
from . import backend
from .launcher import Kernel

FORWARD, BACKWARD = "const T* x, T* y", "const T* grad, const T* y, T* dx"

RELU = Kernel("relu.cu", "relu<T>", f"{FORWARD}, long long size")
RELU_BACKWARD = Kernel("relu.cu", "relu_backward<T>", f"{BACKWARD}, long long size")
RELU6 = Kernel("relu.cu", "relu6<T>", f"{FORWARD}, long long size")
RELU6_BACKWARD = Kernel("relu.cu", "relu6_backward<T>", f"{BACKWARD}, long long size")
LEAKY_RELU = Kernel("relu.cu", "leaky_relu<T>", f"{FORWARD}, T slope, long long size")
LEAKY_RELU_BACKWARD = Kernel("relu.cu", "leaky_relu_backward<T>", f"{BACKWARD}, T slope, long long size")


def relu(x):
    """max(x, 0) (Nair & Hinton 2010)"""
    return _forward(RELU, x)


def relu_backward(grad, y):
    """grad where y > 0, else 0; a NaN passes the gradient on."""
    return _backward(RELU_BACKWARD, grad, y)


def relu6(x):
    """min(max(x, 0), 6) (Krizhevsky 2010; MobileNetV2)"""
    return _forward(RELU6, x)


def relu6_backward(grad, y):
    """grad where 0 < y < 6, else 0."""
    return _backward(RELU6_BACKWARD, grad, y)


def leaky_relu(x, slope):
    """x if x > 0, else slope * x (Maas et al. 2013); slope >= 0"""
    return _forward(LEAKY_RELU, x, slope)


def leaky_relu_backward(grad, y, slope):
    """grad where y > 0, else slope * grad."""
    return _backward(LEAKY_RELU_BACKWARD, grad, y, slope)


def _forward(kernel: Kernel, x, *options):
    y = backend.module_of(x).empty(x.shape, x.dtype)
    kernel((x, y, *options, x.size), threads=x.size)
    return y


def _backward(kernel: Kernel, grad, y, *options):
    same_shape(kernel.function, grad=grad, y=y)
    dx = backend.module_of(grad).empty(grad.shape, grad.dtype)
    kernel((grad, y, dx, *options, grad.size), threads=grad.size)
    return dx
