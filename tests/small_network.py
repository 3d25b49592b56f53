"""A small network for the tests of minicnn.inside."""

from __future__ import annotations

from minicnn import functional as F
from minicnn import nn


class Small(nn.Module):
    """Two convolutions with a functional ReLU, batch-norm, dropout, pooling: (3, 8, 8) to 4 classes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 3, padding=1)
        self.bn = nn.BatchNorm2d(6)
        self.pool = nn.MaxPool2d(2)
        self.conv2 = nn.Conv2d(6, 5, 3, padding=1)
        self.drop = nn.Dropout(0.5)
        self.fc = nn.Linear(5 * 16, 4)

    def forward(self, x):
        x = self.pool(F.relu(self.bn(self.conv1(x))))  # (N, 6, 4, 4)
        return self.fc(self.drop(F.relu(self.conv2(x)).flatten(1)))


def small(dtype="float64") -> Small:
    model = Small().to(dtype)
    model.bn.running_mean.data[...] = 0.1
    return model
