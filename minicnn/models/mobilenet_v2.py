"""MobileNetV2 (Sandler et al. 2018, "MobileNetV2: Inverted Residuals and Linear Bottlenecks").

Table 2: t is by how much a block widens its input inside, c its output channels, n how many such blocks follow one
another, s the stride of the first of them:

    input            operator           t    c       n    s
    3 x 224x224      3x3 convolution    -    32      1    2
    32 x 112x112     bottleneck         1    16      1    1
    16 x 112x112     bottleneck         6    24      2    2
    24 x 56x56       bottleneck         6    32      3    2
    32 x 28x28       bottleneck         6    64      4    2
    64 x 14x14       bottleneck         6    96      3    1
    96 x 14x14       bottleneck         6    160     3    2
    160 x 7x7        bottleneck         6    320     1    1
    320 x 7x7        1x1 convolution    -    1280    1    1
    1280 x 7x7       global average pooling, linear layer (the paper's 1x1 convolution to k classes)

An inverted residual block is wide inside and narrow outside: 1x1 up to t C, 3x3 depthwise, 1x1 down (table 1). The last
one is linear: a ReLU would lose information where channels are few (section 3.2). Every convolution is followed by
batch-norm, the others also by ReLU6. The shortcut joins the narrow ends, where the shape stays. A block with t = 1 has
no first convolution.

``width``: a factor on all channels, except that the last 1280 never shrink (section 6.1); rounded to multiples of 8,
never below 90 % of the exact number (the authors' code; the paper does not say how it rounds). The paper's 6.9M
parameters at 1.4 are not reproduced: there are 6,108,776. Its 3.4M at 1.0 leave out the batch-norms: 3,504,872 with
them. Images of any size will do.

``variant="paper"`` and ``variant="torchvision"`` are the same network with the same names. The paper says neither how
weights start nor that it drops out: both are as in torchvision (He et al. 2015; N(0, 0.01^2) in the linear layer; 0.2).
"""

from __future__ import annotations

from .. import nn
from ..ops import checks
from .initial import he_fan_out
from .registry import register_model

STEM, HEAD = 32, 1280
BOTTLENECKS = (  # t, c, n, s
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def make_divisible(channels: float, divisor: int = 8) -> int:
    """The nearest multiple of ``divisor``; the next one up if that would lose more than 10 %.

    >>> [make_divisible(c) for c in (24.0, 11.2, 33.6)]
    [24, 16, 32]
    """
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded if rounded >= 0.9 * channels else rounded + divisor


def conv_bn_relu6(in_channels: int, out_channels: int, kernel_size: int, stride: int = 1, groups: int = 1):
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size, stride, kernel_size // 2, groups=groups, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU6(),
    )


class InvertedResidual(nn.Module):
    """1x1 up to ``expand`` times the channels, 3x3 depthwise, 1x1 down and linear; plus x where shapes agree."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, expand: int) -> None:
        super().__init__()
        inside = in_channels * expand
        self.shortcut = stride == 1 and in_channels == out_channels
        self.conv = nn.Sequential()
        if expand != 1:
            self.conv.append(conv_bn_relu6(in_channels, inside, 1))  # (N, tC, H, W)
        self.conv.append(conv_bn_relu6(inside, inside, 3, stride, groups=inside))  # (N, tC, H/s, W/s)
        self.conv.append(nn.Conv2d(inside, out_channels, 1, bias=False))  # (N, O, H/s, W/s)
        self.conv.append(nn.BatchNorm2d(out_channels))

    def forward(self, x):
        return x + self.conv(x) if self.shortcut else self.conv(x)


class MobileNetV2(nn.Module):
    """Takes (N, in_channels, H, W), gives logits (N, num_classes). ``width`` from 0.1 to 4."""

    def __init__(self, num_classes: int, width: float = 1.0, variant: str = "paper", in_channels: int = 3) -> None:
        super().__init__()
        width = checks.number("mobilenet_v2", "width", width, low=0.1, high=4, what="a factor")
        before = make_divisible(STEM * width)
        self.features = nn.Sequential(conv_bn_relu6(in_channels, before, 3, stride=2))  # (N, 32, 112, 112)
        for t, c, n, s in BOTTLENECKS:
            channels = make_divisible(c * width)
            for i in range(n):
                self.features.append(InvertedResidual(before, channels, s if i == 0 else 1, t))
                before = channels
        # (N, 320, 7, 7)
        last = make_divisible(HEAD * max(1.0, width))
        self.features.append(conv_bn_relu6(before, last, 1))  # (N, 1280, 7, 7)
        self.avgpool = nn.AdaptiveAvgPool2d(1)  # (N, 1280, 1, 1)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(last, num_classes))
        he_fan_out(self)

    def forward(self, x):
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


register_model("mobilenet_v2", variants=("paper", "torchvision"))(MobileNetV2)
