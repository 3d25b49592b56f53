"""What ``scaling.py`` varies, and the convolutions of its roofline."""

from __future__ import annotations

import os
from typing import NamedTuple

import numpy as np
import ours
from workloads import Work

import minicnn as mc
from minicnn import costs, running
from minicnn.kernels import shapes_only

ROOF_MODELS = ("resnet20", "resnet18", "mobilenet_v1")  # small maps; many channels; depthwise and 1x1
ROOF_BATCH = 8


class Point(NamedTuple):
    """One training step on a curve."""

    curve: str  # "resnet18, 8 x 3x112x112": what stays the same
    axis: str  # "batch", "size", "depth" or "threads": what varies
    value: int
    work: Work
    threads: int | None  # None: those of the whole run


def points(quick: bool) -> list[Point]:
    """All steps of the four curves; ``quick`` is for tests: two small ones for each."""
    if quick:
        batch = [_point("batch", b, "resnet20", b, 8) for b in (1, 2)]
        size = [_point("size", s, "resnet20", 2, s) for s in (8, 16)]
        depth = [_point("depth", d, f"resnet{d}", 2, 8) for d in (20, 32)]
        return [*batch, *size, *depth, _point("threads", 1, "resnet20", 2, 8, threads=1)]
    batch = [_point("batch", b, "resnet18", b, 112) for b in (1, 2, 4, 8, 16, 32, 64)]
    size = [_point("size", s, "resnet18", 8, s) for s in (32, 64, 96, 128, 160, 192, 224)]
    cifar = [_point("depth", d, f"resnet{d}", 64, 32) for d in (20, 32, 44, 56, 110)]
    imagenet = [_point("depth", d, f"resnet{d}", 8, 112) for d in (18, 34)]
    threads = [_point("threads", n, "resnet18", 8, 112, threads=n) for n in thread_counts()]
    return [*batch, *size, *cifar, *imagenet, *threads]


def thread_counts() -> list[int]:
    """1, 2, 4, ... and the number of cores."""
    cores = os.cpu_count() or 1
    return sorted({1 << k for k in range(cores.bit_length()) if 1 << k <= cores} | {cores})


def _point(axis: str, value: int, model: str, batch: int, size: int, threads: int | None = None) -> Point:
    parts = {
        "batch": f"{model}, 3x{size}x{size}",
        "size": f"{model}, batch {batch}",
        "depth": f"{'CIFAR ' if size <= 32 else ''}ResNet, {batch} x 3x{size}x{size}",
        "threads": f"{model}, {batch} x 3x{size}x{size}",
    }
    name = f"{axis} {value}: {model}, {batch} x 3x{size}x{size}"
    group = f"{name}, {threads}"  # memory is measured in fresh processes
    return Point(parts[axis], axis, value, Work(name, model, (batch, 3, size, size), "train", group=group), threads)


class Convolution(NamedTuple):
    """A forward of one convolution, as a point below the roof."""

    model: str
    work: Work
    flops: int  # a multiply-add is two
    bytes: int  # image, weights and result, each moved once

    @property
    def intensity(self) -> float:
        """FLOP per byte."""
        return self.flops / self.bytes


def convolutions(quick: bool) -> list[Convolution]:
    """Every different convolution of ``ROOF_MODELS``, at a batch of 8."""
    models, batch = (("resnet20",), 1) if quick else (ROOF_MODELS, ROOF_BATCH)
    found = [c for model in models for c in _of_model(model, batch)]
    return found[:2] if quick else found


def _of_model(name: str, batch: int) -> list[Convolution]:
    shape = (batch, *mc.models.input_size(name))
    with shapes_only(), mc.no_grad():
        model = ours.build(Work(name, name, shape, "infer").request()).eval()
        with running.watched_by(watcher := _Convolutions(name)):
            model(mc.Tensor(np.zeros(shape, np.float32)))
    return list(watcher.found.values())


class _Convolutions(running.Watcher):
    """Takes down the layers that run, equal ones once."""

    def __init__(self, model: str) -> None:
        self.model, self.found = model, {}

    def forward_begins(self, ctx, options: dict) -> None:
        self.options = options

    def forward_ends(self, ctx, inputs: list, out) -> None:
        op = costs.operation(ctx.function)
        if op != "conv2d":
            return
        shapes = [None if a is None else a.shape for a in inputs]
        image, weight = shapes[:2]
        layer = (
            f"Conv2d({image[1]}, {weight[0]}, {weight[2:]}, stride={self.options['stride']}, "
            f"padding={self.options['padding']}, groups={self.options['groups']}, bias=False)"
        )
        size, stride, groups = weight[2], self.options["stride"][0], self.options["groups"]  # squares, all of them
        name = f"conv {size}x{size}" + f"/{stride}" * (stride > 1) + f" {image[1]}-{weight[0]} @{image[2]}"
        name += f", {groups} groups" * (groups > 1)
        macs = costs.multiply_adds(op, ctx.function, shapes, out.shape, self.options)
        moved = sum(a.nbytes for a in inputs[:2]) + out.nbytes
        work = Work(f"{self.model}: {name}", layer, image, "forward", group="roofline")
        self.found[layer, image] = Convolution(self.model, work, 2 * macs, moved)
