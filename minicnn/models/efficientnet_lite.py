"""EfficientNet-Lite0: EfficientNet-B0 (Tan & Le 2019, "EfficientNet: Rethinking Model Scaling for Convolutional Neural
Networks", table 1) without squeeze-and-excitation and with ReLU6 in place of Swish, for phones that compute in 8 bits.

    input            operator                        expand   channels   repeat   stride
    3 x 224x224      3x3 convolution                 -        32         1        2
    32 x 112x112     inverted residual, kernel 3     1        16         1        1
    16 x 112x112     inverted residual, kernel 3     6        24         2        2
    24 x 56x56       inverted residual, kernel 5     6        40         2        2
    40 x 28x28       inverted residual, kernel 3     6        80         3        2
    80 x 14x14       inverted residual, kernel 5     6        112        3        1
    112 x 14x14      inverted residual, kernel 5     6        192        4        2
    192 x 7x7        inverted residual, kernel 3     6        320        1        1
    320 x 7x7        1x1 convolution                 -        1280       1        1
    1280 x 7x7       global average pooling, dropout 0.2, linear layer

The blocks are MobileNetV2's (mobilenet_v2.py), batch-norm after every convolution, ReLU6 after all but the last of a
block; the kernel sizes and repeats were found by search.

Padding is TensorFlow's "same": an output is ceil(size / stride) pixels wide, and where the zeros that takes cannot be
shared evenly, the larger half stands right and below. So a 3x3 convolution with stride 2 pads an even image by (0, 1),
where PyTorch's models pad (1, 1): with that the published weights would sit one pixel off in every such layer.

Batch-norm: epsilon 1e-3; a batch moves the running statistics by 0.01 only (TensorFlow's momentum 0.99; section 5.2),
so that evaluation lags some hundred steps behind training.

Parameter names are those of the published PyTorch weights (`_conv_stem`, `_blocks.0._depthwise_conv`, ...); 4,652,008
parameters. They take pixels (x - 127) / 128 of 224x224 images. Left out: stochastic depth (dropped blocks) in training.
"""

from __future__ import annotations

from .. import functional as F
from .. import nn
from .initial import he_fan_out
from .registry import register_model

STEM, HEAD = 32, 1280
STAGES = (  # kernel, expand, channels, repeat, stride
    (3, 1, 16, 1, 1),
    (3, 6, 24, 2, 2),
    (5, 6, 40, 2, 2),
    (3, 6, 80, 3, 2),
    (5, 6, 112, 3, 1),
    (5, 6, 192, 4, 2),
    (3, 6, 320, 1, 1),
)


def same_padding(size: int, kernel_size: int, stride: int) -> tuple[int, int]:
    """Zeros before and after one side of an image, so that the output is ceil(size / stride) long.

    >>> same_padding(224, 3, 2), same_padding(225, 3, 2), same_padding(14, 5, 1)
    ((0, 1), (1, 1), (2, 2))
    """
    outputs = -(-size // stride)
    total = max((outputs - 1) * stride + kernel_size - size, 0)
    return total // 2, total - total // 2


class SameConv2d(nn.Conv2d):
    """A convolution without bias that pads as TensorFlow's "same" does, by the size of the image it is given."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, groups=groups, bias=False)

    def forward(self, x):
        rows, columns = (same_padding(*axis) for axis in zip(x.shape[2:], self.kernel_size, self.stride))
        return F.conv2d(x, self.weight, None, self.stride, (*rows, *columns), groups=self.groups)


def batch_norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class Block(nn.Module):
    """MobileNetV2's inverted residual: 1x1 up, depthwise, 1x1 down without activation; plus x where shapes agree."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int, expand: int) -> None:
        super().__init__()
        inside = in_channels * expand
        self.expands = expand != 1
        self.shortcut = stride == 1 and in_channels == out_channels
        if self.expands:
            self._expand_conv = SameConv2d(in_channels, inside, 1)
            self._bn0 = batch_norm(inside)
        self._depthwise_conv = SameConv2d(inside, inside, kernel_size, stride, groups=inside)
        self._bn1 = batch_norm(inside)
        self._project_conv = SameConv2d(inside, out_channels, 1)
        self._bn2 = batch_norm(out_channels)

    def forward(self, x):
        y = self._bn0(self._expand_conv(x), relu=6) if self.expands else x  # (N, 6C, H, W)
        y = self._bn1(self._depthwise_conv(y), relu=6)  # (N, 6C, H/stride, W/stride)
        y = self._bn2(self._project_conv(y))  # (N, O, H/stride, W/stride)
        return x + y if self.shortcut else y


class EfficientNetLite0(nn.Module):
    """Takes (N, in_channels, H, W), gives logits (N, num_classes)."""

    def __init__(self, num_classes: int, in_channels: int = 3) -> None:
        super().__init__()
        self._conv_stem = SameConv2d(in_channels, STEM, 3, stride=2)  # (N, 32, 112, 112)
        self._bn0 = batch_norm(STEM)
        self._blocks = nn.ModuleList()
        before = STEM
        for kernel_size, expand, channels, repeat, stride in STAGES:
            for i in range(repeat):
                self._blocks.append(Block(before, channels, kernel_size, stride if i == 0 else 1, expand))
                before = channels
        # (N, 320, 7, 7)
        self._conv_head = SameConv2d(before, HEAD, 1)  # (N, 1280, 7, 7)
        self._bn1 = batch_norm(HEAD)
        self._avg_pooling = nn.AdaptiveAvgPool2d(1)  # (N, 1280, 1, 1)
        self._dropout = nn.Dropout(0.2)
        self._fc = nn.Linear(HEAD, num_classes)
        he_fan_out(self)

    def forward(self, x):
        x = self._bn0(self._conv_stem(x), relu=6)
        for block in self._blocks:
            x = block(x)
        x = self._bn1(self._conv_head(x), relu=6)
        return self._fc(self._dropout(self._avg_pooling(x).flatten(1)))


register_model("efficientnet_lite0")(EfficientNetLite0)
