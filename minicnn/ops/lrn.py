"""Local response normalisation: neighbouring channels damp each other (AlexNet's "brightness normalization")."""

from __future__ import annotations

from .. import kernels
from ..autograd import Function
from ..tensor import Tensor, as_tensor
from . import checks
from .registry import apply_op, register


@register("local_response_norm")
class LocalResponseNorm(Function):
    """y[c] = x[c] / (k + alpha * sum of x[j]^2 over the ``size`` channels around c)^beta (Krizhevsky et al. 2012, 3.3)

    dx[c] = dy[c] d[c]^-beta - 2 alpha beta x[c] * sum over j whose window holds c of  dy[j] x[j] d[j]^(-beta-1)
    """

    @staticmethod
    def forward(ctx, x, size, alpha, beta, k, average):
        ctx.save_for_backward(x)
        ctx.constants = (size, alpha / size if average else alpha, beta, k)
        return kernels.local_response_norm(x, *ctx.constants)  # (N, C, H, W)

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved
        return kernels.local_response_norm_backward(grad, x, *ctx.constants)


def local_response_norm(
    x, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0, average: bool = True
) -> Tensor:
    """Divide each channel by a power of the energy of its neighbours.

    Parameters
    ----------
    x : Tensor, (N, C, H, W)
    size : int
        Channels in a window: from c - size//2 to c + (size-1)//2.
    alpha, beta, k : float
    average : bool
        True: ``alpha`` multiplies the *mean* of the squares over ``size`` (PyTorch, ONNX). False: their *sum*, the
        paper's formula; AlexNet is ``size=5, alpha=1e-4, beta=0.75, k=2, average=False``.

    Examples
    --------
    >>> import numpy as np
    >>> local_response_norm(np.ones((1, 3, 1, 1)), size=3, alpha=3.0, beta=1.0, k=1.0).data.ravel().round(3).tolist()
    [0.333, 0.25, 0.333]
    """
    x = as_tensor(x)
    checks.images("local_response_norm", x)
    size = checks.whole("local_response_norm", "size", size)
    for name, value in (("alpha", alpha), ("beta", beta), ("k", k)):
        checks.number("local_response_norm", name, value)
    return apply_op("local_response_norm", x, size=size, alpha=alpha, beta=beta, k=k, average=average)
