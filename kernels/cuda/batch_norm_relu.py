"""Batch-norm, the addition of a shortcut and ReLU, in one kernel: batch_norm.cu does all three."""

from __future__ import annotations

from ..checks import same_shape
from .batch_norm import gradients, normalised


def batch_norm_relu(x, mean, var, weight, bias, residual, eps, ceiling):
    """y = min(max((x - mean) / sqrt(var + eps) * weight + bias + residual, 0), ceiling); residual may be empty"""
    if residual.ndim == 4:
        same_shape("batch_norm_relu", x=x, residual=residual)
    added = residual if residual.ndim == 4 else None
    return normalised("batch_norm_relu", x, mean, var, weight, bias, added, eps, 0.0, ceiling)


def batch_norm_relu_backward(grad, x, mean, var, weight, bias, eps, training, ceiling):
    """Gradients by x, weight and bias, without a residual: batch_norm's, of the gradient that ReLU let through."""
    return gradients("batch_norm_relu_backward", grad, x, mean, var, weight, bias, eps, training, True, ceiling)
