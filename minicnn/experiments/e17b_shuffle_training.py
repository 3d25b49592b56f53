"""E17b: what the channel shuffle does to a small network's error."""

from __future__ import annotations

import numpy as np

import minicnn as mc

from .. import nn, plots
from ..models.initial import he_fan_out
from ..models.mobilenet_v1 import ConvBlock
from ..models.shufflenet_v1 import ShuffleUnit
from .base import Check, Experiment, Setup, Tables, equal
from .on_digits import CLASSES, by_seed, drops_at, error, of_seeds, seeded, spread, standardised, train
from .parts import tidy

SIDE, MAPS, UNITS = 8, 64, 4
GROUPS = (4, 8)
EPOCHS, DROP, LR = 8, 6, 0.1
PAPER = {3: (34.5, 32.6), 8: (37.6, 32.4)}  # top-1 error in %, ImageNet, ShuffleNet 1x, without and with: table 3

COST, TRAINING, HELD_OUT = "cost", "training error in %", "error on held-out images in %"


def build(groups: int, shuffle: bool) -> nn.Sequential:
    """An ordinary convolution and four of ShuffleNet's units; (N, 1, 8, 8) to logits (N, 10)."""
    units = [ShuffleUnit(MAPS, MAPS, 1, groups, shuffle=shuffle) for _ in range(UNITS)]
    model = nn.Sequential(
        ConvBlock(1, MAPS, 1), *units, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(MAPS, CLASSES)
    )
    he_fan_out(model)
    return model


def measure(setup: Setup) -> Tables:
    training, held_out = standardised("train"), standardised("held-out")
    tables: Tables = {COST: [], TRAINING: [], HELD_OUT: []}
    with setup.bar(2 * len(GROUPS) * EPOCHS * len(setup.seeds), "E17b, epochs") as bar:
        for groups in GROUPS:
            for shuffle in (False, True):
                labels = {"groups": groups, "shuffle": "yes" if shuffle else "no"}
                counted = mc.summary(build(groups, shuffle), (1, SIDE, SIDE), show=False)
                costs = {"parameters": counted.total_params, "multiply-adds": counted.total_macs}
                tables[COST].append(labels | costs)
                found = []
                for seed in setup.seeds:
                    model = seeded(seed, lambda g=groups, s=shuffle: build(g, s))
                    train(model, training, seed=seed, epochs=EPOCHS, lr=LR, rate=drops_at(DROP), after_epoch=bar.update)
                    found.append((error(model, training), error(model, held_out)))
                for table, values in zip((TRAINING, HELD_OUT), zip(*found)):
                    tables[table].append(by_seed(setup.seeds, list(values), **labels))
    return tables


def gains(tables: Tables, groups: int) -> np.ndarray:
    """Held-out error without the shuffle less that with it, in points, seed by seed."""
    without, with_it = (of_seeds(row) for row in tables[HELD_OUT] if row["groups"] == groups)
    return np.subtract(without, with_it)


def check(tables: Tables) -> list[Check]:
    lines = []
    for groups in GROUPS:
        without, with_it = (row for row in tables[COST] if row["groups"] == groups)
        costs = [f"{row['parameters']:,}, {row['multiply-adds']:,}" for row in (without, with_it)]
        lines.append(equal(f"{groups} groups: parameters, multiply-adds with the shuffle, as without", *costs))
        gain = gains(tables, groups)
        if len(gain) > 1:
            error_of_mean = gain.std(ddof=1) / len(gain) ** 0.5
            what = f"{groups} groups: what the shuffle takes from the held-out error, points (mean +- its error)"
            lines.append(Check(what, "> 2 errors", spread(gain), bool(gain.mean() > 2 * error_of_mean)))
    return lines


def draw(tables: Tables):
    figure = plots.new_figure(8, 3.6)
    for groups, axes in zip(GROUPS, figure.subplots(1, 2, sharey=True)):
        without, with_it = (row for row in tables[HELD_OUT] if row["groups"] == groups)
        for before, after in zip(of_seeds(without), of_seeds(with_it)):
            axes.plot((0, 1), (before, after), "o-", color="tab:grey", alpha=0.5, ms=4, lw=1)
        axes.plot((0, 1), (without["mean"], with_it["mean"]), "s-", color="tab:red", label="mean")
        axes.set(title=f"{groups} groups", xlim=(-0.4, 1.4))
        axes.set_xticks((0, 1), ("no shuffle", "shuffle"))
        axes.grid(alpha=0.3, axis="y")
        axes.legend(fontsize=8)
        tidy(axes)
    figure.axes[0].set(ylabel="error on held-out digits (%)")
    figure.axes[0].set_ylim(0, None)
    return figure


EXPERIMENT = Experiment(
    __name__, measure, check, draw,
    title="Channel shuffle: what it does to the error",
    claim="Shuffling the channels between grouped 1x1 convolutions lowers the error, at no weights and no "
    "multiply-adds.",
    lecture="If you want an efficient network (real-time, run on mobile, etc) try MobileNets and ShuffleNets.",
    source="Zhang et al. 2018 (ShuffleNet), table 3: top-1 error on ImageNet 34.5 to 32.6 % with 3 groups, 37.6 to "
    "32.4 % with 8",
    expected="The same cost; a lower error, by more with 8 groups than with 4. By more than two standard errors of "
    "the mean over the seeds, or it is not shown.",
    design="An ordinary 3x3 convolution of 64 maps and four ShuffleNet units of stride 1 on digits of 8x8 pixels, "
    "then global average pooling and a linear layer. With and without the shuffle a seed gives the same start and "
    "the same order of the images. SGD at 0.1, momentum 0.9, weight decay 0.0001, batches of 64, 8 epochs of 1,261 "
    "images, from the seventh on at 0.01. 536 held-out images.",
    limits="One image in 536 is 0.19 points, so that single seeds say little, and for 8 groups twelve do not say "
    "enough. The first convolution shows every group the whole picture and the last layer reads all groups: without "
    "the shuffle this is a vote of 4 or 8 narrow networks, which for digits is not bad. Inside a unit there are a "
    "quarter of the maps, 16: of 8 groups each has two, and the shuffle joins it with two others only (E17); with "
    "half as many maps it would change nothing at all.",
    seeds=tuple(range(12)),
    quick_seeds=(0,),
    quick="One seed.",
)  # fmt: skip
