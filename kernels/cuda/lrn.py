"""Local response normalisation across channels (Krizhevsky et al. 2012, section 3.3).

y[c] = x[c] / d[c]^beta,   d[c] = k + alpha * sum of x[j]^2 for j in the window of c
"""

from __future__ import annotations

from ..checks import same_shape
from . import backend
from .launcher import MAX_SHARED, Kernel

WINDOW = "long long pixels, int channels, int before, int after, T alpha, T beta, T k"
WARP = 32  # threads, which take one pixel together
WARPS = 8  # of a block, at most

FORWARD = Kernel("lrn.cu", "lrn<T>", f"const T* x, T* y, {WINDOW}")
BACKWARD = Kernel("lrn.cu", "lrn_backward<T>", f"const T* grad, const T* x, T* dx, {WINDOW}")


def local_response_norm(x, size, alpha, beta, k):
    """y, shaped like x (N, H, W, C)."""
    y = backend.module_of(x).empty(x.shape, x.dtype)
    window = _window(x, size)
    FORWARD((x, y, *window, alpha, beta, k), threads=window[0] * WARP)
    return y


def local_response_norm_backward(grad, x, size, alpha, beta, k):
    """dx[c] = grad[c] d[c]^-beta - 2 alpha beta x[c] * sum of grad[j] x[j] d[j]^(-beta-1), j whose window holds c"""
    same_shape("local_response_norm_backward", grad=grad, x=x)
    window = pixels, channels, *_ = _window(x, size)
    dx = backend.module_of(x).empty(x.shape, x.dtype)
    row = channels * x.dtype.itemsize  # of a warp's pixel in shared memory
    warps = max(1, min(WARPS, MAX_SHARED // max(1, row)))  # if not even one fits, the launcher says so
    geometry = {"block": warps * WARP, "shared_mem": warps * row}
    BACKWARD((grad, x, dx, *window, alpha, beta, k), threads=pixels * WARP, **geometry)
    return dx


def _window(x, size) -> tuple[int, int, int, int]:
    """How many pixels, channels, and how far the window reaches; further than all channels is no further."""
    n, h, w, channels = x.shape
    return n * h * w, channels, min(int(size) // 2, channels), min((int(size) - 1) // 2, channels)
