"""VGG (Simonyan & Zisserman 2014, "Very Deep Convolutional Networks for Large-Scale Image Recognition", table 1).

    stage  output   maps  A       A-LRN   B        C        D        E        lecture
    1      224x224  64    3       3, LRN  3 3      3 3      3 3      3 3      3 3
    2      112x112  128   3       3       3 3      3 3      3 3      3 3      3 3
    3      56x56    256   3 3     3 3     3 3      3 3 1    3 3 3    3 3 3 3  3 3
    4      28x28    512   3 3     3 3     3 3      3 3 1    3 3 3    3 3 3 3  3 3 3
    5      14x14    512   3 3     3 3     3 3      3 3 1    3 3 3    3 3 3 3  3 3 3
    fc6, fc7, fc8         4096, 4096, 1000 in all
    model                 vgg11           vgg13             vgg16    vgg19
    parameters, millions  132.86  132.86  133.05   133.64   138.36   143.67   137.77
    multiply-adds, 10^9   7.609   7.609   11.308   11.771   15.470   19.632   13.621

3 and 1 are convolutions with 3x3 (padded by 1) and 1x1 kernels; a 2x2 max pooling ends each stage and halves the output
given here. ReLU follows every convolution, fc6 and fc7; dropout follows the ReLU of fc6 and fc7 (torchvision's AlexNet
has it before those layers).

``variant="paper"`` (default): 224 pixels, no others (224 to 255 fit). Biases start at 0, weights as in Glorot & Bengio
2010, of which section 3.1 says in its end that it does without pre-training. What the authors did themselves is
``init="normal"``: *variance* 0.01, so standard deviation 0.1. That is large: vgg11's first logits are around 10^6, and
usual learning rates diverge; only A was started so, the deeper networks from A's trained layers.
``variant="torchvision"``: adaptive pooling to 7x7 lets it take images from 32 pixels on. Convolutions start as in He et
al. 2015 (by fan_out), fully-connected weights from N(0, 0.01^2), biases 0.
``variant="C"`` (vgg16): the third convolution of stages 3 to 5 is 1x1. ``variant="A-LRN"`` (vgg11): AlexNet's response
normalisation after conv1, which did not help. ``variant="lecture"`` (vgg16): two convolutions in stage 3, as the
lecture lists them; its totals (138M parameters, 13.6 G multiply-adds, 48.6 MB) are that network's. All three are as the
paper's otherwise.

``_bn``: batch-norm after each convolution, which keeps its bias. Not in the paper: they start as torchvision's.

The names of the parameters are torchvision's in all variants (``features.0.weight``, ``classifier.0.weight``).
"""

from __future__ import annotations

from functools import partial

from .. import nn
from ..errors import ArgumentError
from .alexnet import HIDDEN, fully_connected, response_norm
from .classic_parts import OnlySize, check_width, scaled
from .registry import register_model

MAPS = (64, 128, 256, 512, 512)
CONFIGURATIONS = {
    "A": ("3", "3", "33", "33", "33"),
    "A-LRN": ("3n", "3", "33", "33", "33"),  # n: response normalisation
    "B": ("33", "33", "33", "33", "33"),
    "C": ("33", "33", "331", "331", "331"),
    "D": ("33", "33", "333", "333", "333"),
    "E": ("33", "33", "3333", "3333", "3333"),
    "lecture": ("33", "33", "33", "333", "333"),
}
IMAGES = (224, 255)  # smallest and largest that give 7x7 after stage 5


def stages(configuration: str, in_channels: int, width: float, batch_norm: bool) -> nn.Sequential:
    """The five stages of a column of table 1."""
    layers: list[nn.Module] = []
    for maps, stage in zip(MAPS, CONFIGURATIONS[configuration]):
        maps = scaled(maps, width)
        for kernel in stage:
            if kernel == "n":
                layers.append(response_norm())
                continue
            layers.append(nn.Conv2d(in_channels, maps, int(kernel), padding=int(kernel) // 2))
            layers += [nn.BatchNorm2d(maps), nn.ReLU()] if batch_norm else [nn.ReLU()]
            in_channels = maps
        layers.append(nn.MaxPool2d(2))  # 112, 56, 28, 14, 7 pixels
    return nn.Sequential(*layers)


def start_normal(layer: nn.Module) -> None:
    """Section 3.1: variance 0.01."""
    nn.init.normal_(layer.weight, 0.0, 0.1)


def start_glorot(layer: nn.Module) -> None:
    """Glorot & Bengio 2010, as section 3.1 says in its end."""
    nn.init.xavier_uniform_(layer.weight)


def start_torchvision(layer: nn.Module) -> None:
    if isinstance(layer, nn.Conv2d):
        nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    else:
        nn.init.normal_(layer.weight, 0.0, 0.01)


STARTS = {"normal": start_normal, "glorot": start_glorot, "torchvision": start_torchvision}


class VGG(nn.Module):
    """Takes (N, in_channels, 224, 224), gives logits (N, num_classes)."""

    def __init__(
        self, configuration: str, batch_norm: bool, num_classes: int, *, any_size: bool, init: str,
        in_channels: int = 3, dropout: float = 0.5, width: float = 1.0,
    ) -> None:  # fmt: skip
        super().__init__()
        maps = scaled(MAPS[-1], width)
        self.smallest_image = 32 if any_size else IMAGES[0]  # pixels; five poolings leave one of 32
        self.features = stages(configuration, in_channels, width, batch_norm)  # (N, 512, 7, 7)
        self.avgpool = nn.AdaptiveAvgPool2d(7) if any_size else OnlySize(7, *IMAGES)  # (N, 512, 7, 7)
        self.flatten = nn.Flatten()  # (N, 25088)
        self.classifier = nn.Sequential(
            *fully_connected(maps * 7 * 7, scaled(HIDDEN, width), num_classes, dropout).values()
        )
        for layer in self.modules():
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                STARTS[init](layer)
                nn.init.zeros_(layer.bias)

    def forward(self, x):
        return self.classifier(self.flatten(self.avgpool(self.features(x))))


def vgg(
    configuration: str, batch_norm: bool, num_classes: int, variant: str = "paper", in_channels: int = 3,
    dropout: float = 0.5, width: float = 1.0, init: str | None = None,
) -> VGG:  # fmt: skip
    """Build a VGG network.

    Parameters
    ----------
    configuration : str
        A column of table 1; ``variant`` "C", "A-LRN" and "lecture" put theirs in its place.
    batch_norm : bool
    num_classes, in_channels : int
    variant : str
    dropout : float
    width : float
        Multiplies the maps of all layers and the units of fc6 and fc7: 0.5 for half of them.
    init : {"normal", "glorot", "torchvision"}, optional
        How weights start; left out, as the variant's.
    """
    if init is not None and init not in STARTS:
        raise ArgumentError(f"vgg: init must be one of {', '.join(STARTS)}; got {init!r}")
    torchvision = variant == "torchvision"
    default = "torchvision" if torchvision or batch_norm else "glorot"
    return VGG(
        variant if variant in CONFIGURATIONS else configuration, batch_norm, num_classes, any_size=torchvision,
        init=init or default, in_channels=in_channels, dropout=dropout, width=check_width("vgg", width),
    )  # fmt: skip


OWN_VARIANTS = {"vgg11": ("A-LRN",), "vgg16": ("lecture", "C")}
for _name, _configuration in (("vgg11", "A"), ("vgg13", "B"), ("vgg16", "D"), ("vgg19", "E")):
    _variants = ("paper", "torchvision", *OWN_VARIANTS.get(_name, ()))
    register_model(_name, variants=_variants)(partial(vgg, _configuration, False))
    register_model(f"{_name}_bn", variants=("paper", "torchvision"))(partial(vgg, _configuration, True))
