"""Non-linearities. ReLU and its relatives keep only their output, which the next layer keeps anyway."""

from __future__ import annotations

import numpy as np

from .. import kernels
from ..autograd import Function
from ..errors import ShapeError
from ..tensor import Tensor, as_tensor
from . import checks
from .registry import apply_op, register


@register("relu")
class ReLU(Function):
    """y = max(x, 0);  dx = dy where y > 0"""

    @staticmethod
    def forward(ctx, x):
        y = kernels.relu(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, grad):
        (y,) = ctx.saved
        return kernels.relu_backward(grad, y)


@register("relu6")
class ReLU6(Function):
    """y = min(max(x, 0), 6);  dx = dy where 0 < y < 6"""

    @staticmethod
    def forward(ctx, x):
        y = kernels.relu6(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, grad):
        (y,) = ctx.saved
        return kernels.relu6_backward(grad, y)


@register("leaky_relu")
class LeakyReLU(Function):
    """y = x if x > 0 else slope x;  dx = dy or slope dy. (slope >= 0, so y > 0 exactly where x > 0.)"""

    @staticmethod
    def forward(ctx, x, negative_slope):
        y = kernels.leaky_relu(x, negative_slope)
        ctx.save_for_backward(y)
        ctx.slope = negative_slope
        return y

    @staticmethod
    def backward(ctx, grad):
        (y,) = ctx.saved
        return kernels.leaky_relu_backward(grad, y, ctx.slope)


@register("sigmoid")
class Sigmoid(Function):
    """y = 1 / (1 + e^-x);  dx = dy y (1 - y)"""

    @staticmethod
    def forward(ctx, x):
        e = np.exp(-np.abs(x))  # never overflows
        y = np.where(x >= 0, 1, e) / (1 + e)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, grad):
        (y,) = ctx.saved
        return grad * y * (1 - y)


@register("tanh")
class Tanh(Function):
    """y = tanh x;  dx = dy (1 - y^2)"""

    @staticmethod
    def forward(ctx, x):
        y = np.tanh(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, grad):
        (y,) = ctx.saved
        return grad * (1 - y * y)


def _sum(x, axis):
    """Sum along an axis that is kept; in float64, whatever x is."""
    return x.sum(axis, keepdims=True, dtype=np.float64).astype(x.dtype)


@register("softmax")
class Softmax(Function):
    """y = e^x / sum of e^x;  dx = y (dy - sum of dy y)"""

    @staticmethod
    def forward(ctx, x, axis):
        e = np.exp(x - x.max(axis, keepdims=True))
        y = e / _sum(e, axis)
        ctx.save_for_backward(y)
        ctx.axis = axis
        return y

    @staticmethod
    def backward(ctx, grad):
        (y,) = ctx.saved
        return y * (grad - _sum(grad * y, ctx.axis))


@register("log_softmax")
class LogSoftmax(Function):
    """y = x - log(sum of e^x), about the maximum;  dx = dy - e^y sum of dy"""

    @staticmethod
    def forward(ctx, x, axis):
        shifted = x - x.max(axis, keepdims=True)
        y = shifted - np.log(_sum(np.exp(shifted), axis))
        ctx.save_for_backward(y)
        ctx.axis = axis
        return y

    @staticmethod
    def backward(ctx, grad):
        (y,) = ctx.saved
        return grad - np.exp(y) * _sum(grad, ctx.axis)


def _activation(name: str, x, **options) -> Tensor:
    x = as_tensor(x)
    checks.computable(name, x)
    return apply_op(name, x, **options)


def relu(x, inplace: bool = False) -> Tensor:
    """max(x, 0), element by element. NaN stays NaN; ``inplace`` is ignored: inputs are never modified.

    >>> relu([-1.0, 0.0, 2.0]).tolist()
    [0.0, 0.0, 2.0]
    """
    return _activation("relu", x)


def relu6(x, inplace: bool = False) -> Tensor:
    """min(max(x, 0), 6) (MobileNetV2).

    >>> relu6([-1.0, 2.0, 9.0]).tolist()
    [0.0, 2.0, 6.0]
    """
    return _activation("relu6", x)


def leaky_relu(x, negative_slope: float = 0.01) -> Tensor:
    """x where positive, ``negative_slope`` * x elsewhere; ``negative_slope`` >= 0 (0 is relu).

    >>> leaky_relu([-4.0, 2.0], 0.25).tolist()
    [-1.0, 2.0]
    """
    return _activation("leaky_relu", x, negative_slope=checks.number("leaky_relu", "negative_slope", negative_slope))


def sigmoid(x) -> Tensor:
    """1 / (1 + e^-x), without overflow.

    >>> sigmoid([-1000.0, 0.0, 1000.0]).tolist()
    [0.0, 0.5, 1.0]
    """
    return _activation("sigmoid", x)


def tanh(x) -> Tensor:
    """Hyperbolic tangent.

    >>> tanh([-1000.0, 0.0, 1000.0]).tolist()
    [-1.0, 0.0, 1.0]
    """
    return _activation("tanh", x)


def _along(name: str, x, axis: int) -> Tensor:
    x = as_tensor(x)
    axis = checks.axis(name, axis, x.shape)
    if x.shape[axis] == 0:
        raise ShapeError(f"{name} along axis {axis} of shape {x.shape}, which is empty")
    return _activation(name, x, axis=axis)


@checks.takes_dim
def softmax(x, axis: int = -1) -> Tensor:
    """Probabilities along ``axis``.

    >>> softmax([[1.0, 1.0], [1000.0, 0.0]]).tolist()
    [[0.5, 0.5], [1.0, 0.0]]
    """
    return _along("softmax", x, axis)


@checks.takes_dim
def log_softmax(x, axis: int = -1) -> Tensor:
    """Logarithms of the softmax, computed without taking the logarithm of a small number.

    >>> log_softmax([[1000.0, 0.0]]).tolist()
    [[0.0, -1000.0]]
    """
    return _along("log_softmax", x, axis)
