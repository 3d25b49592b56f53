"""How weights start. Each function fills a tensor in place and returns it; random ones draw from ``mc.manual_seed``'s
generator.

fan_in is the number of inputs that one output sums over (C/groups * KH * KW for a convolution, I for a linear layer),
fan_out the number of outputs that one input feeds (O * KH * KW, or O). With groups an input feeds O/groups * KH * KW,
but fan_out still counts all O, as PyTorch's does.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from .. import random
from ..device import to_device
from ..errors import ArgumentError, ShapeError
from ..kernels import shapes
from ..ops import checks
from ..tensor import Tensor

#: By how much a non-linearity shrinks the standard deviation, undone (PyTorch's table).
GAINS = {"linear": 1.0, "conv2d": 1.0, "sigmoid": 1.0, "tanh": 5 / 3, "relu": math.sqrt(2)}


def calculate_gain(nonlinearity: str, param: float = 0.01) -> float:
    """The gain of a non-linearity; ``param`` is leaky_relu's slope."""
    if nonlinearity == "leaky_relu":
        return math.sqrt(2 / (1 + param**2))
    if nonlinearity not in GAINS:
        raise ArgumentError(f"there is no gain for {nonlinearity!r}; there are {', '.join([*GAINS, 'leaky_relu'])}")
    return GAINS[nonlinearity]


def _fans(tensor: Tensor) -> tuple[int, int]:
    if tensor.ndim < 2:
        raise ShapeError(f"fan_in and fan_out need at least two axes, (out, in, ...); got shape {tensor.shape}")
    receptive = math.prod(tensor.shape[2:])
    return tensor.shape[1] * receptive, tensor.shape[0] * receptive


def _fan(tensor: Tensor, mode: str) -> int:
    if mode not in ("fan_in", "fan_out"):
        raise ArgumentError(f"mode must be 'fan_in' or 'fan_out', got {mode!r}")
    return _fans(tensor)[mode == "fan_out"]


AT_ONCE = 2**20  # numbers drawn in one go: they come in float64, and VGG's largest layer would take 800 MB


def _fill(tensor: Tensor, draw: Callable[[tuple], np.ndarray]) -> Tensor:
    """Some rows at a time, in order, so that the numbers are those of one draw. Where only shapes are asked for,
    nothing is written: memory that nobody touches costs nothing."""
    if shapes.wanted():
        return tensor
    if tensor.ndim == 0:
        tensor.data[...] = to_device(np.asarray(draw(())), tensor.device)
        return tensor
    rows = max(1, AT_ONCE // max(1, math.prod(tensor.shape[1:])))
    for first in range(0, len(tensor), rows):
        part = tensor.data[first : first + rows]
        part[...] = to_device(draw(part.shape), tensor.device)
    return tensor


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0) -> Tensor:
    return _fill(tensor, lambda shape: random.state.generator.uniform(a, b, shape))


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0) -> Tensor:
    checks.number("normal_", "std", std)
    return _fill(tensor, lambda shape: random.state.generator.normal(mean, std, shape))


def constant_(tensor: Tensor, value: float) -> Tensor:
    if not shapes.wanted():
        tensor.data[...] = value
    return tensor


def zeros_(tensor: Tensor) -> Tensor:
    return constant_(tensor, 0.0)


def ones_(tensor: Tensor) -> Tensor:
    return constant_(tensor, 1.0)


def kaiming_normal_(tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu") -> Tensor:
    """N(0, gain^2 / fan): keeps the variance through ReLU layers.

    He et al. 2015, equation 10; equation 14 for fan_out, 15 with the slope ``a``.
    """
    return normal_(tensor, 0.0, calculate_gain(nonlinearity, a) / math.sqrt(_fan(tensor, mode)))


def kaiming_uniform_(tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu") -> Tensor:
    """The uniform distribution of the same variance."""
    bound = math.sqrt(3) * calculate_gain(nonlinearity, a) / math.sqrt(_fan(tensor, mode))
    return uniform_(tensor, -bound, bound)


def xavier_normal_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """N(0, gain^2 * 2 / (fan_in + fan_out)) (Glorot & Bengio 2010, equation 12)."""
    return normal_(tensor, 0.0, gain * math.sqrt(2 / sum(_fans(tensor))))


def xavier_uniform_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """U(+-gain sqrt(6 / (fan_in + fan_out))) (Glorot & Bengio 2010, equation 16)."""
    bound = gain * math.sqrt(6 / sum(_fans(tensor)))
    return uniform_(tensor, -bound, bound)


def dirac_(tensor: Tensor) -> Tensor:
    """The identity as a convolution: 1 at the kernel's centre from channel i to channel i, 0 elsewhere."""
    if tensor.ndim != 4:
        raise ShapeError(f"dirac_ takes a convolution's weight (O, C, KH, KW), got shape {tensor.shape}")
    i = np.arange(min(tensor.shape[:2]))
    zeros_(tensor).data[i, i, tensor.shape[2] // 2, tensor.shape[3] // 2] = 1
    return tensor
