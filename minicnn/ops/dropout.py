"""Dropout."""

from __future__ import annotations

from .. import kernels, random
from ..autograd import Function
from ..tensor import Tensor, as_tensor
from . import checks
from .registry import apply_op, register


@register("dropout")
class Dropout(Function):
    """y = x / (1-p) with probability 1-p, else 0 (Srivastava et al. 2014, inverted so that testing needs no scaling).

    The bits are a function of (seed, offset, position), so the backward draws the same ones again: no mask is kept.
    """

    @staticmethod
    def forward(ctx, x, p, seed, offset):
        ctx.bits = (p, seed, offset)
        return kernels.dropout(x, *ctx.bits)

    @staticmethod
    def backward(ctx, grad):
        return kernels.dropout(grad, *ctx.bits)


def dropout(x, p: float = 0.5, training: bool = True) -> Tensor:
    """Zero each element with probability ``p`` while training, and scale the rest by 1 / (1 - p).

    The bits come from the stream of ``mc.manual_seed``, and are the same in every room.

    >>> import numpy as np
    >>> dropout(np.ones(4), p=0.5, training=False).tolist()
    [1.0, 1.0, 1.0, 1.0]
    """
    x = as_tensor(x)
    p = checks.number("dropout", "p", p, high=1, what="a probability")
    if not training or p == 0:
        return x
    checks.computable("dropout", x)
    return apply_op("dropout", x, p=p, seed=random.state.seed, offset=random.state.next_offset())
