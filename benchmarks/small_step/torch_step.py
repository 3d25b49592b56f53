"""The small step in PyTorch: ``torch_step.py THREADS contiguous|channels_last``."""

from __future__ import annotations

import sys

import torch
import torch.nn.functional as TF
from shared import LR, Data, serve


def build(data: Data):
    torch.set_num_threads(int(sys.argv[1]))
    layout = torch.channels_last if sys.argv[2] == "channels_last" else torch.contiguous_format
    x, filters = (torch.from_numpy(a).contiguous(memory_format=layout) for a in (data.x, data.filters))
    filters, linear = (torch.nn.Parameter(t) for t in (filters, torch.from_numpy(data.linear.T).contiguous()))
    b1, b2 = (torch.nn.Parameter(torch.from_numpy(b)) for b in data.biases)
    optimizer, y = torch.optim.SGD([filters, linear, b1, b2], LR), torch.from_numpy(data.y)

    def step() -> float:
        optimizer.zero_grad()
        maps = TF.max_pool2d(TF.conv2d(x, filters, b1, padding=1).relu_(), 2)
        loss = TF.cross_entropy(TF.linear(maps.flatten(1), linear, b2), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


if __name__ == "__main__":
    serve(build)
