"""Pre-activation ResNet: He et al. 2016, "Identity Mappings in Deep Residual Networks".

Figure 4: five orders of the same layers, by the option ``design`` of the CIFAR-10 networks. The right column is an
identity, so only what stands after the addition is between one block and the next: in the last three nothing. (In the
third the left column ends in a ReLU: it can only add to the signal.)

    original        bn_after_addition  relu_before_addition  relu_only_preactivation  full_preactivation
       x               x                  x                     x                        x
       |------.        |------.           |------.              |------.                 |------.
     conv     |      conv     |         conv     |            ReLU     |                BN      |
      BN      |       BN      |          BN      |            conv     |               ReLU     |
     ReLU     |      ReLU     |         ReLU     |             BN      |               conv     |
     conv     |      conv     |         conv     |            ReLU     |                BN      |
      BN      |        + -----'          BN      |            conv     |               ReLU     |
       + -----'       BN                ReLU     |             BN      |               conv     |
     ReLU            ReLU                 + -----'              + -----'                 + -----'

    test error (table 2, CIFAR-10, median of 5 runs), depth 110 and 164
     6.61, 5.93      8.17, 6.50         7.84, 6.14            6.71, 5.91               6.37, 5.46

CIFAR-10: a 3x3 convolution of 16 filters, three stages at 32x32, 16x16, 8x8, global average pooling, a linear layer.

    depth                       block                            filters            parameters
    20, 32, 44, 56, 110         [3x3, f; 3x3, f]                 16, 32, 64         0.27 M to 1.7 M
    164, 1001 (9n + 2 layers)   [1x1, f; 3x3, f; 1x1, 4f]        16, 32, 64         1.70 M, 10.33 M

ImageNet: the stem and the stages of ``resnet.py`` (variant ``paper``: a bottleneck's first 1x1 convolution strides);
200 layers have (3, 24, 36, 3) bottlenecks. The paper trains 152 and 200; 18, 34 and 50 are the same at other depths.

    depth          18         34         50         152        200
    parameters     11.69 M    21.80 M    25.55 M    60.19 M    64.67 M

At the ends (the paper's appendix)
    The first block's activation is taken right after the first convolution, before the two branches part: both see it.
    So too in each block that changes the shape: its shortcut starts from the activation. (Here: in the first block of
    every stage.) After the last addition follows one more batch-norm and ReLU; in ``relu_only_preactivation`` a ReLU.
Shortcuts
    Basic blocks on CIFAR-10: "A", no parameters. Bottlenecks and ImageNet: "B", a 1x1 convolution; batch-norm follows
    it in the designs in which batch-norm follows convolutions (not in ``full_preactivation``).
Counts
    The batch-norm in the stem of the ImageNet networks, before max pooling, and that of the first block, after it, both
    count; some implementations leave the second out (128 parameters fewer).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import NamedTuple

from .. import nn
from ..errors import ArgumentError
from .registry import register_model
from .residual import conv3x3, make_shortcut, start_weights
from .resnet import STAGES

CIFAR_STAGES = ((16, 1), (32, 2), (64, 2))  # filters, stride of the first block
BASIC, BOTTLENECK = (3, 3), (1, 3, 1)  # kernel sizes of a block's convolutions

CIFAR_NETWORKS = {depth: (BASIC, (depth - 2) // 6) for depth in (20, 32, 44, 56, 110)}  # depth: block, n per stage
CIFAR_NETWORKS |= {depth: (BOTTLENECK, (depth - 2) // 9) for depth in (164, 1001)}

IMAGENET_NETWORKS = {  # depth: block, how many in each stage
    18: (BASIC, (2, 2, 2, 2)),
    34: (BASIC, (3, 4, 6, 3)),
    50: (BOTTLENECK, (3, 4, 6, 3)),
    152: (BOTTLENECK, (3, 8, 36, 3)),
    200: (BOTTLENECK, (3, 24, 36, 3)),
}


class Design(NamedTuple):
    """What stands where, as words for :func:`row`."""

    stem: str  # after the network's first convolution
    layer: str  # each layer of a block
    last_layer: str
    after: str  # the addition
    end: str  # after the last block


DESIGNS = {
    "original": Design("bn relu", "conv bn relu", "conv bn", "relu", ""),
    "bn_after_addition": Design("bn relu", "conv bn relu", "conv", "bn relu", ""),
    "relu_before_addition": Design("bn relu", "conv bn relu", "conv bn relu", "", ""),
    "relu_only_preactivation": Design("bn", "relu conv bn", "relu conv bn", "", "relu"),
    "full_preactivation": Design("", "bn relu conv", "bn relu conv", "", "bn relu"),
}


def row(words: str, channels: int, convs: Iterable[nn.Conv2d] = ()) -> nn.Module:
    """The modules of ``words`` in a row: "bn relu conv bn relu conv" makes bn1, relu1, conv1, bn2, relu2, conv2.

    The first takes ``channels``; ``convs`` are the convolutions, in order.
    """
    modules: dict[str, nn.Module] = {}
    convs = iter(convs)
    for word in words.split():
        if word == "conv":
            module = next(convs)
            channels = module.out_channels
        else:
            module = nn.BatchNorm2d(channels) if word == "bn" else nn.ReLU()
        number = 1 + sum(name.startswith(word) for name in modules)
        modules[f"{word}{number}"] = module
    return nn.Sequential(modules) if modules else nn.Identity()


class Block(nn.Module):
    """after(F(a) + shortcut(a)) with a = before(x).

    Parameters
    ----------
    in_channels, filters, stride : int
        A bottleneck has 4 * ``filters`` output channels.
    kernels : tuple of int
        ``BASIC`` or ``BOTTLENECK``.
    design : str
        One of ``DESIGNS``.
    shortcut : str
        "A", "B" or "C", see ``residual.py``.
    both : bool
        ``before`` is the activation in front of the first convolution: both branches see it. Else it belongs to F, and
        ``before`` is empty.
    """

    def __init__(
        self, in_channels: int, filters: int, stride: int, kernels: tuple[int, ...] = BASIC,
        design: str = "full_preactivation", shortcut: str = "B", both: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        words = DESIGNS[design]
        self.out_channels = filters * (4 if kernels == BOTTLENECK else 1)
        widths = [in_channels, *[filters] * (len(kernels) - 1), self.out_channels]
        convs = [
            nn.Conv2d(widths[i], widths[i + 1], k, stride if i == 0 else 1, padding=k // 2, bias=False)
            for i, k in enumerate(kernels)
        ]
        residual = row(f"{words.layer} " * (len(kernels) - 1) + words.last_layer, in_channels, convs)
        activation = words.layer.split().index("conv")  # so many modules stand before the first convolution
        shared = both and activation > 0
        self.before = residual[:activation] if shared else nn.Identity()
        self.residual = residual[activation:] if shared else residual
        bare = words.layer.endswith("conv")  # no batch-norm follows a convolution
        self.downsample = make_shortcut(shortcut, in_channels, self.out_channels, stride, batch_norm=not bare)
        self.after = row(words.after, self.out_channels)

    def forward(self, x):  # (N, in_channels, H, W)
        x = self.before(x)
        return self.after(self.residual(x) + self.downsample(x))  # (N, out_channels, H / stride, W / stride)


class PreActResNet(nn.Sequential):
    """A stem, stages of blocks, the last activation, global average pooling, a linear layer, one after another.

    Parameters
    ----------
    stem : nn.Module
        What stands before the first block; gives as many channels as the first stage has filters.
    stages : tuple of (filters, stride)
    blocks : tuple of int
        How many in each stage.
    kernels, design, shortcut
        See :class:`Block`.
    num_classes : int
    """

    def __init__(
        self, stem: nn.Module, stages: tuple[tuple[int, int], ...], blocks: tuple[int, ...],
        kernels: tuple[int, ...], design: str, shortcut: str, num_classes: int,
    ) -> None:  # fmt: skip
        layers = {"stem": stem}  # (N, 16, 32, 32); ImageNet: (N, 64, 56, 56)
        channels = stages[0][0]
        for i, ((filters, stride), count) in enumerate(zip(stages, blocks, strict=True), start=1):
            first = Block(channels, filters, stride, kernels, design, shortcut, both=True)
            channels = first.out_channels
            rest = [Block(channels, filters, 1, kernels, design, shortcut) for _ in range(count - 1)]
            layers[f"layer{i}"] = nn.Sequential(first, *rest)
        layers["end"] = row(DESIGNS[design].end, channels)  # (N, 64, 8, 8); ImageNet: (N, 512, 7, 7)
        layers["avgpool"] = nn.AdaptiveAvgPool2d(1)  # (N, 64, 1, 1); of bottlenecks, four times the channels
        layers["flatten"] = nn.Flatten()
        layers["fc"] = nn.Linear(channels, num_classes)
        super().__init__(layers)
        start_weights(self)


def preact_resnet_cifar(
    depth: int, num_classes: int, design: str = "full_preactivation", shortcut: str = "A", in_channels: int = 3
) -> PreActResNet:
    """Pre-activation ResNet-``depth`` for 32x32 images, one of ``CIFAR_NETWORKS``.

    Parameters
    ----------
    depth, num_classes : int
    design : str
        One of ``DESIGNS``, the five of figure 4.
    shortcut : str
        "A", "B" or "C", see ``residual.py``. The paper's, and the default: "A" for basic blocks, "B" for bottlenecks.
    in_channels : int
        1 for grey images.
    """
    if design not in DESIGNS:
        raise ArgumentError(f"design must be one of {', '.join(map(repr, DESIGNS))}; got {design!r}")
    kernels, n = CIFAR_NETWORKS[depth]
    channels = CIFAR_STAGES[0][0]
    stem = row(f"conv {DESIGNS[design].stem}", in_channels, [conv3x3(in_channels, channels)])
    return PreActResNet(stem, CIFAR_STAGES, (n, n, n), kernels, design, shortcut, num_classes)


def preact_resnet(depth: int, num_classes: int, shortcut: str = "B", in_channels: int = 3) -> PreActResNet:
    """Pre-activation ResNet-``depth`` for ImageNet, one of ``IMAGENET_NETWORKS``; full pre-activation.

    ``shortcut`` is "A", "B" or "C", see ``residual.py``; ``in_channels=1`` for grey images.
    """
    kernels, blocks = IMAGENET_NETWORKS[depth]
    channels = STAGES[0][0]
    stem = {
        "conv1": nn.Conv2d(in_channels, channels, 7, stride=2, padding=3, bias=False),  # (N, 64, 112, 112)
        "bn1": nn.BatchNorm2d(channels),
        "relu1": nn.ReLU(),
        "maxpool": nn.MaxPool2d(3, stride=2, padding=1),  # (N, 64, 56, 56)
    }
    return PreActResNet(nn.Sequential(stem), STAGES, blocks, kernels, "full_preactivation", shortcut, num_classes)


for _depth, (_kernels, _) in CIFAR_NETWORKS.items():
    _builder = partial(preact_resnet_cifar, _depth, shortcut="A" if _kernels == BASIC else "B")
    register_model(f"preact_resnet{_depth}", num_classes=10, input_size=(3, 32, 32))(_builder)
for _depth in IMAGENET_NETWORKS:
    register_model(f"preact_resnet{_depth}")(partial(preact_resnet, _depth))
