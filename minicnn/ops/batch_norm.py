"""Batch normalisation."""

from __future__ import annotations

import numpy as np

from .. import kernels, running
from ..autograd import Function
from ..device import module_of
from ..errors import ArgumentError, ShapeError
from ..tensor import Tensor, as_array, as_tensor
from . import checks
from .activation import ReLU, ReLU6
from .arithmetic import Add
from .registry import FUNCTIONS, apply_op, register


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
        mean, var = _statistics(x, running_mean, running_var, training, momentum)
        ctx.save_for_backward(x, mean, var, weight)
        ctx.options = (eps, training)
        return kernels.batch_norm(x, mean, var, weight, bias, eps)  # (N, C, H, W)

    @staticmethod
    def backward(ctx, grad):
        x, mean, var, weight = ctx.saved
        return kernels.batch_norm_backward(grad, x, mean, var, weight, *ctx.options)  # dx, dweight, dbias


def _statistics(x, running_mean, running_var, training, momentum):
    """Mean and variance of each channel (C,), float64; in training the batch's own, which the running ones follow."""
    if not training:
        return running_mean.astype(np.float64), running_var.astype(np.float64)
    mean, var = kernels.channel_stats(x)
    if running_mean is not None:
        count = x.size // x.shape[1]
        running_mean += momentum * (mean - running_mean)
        running_var += momentum * (var * (count / (count - 1)) - running_var)  # records the unbiased variance
    return mean, var


@register("batch_norm_relu")
class BatchNormReLU(Function):
    """y = min(max(batch_norm(x) + residual, 0), ceiling), in one pass over memory; ceiling is infinity, or 6.

    dresidual = dy where 0 < y < ceiling, which is also batch_norm's dy.
    """

    @staticmethod
    def forward(ctx, x, weight, bias, residual, running_mean, running_var, training, momentum, eps, ceiling):
        mean, var = _statistics(x, running_mean, running_var, training, momentum)
        y = kernels.batch_norm_relu(x, mean, var, weight, bias, residual, eps, ceiling)  # (N, C, H, W)
        ctx.save_for_backward(x, mean, var, weight, bias, None if residual is None else y)
        ctx.options = (eps, training, ceiling)
        return y

    @staticmethod
    def backward(ctx, grad):
        x, mean, var, weight, bias, y = ctx.saved
        eps, training, ceiling = ctx.options
        if y is None:  # what ReLU let through follows from x
            return *kernels.batch_norm_relu_backward(grad, x, mean, var, weight, bias, *ctx.options), None
        grad = kernels.relu_backward(grad, y) if ceiling == np.inf else kernels.relu6_backward(grad, y)
        return *kernels.batch_norm_backward(grad, x, mean, var, weight, eps, training), grad


def batch_norm(
    x, running_mean, running_var, weight=None, bias=None,
    training: bool = False, momentum: float = 0.1, eps: float = 1e-5, relu: bool | int = False, residual=None,
) -> Tensor:  # fmt: skip
    """Normalise each channel to mean 0 and variance 1, then scale and shift it.

    With ``relu`` and ``residual`` it does at once what mostly follows, ``F.relu(F.batch_norm(x, ...) + residual)``: the
    same numbers, in less time and memory.

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
    relu : bool or 6
        Take ReLU of the result, or with 6 ReLU6.
    residual : Tensor of x's shape, optional
        Add this, before ReLU.

    Raises
    ------
    ShapeError
        If the channels do not agree, or if in training a channel has only one value: its variance says nothing.
    ArgumentError
        If an option has a senseless value.

    Examples
    --------
    >>> batch_norm(np.array([1.0, 3.0]).reshape(2, 1, 1, 1), None, None, training=True, eps=0.0).data.ravel().tolist()
    [-1.0, 1.0]
    """
    x = as_tensor(x)
    if not (relu is True or relu is False or relu == 6):
        raise ArgumentError(f"batch_norm: relu must be True, False, or 6 for ReLU6, got {relu!r}")
    if residual is not None and as_tensor(residual).shape != x.shape:
        raise ShapeError(f"batch_norm: the residual must have the input's shape {x.shape}, got {residual.shape}")
    if x.ndim == 2:
        options = (running_mean, running_var, weight, bias, training, momentum, eps, relu)
        residual = None if residual is None else as_tensor(residual).reshape(*x.shape, 1, 1)
        return batch_norm(x.reshape(*x.shape, 1, 1), *options, residual).reshape(x.shape)
    checks.images("batch_norm", x)
    checks.number("batch_norm", "eps", eps)
    checks.number("batch_norm", "momentum", momentum, high=1)
    c = x.shape[1]
    running_mean, running_var = (None if v is None else as_array(v) for v in (running_mean, running_var))
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
    weight = module_of(x.data).ones(c, x.dtype) if weight is None else weight
    bias = module_of(x.data).zeros(c, x.dtype) if bias is None else bias
    options = {
        "running_mean": running_mean, "running_var": running_var, "training": bool(training), "momentum": momentum,
        "eps": eps,
    }  # fmt: skip
    if relu and _nobody_looks():
        return apply_op("batch_norm_relu", x, weight, bias, residual, **options, ceiling=6 if relu == 6 else np.inf)
    y = apply_op("batch_norm", x, weight, bias, **options)
    y = y if residual is None else y + residual
    return apply_op("relu6" if relu == 6 else "relu", y) if relu else y


def _nobody_looks() -> bool:
    """Whether three operations may be one: nobody watches them one by one, and none is replaced by a student's own."""
    own = {"batch_norm": BatchNorm, "add": Add, "relu": ReLU, "relu6": ReLU6}
    return not running.watchers() and all(FUNCTIONS[name] is function for name, function in own.items())
