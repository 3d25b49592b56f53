"""The CIFAR-10 networks of He et al. 2016, "Deep Residual Learning for Image Recognition", section 4.2: plain-20 to
plain-1202, ResNet-20 to ResNet-1202.

    6n + 2 layers      output map     32x32     16x16     8x8
                       layers         1 + 2n    2n        2n
                       filters        16        32        64

A 3x3 convolution, three stages of n basic blocks (``residual.py``; the first block of stages 2 and 3 halves the map),
global average pooling, a linear layer. Batch-norm after every convolution; no dropout.

    depth         20       32       44       56       110      1202
    n             3        5        7        9        18       200
    parameters    0.27 M   0.46 M   0.66 M   0.85 M   1.7 M    19.4 M
"""

from __future__ import annotations

from functools import partial

from .. import nn
from .registry import register_model
from .residual import BasicBlock, conv3x3, stage, start_weights

STAGES = ((16, 1), (32, 2), (64, 2))  # filters, stride of the first block
DEPTHS = (20, 32, 44, 56, 110, 1202)


class CifarResNet(nn.Module):
    """``blocks`` per stage (n of 6n + 2) with ``shortcut`` "A", "B", "C" or None (plain)."""

    def __init__(
        self, blocks: int, num_classes: int, shortcut: str | None, in_channels: int = 3,
        zero_init_residual: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        channels = STAGES[0][0]
        self.conv1 = conv3x3(in_channels, channels)  # (N, 16, 32, 32)
        self.bn1 = nn.BatchNorm2d(channels)
        for i, (filters, stride) in enumerate(STAGES, start=1):  # (N, 16, 32, 32), (N, 32, 16, 16), (N, 64, 8, 8)
            setattr(self, f"layer{i}", stage(BasicBlock, channels, filters, stride, blocks, shortcut=shortcut))
            channels = filters
        self.avgpool = nn.AdaptiveAvgPool2d(1)  # (N, 64, 1, 1)
        self.fc = nn.Linear(channels, num_classes)
        start_weights(self, zero_init_residual)

    def forward(self, x):
        x = self.bn1(self.conv1(x), relu=True)
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(self.avgpool(x).flatten(1))


def plain(depth: int, num_classes: int, in_channels: int = 3) -> CifarResNet:
    """plain-``depth``: the same network without shortcuts."""
    return CifarResNet((depth - 2) // 6, num_classes, None, in_channels)


def resnet(
    depth: int, num_classes: int, shortcut: str = "A", in_channels: int = 3, zero_init_residual: bool = False
) -> CifarResNet:
    """ResNet-``depth``; option A shortcuts, as in all the paper's CIFAR experiments, unless ``shortcut`` is "B" or "C".

    ``zero_init_residual`` starts every block as its shortcut.
    """
    return CifarResNet((depth - 2) // 6, num_classes, shortcut, in_channels, zero_init_residual)


for _depth in DEPTHS:
    register_model(f"plain{_depth}", num_classes=10, input_size=(3, 32, 32))(partial(plain, _depth))
    register_model(f"resnet{_depth}", num_classes=10, input_size=(3, 32, 32))(partial(resnet, _depth))
