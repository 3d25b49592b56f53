"""MobileNet (Howard et al. 2017, "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications").

Table 1, a 3x3 convolution and 13 depthwise separable ones; "dw" is one 3x3 filter per channel, "pw" a 1x1 convolution:

    block      stride    input            filters of its pw
    (stem)     2         3 x 224x224      32 (an ordinary 3x3 convolution)
    0          1         32 x 112x112     64
    1, 2       2, 1      64 x 112x112     128, 128
    3, 4       2, 1      128 x 56x56      256, 256
    5, 6-10    2, 1      256 x 28x28      512, 5 times 512
    11, 12     2, 1      512 x 14x14      1024, 1024
    (head)               1024 x 7x7       global average pooling, linear layer

Batch-norm and ReLU after both dw and pw (figure 3). A 3x3 convolution from C to O channels costs 9 C O multiply-adds
per pixel, the pair 9 C + C O: 1/O + 1/9 of it (section 3.1).

``width``: alpha of section 3.3, a factor on all channels (the paper's are 1, 0.75, 0.5, 0.25). rho of section 3.4 is
the size of the image; any will do. ``full_conv=True``: ordinary 3x3 convolutions instead of the pairs (table 4).
``shallow=True``: without blocks 6-10, the five from 512 to 512 channels (table 5).

Differences from the paper: table 1 prints stride 2 at the dw of block 12, but its map stays 7x7, so the stride is 1.
The paper does not say how weights start: here as in He et al. 2015.
"""

from __future__ import annotations

from .. import nn
from ..ops import checks
from .initial import he_fan_out
from .registry import register_model

STEM = 32
BLOCKS = (  # filters, stride
    (64, 1),
    (128, 2), (128, 1),
    (256, 2), (256, 1),
    (512, 2), (512, 1), (512, 1), (512, 1), (512, 1), (512, 1),
    (1024, 2), (1024, 1),
)  # fmt: skip
LEFT_OUT_IF_SHALLOW = range(6, 11)


class SeparableBlock(nn.Module):
    """dw - BN - ReLU - pw - BN - ReLU: filter each channel by itself, then mix the channels."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(in_channels, in_channels, 3, stride, padding=1, groups=in_channels, bias=False)
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.pointwise = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)

    def forward(self, x):
        x = self.bn1(self.depthwise(x), relu=True)  # (N, C, H/stride, W/stride)
        return self.bn2(self.pointwise(x), relu=True)  # (N, O, H/stride, W/stride)


class ConvBlock(nn.Module):
    """3x3 convolution - BN - ReLU: the stem, and every block with ``full_conv=True``, at 8 to 9 times the cost."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(out_channels)

    def forward(self, x):
        return self.bn(self.conv(x), relu=True)


class MobileNetV1(nn.Module):
    """Takes (N, in_channels, H, W), gives logits (N, num_classes). ``width`` from 0.1 to 4."""

    def __init__(
        self, num_classes: int, width: float = 1.0, full_conv: bool = False, shallow: bool = False, in_channels: int = 3
    ) -> None:  # fmt: skip
        super().__init__()
        width = checks.number("mobilenet_v1", "width", width, low=0.1, high=4, what="a factor")
        full_conv = checks.flag("mobilenet_v1", "full_conv", full_conv)
        shallow = checks.flag("mobilenet_v1", "shallow", shallow)
        block = ConvBlock if full_conv else SeparableBlock
        before = max(8, int(STEM * width))  # never below 8, as the authors' code
        self.stem = ConvBlock(in_channels, before, 2)  # (N, 32, 112, 112)
        self.blocks = nn.Sequential()
        for i, (filters, stride) in enumerate(BLOCKS):
            if shallow and i in LEFT_OUT_IF_SHALLOW:
                continue
            filters = max(8, int(filters * width))
            self.blocks.append(block(before, filters, stride))
            before = filters
        # (N, 1024, 7, 7)
        self.avgpool = nn.AdaptiveAvgPool2d(1)  # (N, 1024, 1, 1)
        self.fc = nn.Linear(before, num_classes)
        he_fan_out(self)

    def forward(self, x):
        x = self.blocks(self.stem(x))
        return self.fc(self.avgpool(x).flatten(1))


register_model("mobilenet_v1")(MobileNetV1)
