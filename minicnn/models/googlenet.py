"""GoogLeNet (Szegedy et al. 2014, "Going Deeper with Convolutions", sections 4 to 6, table 1, figures 2 and 3).

    layer          kernel, stride   output      #1x1  #3x3 reduce  #3x3  #5x5 reduce  #5x5  pool proj
    conv1          7x7, 2           64x112x112
    maxpool1       3x3, 2           64x56x56    then response normalisation
    conv2          1x1              64x56x56    ("#3x3 reduce")
    conv3          3x3              192x56x56   then response normalisation
    maxpool2       3x3, 2           192x28x28
    inception 3a                    256x28x28   64    96           128   16           32    32
    inception 3b                    480x28x28   128   128          192   32           96    64
    maxpool3       3x3, 2           480x14x14
    inception 4a                    512x14x14   192   96           208   16           48    64     -> aux1
    inception 4b                    512x14x14   160   112          224   24           64    64
    inception 4c                    512x14x14   128   128          256   24           64    64
    inception 4d                    528x14x14   112   144          288   32           64    64     -> aux2
    inception 4e                    832x14x14   256   160          320   32           128   128
    maxpool4       3x3, 2           832x7x7
    inception 5a                    832x7x7     256   160          320   32           128   128
    inception 5b                    1024x7x7    384   192          384   48           128   128
    avgpool        7x7              1024
    dropout 40%, fc                 1000
    aux1, aux2     average pooling 5x5, stride 3 (4x4); 1x1 convolution, 128; fc 1024; dropout 70%; fc 1000

                                  paper           bn              torchvision
    parameters                    6,998,552       7,005,832       6,624,904
    with both auxiliary heads     13,378,280      13,385,816      13,004,888
    multiply-adds                 1,582,671,872   1,582,671,872   1,498,376,192

In training mode the model gives (logits, aux_logits2, aux_logits1), :class:`GoogLeNetOutputs`, whose ``loss`` weighs
the auxiliary heads by 0.3; in evaluation the heads are left out (section 5) and it gives logits. ``aux_logits=False``
builds it without heads.

``variant="paper"`` (default): as above; pooling rounds up (224 -> 112 -> 56 -> 28 -> 14 -> 7). The paper names neither
the constants of its normalisation (AlexNet's are taken) nor how weights start (as in Caffe's copy: uniform of
variance 1 / fan_in, biases 0.2, those of the three classifiers 0). The heads take images of 223 to 270 pixels only.
``variant="torchvision"``: batch-norm (eps 0.001) after each convolution in place of its bias, and no response
normalisation; a 3x3 convolution where the paper has 5x5 (an old mistake that the weights have made permanent);
maxpool4 2x2; the heads pool to 4x4 whatever the image; dropout 20%; weights start from N(0, 0.01^2).
``transform_input=True`` turns images normalised by ImageNet's means into the range -1 to 1 that its weights expect.
``variant="bn"``: the paper's network (5x5, maxpool4 3x3, dropout 40%) with torchvision's batch-norm, heads and start.

The names of the parameters are torchvision's; branches 1 to 4 are 1x1, 3x3, 5x5 and pool.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from .. import functional as F
from .. import nn
from ..errors import ArgumentError
from ..tensor import Tensor, as_tensor
from .alexnet import response_norm
from .classic_parts import OnlySize, check_width, scaled
from .registry import register_model

INCEPTIONS = {  # 1x1, (3x3 reduce, 3x3), (5x5 reduce, 5x5), pool projection
    "3a": (64, (96, 128), (16, 32), 32),  # (N, 256, 28, 28)
    "3b": (128, (128, 192), (32, 96), 64),  # (N, 480, 28, 28)
    "4a": (192, (96, 208), (16, 48), 64),  # (N, 512, 14, 14)
    "4b": (160, (112, 224), (24, 64), 64),  # (N, 512, 14, 14)
    "4c": (128, (128, 256), (24, 64), 64),  # (N, 512, 14, 14)
    "4d": (112, (144, 288), (32, 64), 64),  # (N, 528, 14, 14)
    "4e": (256, (160, 320), (32, 128), 128),  # (N, 832, 14, 14)
    "5a": (256, (160, 320), (32, 128), 128),  # (N, 832, 7, 7)
    "5b": (384, (192, 384), (48, 128), 128),  # (N, 1024, 7, 7)
}
IMAGES = (223, 270)  # smallest and largest whose 4a maps the paper's heads pool to 4x4
SMALLEST = {"paper": 47, "torchvision": 31, "bn": 47}  # maxpool4 still finds its window; the paper's without heads


class GoogLeNetOutputs(NamedTuple):
    """What GoogLeNet gives in training: the logits of its end, of the head on 4d and of the head on 4a."""

    logits: Tensor
    aux_logits2: Tensor
    aux_logits1: Tensor

    def loss(self, criterion: Callable[[Tensor, object], Tensor], labels, weight: float = 0.3) -> Tensor:
        """The main loss plus ``weight`` times each head's (section 5); ``criterion`` such as ``F.cross_entropy``."""
        heads = criterion(self.aux_logits2, labels) + criterion(self.aux_logits1, labels)
        return criterion(self.logits, labels) + weight * heads


class BasicConv2d(nn.Module):
    """Convolution, batch-norm (which does without the convolution's bias) or not, ReLU."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int = 1, *, batch_norm: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, stride, padding=kernel // 2, bias=not batch_norm)
        self.bn = nn.BatchNorm2d(out_channels, eps=0.001) if batch_norm else nn.Identity()

    def forward(self, x):
        x = self.conv(x)
        return self.bn(x, relu=True) if isinstance(self.bn, nn.BatchNorm2d) else F.relu(x)


class Inception(nn.Module):
    """Figure 2 (b): four branches over the same input, their maps joined; 1x1 convolutions make 3x3 and 5x5 cheap."""

    def __init__(self, in_channels: int, filters, conv: Callable[..., BasicConv2d], kernel3: int) -> None:
        super().__init__()
        ones, (reduce2, threes), (reduce3, fives), projection = filters
        self.branch1 = conv(in_channels, ones, 1)
        self.branch2 = nn.Sequential(conv(in_channels, reduce2, 1), conv(reduce2, threes, 3))
        self.branch3 = nn.Sequential(conv(in_channels, reduce3, 1), conv(reduce3, fives, kernel3))
        self.branch4 = nn.Sequential(nn.MaxPool2d(3, 1, padding=1, ceil_mode=True), conv(in_channels, projection, 1))

    def forward(self, x):
        return F.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], axis=1)  # (N, sum, H, W)


class AuxiliaryHead(nn.Module):
    """A small classifier on maps in the middle of the network (section 5): its loss feeds the lower layers."""

    def __init__(
        self, in_channels: int, num_classes: int, conv: Callable[..., BasicConv2d], any_size: bool, dropout: float,
        width: float,
    ) -> None:  # fmt: skip
        super().__init__()
        maps, hidden = scaled(128, width), scaled(1024, width)
        paper_pool = nn.Sequential(nn.AvgPool2d(5, 3), OnlySize(4, *IMAGES))
        self.pool = nn.AdaptiveAvgPool2d(4) if any_size else paper_pool  # (N, 512, 4, 4)
        self.conv = conv(in_channels, maps, 1)  # (N, 128, 4, 4)
        self.flatten = nn.Flatten()  # (N, 2048)
        self.fc1 = nn.Linear(maps * 4 * 4, hidden)
        self.fc2 = nn.Linear(hidden, num_classes)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        x = self.flatten(self.conv(self.pool(x)))
        return self.fc2(self.dropout(F.relu(self.fc1(x))))


class GoogLeNet(nn.Module):
    """Takes (N, in_channels, 224, 224); gives logits (N, num_classes), in training :class:`GoogLeNetOutputs`.

    Parameters
    ----------
    num_classes : int
    variant : {"paper", "torchvision", "bn"}
    in_channels : int
    aux_logits : bool
        With the two auxiliary heads.
    transform_input : bool
        From ImageNet's normalisation to -1 .. 1.
    dropout, dropout_aux : float, optional
        Of the end (left out: the variant's 0.4 or 0.2) and of the heads.
    width : float
        Multiplies the maps of all layers: 0.5 for half of them.
    """

    def __init__(
        self, num_classes: int, variant: str = "paper", in_channels: int = 3, aux_logits: bool = True,
        transform_input: bool = False, dropout: float | None = None, dropout_aux: float = 0.7, width: float = 1.0,
    ) -> None:  # fmt: skip
        super().__init__()
        if transform_input and in_channels != 3:
            raise ArgumentError(f"googlenet: transform_input=True takes RGB images, but in_channels is {in_channels!r}")
        width = check_width("googlenet", width)
        paper, torchvision = variant == "paper", variant == "torchvision"
        self.aux_logits, self.transform_input = aux_logits, transform_input
        self.smallest_image = IMAGES[0] if paper and aux_logits else SMALLEST[variant]

        conv = partial(BasicConv2d, batch_norm=not paper)
        norm = response_norm if paper else nn.Identity
        stem1, stem3 = scaled(64, width), scaled(192, width)
        self.conv1 = conv(in_channels, stem1, 7, 2)  # (N, 64, 112, 112)
        self.maxpool1 = nn.MaxPool2d(3, 2, ceil_mode=True)  # (N, 64, 56, 56)
        self.norm1 = norm()
        self.conv2 = conv(stem1, stem1, 1)  # (N, 64, 56, 56)
        self.conv3 = conv(stem1, stem3, 3)  # (N, 192, 56, 56)
        self.norm2 = norm()
        self.maxpool2 = nn.MaxPool2d(3, 2, ceil_mode=True)  # (N, 192, 28, 28)
        self.maxpool3 = nn.MaxPool2d(3, 2, ceil_mode=True)  # (N, 480, 14, 14)
        self.maxpool4 = nn.MaxPool2d(2 if torchvision else 3, 2, ceil_mode=True)  # (N, 832, 7, 7)

        channels, heads_see = stem3, {}
        for name, filters in INCEPTIONS.items():
            filters = _scaled_all(filters, width)
            setattr(self, f"inception{name}", Inception(channels, filters, conv, 3 if torchvision else 5))
            channels = heads_see[name] = filters[0] + filters[1][1] + filters[2][1] + filters[3]
        if aux_logits:
            head = partial(AuxiliaryHead, num_classes=num_classes, conv=conv, any_size=not paper, dropout=dropout_aux)
            self.aux1 = head(heads_see["4a"], width=width)
            self.aux2 = head(heads_see["4d"], width=width)
        self.avgpool = nn.AdaptiveAvgPool2d(1)  # (N, 1024, 1, 1)
        self.dropout = nn.Dropout((0.2 if torchvision else 0.4) if dropout is None else dropout)
        self.fc = nn.Linear(channels, num_classes)
        (start_as_in_caffe if paper else start_as_in_torchvision)(self)

    def forward(self, x):
        if self.transform_input:
            x = _from_imagenet_means(x)
        x = self.norm1(self.maxpool1(self.conv1(x)))
        x = self.maxpool2(self.norm2(self.conv3(self.conv2(x))))
        x = self.maxpool3(self.inception3b(self.inception3a(x)))
        x = maps1 = self.inception4a(x)
        x = maps2 = self.inception4d(self.inception4c(self.inception4b(x)))
        x = self.maxpool4(self.inception4e(x))
        x = self.inception5b(self.inception5a(x))
        logits = self.fc(self.dropout(self.avgpool(x).flatten(1)))
        if self.training and self.aux_logits:
            return GoogLeNetOutputs(logits, self.aux2(maps2), self.aux1(maps1))
        return logits


def _scaled_all(filters, width: float):
    """A row of ``INCEPTIONS`` with every number scaled."""
    return tuple(_scaled_all(f, width) if isinstance(f, tuple) else scaled(f, width) for f in filters)


def _from_imagenet_means(x):
    """From (pixel - mean) / std with ImageNet's means and deviations to (pixel - 0.5) / 0.5, pixels from 0 to 1."""
    x = as_tensor(x)
    if x.ndim != 4 or x.shape[1] != 3 or x.dtype.kind != "f":
        return x  # conv1 says what is wrong
    mean, std = (_per_channel(v, x.data) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    return x * (std / 0.5) + (mean - 0.5) / 0.5


def _per_channel(values: tuple[float, ...], like):
    """(1, C, 1, 1) on the device of ``like``: filled in there, as a copy in each step would be in its way."""
    array = np.empty_like(like, shape=(1, len(values), 1, 1))
    for c, value in enumerate(values):
        array[:, c] = value
    return array


def start_as_in_caffe(model: GoogLeNet) -> None:
    """Uniform weights, positive biases; the biases of the classifiers are 0."""
    classifiers = [model.fc, *([model.aux1.fc2, model.aux2.fc2] if model.aux_logits else [])]
    for layer in model.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_uniform_(layer.weight, nonlinearity="linear")  # variance 1 / fan_in
            nn.init.constant_(layer.bias, 0.0 if layer in classifiers else 0.2)


def start_as_in_torchvision(model: GoogLeNet) -> None:
    """torchvision cuts its normal distribution off at -2 and 2, that is at 200 deviations: it makes no difference."""
    for layer in model.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            nn.init.normal_(layer.weight, 0.0, 0.01)


register_model("googlenet", variants=("paper", "torchvision", "bn"))(GoogLeNet)
