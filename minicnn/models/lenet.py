"""LeNet-5 (LeCun et al. 1998, "Gradient-Based Learning Applied to Document Recognition", section II.B, figure 2).

    layer   input        maps x kernel      output       parameters (paper)     (modern)
    C1      1 x 32x32    6 x 5x5            6 x 28x28    156                    156
    S2      6 x 28x28    2x2 average        6 x 14x14    12                     0
    C3      6 x 14x14    16 x 5x5, table I  16 x 10x10   1,516                  2,416
    S4      16 x 10x10   2x2 average        16 x 5x5     32                     0
    C5      16 x 5x5     120 x 5x5          120          48,120                 48,120
    F6      120          84                 84           10,164                 10,164
    output  84           10                 10           850                    850

``variant="paper"`` (default): each C3 map sees only the S2 maps of table I; S2 and S4 have two learned numbers per map;
the squashing function is 1.7159 tanh(2x/3) (appendix A). Differences: the output layer is linear, for cross-entropy,
where the paper measures distances to hand-drawn 7x12 letters (840 fixed numbers, RBF units; its 60,000 are the sum up
to F6); S2 and S4 average where the paper sums (the learned factor makes up for it); weights start as PyTorch's do.
``variant="modern"``: what textbooks call LeNet-5: C3 sees all maps, pooling has no parameters, tanh.

A 28x28 image is padded to 32x32 with zeros (the paper pads MNIST with its background).
"""

from __future__ import annotations

import numpy as np

from .. import functional as F
from .. import nn
from ..device import to_device
from .registry import register_model

# Table I: which of S2's six maps each of C3's sixteen maps sees.
SEEN_BY_C3 = (
    (0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5),
    (0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5),
    (0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5), (0, 1, 2, 3, 4, 5),
)  # fmt: skip


class Squash(nn.Module):
    """f(x) = 1.7159 tanh(2x/3): f(1) = 1, f(-1) = -1, and the curvature is largest there (appendix A)."""

    def forward(self, x):
        return F.tanh(x * (2 / 3)) * 1.7159


class Subsampling(nn.Module):
    """The mean of each 2x2 window, times a learned number, plus another, per map."""

    def __init__(self, maps: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(np.ones((1, maps, 1, 1), np.float32))
        self.bias = nn.Parameter(np.zeros((1, maps, 1, 1), np.float32))

    def forward(self, x):
        return F.avg_pool2d(x, 2) * self.weight + self.bias


class SparseConv(nn.Module):
    """C3: output map o sees only the input maps ``seen[o]``; one weight per seen map and kernel offset."""

    def __init__(self, in_channels: int, seen: tuple[tuple[int, ...], ...], kernel_size: int) -> None:
        super().__init__()
        self.shape = (len(seen), in_channels, kernel_size, kernel_size)  # (O, C, KH, KW), most of it zero
        pairs = np.array([(o, c) for o, maps in enumerate(seen) for c in maps])
        slot = np.full(self.shape[:2], len(pairs))  # where (o, c) finds its weights; the last slot holds zeros
        slot[pairs[:, 0], pairs[:, 1]] = np.arange(len(pairs))
        self.slot = slot
        self.weight = nn.Parameter(np.empty((len(pairs), kernel_size, kernel_size), np.float32))  # (60, KH, KW)
        self.bias = nn.Parameter(np.zeros(len(seen), np.float32))
        bound = 1 / (np.mean([len(maps) for maps in seen]) * kernel_size**2) ** 0.5
        nn.init.uniform_(self.weight, -bound, bound)

    def macs(self, output_shape: tuple[int, ...]) -> int:
        """Each of the pairs (output map, seen map) costs KH * KW per output pixel."""
        return self.weight.size * output_shape[1] * output_shape[2]

    def forward(self, x):
        padded = F.pad(self.weight, (0, 0, 0, 0, 0, 1))  # (61, KH, KW): one more slot, of zeros
        self.slot = to_device(self.slot, self.weight.device)  # after a move; not a copy in each step
        return F.conv2d(x, padded[self.slot], self.bias)


class LeNet5(nn.Module):
    """Takes (N, in_channels, 32, 32) or 28x28, gives logits (N, num_classes)."""

    smallest_image = 28  # pixels; `minicnn train` enlarges smaller ones

    def __init__(self, num_classes: int, variant: str = "paper", in_channels: int = 1) -> None:
        super().__init__()
        paper = variant == "paper"
        self.c1 = nn.Conv2d(in_channels, 6, 5)  # (N, 6, 28, 28)
        self.s2 = Subsampling(6) if paper else nn.AvgPool2d(2)  # (N, 6, 14, 14)
        self.c3 = SparseConv(6, SEEN_BY_C3, 5) if paper else nn.Conv2d(6, 16, 5)  # (N, 16, 10, 10)
        self.s4 = Subsampling(16) if paper else nn.AvgPool2d(2)  # (N, 16, 5, 5)
        self.c5 = nn.Conv2d(16, 120, 5)  # (N, 120, 1, 1)
        self.f6 = nn.Linear(120, 84)
        self.output = nn.Linear(84, num_classes)
        self.act = Squash() if paper else nn.Tanh()
        self.act_pooled = self.act if paper else nn.Identity()  # the paper squashes after its learned subsampling too

    def forward(self, x):
        if x.shape[-2:] == (28, 28):
            x = F.pad(x, (2, 2, 2, 2))  # (N, 1, 32, 32)
        x = self.act_pooled(self.s2(self.act(self.c1(x))))
        x = self.act_pooled(self.s4(self.act(self.c3(x))))
        x = self.act(self.c5(x)).flatten(1)  # (N, 120)
        return self.output(self.act(self.f6(x)))


register_model("lenet5", num_classes=10, variants=("paper", "modern"), input_size=(1, 32, 32))(LeNet5)
