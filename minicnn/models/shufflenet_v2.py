"""ShuffleNet V2 (Ma et al. 2018, "ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design").

Table 5:

    layer                 output     stride   repeat   channels at 0.5, 1, 1.5, 2 x
    3x3 convolution       112x112    2        1        24
    3x3 max pooling       56x56      2                 24
    stage 2               28x28      2, 1     1, 3     48     116    176    244
    stage 3               14x14      2, 1     1, 7     96     232    352    488
    stage 4               7x7        2, 1     1, 3     192    464    704    976
    1x1 convolution       7x7        1        1        1024   1024   1024   2048
    global average pooling, linear layer

The paper measures speed instead of counting multiply-adds, and draws four guidelines (section 2): equal channels in and
out of a 1x1 convolution (G1), few groups (G2), few branches (G3), few element-wise steps (G4). So the units (figure 3c,
3d) have no grouped 1x1 convolutions and no addition. With stride 1 half of the channels pass unchanged, the other half
goes through 1x1 - 3x3 depthwise - 1x1. With stride 2 both branches see all channels, the short one is 3x3 depthwise -
1x1. Then both are concatenated and shuffled. Batch-norm after every convolution, ReLU after all but the depthwise ones.

``width``: 0.5, 1 (default), 1.5, 2.

Variants differ in the linear layer and in the units of stride 2, from C to O channels (in fact only in the first one of
stage 2 and not at 0.5 x: elsewhere O = 2 C):

    "paper"          the short branch keeps C channels, the long one makes O - C: 146, 299, 591 million multiply-adds at
                     1, 1.5, 2 x, as table 5 says. No bias in the linear layer (the authors' code). Weights start as in
                     He et al. 2015, as in ShuffleNet V1, whose settings the paper follows.
    "torchvision"    both branches make O / 2 channels: 145, 296, 583 million. Weights start as PyTorch's do.

Parameter names are torchvision's in both, and both shuffle where figure 3 does. The authors' code shuffles at the start
of the units of stride 1 instead, in the inverse order; its own weights would not give the same outputs here.
"""

from __future__ import annotations

from .. import functional as F
from .. import nn
from ..ops import checks
from .initial import he_fan_out
from .registry import register_model

STEM = 24
WIDTHS = {  # stages 2, 3, 4, last convolution
    0.5: (48, 96, 192, 1024),
    1.0: (116, 232, 464, 1024),
    1.5: (176, 352, 704, 1024),
    2.0: (244, 488, 976, 2048),
}
REPEATS = (4, 8, 4)  # units of stages 2, 3, 4


def pointwise(in_channels: int, out_channels: int) -> list[nn.Module]:
    """1x1 - BN - ReLU"""
    return [nn.Conv2d(in_channels, out_channels, 1, bias=False), nn.BatchNorm2d(out_channels), nn.ReLU()]


def depthwise(channels: int, stride: int) -> list[nn.Module]:
    """3x3, one filter per channel - BN"""
    conv = nn.Conv2d(channels, channels, 3, stride, padding=1, groups=channels, bias=False)
    return [conv, nn.BatchNorm2d(channels)]


class Unit(nn.Module):
    """Figure 3c: split, convolve one half, concatenate, shuffle. ``channels`` is even."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.branch2 = nn.Sequential(*pointwise(half, half), *depthwise(half, 1), *pointwise(half, half))

    def forward(self, x):
        kept, seen = F.split(x, x.shape[1] // 2, axis=1)  # (N, C/2, H, W) each
        return F.channel_shuffle(F.cat([kept, self.branch2(seen)], axis=1), 2)  # (N, C, H, W)


class DownUnit(nn.Module):
    """Figure 3d: both branches see all channels and halve the map; ``short`` channels come from the short one."""

    def __init__(self, in_channels: int, out_channels: int, short: int) -> None:
        super().__init__()
        half = out_channels // 2
        self.branch1 = nn.Sequential(*depthwise(in_channels, 2), *pointwise(in_channels, short))
        self.branch2 = nn.Sequential(
            *pointwise(in_channels, half), *depthwise(half, 2), *pointwise(half, out_channels - short)
        )

    def forward(self, x):
        return F.channel_shuffle(F.cat([self.branch1(x), self.branch2(x)], axis=1), 2)  # (N, O, H/2, W/2)


class ShuffleNetV2(nn.Module):
    """Takes (N, in_channels, H, W), gives logits (N, num_classes)."""

    def __init__(self, num_classes: int, width: float = 1.0, variant: str = "paper", in_channels: int = 3) -> None:
        super().__init__()
        *stages, last = WIDTHS[checks.choice("shufflenet_v2", "width", width, WIDTHS)]
        paper = variant == "paper"
        before = STEM
        self.conv1 = nn.Sequential(  # (N, 24, 112, 112)
            nn.Conv2d(in_channels, before, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(before), nn.ReLU()
        )
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)  # (N, 24, 56, 56)
        for stage, (channels, repeats) in enumerate(zip(stages, REPEATS), start=2):
            down = DownUnit(before, channels, short=before if paper else channels // 2)
            units = [Unit(channels) for _ in range(repeats - 1)]
            setattr(self, f"stage{stage}", nn.Sequential(down, *units))
            before = channels
        # (N, 116, 28, 28), (N, 232, 14, 14), (N, 464, 7, 7)
        self.conv5 = nn.Sequential(*pointwise(before, last))  # (N, 1024, 7, 7)
        self.avgpool = nn.AdaptiveAvgPool2d(1)  # (N, 1024, 1, 1)
        self.fc = nn.Linear(last, num_classes, bias=not paper)
        if paper:
            he_fan_out(self)

    def forward(self, x):
        x = self.maxpool(self.conv1(x))
        x = self.conv5(self.stage4(self.stage3(self.stage2(x))))
        return self.fc(self.avgpool(x).flatten(1))


register_model("shufflenet_v2", variants=("paper", "torchvision"))(ShuffleNetV2)
