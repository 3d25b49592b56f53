"""The layers without weights: activations, pooling, reshaping, losses."""

from __future__ import annotations

from .. import functional as F
from ..ops import checks
from ..tensor import as_tensor
from .module import Module


class ReLU(Module):
    """max(x, 0). ``inplace`` is taken for PyTorch's sake and ignored: inputs are never modified here."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()

    def forward(self, x):
        return F.relu(x)


class ReLU6(Module):
    """min(max(x, 0), 6). ``inplace`` is ignored, as in :class:`ReLU`."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()

    def forward(self, x):
        return F.relu6(x)


class LeakyReLU(Module):
    """x where positive, ``negative_slope`` * x elsewhere. ``inplace`` is ignored, as in :class:`ReLU`."""

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        super().__init__()
        self.negative_slope = checks.number("LeakyReLU", "negative_slope", negative_slope)

    def forward(self, x):
        return F.leaky_relu(x, self.negative_slope)

    def extra_repr(self) -> str:
        return f"{self.negative_slope}"


class Sigmoid(Module):
    """1 / (1 + e^-x)"""

    def forward(self, x):
        return F.sigmoid(x)


class Tanh(Module):
    """tanh x"""

    def forward(self, x):
        return F.tanh(x)


class Softmax(Module):
    """Probabilities along ``axis`` (PyTorch's ``dim``). Not before CrossEntropyLoss, which takes logits."""

    @checks.takes_dim
    def __init__(self, axis: int = -1) -> None:
        super().__init__()
        self.axis = axis

    def forward(self, x):
        return F.softmax(x, self.axis)


class _Pool2d(Module):
    def __init__(self, kernel_size, stride=None, padding=0) -> None:
        super().__init__()
        name = type(self).__name__
        self.kernel_size = checks.pair(name, "kernel_size", kernel_size)
        self.stride = self.kernel_size if stride is None else checks.pair(name, "stride", stride)
        self.padding = padding
        checks.sides(name, padding, self.kernel_size, self.stride, (1, 1))  # complain early

    def extra_repr(self) -> str:
        padding = f", padding={self.padding}" if self.padding else ""
        return f"kernel_size={self.kernel_size}, stride={self.stride}{padding}"


class MaxPool2d(_Pool2d):
    """The largest value of each window; see :func:`minicnn.functional.max_pool2d`."""

    def __init__(self, kernel_size, stride=None, padding=0, dilation=1, ceil_mode: bool = False) -> None:
        super().__init__(kernel_size, stride, padding)
        self.dilation, self.ceil_mode = checks.pair("MaxPool2d", "dilation", dilation), ceil_mode

    def forward(self, x):
        return F.max_pool2d(x, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode)


class AvgPool2d(_Pool2d):
    """The mean of each window; see :func:`minicnn.functional.avg_pool2d`."""

    def __init__(
        self, kernel_size, stride=None, padding=0, ceil_mode: bool = False, count_include_pad: bool = True
    ) -> None:
        super().__init__(kernel_size, stride, padding)
        self.ceil_mode, self.count_include_pad = ceil_mode, count_include_pad

    def forward(self, x):
        return F.avg_pool2d(x, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)


class AdaptiveAvgPool2d(Module):
    """Means over windows that tile the image into ``output_size``; 1 is global average pooling."""

    def __init__(self, output_size) -> None:
        super().__init__()
        wanted = output_size if isinstance(output_size, (tuple, list)) else (output_size, output_size)
        checks.pair("AdaptiveAvgPool2d", "output_size", [1 if n is None else n for n in wanted])
        self.output_size = output_size

    def forward(self, x):
        return F.adaptive_avg_pool2d(x, self.output_size)

    def extra_repr(self) -> str:
        return f"{self.output_size}"


class Flatten(Module):
    """(N, C, H, W) -> (N, C*H*W), in that logical order."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, x):
        return as_tensor(x).flatten(self.start_dim, self.end_dim)


class Identity(Module):
    """x, unchanged; takes and ignores any options."""

    def __init__(self, *options, **keywords) -> None:
        super().__init__()

    def forward(self, x):
        return x


class CrossEntropyLoss(Module):
    """Mean cross-entropy of logits and labels; see :func:`minicnn.functional.cross_entropy`."""

    def __init__(self, label_smoothing: float = 0.0) -> None:
        super().__init__()
        checks.number("CrossEntropyLoss", "label_smoothing", label_smoothing, high=1, what="a share")
        self.label_smoothing = label_smoothing

    def forward(self, logits, labels):
        return F.cross_entropy(logits, labels, self.label_smoothing)


class MSELoss(Module):
    """Mean squared error."""

    def forward(self, x, target):
        return F.mse_loss(x, target)
