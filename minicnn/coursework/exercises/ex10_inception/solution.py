"""Exercise 10: the inception module."""

from minicnn import functional as F
from minicnn import nn

EXERCISE = "ex10_inception"
VARIANT = "factorised"


class Inception(nn.Module):
    """(N, in_channels, H, W) -> (N, maps of all branches, H, W); threes and fives are (reduce, filters)."""

    def __init__(self, in_channels, ones, threes, fives, projection):
        super().__init__()
        ### BEGIN SOLUTION
        naive = VARIANT == "naive"
        self.conv1 = nn.Conv2d(in_channels, ones, 1)
        if not naive:
            self.reduce3 = nn.Conv2d(in_channels, threes[0], 1)
            self.reduce5 = nn.Conv2d(in_channels, fives[0], 1)
            self.project = nn.Conv2d(in_channels, projection, 1)
        self.conv3 = nn.Conv2d(in_channels if naive else threes[0], threes[1], 3, padding=1)
        if VARIANT == "factorised":
            self.conv5a = nn.Conv2d(fives[0], fives[1], 3, padding=1)
            self.conv5b = nn.Conv2d(fives[1], fives[1], 3, padding=1)
        else:
            self.conv5 = nn.Conv2d(in_channels if naive else fives[0], fives[1], 5, padding=2)
        ### END SOLUTION

    def forward(self, x):
        ### BEGIN SOLUTION
        one = F.relu(self.conv1(x))
        three = F.relu(self.conv3(x if VARIANT == "naive" else F.relu(self.reduce3(x))))
        five = x if VARIANT == "naive" else F.relu(self.reduce5(x))
        if VARIANT == "factorised":
            five = F.relu(self.conv5b(F.relu(self.conv5a(five))))
            pool = F.avg_pool2d(x, 3, 1, padding=1)
        else:
            five = F.relu(self.conv5(five))
            pool = F.max_pool2d(x, 3, 1, padding=1)
        pool = pool if VARIANT == "naive" else F.relu(self.project(pool))
        return F.cat([one, three, five, pool], axis=1)
        ### END SOLUTION


def multiply_adds(in_channels, ones, threes, fives, projection, height, width):
    """The multiply-adds of the module for one image (in_channels, height, width)."""
    ### BEGIN SOLUTION
    if VARIANT == "naive":
        each = in_channels * (ones + 9 * threes[1] + 25 * fives[1])
    else:
        each = in_channels * (ones + threes[0] + fives[0] + projection) + 9 * threes[0] * threes[1]
        each += 9 * (fives[0] + fives[1]) * fives[1] if VARIANT == "factorised" else 25 * fives[0] * fives[1]
    return each * height * width
    ### END SOLUTION
