"""E14: gradients of parts of a batch, averaged, are the gradient of the batch; with batch-norm they are not."""

from __future__ import annotations

import numpy as np

import minicnn as mc

from .. import functional as F
from .. import nn, plots
from ..data import get_dataset
from ..nn.modes import evaluating
from .base import Check, Experiment, Setup, Tables, at_least, at_most
from .parts import tidy

IMAGES, EQUAL, UNEQUAL = 64, (16, 16, 16, 16), (4, 10, 20, 30)
CASES = {  # batch-norm, statistics fixed, sizes of the shards, weighed by their sizes
    "no batch-norm": (False, False, EQUAL, False),
    "unequal shards, plain mean": (False, False, UNEQUAL, False),
    "unequal shards, weighed": (False, False, UNEQUAL, True),
    "batch-norm": (True, False, EQUAL, False),
    "batch-norm, statistics fixed": (True, True, EQUAL, False),
}


def small_vgg(batch_norm: bool) -> nn.Sequential:
    """Two stages of two 3x3 convolutions; (N, 1, 8, 8) -> (N, 10)."""
    layers, channels = [], 1
    for width in (8, 16):
        for _ in range(2):
            layers += [nn.Conv2d(channels, width, 3, padding=1)]
            layers += [nn.BatchNorm2d(width)] if batch_norm else []
            layers += [nn.ReLU()]
            channels = width
        layers += [nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * 2 * 2, 10)).to("float64")


def gradient(model: nn.Module, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """All parameters' gradients of the mean loss, as one vector."""
    model.zero_grad()
    F.cross_entropy(model(mc.tensor(images)), labels).backward()
    return np.concatenate([p.grad.ravel() for p in model.parameters()])


def averaged(model: nn.Module, images, labels, sizes: tuple[int, ...], weighed: bool) -> np.ndarray:
    """As several machines do it: one shard each, and the mean of their gradients."""
    ends = np.cumsum(sizes)
    grads = [gradient(model, images[e - n : e], labels[e - n : e]) for e, n in zip(ends, sizes)]
    return np.average(grads, axis=0, weights=sizes if weighed else None)


def measure(setup: Setup) -> Tables:
    digits = get_dataset("digits", "train")
    images = digits.images[:IMAGES].astype(float)
    images, labels = (images - images.mean()) / images.std(), digits.labels[:IMAGES]
    rows = []
    for seed in setup.seeds:
        for name, (batch_norm, fixed, sizes, weighed) in CASES.items():
            mc.manual_seed(seed)
            model = small_vgg(batch_norm)
            if fixed:
                with evaluating(model):
                    whole, mean = both(model, images, labels, sizes, weighed)
            else:
                whole, mean = both(model, images, labels, sizes, weighed)
            difference = np.linalg.norm(mean - whole) / np.linalg.norm(whole)
            shards = " + ".join(map(str, sizes))
            rows.append({"seed": seed, "case": name, "shards": shards, "relative difference": difference})
    return {"mean of the shards' gradients against the whole batch's": rows}


def both(model, images, labels, sizes, weighed) -> tuple[np.ndarray, np.ndarray]:
    return gradient(model, images, labels), averaged(model, images, labels, sizes, weighed)


def check(tables: Tables) -> list[Check]:
    (rows,) = tables.values()
    found = {name: [r["relative difference"] for r in rows if r["case"] == name] for name in CASES}
    same = ("no batch-norm", "unequal shards, weighed", "batch-norm, statistics fixed")
    return [
        *[at_most(f"{name}: relative difference, largest", 1e-13, max(found[name])) for name in same],
        at_least("batch-norm: relative difference, smallest", 0.02, min(found["batch-norm"])),
        at_least("unequal shards, plain mean: smallest", 0.02, min(found["unequal shards, plain mean"])),
    ]


def draw(tables: Tables):
    (rows,) = tables.values()
    figure = plots.new_figure(8, 3.2)
    axes = figure.subplots()
    for place, name in enumerate(CASES):
        values = [max(r["relative difference"], 1e-17) for r in rows if r["case"] == name]
        axes.plot(values, [place] * len(values), "o", color="tab:red" if min(values) > 1e-6 else "tab:green", alpha=0.6)
        axes.text(max(values) * 4, place, f"{max(values):.2g}", va="center", fontsize=9)
    axes.axvline(np.finfo(float).eps, color="grey", linestyle="--", linewidth=0.8)
    axes.text(np.finfo(float).eps, -0.75, "rounding of float64", fontsize=8, ha="center", color="0.3")
    axes.set_xscale("log")
    axes.set_yticks(range(len(CASES)), list(CASES))
    axes.set(xlabel="relative difference from the gradient of the whole batch", xlim=(1e-17, 50), ylim=(4.5, -1))
    tidy(axes)
    return figure


EXPERIMENT = Experiment(
    __name__, measure, check, draw,
    title="Data parallel: the mean of the shards' gradients",
    claim="Four machines with a quarter of the batch each, and the mean of their gradients, do what one machine "
    "does with the whole batch, unless the network has batch-norm.",
    lecture="VGG is huge, but trained data parallel: no model split needed (translated).",
    source="Simonyan & Zisserman 2015 (VGG), section 3.3; Ioffe & Szegedy 2015 (batch-norm), section 3.1",
    expected="Without batch-norm equal up to rounding, 1e-16. With it several per cent off, since each shard is "
    "normalised by its own mean and variance; equal again when the statistics are fixed, which is what a batch-norm "
    "that speaks with the other machines would restore. Shards of unequal size have to be weighed.",
    design=f"A VGG of four convolutions in float64, the first {IMAGES} training images of the digits, initial "
    "weights from five seeds. The gradient of the mean loss, all parameters as one vector.",
    limits="One step: what the difference does to a training is not shown (small shards' noise can even help). "
    "Nothing is said of speed, which is what the machines are for.",
    seeds=(0, 1, 2, 3, 4),
)  # fmt: skip
