"""Exercise 9: a residual block that halves the map. The task is in task.md."""

from minicnn import functional as F  # noqa: F401 - for what you write
from minicnn import nn

EXERCISE = "ex09_residual_block"
VARIANT = "average"
HINTS = "full"


class Block(nn.Module):
    """(N, in_channels, H, W) -> (N, out_channels, H / stride, W / stride)."""

    def __init__(self, in_channels, out_channels, stride):
        super().__init__()
        raise NotImplementedError("write Block: conv1, bn1, conv2, bn2, and what the shortcut needs")

    def forward(self, x):
        raise NotImplementedError("write Block.forward")
