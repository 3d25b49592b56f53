"""ShuffleNet (Zhang et al. 2018, "ShuffleNet: An Extremely Efficient Convolutional Neural Network for Mobile Devices").

Table 1; the more groups the pointwise convolutions have, the more channels the same cost buys:

    layer                 output     stride   repeat   channels for 1, 2, 3, 4, 8 groups
    3x3 convolution       112x112    2        1        24
    3x3 max pooling       56x56      2                 24
    stage 2               28x28      2, 1     1, 3     144    200    240    272    384
    stage 3               14x14      2, 1     1, 7     288    400    480    544    768
    stage 4               7x7        2, 1     1, 3     576    800    960    1088   1536
    global average pooling, linear layer

A unit (figure 2) is 1x1 grouped - channel shuffle - 3x3 depthwise - 1x1 grouped, a quarter of the channels inside;
batch-norm after each, ReLU after the first only. Grouped 1x1 convolutions alone would keep the groups apart for ever;
the shuffle lets every group see all others. With stride 1 the input is added; with stride 2 its 3x3 average is
concatenated, so that the unit makes only the channels that are new. ReLU after either. The first 1x1 of stage 2 has no
groups, as its input has only 24 channels (section 3.3).

``groups``: 1, 2, 3 (default), 4, 8. ``width``: the paper's "ShuffleNet s x", a factor on all channels; it prints 0.25,
0.5 and 1, its authors' code adds 1.5 and 2. ``shuffle=False``: without the shuffle (table 3).

Where the paper leaves a choice:
- Stage 2 is rounded to a multiple of 4 ``groups``, so that the groups divide the quarter inside; later stages double
  it. Of the sizes above only 2 and 4 groups at 0.25, 0.5 and 1.5 x change by that.
- The first convolution scales too, but has 12 channels at least (with them 0.25 x costs the paper's 13 million), keeps
  24 at 1.5 x (the authors' code), and is rounded up to a multiple of the groups.
- The average of stride 2 counts the padding's zeros.
- Weights start as in He et al. 2015, as do those of ResNeXt, whose settings the paper follows.

The authors' code shuffles after the depthwise convolution, in the inverse order; takes ReLU before it concatenates,
which is the same, as the average is never negative; and has no bias in the linear layer.
"""

from __future__ import annotations

from .. import functional as F
from .. import nn
from ..ops import checks
from .initial import he_fan_out
from .registry import register_model

STEM = 24
STAGE2 = {1: 144, 2: 200, 3: 240, 4: 272, 8: 384}  # channels by groups
REPEATS = (4, 8, 4)  # units of stages 2, 3, 4


class ShuffleUnit(nn.Module):
    """Figure 2b (stride 1) and 2c (stride 2). ``first_groups``: those of the first 1x1 convolution, if others."""

    def __init__(
        self, in_channels: int, out_channels: int, stride: int, groups: int, first_groups: int | None = None,
        shuffle: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self.stride, self.shuffled_groups = stride, groups if shuffle else 1
        inside = out_channels // 4
        made = out_channels - in_channels if stride == 2 else out_channels  # the rest comes by the shortcut
        self.pointwise1 = nn.Conv2d(in_channels, inside, 1, groups=first_groups or groups, bias=False)
        self.bn1 = nn.BatchNorm2d(inside)
        self.depthwise = nn.Conv2d(inside, inside, 3, stride, padding=1, groups=inside, bias=False)
        self.bn2 = nn.BatchNorm2d(inside)
        self.pointwise2 = nn.Conv2d(inside, made, 1, groups=groups, bias=False)
        self.bn3 = nn.BatchNorm2d(made)
        self.shortcut = nn.AvgPool2d(3, stride=2, padding=1) if stride == 2 else nn.Identity()

    def forward(self, x):
        y = self.bn1(self.pointwise1(x), relu=True)  # (N, O/4, H, W)
        y = F.channel_shuffle(y, self.shuffled_groups)
        y = self.bn2(self.depthwise(y))  # (N, O/4, H/stride, W/stride)
        y = self.pointwise2(y)  # (N, O, H, W), or (N, O - C, H/2, W/2)
        if self.stride == 2:
            return F.relu(F.cat([self.shortcut(x), self.bn3(y)], axis=1))  # (N, O, H/2, W/2)
        return self.bn3(y, relu=True, residual=self.shortcut(x))


def channels_at(width: float, groups: int) -> tuple[int, int]:
    """Channels of the first convolution and of stage 2, as the module's docstring rounds them.

    >>> [channels_at(width, groups) for width, groups in ((1, 3), (0.5, 8), (1.5, 3), (0.25, 4))]
    [(24, 240), (16, 192), (24, 360), (12, 64)]
    """
    stage2 = 4 * groups * max(1, int(STAGE2[groups] * width / (4 * groups) + 0.5))
    stem = max(12, int(STEM * width if width < 1 else STEM * int(width)))
    return -(-stem // groups) * groups, stage2  # -(-a // b): a / b rounded up


class ShuffleNetV1(nn.Module):
    """Takes (N, in_channels, H, W), gives logits (N, num_classes). ``width`` from 0.1 to 4."""

    def __init__(
        self, num_classes: int, groups: int = 3, width: float = 1.0, shuffle: bool = True, in_channels: int = 3
    ) -> None:  # fmt: skip
        super().__init__()
        groups = checks.choice("shufflenet_v1", "groups", groups, STAGE2)
        width = checks.number("shufflenet_v1", "width", width, low=0.1, high=4, what="a factor")
        shuffle = checks.flag("shufflenet_v1", "shuffle", shuffle)
        before, channels = channels_at(width, groups)
        self.conv1 = nn.Conv2d(in_channels, before, 3, stride=2, padding=1, bias=False)  # (N, 24, 112, 112)
        self.bn1 = nn.BatchNorm2d(before)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)  # (N, 24, 56, 56)
        for stage, repeats in enumerate(REPEATS, start=2):  # (N, 240, 28, 28), (N, 480, 14, 14), (N, 960, 7, 7)
            units = nn.Sequential(ShuffleUnit(before, channels, 2, groups, 1 if stage == 2 else groups, shuffle))
            for _ in range(repeats - 1):
                units.append(ShuffleUnit(channels, channels, 1, groups, shuffle=shuffle))
            setattr(self, f"stage{stage}", units)
            before, channels = channels, 2 * channels
        self.avgpool = nn.AdaptiveAvgPool2d(1)  # (N, 960, 1, 1)
        self.fc = nn.Linear(before, num_classes)
        he_fan_out(self)

    def forward(self, x):
        x = self.maxpool(self.bn1(self.conv1(x), relu=True))
        x = self.stage4(self.stage3(self.stage2(x)))
        return self.fc(self.avgpool(x).flatten(1))


register_model("shufflenet_v1")(ShuffleNetV1)
