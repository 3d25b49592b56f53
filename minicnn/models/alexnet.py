"""AlexNet (Krizhevsky, Sutskever & Hinton 2012, "ImageNet Classification with Deep Convolutional Neural Networks",
sections 3.1 to 3.5 and 4.2, figure 2), and its single tower (Krizhevsky 2014, "One weird trick for parallelizing
convolutional neural networks").

    layer        kernel, stride   paper: maps, groups   output   single tower: maps   output (lecture)
    conv1        11x11, 4         96                    55x55    64                   56x56
    norm1        across maps      96                    55x55    -
    pool1        3x3, 2           96                    27x27    64                   27x27
    conv2        5x5              256, 2 groups         27x27    192                  27x27
    norm2        across maps      256                   27x27    -
    pool2        3x3, 2           256                   13x13    192                  13x13
    conv3        3x3              384                   13x13    384                  13x13
    conv4        3x3              384, 2 groups         13x13    256                  13x13
    conv5        3x3              256, 2 groups         13x13    256                  13x13
    pool5        3x3, 2           256                   6x6      256                  6x6
    fc6          9216 -> 4096
    fc7          4096 -> 4096
    fc8          4096 -> 1000
    parameters                    60,965,224                     61,100,840
    multiply-adds                 724,406,816                    716,767,232 (714,188,480 at 224)

``variant="paper"`` (default): two groups in conv2, conv4 and conv5, the trace of two GPUs (``groups=1``: without them;
``towers=True``: the two towers drawn apart, see :class:`TwoTowers`). Response normalisation after the ReLU of conv1 and
conv2, then overlapping pooling. Dropout after the ReLU of fc6 and fc7. Weights start from N(0, 0.01^2), biases at 1 in
conv2, conv4, conv5, fc6 and fc7, else at 0 (section 5); that is meant for pixels of 0 to 255 less their mean (section
2), not for images of deviation 1. conv1 has no padding: the paper says 224 pixels, but (224 - 11) / 4 + 1 is no whole
number; the authors' program rounds it up to 55, Caffe takes 227 pixels. Both work here.

``variant="lecture"``: the single tower as in the lecture's table: 227 pixels, conv1 padded by 2. No normalisation.
``variant="torchvision"``: the single tower at 224 pixels, conv1 padded by 2 (55x55), with an adaptive pooling layer
after pool5 that lets it take other sizes. In both, dropout stands *before* fc6 and fc7, weights start as PyTorch's do
and have torchvision's names (``features.0.weight``); in the paper's they are called ``features.conv1.weight``.
"""

from __future__ import annotations

from .. import functional as F
from .. import nn
from ..errors import ArgumentError
from ..tensor import as_tensor
from .classic_parts import OnlySize, check_width, scaled
from .registry import register_model

# maps, kernel, stride, padding, groups, what follows convolution and ReLU
PAPER = (
    (96, 11, 4, 0, 1, ("norm", "pool")),  # (N, 96, 55, 55) -> (N, 96, 27, 27)
    (256, 5, 1, 2, 2, ("norm", "pool")),  # (N, 256, 27, 27) -> (N, 256, 13, 13)
    (384, 3, 1, 1, 1, ()),  # (N, 384, 13, 13)
    (384, 3, 1, 1, 2, ()),  # (N, 384, 13, 13)
    (256, 3, 1, 1, 2, ("pool",)),  # (N, 256, 13, 13) -> (N, 256, 6, 6)
)
SINGLE_TOWER = (
    (64, 11, 4, 2, 1, ("pool",)),  # (N, 64, 56, 56), 55x55 of 224 pixels -> (N, 64, 27, 27)
    (192, 5, 1, 2, 1, ("pool",)),  # (N, 192, 27, 27) -> (N, 192, 13, 13)
    (384, 3, 1, 1, 1, ()),  # (N, 384, 13, 13)
    (256, 3, 1, 1, 1, ()),  # (N, 256, 13, 13)
    (256, 3, 1, 1, 1, ("pool",)),  # (N, 256, 13, 13) -> (N, 256, 6, 6)
)
HIDDEN = 4096  # units of fc6 and fc7
IMAGES = {"paper": (224, 255), "lecture": (223, 254)}  # smallest and largest that give 6x6 after pool5
SMALLEST_TORCHVISION = 63  # pool5 still finds 3x3


def response_norm() -> nn.LocalResponseNorm:
    """Section 3.3: b = a / (2 + 1e-4 * sum of the squares of 5 neighbouring maps)^0.75."""
    return nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=2, average=False)


def convolutions(table, in_channels: int, width: float = 1.0, ceil_mode: bool = False) -> dict[str, nn.Module]:
    """The layers of a table such as ``PAPER`` by their names in the paper: conv1, relu1, norm1, pool1, ..."""
    layers: dict[str, nn.Module] = {}
    for i, (maps, kernel, stride, padding, groups, then) in enumerate(table, start=1):
        maps = scaled(maps, width)
        layers[f"conv{i}"] = nn.Conv2d(in_channels, maps, kernel, stride, padding, groups=groups)
        layers[f"relu{i}"] = nn.ReLU()
        for name in then:
            layers[f"{name}{i}"] = response_norm() if name == "norm" else nn.MaxPool2d(3, 2, ceil_mode=ceil_mode)
        in_channels = maps
    return layers


def fully_connected(
    features: int, hidden: int, num_classes: int, dropout: float, dropout_first: bool = False
) -> dict[str, nn.Module]:
    """fc6 to fc8, each layer dropped out after its ReLU; ``dropout_first``: dropped out before fc6 and before fc7."""
    layers: dict[str, nn.Module] = {}
    for i, inputs in ((6, features), (7, hidden)):
        block = {f"fc{i}": nn.Linear(inputs, hidden), f"relu{i}": nn.ReLU()}
        drop = {f"drop{i}": nn.Dropout(dropout)}
        layers |= drop | block if dropout_first else block | drop
    return layers | {"fc8": nn.Linear(hidden, num_classes)}


class AlexNet(nn.Module):
    """Takes (N, in_channels, 227, 227) or 224x224, gives logits (N, num_classes). ``width`` scales all layers."""

    def __init__(
        self, num_classes: int, variant: str = "paper", in_channels: int = 3, groups: int | None = None,
        dropout: float = 0.5, width: float = 1.0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.paper, width = variant == "paper", check_width("alexnet", width)
        self.input_size = (in_channels, *((224, 224) if variant == "torchvision" else (227, 227)))
        table = _grouped(PAPER, groups) if self.paper else SINGLE_TOWER
        features = convolutions(table, in_channels, width)
        inputs = features["conv5"].out_channels * 6 * 6
        classifier = fully_connected(inputs, scaled(HIDDEN, width), num_classes, dropout, not self.paper)
        self.features = nn.Sequential(features) if self.paper else nn.Sequential(*features.values())  # (N, 256, 6, 6)
        if variant == "torchvision":
            self.smallest_image = SMALLEST_TORCHVISION
            self.avgpool = nn.AdaptiveAvgPool2d(6)  # (N, 256, 6, 6)
        else:
            self.smallest_image, largest = IMAGES[variant]
            self.avgpool = OnlySize(6, self.smallest_image, largest)
        self.flatten = nn.Flatten()  # (N, 9216)
        self.classifier = nn.Sequential(classifier) if self.paper else nn.Sequential(*classifier.values())
        if self.paper:
            start_as_in_the_paper(self, ones=("conv2", "conv4", "conv5", "fc6", "fc7"))

    def forward(self, x):
        if self.paper:
            x = _round_up(x)
        return self.classifier(self.flatten(self.avgpool(self.features(x))))


def start_as_in_the_paper(model: nn.Module, ones: tuple[str, ...] = ()) -> None:
    """Weights from N(0, 0.01^2); biases 1 in the layers ``ones``, so that their ReLUs let gradients through, else 0."""
    for path, layer in model.named_modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            nn.init.normal_(layer.weight, 0.0, 0.01)
            nn.init.constant_(layer.bias, float(path.split(".")[-1] in ones))


def _grouped(table, groups: int | None):
    """The table with ``groups`` in place of the paper's two."""
    if groups not in (None, 1, 2):
        raise ArgumentError(f"alexnet: groups must be 2 (the paper's towers) or 1 (all maps see all), got {groups!r}")
    return tuple((*row[:4], min(row[4], groups or 2), row[5]) for row in table)


def _round_up(x):
    """Zeros below and to the right, up to a whole stride of conv1: 224 gives 55x55, as cuda-convnet counts it."""
    x = as_tensor(x)
    if x.ndim != 4:
        return x  # conv1 says what is wrong
    down, right = (-max(side - 11, 0) % 4 for side in x.shape[2:])
    return F.pad(x, (0, right, 0, down)) if down or right else x


class TwoTowers(nn.Module):
    """Figure 2 as it is drawn: the same function as ``model``, computed by two towers with half of its kernels each.

    The kernels of conv2, conv4 and conv5 see the maps of their own tower: what ``groups=2`` means. conv3 and the
    fully-connected layers see both. So do the normalisations: the formula counts all N maps of a layer, and the towers'
    last and first two maps are neighbours.
    """

    def __init__(self, model: AlexNet) -> None:
        super().__init__()
        features = model.features
        if not model.paper or features.conv2.groups != 2:
            raise ArgumentError("alexnet: towers=True splits the paper's network with its two groups")
        names = [f"conv{i}" for i in range(1, 6)]
        self.tower1, self.tower2 = (
            nn.Sequential({name: _half(getattr(features, name), half) for name in names}) for half in (0, 1)
        )
        self.norm, self.pool = features.norm1, features.pool1
        self.avgpool, self.flatten, self.classifier = model.avgpool, model.flatten, model.classifier
        self.smallest_image, self.input_size = model.smallest_image, model.input_size

    def forward(self, x):
        one, two, x = self.tower1, self.tower2, _round_up(x)
        a, b = F.relu(one.conv1(x)), F.relu(two.conv1(x))  # each (N, 48, 55, 55)
        a, b = self._norm_and_pool(a, b)  # each (N, 48, 27, 27)
        a, b = F.relu(one.conv2(a)), F.relu(two.conv2(b))  # each (N, 128, 27, 27)
        a, b = self._norm_and_pool(a, b)  # each (N, 128, 13, 13)
        both = F.cat([a, b], axis=1)  # (N, 256, 13, 13): the GPUs exchange their maps
        a, b = F.relu(one.conv3(both)), F.relu(two.conv3(both))  # each (N, 192, 13, 13)
        a, b = F.relu(one.conv4(a)), F.relu(two.conv4(b))  # each (N, 192, 13, 13)
        a, b = F.relu(one.conv5(a)), F.relu(two.conv5(b))  # each (N, 128, 13, 13)
        both = F.cat([self.pool(a), self.pool(b)], axis=1)  # (N, 256, 6, 6)
        return self.classifier(self.flatten(self.avgpool(both)))

    def _norm_and_pool(self, a, b):
        both = self.norm(F.cat([a, b], axis=1))
        a, b = F.split(both, a.shape[1], axis=1)
        return self.pool(a), self.pool(b)


def _half(conv: nn.Conv2d, half: int) -> nn.Conv2d:
    """The first or second half of a convolution's kernels, as a convolution without groups."""
    maps = conv.out_channels // 2
    kernels = slice(half * maps, (half + 1) * maps)
    own = nn.Conv2d(conv.in_channels // conv.groups, maps, conv.kernel_size, conv.stride, conv.padding)
    own.weight.data, own.bias.data = conv.weight.data[kernels].copy(order="K"), conv.bias.data[kernels].copy()
    return own


@register_model("alexnet", variants=("paper", "lecture", "torchvision"))
def alexnet(
    num_classes: int, variant: str = "paper", in_channels: int = 3, groups: int | None = None, towers: bool = False,
    dropout: float = 0.5, width: float = 1.0,
) -> nn.Module:  # fmt: skip
    """Build AlexNet.

    Parameters
    ----------
    num_classes, in_channels : int
    variant : {"paper", "lecture", "torchvision"}
    groups : {2, 1}
        Of conv2, conv4 and conv5 in the paper's network; 1 gives 62,378,344 parameters and 1.135 G multiply-adds.
    towers : bool
        Two explicit towers in place of the groups; the same function.
    dropout : float
    width : float
        Multiplies the maps of all layers and the units of fc6 and fc7: 0.5 for half of them.
    """
    if variant != "paper" and (groups not in (None, 1) or towers):
        wrong = "towers=True" if towers else f"groups={groups!r}"
        raise ArgumentError(f"alexnet: {wrong} fits variant='paper'; variant={variant!r} is a single tower")
    model = AlexNet(num_classes, variant, in_channels, groups, dropout, width)
    return TwoTowers(model) if towers else model
