"""x[...]: basic indexing (slices, integers) and advanced indexing (integer and boolean arrays)."""

from __future__ import annotations

import numpy as np

from ..autograd import Function
from ..device import is_array, module_of, to_device
from ..errors import ShapeError
from ..kernels.layout import channels_last_full
from ..tensor import Tensor, as_tensor
from .registry import apply_op, register


@register("getitem")
class GetItem(Function):
    """y = x[index]; an element picked several times sums its gradients."""

    @staticmethod
    def forward(ctx, x, index):
        ctx.shape, ctx.index = x.shape, index
        return x[index]

    @staticmethod
    def backward(ctx, grad):
        if _is_basic(ctx.index):
            dx = channels_last_full(ctx.shape, 0, grad.dtype, like=grad)
            dx[ctx.index] = grad  # slices pick each element at most once
            return dx
        dx = channels_last_full(ctx.shape, 0, np.float64, like=grad)
        module_of(dx).add.at(dx, ctx.index, grad)
        return dx.astype(grad.dtype)


def _is_basic(index) -> bool:
    parts = index if isinstance(index, tuple) else (index,)
    return all(p is None or p is Ellipsis or isinstance(p, (int, np.integer, slice)) for p in parts)


def _plain(index, device: str):
    """An index with every tensor in it replaced by its array, and every array brought to the device of the numbers."""
    if isinstance(index, tuple):
        return tuple(_plain(p, device) for p in index)
    index = index.data if isinstance(index, Tensor) else index
    return to_device(index, device) if is_array(index) else index


def getitem(x: Tensor, index) -> Tensor:
    index = _plain(index, as_tensor(x).device)
    try:
        return apply_op("getitem", x, index=index)
    except IndexError as error:
        hint = "; mc.tensor([...], dtype='int64') makes an index" if "integer" in str(error) else ""
        raise IndexingError(f"{error} (the tensor has shape {x.shape}){hint}") from None


class IndexingError(ShapeError, IndexError):
    """An index that the shape does not have; also an IndexError, so that iteration stops where Python expects it."""
