"""Matrix product and the linear layer. Both end in ``kernels.matmul``, the framework's one large product."""

from __future__ import annotations

import math

import numpy as np

from .. import kernels
from ..autograd import Function
from ..errors import ShapeError
from ..tensor import Tensor, as_tensor
from . import checks
from .registry import apply_op, register


def _product(a, b, transpose_a=False, transpose_b=False):
    """op(a) @ op(b) on the last two axes; leading axes broadcast. (..., M, K) @ (..., K, N) -> (..., M, N)"""
    if a.ndim == b.ndim == 2:
        return kernels.matmul(a[None], b[None], transpose_a, transpose_b)[0]  # (M, N)
    lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    count = math.prod(lead)
    a, b = (_repeated(v, lead).reshape(count, *v.shape[-2:]) for v in (a, b))
    y = kernels.matmul(a, b, transpose_a, transpose_b)  # (B, M, N)
    return y.reshape(*lead, *y.shape[1:])


def _repeated(v: np.ndarray, lead: tuple[int, ...]) -> np.ndarray:
    # what needs no broadcasting stays as it is: NumPy's read-only view of a weight would be copied by the kernel
    return v if v.shape[:-2] == lead else np.broadcast_to(v, lead + v.shape[-2:])


@register("matmul")
class MatMul(Function):
    """Y = A B;  dA = dY B^T,  dB = A^T dY"""

    @staticmethod
    def forward(ctx, a, b):
        ctx.save_for_backward(a, b)
        return _product(a, b)

    @staticmethod
    def backward(ctx, grad):
        a, b = ctx.saved
        need_a, need_b = ctx.needs_input_grad
        da = _product(grad, b, transpose_b=True) if need_a else None
        db = _product(a, grad, transpose_a=True) if need_b else None
        return da, db


@register("linear")
class Linear(Function):
    """Y = X W^T + b;  dX = dY W,  dW = dY^T X,  db = sum over rows of dY. X (N, I), W (O, I), b (O,), Y (N, O)."""

    @staticmethod
    def forward(ctx, x, weight, bias):
        ctx.save_for_backward(x, weight)
        y = _product(x, weight, transpose_b=True)
        if bias is not None:
            y += bias
        return y

    @staticmethod
    def backward(ctx, grad):
        x, weight = ctx.saved
        need_x, need_weight, need_bias = ctx.needs_input_grad
        dx = _product(grad, weight) if need_x else None
        dweight = _product(grad, x, transpose_a=True) if need_weight else None
        dbias = grad.sum(0, dtype=np.float64) if need_bias else None
        return dx, dweight, dbias


def matmul(a, b) -> Tensor:
    """NumPy's ``a @ b``: vectors, matrices, and batches of matrices with broadcast leading axes."""
    a, b = as_tensor(a), as_tensor(b)
    checks.computable("matmul", a, b)
    if a.ndim == 0 or b.ndim == 0:
        raise ShapeError(f"matmul takes vectors or matrices, got shapes {a.shape} and {b.shape}; use * for a scalar")
    rows, columns = (a if a.ndim > 1 else a.reshape(1, -1)), (b if b.ndim > 1 else b.reshape(-1, 1))
    if rows.shape[-1] != columns.shape[-2]:
        raise ShapeError(
            f"matmul: shapes {a.shape} and {b.shape} do not fit: {rows.shape[-1]} columns meet {columns.shape[-2]} rows"
        )
    try:
        lead = np.broadcast_shapes(rows.shape[:-2], columns.shape[:-2])
    except ValueError:
        raise ShapeError(f"matmul: the leading axes of {a.shape} and {b.shape} do not broadcast") from None
    if b.ndim == 2 and a.ndim > 2:  # one matrix for the whole batch: fold the batch into the rows
        return matmul(a.reshape(math.prod(a.shape[:-1]), a.shape[-1]), b).reshape(*a.shape[:-1], b.shape[1])
    y = apply_op("matmul", rows, columns)
    ends = (rows.shape[-2],) * (a.ndim > 1) + (columns.shape[-1],) * (b.ndim > 1)
    return y.reshape(*lead, *ends) if a.ndim == 1 or b.ndim == 1 else y


def linear(x, weight, bias=None) -> Tensor:
    """y = x W^T + b.

    Parameters
    ----------
    x : Tensor, (..., I)
    weight : Tensor, (O, I)
    bias : Tensor, (O,), optional

    Returns
    -------
    Tensor, (..., O)

    Raises
    ------
    ShapeError
        If the numbers of features do not agree.

    Examples
    --------
    >>> linear(np.ones((1, 3)), np.array([[1.0, 2.0, 3.0], [0.0, 0.0, 1.0]]), np.array([0.5, 0.0])).tolist()
    [[6.5, 1.0]]
    """
    x, weight = as_tensor(x), as_tensor(weight)
    checks.computable("linear", x, weight)
    shape, filters = x.shape, weight.shape
    if len(filters) != 2:
        raise ShapeError(f"linear: the weight must be (out_features, in_features), got shape {filters}")
    if not shape or shape[-1] != filters[1]:
        hint = "; flatten the images first, nn.Flatten() or x.flatten(1)" if x.ndim == 4 else ""
        raise ShapeError(
            f"linear: the input of shape {shape} has {shape[-1] if shape else 'no'} features, "
            f"but the weight {filters} takes {filters[1]}{hint}"
        )
    if bias is not None and as_tensor(bias).shape != filters[:1]:
        raise ShapeError(f"linear: the bias must have shape {filters[:1]}, got {as_tensor(bias).shape}")
    if len(shape) == 2:
        return apply_op("linear", x, weight, bias)
    return apply_op("linear", x.reshape(-1, shape[-1]), weight, bias).reshape(*shape[:-1], filters[0])
