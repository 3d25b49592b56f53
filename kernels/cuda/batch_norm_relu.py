"""Batch-norm, the addition of a shortcut and ReLU: the kernels of batch_norm.cu and relu.cu, one after the other."""

from __future__ import annotations

import math

from ..checks import same_shape
from .batch_norm import batch_norm, batch_norm_backward
from .relu import relu, relu6, relu6_backward, relu_backward

CLIPPED = {math.inf: relu, 6: relu6}
PASSED = {math.inf: relu_backward, 6: relu6_backward}


def batch_norm_relu(x, mean, var, weight, bias, residual, eps, ceiling):
    """y = min(max((x - mean) / sqrt(var + eps) * weight + bias + residual, 0), ceiling); residual may be empty"""
    y = batch_norm(x, mean, var, weight, bias, eps)
    if residual.ndim == 4:
        same_shape("batch_norm_relu", x=x, residual=residual)
        y += residual
    return CLIPPED[ceiling](y.reshape(-1)).reshape(x.shape)


def batch_norm_relu_backward(grad, x, mean, var, weight, bias, eps, training, ceiling):
    """Gradients by x, weight and bias, without a residual: of batch_norm, of the gradient that ReLU let through."""
    y = batch_norm(x, mean, var, weight, bias, eps)
    grad = PASSED[ceiling](grad.reshape(-1), y.reshape(-1)).reshape(x.shape)
    return batch_norm_backward(grad, x, mean, var, weight, eps, training)
