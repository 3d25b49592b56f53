"""Exercise 10: the inception module. The task is in task.md."""

from minicnn import functional as F  # noqa: F401 - for what you write
from minicnn import nn

EXERCISE = "ex10_inception"
VARIANT = "factorised"
HINTS = "full"


class Inception(nn.Module):
    """(N, in_channels, H, W) -> (N, maps of all branches, H, W); threes and fives are (reduce, filters)."""

    def __init__(self, in_channels, ones, threes, fives, projection):
        super().__init__()
        raise NotImplementedError("write Inception: the convolutions, by the names of the task")

    def forward(self, x):
        raise NotImplementedError("write Inception.forward")


def multiply_adds(in_channels, ones, threes, fives, projection, height, width):
    """The multiply-adds of the module for one image (in_channels, height, width)."""
    raise NotImplementedError("write multiply_adds")
