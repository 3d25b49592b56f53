"""What AlexNet, ZFNet, VGG and GoogLeNet share: widths, and a check where a classifier takes maps of one size only."""

from __future__ import annotations

from .. import nn
from ..errors import ArgumentError, ShapeError
from ..ops import checks


class OnlySize(nn.Identity):
    """Maps of ``size`` x ``size`` pass unchanged; others are an error that says which images give them.

    The fully-connected layers of the papers fix the size of the image. torchvision puts an adaptive pooling layer here.
    """

    def __init__(self, size: int, smallest: int, largest: int) -> None:
        super().__init__()
        self.size, self.smallest, self.largest = size, smallest, largest

    def forward(self, x):
        if x.shape[2:] != (self.size, self.size):
            raise ShapeError(
                f"the classifier takes maps of {self.size}x{self.size}, which images of {self.smallest} to "
                f"{self.largest} pixels give; these are {x.shape[2]}x{x.shape[3]}"
            )
        return x

    def extra_repr(self) -> str:
        return f"{self.size}"


def scaled(channels: int, width: float) -> int:
    """``channels`` times ``width``, rounded to an even number, at least 2, so that two groups still fit."""
    return 2 * max(1, round(channels * width / 2))


def check_width(model: str, width: float) -> float:
    if checks.number(model, "width", width) == 0:
        raise ArgumentError(f"{model}: width must be > 0, such as 0.5 for half of all filters; got {width!r}")
    return float(width)
