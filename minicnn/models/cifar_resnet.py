"""The CIFAR-10 networks of He et al. 2016, "Deep Residual Learning for Image Recognition", section 4.2: plain-20 to
plain-110, ResNet-20 to ResNet-110.

    6n + 2 layers      output map     32x32     16x16     8x8
                       layers         1 + 2n    2n        2n
                       filters        16        32        64

A 3x3 convolution, three stages of n blocks (the first block of stages 2 and 3 halves the map), global average pooling,
a linear layer. Batch-norm after every convolution; convolutions start as in He et al. 2015 (by fan_out); no dropout.
"""

from __future__ import annotations

from functools import partial

from .. import functional as F
from .. import nn
from ..errors import ArgumentError
from .registry import register_model

STAGES = ((16, 1), (32, 2), (64, 2))  # filters, stride of the first block
DEPTHS = (20, 32, 44, 56, 110)


def conv3x3(in_channels: int, out_channels: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)


class ShortcutA(nn.Module):
    """Option A: where the map halves, every second pixel, and zeros for the channels there were not. No parameters."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.new_channels, self.stride = out_channels - in_channels, stride

    def forward(self, x):
        x = x[:, :, :: self.stride, :: self.stride]  # (N, C, H/2, W/2)
        return F.pad(x, (0, 0, 0, 0, 0, self.new_channels))  # (N, 2C, H/2, W/2)

    def extra_repr(self) -> str:
        return f"stride={self.stride}, new_channels={self.new_channels}"


def shortcut_b(in_channels: int, out_channels: int, stride: int) -> nn.Sequential:
    """Option B: a 1x1 convolution where the shape changes."""
    return nn.Sequential(nn.Conv2d(in_channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels))


SHORTCUTS = {"A": ShortcutA, "B": shortcut_b}


class Block(nn.Module):
    """relu(F(x) + shortcut(x)), F two 3x3 convolutions; ``shortcut=None`` makes the plain network's relu(F(x))."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, shortcut: str | None) -> None:
        super().__init__()
        self.residual = shortcut is not None
        self.conv1 = conv3x3(in_channels, out_channels, stride)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = conv3x3(out_channels, out_channels, 1)
        self.bn2 = nn.BatchNorm2d(out_channels)
        if self.residual and (stride != 1 or in_channels != out_channels):
            self.downsample = SHORTCUTS[shortcut](in_channels, out_channels, stride)
        else:
            self.downsample = nn.Identity()

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return F.relu(y + self.downsample(x) if self.residual else y)


class CifarResNet(nn.Module):
    """``blocks`` per stage (n of 6n + 2) with ``shortcut`` "A", "B" or None (plain)."""

    def __init__(self, blocks: int, num_classes: int, shortcut: str | None, in_channels: int = 3) -> None:
        super().__init__()
        if shortcut is not None and shortcut not in SHORTCUTS:
            raise ArgumentError(f"shortcut must be 'A' (zero-padded) or 'B' (1x1 convolution), got {shortcut!r}")
        self.conv1 = conv3x3(in_channels, STAGES[0][0], 1)  # (N, 16, 32, 32)
        self.bn1 = nn.BatchNorm2d(STAGES[0][0])
        before = STAGES[0][0]
        for i, (filters, stride) in enumerate(STAGES, start=1):  # (N, 16, 32, 32), (N, 32, 16, 16), (N, 64, 8, 8)
            first = Block(before, filters, stride, shortcut)
            rest = [Block(filters, filters, 1, shortcut) for _ in range(blocks - 1)]
            setattr(self, f"layer{i}", nn.Sequential(first, *rest))
            before = filters
        self.avgpool = nn.AdaptiveAvgPool2d(1)  # (N, 64, 1, 1)
        self.fc = nn.Linear(before, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(self.avgpool(x).flatten(1))


def plain(depth: int, num_classes: int, in_channels: int = 3) -> CifarResNet:
    """plain-``depth``: the same network without shortcuts."""
    return CifarResNet((depth - 2) // 6, num_classes, None, in_channels)


def resnet(depth: int, num_classes: int, shortcut: str = "A", in_channels: int = 3) -> CifarResNet:
    """ResNet-``depth``; option A shortcuts, as in all the paper's CIFAR experiments, unless ``shortcut="B"``."""
    return CifarResNet((depth - 2) // 6, num_classes, shortcut, in_channels)


for _depth in DEPTHS:
    register_model(f"plain{_depth}", num_classes=10, input_size=(3, 32, 32))(partial(plain, _depth))
    register_model(f"resnet{_depth}", num_classes=10, input_size=(3, 32, 32))(partial(resnet, _depth))
