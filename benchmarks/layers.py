"""Layers and a training step against PyTorch on the CPU: ``make bench``.

Every line is our time over PyTorch's in the better of its two memory formats (below 1: ours is faster). Both run in
this process with the same number of threads, in turn, and the best of several rounds counts. Not a test: nothing here
asserts.
"""

from __future__ import annotations

import json
import pathlib
import platform
import time
from collections.abc import Callable

import numpy as np
import torch

import minicnn as mc
from minicnn import functional as F
from minicnn import models, optim

THREADS = mc.get_num_threads()
ROUNDS, AT_LEAST = 5, 0.05  # seconds

# name: input (N, C, H, W), output channels, kernel, stride, groups
CONVOLUTIONS = {
    "3x3 64@56": ((8, 64, 56, 56), 64, 3, 1, 1),
    "3x3 16@32": ((128, 16, 32, 32), 16, 3, 1, 1),
    "3x3/2 64-128@56": ((8, 64, 56, 56), 128, 3, 2, 1),
    "3x3 512@7": ((8, 512, 7, 7), 512, 3, 1, 1),
    "1x1 256-64@56": ((8, 256, 56, 56), 64, 1, 1, 1),
    "7x7/2 3-64@224": ((8, 3, 224, 224), 64, 7, 2, 1),
    "3x3 depthwise 128@56": ((8, 128, 56, 56), 128, 3, 1, 128),
    "3x3 32 groups 128@56": ((8, 128, 56, 56), 128, 3, 1, 32),
}


def seconds(run: Callable[[], object]) -> float:
    """Time of one call, repeated until it can be measured."""
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < AT_LEAST:
        run()
        count += 1
    return (time.perf_counter() - start) / count


def compare(ours: Callable, theirs: list[Callable]) -> dict[str, float]:
    """Best times in milliseconds over rounds that alternate between the sides, and their ratio."""
    best = [float("inf")] * (1 + len(theirs))
    for run in (ours, *theirs):
        run()  # compile, allocate
    for _ in range(ROUNDS):
        for i, run in enumerate((ours, *theirs)):
            best[i] = min(best[i], seconds(run))
    return {"ours": 1e3 * best[0], "torch": 1e3 * min(best[1:]), "ratio": best[0] / min(best[1:])}


def in_both_formats(*tensors: torch.Tensor) -> list[list[torch.Tensor]]:
    """Contiguous and channels_last copies, since PyTorch is faster in one or the other."""
    formats = (torch.contiguous_format, torch.channels_last)
    return [[t.detach().clone(memory_format=f) if t.ndim == 4 else t for t in tensors] for f in formats]


def convolution(shape, out_channels, kernel, stride, groups) -> dict[str, dict]:
    """Forward, and forward with both gradients, of one layer."""
    rng = np.random.default_rng(0)
    padding = kernel // 2
    x = rng.standard_normal(shape).astype(np.float32)
    w = rng.standard_normal((out_channels, shape[1] // groups, kernel, kernel)).astype(np.float32)
    x, w = (np.ascontiguousarray(a.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2) for a in (x, w))

    def forward():
        with mc.no_grad():
            return F.conv2d(mc.Tensor(x), mc.Tensor(w), stride=stride, padding=padding, groups=groups)

    def both():
        y = F.conv2d(mc.Tensor(x, True), mc.Tensor(w, True), stride=stride, padding=padding, groups=groups)
        y.backward(y.data)

    def torch_forward(tx, tw):
        with torch.no_grad():
            return torch.nn.functional.conv2d(tx, tw, stride=stride, padding=padding, groups=groups)

    def torch_both(tx, tw):
        y = torch.nn.functional.conv2d(
            tx.requires_grad_(), tw.requires_grad_(), stride=stride, padding=padding, groups=groups
        )
        y.backward(y.detach())

    copies = in_both_formats(torch.from_numpy(x.copy()), torch.from_numpy(w.copy()))
    return {
        "forward": compare(forward, [lambda c=c: torch_forward(*c) for c in copies]),
        "forward + backward": compare(both, [lambda c=c: torch_both(*c) for c in copies]),
    }


class TorchBlock(torch.nn.Module):
    """The same residual block as ``minicnn.models.residual.BasicBlock`` with option A."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1 = torch.nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.conv2 = torch.nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.bn1, self.bn2 = torch.nn.BatchNorm2d(after), torch.nn.BatchNorm2d(after)
        self.stride, self.new = stride, after - before

    def forward(self, x):
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        short = torch.nn.functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.new))
        return torch.relu(y + short)


def torch_resnet(depth: int) -> torch.nn.Module:
    blocks, before = [], 16
    for filters, stride in ((16, 1), (32, 2), (64, 2)):
        for i in range((depth - 2) // 6):
            blocks.append(TorchBlock(before, filters, stride if i == 0 else 1))
            before = filters
    stem = (torch.nn.Conv2d(3, 16, 3, 1, 1, bias=False), torch.nn.BatchNorm2d(16), torch.nn.ReLU())
    return torch.nn.Sequential(
        *stem, *blocks, torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(64, 10)
    )


def training_step(depth: int, batch: int, size: int) -> dict[str, float]:
    """Forward, backward, SGD with momentum of a CIFAR ResNet."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((batch, size, size, 3)).astype(np.float32).transpose(0, 3, 1, 2)
    labels = rng.integers(0, 10, batch)
    model = models.get_model(f"resnet{depth}")
    optimizer = optim.SGD(model.parameters(), 1e-4, momentum=0.9)

    def ours():
        optimizer.zero_grad()
        F.cross_entropy(model(mc.Tensor(x)), labels).backward()
        optimizer.step()

    def make_theirs(layout):
        net = torch_resnet(depth).to(memory_format=layout)
        sgd = torch.optim.SGD(net.parameters(), 1e-4, momentum=0.9)
        tx, ty = torch.from_numpy(x.copy()).contiguous(memory_format=layout), torch.from_numpy(labels)

        def step():
            sgd.zero_grad()
            torch.nn.functional.cross_entropy(net(tx), ty).backward()
            sgd.step()

        return step

    return compare(ours, [make_theirs(layout) for layout in (torch.contiguous_format, torch.channels_last)])


def main() -> None:
    torch.set_num_threads(THREADS)
    print(f"{platform.processor() or platform.machine()}, {THREADS} threads, float32")
    print(f"minicnn {mc.__version__}, numpy {np.__version__}, torch {torch.__version__}; best of {ROUNDS} rounds\n")
    print(f"{'work':<44}{'ours ms':>10}{'torch ms':>10}{'ratio':>8}")
    results = {}

    def report(name: str, figures: dict[str, float]) -> None:
        results[name] = figures
        print(f"{name:<44}{figures['ours']:>10.2f}{figures['torch']:>10.2f}{figures['ratio']:>8.2f}", flush=True)

    for name, spec in CONVOLUTIONS.items():
        for part, figures in convolution(*spec).items():
            report(f"conv {name} b{spec[0][0]} {part}", figures)
    report("ResNet-20 step, batch 128 at 32x32", training_step(20, 128, 32))
    report("ResNet-20 step, batch 64 at 8x8", training_step(20, 64, 8))
    out = pathlib.Path(__file__).parent / "layers.json"
    out.write_text(json.dumps({"threads": THREADS, "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
