"""ResNeXt: Xie et al. 2017, "Aggregated Residual Transformations for Deep Neural Networks", sections 3 and 5.1.

A bottleneck whose 3x3 convolution is split into C paths ("cardinality") of d channels ("width"). Table 1:

    layer   output    ResNet-50           ResNeXt-50 (32x4d)             figure 3, one block of conv2 for 256 channels:
    conv1   112x112   7x7, 64, stride 2   7x7, 64, stride 2
            56x56     3x3 max pooling, stride 2                          (a) each path on its own, outputs added
    conv2   56x56     3 x [1x1,   64      3 x [1x1,  128                     32 x [1x1, 4; 3x3, 4; 1x1, 256]
                           3x3,   64           3x3,  128, C = 32         (b) paths joined before one 1x1 convolution
                           1x1,  256]          1x1,  256]                    32 x [1x1, 4; 3x3, 4], 1x1, 256
    conv3   28x28     4 x [1x1,  128 ..   4 x [1x1,  256 ..              (c) one grouped convolution
    conv4   14x14     6 x [1x1,  256 ..   6 x [1x1,  512 ..                  1x1, 128; 3x3, 128 in 32 groups; 1x1, 256
    conv5   7x7       3 x [1x1,  512 ..   3 x [1x1, 1024 ..
            1x1       global average pooling, 1000 outputs

d doubles from stage to stage: 4, 8, 16, 32. ResNeXt-101 has (3, 4, 23, 3) blocks. Table 2 trades width for cardinality
at the same cost, C (256 d + 9 d d + 256 d) weights per block of conv2:

    C x d       1 x 64     2 x 40     4 x 24     8 x 14     32 x 4
    weights     69,632     69,760     69,888     71,456     70,144

The three forms compute the same function and have as many weights; :func:`copy_form_c` carries the numbers over. (c) is
what one trains; (a) and (b) are for looking at, and slow where C is large. In (a) the last
batch-norm follows the sum of the paths and stands before the addition of the shortcut (section 4).

Stride 2 is in the 3x3 convolution, shortcuts are option B, weights start as in ResNet; so the variants ``paper`` and
``torchvision`` are the same networks. Of the names here the paper has 50_32x4d, 101_32x4d and 101_64x4d; 101_32x8d is
torchvision's.
"""

from __future__ import annotations

from functools import partial

from .. import functional as F
from .. import nn
from ..errors import ArgumentError
from ..ops import checks
from .registry import register_model
from .residual import conv1x1, conv3x3, make_shortcut
from .resnet import ResNet

NETWORKS = {  # name: blocks per stage, cardinality, width
    "resnext50_32x4d": ((3, 4, 6, 3), 32, 4),
    "resnext101_32x4d": ((3, 4, 23, 3), 32, 4),
    "resnext101_64x4d": ((3, 4, 23, 3), 64, 4),
    "resnext101_32x8d": ((3, 4, 23, 3), 32, 8),
}


class FormC(nn.Module):
    """One grouped convolution: a bottleneck with C * d channels inside, its 3x3 in C groups."""

    expansion = 4  # output channels / filters, as in ResNet's bottleneck

    def __init__(self, in_channels: int, filters: int, stride: int, cardinality: int, width: int) -> None:
        super().__init__()
        inside, out_channels = cardinality * path_width(filters, width), 4 * filters
        self.conv1 = conv1x1(in_channels, inside)
        self.bn1 = nn.BatchNorm2d(inside)
        self.conv2 = conv3x3(inside, inside, stride, groups=cardinality)
        self.bn2 = nn.BatchNorm2d(inside)
        self.conv3 = conv1x1(inside, out_channels)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.downsample = make_shortcut("B", in_channels, out_channels, stride)

    def forward(self, x):  # (N, in_channels, H, W)
        y = self.bn1(self.conv1(x), relu=True)  # (N, C * d, H, W)
        y = self.bn2(self.conv2(y), relu=True)  # (N, C * d, H / stride, W / stride)
        return self.bn3(self.conv3(y), relu=True, residual=self.downsample(x))  # (N, 4 * filters, H / stride, ...)


class Path(nn.Module):
    """One of C paths: 1x1 to d channels, 3x3 among them; in form (a) also its own 1x1 to ``out_channels``."""

    def __init__(self, in_channels: int, d: int, stride: int, out_channels: int | None = None) -> None:
        super().__init__()
        self.conv1 = conv1x1(in_channels, d)
        self.bn1 = nn.BatchNorm2d(d)
        self.conv2 = conv3x3(d, d, stride)
        self.bn2 = nn.BatchNorm2d(d)
        self.conv3 = nn.Identity() if out_channels is None else conv1x1(d, out_channels)

    def forward(self, x):
        y = self.bn1(self.conv1(x), relu=True)  # (N, d, H, W)
        return self.conv3(self.bn2(self.conv2(y), relu=True))


class FormA(nn.Module):
    """Each path ends in all output channels; their outputs are added."""

    expansion = 4

    def __init__(self, in_channels: int, filters: int, stride: int, cardinality: int, width: int) -> None:
        super().__init__()
        d, out_channels = path_width(filters, width), 4 * filters
        self.paths = nn.ModuleList(Path(in_channels, d, stride, out_channels) for _ in range(cardinality))
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.downsample = make_shortcut("B", in_channels, out_channels, stride)

    def forward(self, x):
        y = sum(path(x) for path in self.paths)  # (N, 4 * filters, H / stride, W / stride)
        return self.bn3(y, relu=True, residual=self.downsample(x))


class FormB(nn.Module):
    """The paths' d channels each are joined to C * d; one 1x1 convolution mixes them."""

    expansion = 4

    def __init__(self, in_channels: int, filters: int, stride: int, cardinality: int, width: int) -> None:
        super().__init__()
        d, out_channels = path_width(filters, width), 4 * filters
        self.paths = nn.ModuleList(Path(in_channels, d, stride) for _ in range(cardinality))
        self.conv3 = conv1x1(cardinality * d, out_channels)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.downsample = make_shortcut("B", in_channels, out_channels, stride)

    def forward(self, x):
        y = F.cat([path(x) for path in self.paths], 1)  # (N, C * d, H / stride, W / stride)
        return self.bn3(self.conv3(y), relu=True, residual=self.downsample(x))


FORMS = {"a": FormA, "b": FormB, "c": FormC}


def path_width(filters: int, width: int) -> int:
    """d in a stage of ``filters`` (64, 128, 256, 512): ``width`` in the first, twice as much in each next one."""
    return filters * width // 64


def copy_form_c(source: nn.Module, target: nn.Module) -> None:
    """Give ``target``, a network or block in form (a) or (b), the numbers of ``source``, the same one in form (c).

    Path i has the i-th d filters of the first 1x1 convolution, the i-th group of the 3x3, and in form (a) the i-th d
    input channels of the last 1x1: a product with all channels is the sum of the products with each path's.

    Raises
    ------
    ArgumentError
        If the two are not the same network in these forms.
    """
    grouped = [m for m in source.modules() if isinstance(m, FormC)]
    split = [m for m in target.modules() if isinstance(m, (FormA, FormB))]
    if [m.conv2.groups for m in grouped] != [len(m.paths) for m in split] or not grouped:
        raise ArgumentError("copy_form_c: source must be in form 'c', target the same network in form 'a' or 'b'")
    target.load_state_dict(source.state_dict(), strict=False)  # all that is outside the paths
    for c, block in zip(grouped, split):
        d = c.conv2.out_channels // c.conv2.groups
        for i, path in enumerate(block.paths):
            part = slice(i * d, (i + 1) * d)
            state = {name: array[part] if array.ndim else array for name, array in c.state_dict().items()}
            state["conv3.weight"] = c.conv3.weight.data[:, part]
            path.load_state_dict({name: state[name] for name in path.state_dict()})


def resnext(
    name: str, num_classes: int, variant: str = "paper", cardinality: int | None = None, width: int | None = None,
    form: str = "c", in_channels: int = 3, zero_init_residual: bool = False,
) -> ResNet:  # fmt: skip
    """The network of this ``name``.

    Parameters
    ----------
    name : str
        One of ``NETWORKS``.
    num_classes : int
    variant : str
        "paper" or "torchvision": the same network.
    cardinality, width : int, optional
        C and d of the first stage; left out, the name's. ``cardinality=8, width=14`` makes the 8x14d of table 2.
    form : str
        "a", "b" or "c" of figure 3.
    in_channels : int
        1 for grey images.
    zero_init_residual : bool
        Start every block as its shortcut (gamma = 0 in its last batch-norm).
    """
    blocks, its_cardinality, its_width = NETWORKS[name]
    cardinality = checks.whole(name, "cardinality", its_cardinality if cardinality is None else cardinality)
    width = checks.whole(name, "width", its_width if width is None else width)
    if form not in FORMS:
        raise ArgumentError(f"{name}: form must be 'a', 'b' or 'c' (figure 3 of the paper), got {form!r}")
    return ResNet(
        FORMS[form], blocks, num_classes, in_channels, zero_init_residual, cardinality=cardinality, width=width
    )


for _name in NETWORKS:
    _variants = ("paper",) if _name == "resnext101_32x4d" else ("paper", "torchvision")  # torchvision has the others
    register_model(_name, variants=_variants)(partial(resnext, _name))
