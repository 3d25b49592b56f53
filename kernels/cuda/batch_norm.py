"""Batch normalisation over (N, H, W), per channel (Ioffe & Szegedy 2015, algorithm 1), and sums over the same axes.

The pixels are cut into shares, one for each block of threads, by shape alone; a second kernel adds up what the shares
gave. See batch_norm.cu.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..checks import one_each, same_shape
from . import backend
from .launcher import Kernel

PIXELS_PER_THREAD = 32  # of a share, at least: enough work for a block to be worth its start and its row of sums
MOST_SHARES = 1024  # so that adding up the shares takes far less time than making them
WARPS, MANY_WARPS = 8, 32  # as in the .cu file

PIXELS = "long long pixels, int channels, int lanes"
SHARES = "int channels, int shares, int lanes"
STATS = "const double* mean, const double* var"

SUMS = Kernel("batch_norm.cu", "channel_sums<T>", f"const T* x, double* partial, {PIXELS}")
CHANNEL_STATS = Kernel(
    "batch_norm.cu", "channel_stats<T>", f"const T* x, double* share_sums, double* squares, {PIXELS}"
)
JOIN_STATS = Kernel(
    "batch_norm.cu",
    "join_stats",
    f"const double* share_sums, const double* squares, double* mean, double* var, long long pixels, {SHARES}",
)
ADD_SHARES = Kernel("batch_norm.cu", "add_shares<T>", f"const double* partial, double* total, T* rounded, {SHARES}")
NORMALISE = Kernel(
    "batch_norm.cu",
    "batch_norm<T>",
    f"const T* x, {STATS}, const T* weight, const T* bias, const T* residual, T* y, double eps, T lowest, T highest, "
    f"int add, {PIXELS}",
)
LAYER = f"const T* grad, const T* x, {STATS}, const T* weight, const T* bias"
SUMMED = f"{LAYER}, double* partial, double eps, T highest, {PIXELS}"
SENT = f"{LAYER}, const double* total, T* dx, double eps, T highest, int training, {PIXELS}"
BACKWARD_SUMS = Kernel("batch_norm.cu", "batch_norm_sums<T, false>", SUMMED)
BACKWARD = Kernel("batch_norm.cu", "batch_norm_backward<T, false>", SENT)
RELU_SUMS = Kernel("batch_norm.cu", "batch_norm_sums<T, true>", SUMMED)
RELU_BACKWARD = Kernel("batch_norm.cu", "batch_norm_backward<T, true>", SENT)


@dataclass(frozen=True)
class Cut:
    """How blocks share the pixels: the launch's sizes, and the last numbers of every kernel's arguments."""

    pixels: int
    channels: int

    @classmethod
    def of(cls, x) -> Cut:
        n, h, w, c = x.shape
        return cls(n * h * w, c)

    @property
    def lanes(self) -> int:
        """Channels that a warp takes: the first power of two that covers them, at most 32."""
        return min(32, 1 << (self.channels - 1).bit_length()) if self.channels else 1

    @property
    def groups(self) -> int:
        """Blocks side by side for all channels."""
        return -(-self.channels // self.lanes)

    @property
    def shares(self) -> int:
        """Into how many shares the pixels are cut."""
        at_once = WARPS * (32 // self.lanes)  # pixels that a block takes in one step
        return min(MOST_SHARES, max(1, -(-self.pixels // (at_once * PIXELS_PER_THREAD))))

    @property
    def over_pixels(self) -> dict:
        """Geometry of the kernels that go over all pixels."""
        return {"blocks": (self.groups, self.shares), "block": (32, WARPS)}

    @property
    def numbers(self) -> tuple[int, int, int]:
        """The values for ``PIXELS``."""
        return self.pixels, self.channels, self.lanes


def channel_sum(x):
    """(N, H, W, C) -> (C,): the gradient of a bias."""
    cut = Cut.of(x)
    partial = backend.module_of(x).empty((1, cut.shares, cut.channels), "float64")
    SUMS((x, partial, *cut.numbers), **cut.over_pixels)
    return _add_shares(partial, cut, x.dtype)[1][0]


def _add_shares(partial, cut: Cut, dtype):
    """(sums, shares, C) -> totals (sums, C), in float64 and in the caller's dtype"""
    xp = backend.module_of(partial)
    total = xp.empty((len(partial), cut.channels), "float64")
    rounded = xp.empty(total.shape, dtype)
    blocks = cut.groups, 1, len(partial)
    ADD_SHARES((partial, total, rounded, cut.channels, cut.shares, cut.lanes), blocks=blocks, block=(32, MANY_WARPS))
    return total, rounded


def channel_stats(x):
    """(N, H, W, C) -> mean (C,) and biased variance (C,), both float64."""
    xp, cut = backend.module_of(x), Cut.of(x)
    sums, squares = xp.empty((cut.shares, cut.channels), "float64"), xp.empty((cut.shares, cut.channels), "float64")
    CHANNEL_STATS((x, sums, squares, *cut.numbers), **cut.over_pixels)
    mean, var = xp.empty(cut.channels, "float64"), xp.empty(cut.channels, "float64")
    sizes = cut.pixels, cut.channels, cut.shares, cut.lanes
    JOIN_STATS((sums, squares, mean, var, *sizes), blocks=cut.groups, block=(32, MANY_WARPS))
    return mean, var


def _float64(v):
    return v.astype("float64", copy=False)


def batch_norm(x, mean, var, weight, bias, eps):
    """y = (x - mean) / sqrt(var + eps) * weight + bias"""
    return normalised("batch_norm", x, mean, var, weight, bias, None, eps, -math.inf, math.inf)


def normalised(name: str, x, mean, var, weight, bias, residual, eps, lowest: float, highest: float):
    """batch_norm, plus a residual that may be None, no less than ``lowest`` and no more than ``highest``."""
    one_each(name, x.shape[3], "channels", mean=mean, var=var, weight=weight, bias=bias)
    y, cut = backend.module_of(x).empty(x.shape, x.dtype), Cut.of(x)
    added = x if residual is None else residual  # without one, any array will do: it is not looked at
    options = eps, lowest, highest, residual is not None
    NORMALISE((x, _float64(mean), _float64(var), weight, bias, added, y, *options, *cut.numbers), **cut.over_pixels)
    return y


def batch_norm_backward(grad, x, mean, var, weight, eps, training):
    """Gradients by x, weight and bias. In training, mean and var depend on x too, which adds the two subtracted terms:

    dx = weight / sqrt(var + eps) * (grad - mean(grad) - xhat * mean(grad * xhat)),  xhat = (x - mean) / sqrt(var + eps)
    """
    return gradients("batch_norm_backward", grad, x, mean, var, weight, weight, eps, training, False, math.inf)


def gradients(name: str, grad, x, mean, var, weight, bias, eps, training, relu: bool, highest: float):
    """Those of batch_norm, or with ``relu`` of what of it lies between 0 and ``highest``; else ``bias`` is not used."""
    same_shape(name, grad=grad, x=x)
    one_each(name, x.shape[3], "channels", mean=mean, var=var, weight=weight, bias=bias)
    xp, cut = backend.module_of(x), Cut.of(x)
    add_up, send = (RELU_SUMS, RELU_BACKWARD) if relu else (BACKWARD_SUMS, BACKWARD)
    layer = _float64(mean), _float64(var), weight, bias
    partial = xp.empty((2, cut.shares, cut.channels), "float64")
    add_up((grad, x, *layer, partial, eps, highest, *cut.numbers), **cut.over_pixels)
    total, (dbias, dweight) = _add_shares(partial, cut, x.dtype)
    dx = xp.empty(x.shape, x.dtype)
    options = eps, highest, bool(training)
    send((grad, x, *layer, total, dx, *options, *cut.numbers), **cut.over_pixels)
    return dx, dweight, dbias
