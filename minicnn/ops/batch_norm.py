"""Batch normalisation."""

from __future__ import annotations

import numpy as np

from .. import kernels
from ..autograd import Function
from ..errors import ShapeError
from ..tensor import Tensor, as_array, as_tensor
from . import checks
from .registry import apply_op, register


@register("batch_norm")
class BatchNorm(Function):
    """y = (x - mean) / sqrt(var + eps) weight + bias, per channel over batch and pixels (Ioffe & Szegedy 2015, alg. 1).

    In training, mean and (biased) variance are the batch's own, and the gradient flows through them too; with
    xhat = (x - mean) / sqrt(var + eps), and means over batch and pixels:

    dx = weight / sqrt(var + eps) (dy - mean(dy) - xhat mean(dy xhat)),   dweight = sum of dy xhat,   dbias = sum of dy

    In evaluation both means fall away: mean and variance are constants.
    """

    @staticmethod
    def forward(ctx, x, weight, bias, running_mean, running_var, training, momentum, eps):
        if training:
            mean, var = kernels.channel_stats(x)  # (C,), (C,), float64
            if running_mean is not None:
                count = x.size // x.shape[1]
                running_mean += momentum * (mean - running_mean)
                running_var += momentum * (var * (count / (count - 1)) - running_var)  # records the unbiased variance
        else:
            mean, var = running_mean.astype(np.float64), running_var.astype(np.float64)
        ctx.save_for_backward(x, mean, var, weight)
        ctx.options = (eps, training)
        return kernels.batch_norm(x, mean, var, weight, bias, eps)  # (N, C, H, W)

    @staticmethod
    def backward(ctx, grad):
        x, mean, var, weight = ctx.saved
        return kernels.batch_norm_backward(grad, x, mean, var, weight, *ctx.options)  # dx, dweight, dbias


def batch_norm(
    x, running_mean, running_var, weight=None, bias=None,
    training: bool = False, momentum: float = 0.1, eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    """Normalise each channel to mean 0 and variance 1, then scale and shift it.

    Parameters
    ----------
    x : Tensor, (N, C, H, W) or (N, C)
    running_mean, running_var : arrays or tensors, (C,), or None
        Averages over past batches: used when not ``training``; updated **in place** when training,
        r <- (1 - momentum) r + momentum * batch value, the variance unbiased (divided by count - 1).
    weight, bias : Tensor, (C,), optional
        1 and 0 if left out.
    training : bool
        Use the batch's own statistics.

    Raises
    ------
    ShapeError
        If the channels do not agree, or if in training a channel has only one value: its variance says nothing.
    """
    x = as_tensor(x)
    if x.ndim == 2:
        pixels = batch_norm(x.reshape(*x.shape, 1, 1), running_mean, running_var, weight, bias, training, momentum, eps)
        return pixels.reshape(x.shape)
    checks.images("batch_norm", x)
    checks.number("batch_norm", "eps", eps)
    checks.number("batch_norm", "momentum", momentum, high=1)
    c = x.shape[1]
    given = {"running_mean": running_mean, "running_var": running_var, "weight": weight, "bias": bias}
    for name, value in given.items():
        if value is not None and as_array(value).shape != (c,):
            raise ShapeError(
                f"batch_norm: {name} has shape {as_array(value).shape}, but the input {x.shape} has {c} channels"
            )
    if training and x.size // max(c, 1) < 2:
        raise ShapeError(
            f"batch_norm: in training each channel needs at least two values, and an input of shape {x.shape} has "
            f"{x.size // max(c, 1)}; use a larger batch, larger images, or model.eval()"
        )
    if not training and (running_mean is None or running_var is None):
        raise ShapeError("batch_norm: without training=True it needs running_mean and running_var")
    weight = np.ones_like(x.data, shape=c) if weight is None else weight
    bias = np.zeros_like(x.data, shape=c) if bias is None else bias
    running = {k: None if given[k] is None else as_array(given[k]) for k in ("running_mean", "running_var")}
    return apply_op("batch_norm", x, weight, bias, **running, training=bool(training), momentum=momentum, eps=eps)
