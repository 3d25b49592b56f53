"""The layers that have weights or state: convolution, linear, normalisation, dropout."""

from __future__ import annotations

import math

import numpy as np

from .. import functional as F
from ..errors import ArgumentError
from ..ops import checks
from . import init
from .module import Module
from .parts import Parameter


def _positive(layer: str, **counts) -> None:
    for name, value in counts.items():
        checks.whole(layer, name, value)


def _start(layer: Module, weight_shape: tuple, bias: bool) -> None:
    """PyTorch's default: weights and biases uniform within 1 / sqrt(fan_in)."""
    layer.weight = init.kaiming_uniform_(Parameter(np.empty(weight_shape, np.float32)), a=math.sqrt(5))
    bound = 1 / math.sqrt(math.prod(weight_shape[1:]))
    values = Parameter(np.empty(weight_shape[0], np.float32)) if bias else None
    layer.register_parameter("bias", values if values is None else init.uniform_(values, -bound, bound))


class Conv2d(Module):
    """Convolution; see :func:`minicnn.functional.conv2d` for shapes and options.

    ``weight`` (out_channels, in_channels / groups, KH, KW) and ``bias`` (out_channels,) or None.

    >>> Conv2d(3, 8, 5, stride=2, padding=2)(np.zeros((1, 3, 32, 32), np.float32)).shape
    (1, 8, 16, 16)
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size, stride=1, padding=0, dilation=1, groups: int = 1,
        bias: bool = True, algorithm: str = "auto",
    ) -> None:  # fmt: skip
        super().__init__()
        _positive("Conv2d", in_channels=in_channels, out_channels=out_channels, groups=groups)
        if in_channels % groups or out_channels % groups:
            raise ArgumentError(
                f"Conv2d: groups={groups} must divide in_channels={in_channels} and out_channels={out_channels}"
            )
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = checks.pair("Conv2d", "kernel_size", kernel_size)
        self.stride = checks.pair("Conv2d", "stride", stride)
        self.dilation = checks.pair("Conv2d", "dilation", dilation)
        self.padding, self.algorithm = padding, algorithm
        checks.sides("Conv2d", padding, self.kernel_size, self.stride, self.dilation)  # complain early
        _start(self, (out_channels, in_channels // groups, *self.kernel_size), bias)

    def forward(self, x):
        return F.conv2d(
            x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups, self.algorithm
        )

    def extra_repr(self) -> str:
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        others = {"padding": (self.padding, 0), "dilation": (self.dilation, (1, 1)), "groups": (self.groups, 1)}
        text += "".join(f", {name}={value}" for name, (value, default) in others.items() if value != default)
        return text + ("" if self.bias is not None else ", bias=False")


class Linear(Module):
    """y = x W^T + b; ``weight`` (out_features, in_features), ``bias`` (out_features,) or None.

    >>> Linear(4, 2)(np.zeros((3, 4), np.float32)).shape
    (3, 2)
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        super().__init__()
        _positive("Linear", in_features=in_features, out_features=out_features)
        self.in_features, self.out_features = in_features, out_features
        _start(self, (out_features, in_features), bias)

    def forward(self, x):
        return F.linear(x, self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.out_features}" + ("" if self.bias is not None else ", bias=False")


class BatchNorm2d(Module):
    """Batch normalisation of images; see :func:`minicnn.functional.batch_norm`.

    Parameters
    ----------
    num_features : int
        Channels.
    eps : float
    momentum : float or None
        Weight of the newest batch in the running statistics; None: the plain average of all batches.
    affine : bool
        Learn ``weight`` and ``bias``.
    track_running_stats : bool
        Keep ``running_mean``, ``running_var`` and ``num_batches_tracked``; without them evaluation uses the batch.

    Examples
    --------
    >>> norm = BatchNorm2d(2)
    >>> norm(np.ones((4, 2, 3, 3), np.float32)).tolist()[0][0]
    [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    >>> [name for name, _ in norm.named_buffers()]
    ['running_mean', 'running_var', 'num_batches_tracked']
    """

    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = True,
        track_running_stats: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        _positive("BatchNorm2d", num_features=num_features)
        checks.number("BatchNorm2d", "eps", eps)
        checks.number("BatchNorm2d", "momentum", momentum or 0.0, high=1)
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        ones, zeros = np.ones(num_features, np.float32), np.zeros(num_features, np.float32)
        self.register_parameter("weight", Parameter(ones.copy()) if affine else None)
        self.register_parameter("bias", Parameter(zeros.copy()) if affine else None)
        self.register_buffer("running_mean", zeros if track_running_stats else None)
        self.register_buffer("running_var", ones if track_running_stats else None)
        self.register_buffer("num_batches_tracked", np.array(0) if track_running_stats else None)

    def forward(self, x, relu: bool | int = False, residual=None):
        """With ``relu`` and ``residual``: ReLU (6: ReLU6) of the result plus that tensor, in one pass over memory."""
        tracking = self.training and self.track_running_stats
        momentum = self.momentum or 0.0
        if tracking and self.momentum is None:
            momentum = 1 / (int(self.num_batches_tracked) + 1)
        batch_statistics = self.training or not self.track_running_stats
        y = F.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, batch_statistics, momentum, self.eps,
            relu, residual,
        )  # fmt: skip
        if tracking:
            self.num_batches_tracked.data += 1
        return y

    def extra_repr(self) -> str:
        return f"{self.num_features}, eps={self.eps}, momentum={self.momentum}"


class LocalResponseNorm(Module):
    """AlexNet's normalisation across channels; see :func:`minicnn.functional.local_response_norm`."""

    def __init__(
        self, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0, average: bool = True
    ) -> None:
        super().__init__()
        _positive("LocalResponseNorm", size=size)
        self.size, self.alpha, self.beta, self.k, self.average = size, alpha, beta, k, average

    def forward(self, x):
        return F.local_response_norm(x, self.size, self.alpha, self.beta, self.k, self.average)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}, average={self.average}"


class Dropout(Module):
    """Zero each element with probability ``p`` in training; see :func:`minicnn.functional.dropout`.

    ``inplace`` is taken for PyTorch's sake and ignored.
    """

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        self.p = checks.number("Dropout", "p", p, high=1, what="a probability")

    def forward(self, x):
        return F.dropout(x, self.p, self.training)

    def extra_repr(self) -> str:
        return f"p={self.p}"
