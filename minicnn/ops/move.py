"""From one device to another."""

from __future__ import annotations

from ..autograd import Function
from ..device import check_device, device_of, to_device
from ..tensor import Tensor, as_tensor
from .registry import apply_op, register


@register("move")
class Move(Function):
    """The same numbers on another device."""

    @staticmethod
    def forward(ctx, x, device):
        ctx.device = device_of(x)
        return to_device(x, device)

    @staticmethod
    def backward(ctx, grad):
        return to_device(grad, ctx.device)


def move(x, device: str) -> Tensor:
    """The tensor on another device; itself if it is there already."""
    x = as_tensor(x)
    return x if check_device(device) == x.device else apply_op("move", x, device=device)
