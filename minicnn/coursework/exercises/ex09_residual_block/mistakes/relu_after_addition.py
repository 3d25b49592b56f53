# mistake: ReLU comes after the addition, where the pre-activation block has none
# loses: keeps_shape, halves, evaluation, gradients, identity
# says: after the addition
# variants: preactivation
"""Exercise 9: a residual block that halves the map."""

from minicnn import functional as F
from minicnn import nn

EXERCISE = "ex09_residual_block"
VARIANT = "average"


class Block(nn.Module):
    """(N, in_channels, H, W) -> (N, out_channels, H / stride, W / stride)."""

    def __init__(self, in_channels, out_channels, stride):
        super().__init__()
        self.stride, self.new = stride, out_channels - in_channels
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(in_channels if VARIANT == "preactivation" else out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.changes = stride != 1 or in_channels != out_channels
        if self.changes and VARIANT == "average":
            self.project = nn.Conv2d(in_channels, out_channels, 1, bias=False)
            self.bn_project = nn.BatchNorm2d(out_channels)
        if self.changes and VARIANT == "preactivation":
            self.project = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)

    def forward(self, x):
        if VARIANT == "preactivation":
            a = F.relu(self.bn1(x))
            y = self.conv2(F.relu(self.bn2(self.conv1(a))))
            return F.relu(y + (self.project(a) if self.changes else x))
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return F.relu(y + self.shortcut(x))

    def shortcut(self, x):
        if VARIANT == "average" and self.changes:
            x = F.avg_pool2d(x, 2, 2) if self.stride == 2 else x
            return self.bn_project(self.project(x))
        if VARIANT == "centred" and self.changes:
            x = x[:, :, :: self.stride, :: self.stride]
            front = self.new // 2
            return F.pad(x, (0, 0, 0, 0, front, self.new - front))
        return x
