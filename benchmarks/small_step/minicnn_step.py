"""The small step in minicnn."""

from __future__ import annotations

import sys

from shared import LR, Data, serve

import minicnn as mc
from minicnn import functional as F
from minicnn import nn, optim


def build(data: Data):
    mc.set_num_threads(int(sys.argv[1]))
    filters, linear = nn.Parameter(data.filters), nn.Parameter(data.linear.T)
    b1, b2 = (nn.Parameter(b) for b in data.biases)
    optimizer = optim.SGD([filters, linear, b1, b2], LR)
    x = mc.Tensor(data.x)

    def step() -> float:
        optimizer.zero_grad()
        maps = F.max_pool2d(F.relu(F.conv2d(x, filters, b1, padding=1)), 2)
        loss = F.cross_entropy(F.linear(maps.flatten(1), linear, b2), data.y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


if __name__ == "__main__":
    serve(build)
