"""E9: before batch-norm, classifiers half-way up brought the loss to layers that it did not reach."""

from __future__ import annotations

import numpy as np

import minicnn as mc

from .. import functional as F
from .. import nn, plots
from ..models.googlenet import GoogLeNetOutputs
from .base import Check, Experiment, Setup, Tables, at_least, at_most
from .on_digits import (
    BATCH,
    CHANCE,
    CLASSES,
    STAGES,
    by_epoch,
    by_seed,
    chosen,
    epochs_of,
    error,
    of_seeds,
    seeded,
    standardised,
    train,
)  # fmt: skip
from .parts import tidy

LAYERS = 7  # in each of three stages: 21 in all
EPOCHS, LR, DECAY, CLIP = 15, 0.05, 2e-4, 5.0
GAINS = {"Caffe": 1.0, "between": 1.2, "He": 2**0.5}  # weights start with variance gain^2 / fan_in

#: label -> start, batch-norm, auxiliary heads
NETWORKS = {
    f"{start}'s start{', aux' if aux else ''}".replace("between's start", "gain 1.2"): (start, False, aux)
    for start in GAINS
    for aux in (False, True)
} | {f"gain 1.2, BN{', aux' if aux else ''}": ("between", True, aux) for aux in (False, True)}
QUICK = ("gain 1.2", "gain 1.2, aux", "gain 1.2, BN")

TRAINING, HELD_OUT = "training error in %", "error on held-out images in %"
GRADIENT, CURVES = "length of the first layer's gradient before training", "figure: training error by epoch"


class Deep(nn.Module):
    """21 convolutions in three stages, each stage with a classifier at its end; two of them count in training only."""

    def __init__(self, gain: float, batch_norm: bool, aux: bool) -> None:
        super().__init__()
        self.aux, self.stages, self.heads, channels = aux, nn.Sequential(), nn.Sequential(), 1
        for maps, stride in STAGES:  # (N, 8, 8, 8), (N, 16, 4, 4), (N, 32, 2, 2)
            layers = []
            for i in range(LAYERS):
                conv = nn.Conv2d(channels, maps, 3, stride if i == 0 else 1, padding=1, bias=not batch_norm)
                bound = gain * (3 / (9 * channels)) ** 0.5  # uniform within it: variance gain^2 / fan_in
                nn.init.uniform_(conv.weight, -bound, bound)
                layers += [conv, nn.BatchNorm2d(maps), nn.ReLU()] if batch_norm else [conv, nn.ReLU()]
                if conv.bias is not None:
                    nn.init.zeros_(conv.bias)
                channels = maps
            self.stages.append(nn.Sequential(*layers))
            self.heads.append(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(maps, CLASSES)))

    def forward(self, x):
        logits = []
        for stage, head in zip(self.stages, self.heads):
            x = stage(x)
            logits.append(head(x))  # (N, 10)
        if self.training and self.aux:
            return GoogLeNetOutputs(logits[2], logits[1], logits[0])  # its loss weighs the heads by 0.3
        return logits[2]


def first_gradient(model: Deep, images: np.ndarray, labels: np.ndarray) -> float:
    """Length of the gradient of the first convolution's weights, for one batch."""
    model.train()
    outputs = model(mc.tensor(images))
    loss = outputs.loss(F.cross_entropy, labels) if model.aux else F.cross_entropy(outputs, labels)
    loss.backward()
    return float(f"{np.linalg.norm(model.stages[0][0].weight.grad):.4g}")


def measure(setup: Setup) -> Tables:
    training, held_out = standardised("train"), standardised("held-out")
    names = QUICK if setup.quick else tuple(NETWORKS)
    tables: Tables = {TRAINING: [], HELD_OUT: [], GRADIENT: [], CURVES: []}
    with setup.bar(len(names) * EPOCHS * len(setup.seeds), "E9, epochs") as bar:
        for name in names:
            start, batch_norm, aux = NETWORKS[name]
            found = []
            for seed in setup.seeds:
                model = seeded(seed, lambda g=GAINS[start], b=batch_norm, a=aux: Deep(g, b, a))
                gradient = first_gradient(model, training.images[:BATCH], training.labels[:BATCH])
                rows = train(
                    model, training, seed=seed, epochs=EPOCHS, lr=LR, rate=lambda epoch: 1.0, weight_decay=DECAY,
                    clip_norm=CLIP, after_epoch=bar.update,
                )  # fmt: skip
                found.append((error(model, training), error(model, held_out), gradient))
                tables[CURVES].append(by_epoch([r["error"] for r in rows], network=name, seed=seed))
            for table, values in zip((TRAINING, HELD_OUT), zip(*found)):
                tables[table].append(by_seed(setup.seeds, list(values), network=name))
            gradients = {f"seed {s}": values[2] for s, values in zip(setup.seeds, found)}
            tables[GRADIENT].append({"network": name, **gradients})
    return tables


def check(tables: Tables) -> list[Check]:
    found = {r["network"]: of_seeds(r) for r in tables[TRAINING]}
    gradient = {r["network"]: of_seeds(r) for r in tables[GRADIENT]}
    without, with_aux = found["gain 1.2"], found["gain 1.2, aux"]
    times = min(a / b for a, b in zip(gradient["gain 1.2, aux"], gradient["gain 1.2"]))
    gap = min(without) - max(with_aux)
    what = "gain 1.2: lowest training error without heads less highest with, points"
    lines = [
        at_least("gain 1.2: heads make the first layer's gradient so many times longer", 10, times),
        at_least("gain 1.2, no heads: lowest training error in % (90: nothing learned)", 85, min(without)),
        Check(what, "> 0", f"{gap:.2f}", gap > 0),
        at_most(
            "gain 1.2, BN, no heads: highest training error in %, the lowest with heads, no BN, as limit",
            min(with_aux),
            max(found["gain 1.2, BN"]),
        ),
    ]
    mean = {r["network"]: r["mean"] for r in tables[TRAINING]}
    if "gain 1.2, BN, aux" in mean:
        gain = mean["gain 1.2, BN"] - mean["gain 1.2, BN, aux"]
        lines.append(at_most("BN: what heads still bring, mean training error, points", 5, gain))
    if "He's start" in mean:
        lines.append(at_most("He's start, no heads: highest training error in %", 85, max(found["He's start"])))
        for start in ("Caffe's start", "He's start"):
            gain = mean[start] - mean[f"{start}, aux"]
            what = f"{start}: mean training error without heads less that with, points"
            lines.append(Check(what, "> 0", f"{gain:.2f}", gain > 0))
    return lines


def draw(tables: Tables):
    names = [row["network"] for row in tables[TRAINING]]
    groups = list(dict.fromkeys(name.removesuffix(", aux") for name in names))
    figure = plots.new_figure(3.1 * len(groups), 3.3)
    for group, axes in zip(groups, figure.subplots(1, len(groups), sharey=True)):
        for name, colour in ((group, "tab:red"), (f"{group}, aux", "tab:blue")):
            for i, row in enumerate(chosen(tables[CURVES], network=name)):
                values = epochs_of(row)
                label = None if i else "with heads" if name.endswith("aux") else "no heads"
                axes.plot(range(1, len(values) + 1), values, color=colour, label=label, alpha=0.8)
        axes.axhline(CHANCE, color="grey", lw=0.8, ls=":")
        axes.set(title=group, xlabel="epoch", ylim=(0, 100))
        axes.grid(alpha=0.3)
        tidy(axes)
    figure.axes[0].legend(fontsize=8, loc="lower left")
    figure.axes[0].set_ylabel("training error (%)")
    return figure


EXPERIMENT = Experiment(
    __name__, measure, check, draw,
    title="Auxiliary classifiers, before batch-norm",
    claim="A deep network without batch-norm that does not learn at all begins to with auxiliary classifiers; with "
    "batch-norm it learns without them.",
    lecture='As a hack, attach "auxiliary classifiers" at several intermediate points in the network that also try '
    "to classify the image and receive loss. GoogLeNet was before batch normalization! With BatchNorm no longer need "
    "to use this trick.",
    source="Szegedy et al. 2014 (GoogLeNet), section 5; Szegedy et al. 2016 (Inception-v3), section 4: heads did "
    "not help early in training, only by a little at its end",
    expected="With weights that start a little too small (gain 1.2; ReLU needs 1.41, He et al. 2015) the network "
    "without heads stays at 90 %, with heads it learns; with batch-norm it learns either way, better than with heads "
    "alone. A better start (He's) learns without heads, too; with a worse one (gain 1, Caffe's) heads help less.",
    design="21 convolutions 3x3, seven each of 8, 16, 32 maps, on digits of 8x8 pixels. Heads after the 7th and the "
    "14th: global average pooling and a linear layer, loss weighed by 0.3. SGD at 0.05, momentum 0.9, weight decay "
    "0.0002, gradients clipped to length 5, batches of 64, 15 epochs of 1,261 images. Weights uniform, of variance "
    "gain^2 / fan_in; biases 0.",
    limits="The start is chosen so that heads matter. The lines on the two other starts were added after the run: a "
    "first guess, that Caffe's start is past help, fell, as two of three seeds began to learn; with He's start heads "
    "help on average, not in each seed. GoogLeNet was trained with another start, a width of hundreds of maps, and "
    "for weeks; that heads were needed there, or that they improve its accuracy, cannot be shown on digits. Later "
    "work on networks like it (Inception-v3) found no early help.",
    seeds=(0, 1, 2),
    quick_seeds=(0,),
    quick="One seed; gain 1.2 only, without heads, with heads, with batch-norm.",
)  # fmt: skip
