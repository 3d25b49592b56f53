"""ZFNet (Zeiler & Fergus 2013, "Visualizing and Understanding Convolutional Networks", section 3, figure 3, table 2).

AlexNet with smaller, denser filters at the start, where the authors' pictures of the first layers showed dead filters
and aliasing, and on one GPU: no groups.

    layer        kernel, stride   maps: paper   512-1024-512   output
    conv1        7x7, 2           96            96             110x110
    pool1        3x3, 2           96            96             55x55
    norm1        across maps      96            96             55x55
    conv2        5x5, 2           256           256            26x26
    pool2        3x3, 2           256           256            13x13
    norm2        across maps      256           256            13x13
    conv3        3x3              384           512            13x13
    conv4        3x3              384           1024           13x13
    conv5        3x3              256           512            13x13
    pool5        3x3, 2           256           512            6x6
    fc6 .. fc8   4096, 4096, 1000
    parameters                    62,357,608    107,627,624
    multiply-adds                 1,168,032,896 2,476,704,896

``variant="paper"`` (default) is figure 3, the paper's model (a); ``variant="512-1024-512"`` is model (b) of table 2.

conv1 is padded by 1 and pooling rounds up, which gives the sizes of figure 3. The paper does not give the constants of
its contrast normalisation; AlexNet's are taken, here after the pooling. "All weights are initialized to 10^-2" is
read as N(0, 0.01^2), biases 0. Part of the paper's training, not of the network: filters whose root mean square exceeds
0.1 are scaled back to 0.1. Dropout after the ReLU of fc6 and fc7. The names of the parameters are AlexNet's.
"""

from __future__ import annotations

from .. import nn
from .alexnet import HIDDEN, convolutions, fully_connected, start_as_in_the_paper
from .classic_parts import OnlySize, check_width, scaled
from .registry import register_model


def table(conv3: int, conv4: int, conv5: int):
    """Maps, kernel, stride, padding, groups, what follows convolution and ReLU."""
    return (
        (96, 7, 2, 1, 1, ("pool", "norm")),  # (N, 96, 110, 110) -> (N, 96, 55, 55)
        (256, 5, 2, 0, 1, ("pool", "norm")),  # (N, 256, 26, 26) -> (N, 256, 13, 13)
        (conv3, 3, 1, 1, 1, ()),  # (N, 384, 13, 13)
        (conv4, 3, 1, 1, 1, ()),  # (N, 384, 13, 13)
        (conv5, 3, 1, 1, 1, ("pool",)),  # (N, 256, 13, 13) -> (N, 256, 6, 6)
    )


TABLES = {"paper": table(384, 384, 256), "512-1024-512": table(512, 1024, 512)}
IMAGES = (207, 238)  # smallest and largest that give 6x6 after pool5


class ZFNet(nn.Module):
    """Takes (N, in_channels, 224, 224), gives logits (N, num_classes). ``width`` scales all layers."""

    smallest_image = IMAGES[0]

    def __init__(
        self, num_classes: int, variant: str = "paper", in_channels: int = 3, dropout: float = 0.5, width: float = 1.0
    ) -> None:
        super().__init__()
        width = check_width("zfnet", width)
        features = convolutions(TABLES[variant], in_channels, width, ceil_mode=True)
        inputs = features["conv5"].out_channels * 6 * 6
        self.features = nn.Sequential(features)  # (N, 256, 6, 6)
        self.avgpool = OnlySize(6, *IMAGES)
        self.flatten = nn.Flatten()  # (N, 9216)
        self.classifier = nn.Sequential(fully_connected(inputs, scaled(HIDDEN, width), num_classes, dropout))
        start_as_in_the_paper(self)

    def forward(self, x):
        return self.classifier(self.flatten(self.avgpool(self.features(x))))


register_model("zfnet", variants=tuple(TABLES))(ZFNet)
