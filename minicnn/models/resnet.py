"""ResNet and plain networks for ImageNet: He et al. 2016, "Deep Residual Learning for Image Recognition", sections
3.3, 3.4 and 4.1; table 1:

    layer   output    18 layers       34 layers       50 layers           101 layers          152 layers
    conv1   112x112   7x7, 64, stride 2
            56x56     3x3 max pooling, stride 2
    conv2   56x56     2 x [3x3,  64   3 x [3x3,  64   3 x [1x1,  64       3 x [1x1,  64       3 x [1x1,  64
                           3x3,  64]       3x3,  64]       3x3,  64            3x3,  64            3x3,  64
                                                           1x1,  256]          1x1,  256]          1x1,  256]
    conv3   28x28     2 x [3x3, 128   4 x [3x3, 128   4 x [1x1, 128 ..    4 x [1x1, 128 ..    8 x [1x1, 128 ..
    conv4   14x14     2 x [3x3, 256   6 x [3x3, 256   6 x [1x1, 256 ..   23 x [1x1, 256 ..   36 x [1x1, 256 ..
    conv5   7x7       2 x [3x3, 512   3 x [3x3, 512   3 x [1x1, 512 ..    3 x [1x1, 512 ..    3 x [1x1, 512 ..
            1x1       global average pooling, 1000 outputs

    parameters        11.69 M         21.80 M         25.56 M             44.55 M             60.19 M
    multiply-adds     1.81 G          3.66 G          3.86 G              7.57 G              11.28 G

Each [..] is one block with batch-norm after every convolution (``residual.py``); the first block of conv3, conv4 and
conv5 halves the map. The module ``layer1`` is the paper's conv2, ``layer4`` its conv5 (torchvision's names).

Where variants differ
    ``paper``        the first 1x1 convolution of a halving bottleneck has stride 2
    ``torchvision``  its 3x3 convolution has ("v1.5"): same parameters and keys, but 4.09, 7.80, 11.51 G multiply-adds
                     and other outputs; files of torchvision's weights need it
    18 and 34 layers have no bottlenecks: both variants are the same network.

Shortcuts: "B" unless you choose. The paper compares all three in table 3. Its first comparison (table 2: plain against
residual) takes "A", so that a ResNet has exactly the parameters of its plain network: ``plain34`` and ``resnet34`` with
``shortcut="A"`` have 21,623,848. Its 3.6 G for 34 layers is "A" too (3.64 G; "B" 3.66 G).

The plain networks are the 18- and 34-layer columns without shortcuts. No network here uses dropout.
"""

from __future__ import annotations

from functools import partial

from .. import nn
from .registry import register_model
from .residual import BasicBlock, Bottleneck, stage, start_weights

STAGES = ((64, 1), (128, 2), (256, 2), (512, 2))  # filters, stride of the first block

BLOCKS = {  # depth: blocks in conv2, conv3, conv4, conv5
    18: (BasicBlock, (2, 2, 2, 2)),
    34: (BasicBlock, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
    101: (Bottleneck, (3, 4, 23, 3)),
    152: (Bottleneck, (3, 8, 36, 3)),
}


class ResNet(nn.Module):
    """Takes (N, in_channels, 224, 224), or any other size, gives logits (N, num_classes).

    Parameters
    ----------
    block : type
        ``BasicBlock``, ``Bottleneck``, or your own: called with (in_channels, filters, stride, **options), with an
        attribute ``expansion``.
    blocks : tuple of int
        How many in each stage.
    num_classes, in_channels : int
    zero_init_residual : bool
        Start every block as its shortcut.
    stages : four (filters, stride)
        Fewer filters make a small network for experiments.
    **options
        Passed on to every block.
    """

    def __init__(
        self, block: type, blocks: tuple[int, ...], num_classes: int, in_channels: int = 3,
        zero_init_residual: bool = False, stages: tuple[tuple[int, int], ...] = STAGES, **options,
    ) -> None:  # fmt: skip
        super().__init__()
        channels = stages[0][0]
        self.conv1 = nn.Conv2d(in_channels, channels, 7, stride=2, padding=3, bias=False)  # (N, 64, 112, 112)
        self.bn1 = nn.BatchNorm2d(channels)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)  # (N, 64, 56, 56)
        # (N, 64, 56, 56), (N, 128, 28, 28), (N, 256, 14, 14), (N, 512, 7, 7); of bottlenecks, four times the channels
        for i, ((filters, stride), count) in enumerate(zip(stages, blocks, strict=True), start=1):
            setattr(self, f"layer{i}", stage(block, channels, filters, stride, count, **options))
            channels = filters * block.expansion
        self.avgpool = nn.AdaptiveAvgPool2d(1)  # (N, 512, 1, 1)
        self.fc = nn.Linear(channels, num_classes)
        start_weights(self, zero_init_residual)

    def forward(self, x):
        x = self.maxpool(self.bn1(self.conv1(x), relu=True))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.avgpool(x).flatten(1))


def resnet(
    depth: int, num_classes: int, variant: str = "paper", shortcut: str = "B", in_channels: int = 3,
    zero_init_residual: bool = False,
) -> ResNet:  # fmt: skip
    """ResNet-``depth``, one of 18, 34, 50, 101, 152.

    Parameters
    ----------
    depth, num_classes : int
    variant : str
        Where bottlenecks stride: "paper", in the first 1x1 convolution; "torchvision", in the 3x3.
    shortcut : str
        "A", "B" or "C", see ``residual.py``.
    in_channels : int
        1 for grey images.
    zero_init_residual : bool
        Start every block as its shortcut (gamma = 0 in its last batch-norm).
    """
    block, blocks = BLOCKS[depth]
    options = {"stride_in_3x3": variant == "torchvision"} if block is Bottleneck else {}
    return ResNet(block, blocks, num_classes, in_channels, zero_init_residual, shortcut=shortcut, **options)


def plain(depth: int, num_classes: int, in_channels: int = 3) -> ResNet:
    """plain-``depth``, 18 or 34: the same network without shortcuts."""
    return ResNet(*BLOCKS[depth], num_classes, in_channels, shortcut=None)


for _depth in BLOCKS:
    register_model(f"resnet{_depth}", variants=("paper", "torchvision"))(partial(resnet, _depth))
for _depth in (18, 34):
    register_model(f"plain{_depth}")(partial(plain, _depth))
