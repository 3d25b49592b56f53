"""What the residual networks share: the two blocks of He et al. 2016, "Deep Residual Learning for Image Recognition"
(figure 5), the shortcuts (sections 3.3 and 4.1) and how weights start.

    basic block               bottleneck                        shortcut, where the block changes the shape
       x --------.               x ---------.                     A   every second pixel, zeros for new channels
    3x3, f       |            1x1, f        |                     B   1x1 convolution, batch-norm
    BN, ReLU     |            BN, ReLU      |                     C   the same in every block
    3x3, f    shortcut        3x3, f     shortcut               elsewhere (A, B) the input itself
    BN           |            BN, ReLU      |
       + --------'            1x1, 4f       |
    ReLU                      BN            |
                                 + ---------'
                              ReLU

A basic block from C to C channels has 18 C^2 weights (f = C), a bottleneck 17/16 C^2 (f = C / 4): for about the same
cost it carries four times the channels (C = 64: 73,728 weights; bottleneck, C = 256: 69,632).
"""

from __future__ import annotations

from .. import functional as F
from .. import nn
from ..errors import ArgumentError

SHORTCUTS = {"A": "zero-padded", "B": "1x1 convolution where the shape changes", "C": "1x1 convolution everywhere"}


def conv3x3(in_channels: int, out_channels: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, groups=groups, bias=False)


def conv1x1(in_channels: int, out_channels: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)


class ShortcutA(nn.Module):
    """Option A: every ``stride``-th pixel, and zeros for the channels there were not. No parameters."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.new_channels, self.stride = out_channels - in_channels, stride

    def forward(self, x):
        x = x[:, :, :: self.stride, :: self.stride]  # (N, C, H/2, W/2)
        return F.pad(x, (0, 0, 0, 0, 0, self.new_channels))  # (N, 2C, H/2, W/2)

    def extra_repr(self) -> str:
        return f"stride={self.stride}, new_channels={self.new_channels}"


def make_shortcut(option: str, in_channels: int, out_channels: int, stride: int, batch_norm: bool = True) -> nn.Module:
    """The way around a block, by ``option`` "A", "B" or "C"; without ``batch_norm`` the 1x1 convolution stands alone.

    Raises
    ------
    ArgumentError
        If there is no such option.
    """
    if option not in SHORTCUTS:
        known = ", ".join(f"{name!r} ({what})" for name, what in SHORTCUTS.items())
        raise ArgumentError(f"shortcut must be one of {known}; got {option!r}")
    if option != "C" and stride == 1 and in_channels == out_channels:
        return nn.Identity()
    if option == "A":
        return ShortcutA(in_channels, out_channels, stride)
    projection = conv1x1(in_channels, out_channels, stride)
    return nn.Sequential(projection, nn.BatchNorm2d(out_channels)) if batch_norm else projection


class BasicBlock(nn.Module):
    """relu(F(x) + shortcut(x)), F two 3x3 convolutions; ``shortcut=None`` makes the plain network's relu(F(x))."""

    expansion = 1  # output channels / filters

    def __init__(self, in_channels: int, filters: int, stride: int, shortcut: str | None = "B") -> None:
        super().__init__()
        self.conv1 = conv3x3(in_channels, filters, stride)
        self.bn1 = nn.BatchNorm2d(filters)
        self.conv2 = conv3x3(filters, filters)
        self.bn2 = nn.BatchNorm2d(filters)
        self.downsample = None if shortcut is None else make_shortcut(shortcut, in_channels, filters, stride)

    def forward(self, x):  # (N, in_channels, H, W)
        y = self.bn1(self.conv1(x), relu=True)  # (N, filters, H / stride, W / stride)
        y = self.conv2(y)
        return self.bn2(y, relu=True, residual=None if self.downsample is None else self.downsample(x))


class Bottleneck(nn.Module):
    """relu(F(x) + shortcut(x)), F a 1x1 convolution to ``filters``, a 3x3, and a 1x1 to 4 * ``filters``.

    The first 1x1 strides, or with ``stride_in_3x3`` the 3x3.
    """

    expansion = 4

    def __init__(
        self, in_channels: int, filters: int, stride: int, shortcut: str = "B", stride_in_3x3: bool = False
    ) -> None:
        super().__init__()
        first, second = (1, stride) if stride_in_3x3 else (stride, 1)
        self.conv1 = conv1x1(in_channels, filters, first)
        self.bn1 = nn.BatchNorm2d(filters)
        self.conv2 = conv3x3(filters, filters, second)
        self.bn2 = nn.BatchNorm2d(filters)
        self.conv3 = conv1x1(filters, 4 * filters)
        self.bn3 = nn.BatchNorm2d(4 * filters)
        self.downsample = make_shortcut(shortcut, in_channels, 4 * filters, stride)

    def forward(self, x):  # (N, in_channels, H, W)
        y = self.bn1(self.conv1(x), relu=True)
        y = self.bn2(self.conv2(y), relu=True)  # (N, filters, H / stride, W / stride)
        return self.bn3(self.conv3(y), relu=True, residual=self.downsample(x))  # (N, 4 * filters, H/stride, W/stride)


def stage(block: type, in_channels: int, filters: int, stride: int, blocks: int, **options) -> nn.Sequential:
    """``blocks`` blocks in a row; the first one strides and changes the channels."""
    out_channels = filters * block.expansion
    first = block(in_channels, filters, stride, **options)
    return nn.Sequential(first, *[block(out_channels, filters, 1, **options) for _ in range(blocks - 1)])


def start_weights(model: nn.Module, zero_init_residual: bool = False) -> None:
    """Convolutions start as in He et al. 2015: N(0, 2 / fan_out).

    Either fan suits the paper ("we initialize the weights as in [13]"); its authors' later code and torchvision take
    fan_out. Batch-norms start as the identity. With ``zero_init_residual`` the last one of every block starts with
    gamma = 0: then F = 0, each block begins as its shortcut, and the deepest network as a shallow one (Goyal et al.
    2017, "Accurate, Large Minibatch SGD", section 5.1).
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if zero_init_residual and hasattr(module, "downsample"):
            nn.init.zeros_((module.bn3 if hasattr(module, "bn3") else module.bn2).weight)
