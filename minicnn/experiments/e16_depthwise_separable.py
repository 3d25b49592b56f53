"""E16: a depthwise and a 1x1 convolution for one 3x3: an eighth of the work; accuracy is another matter."""

from __future__ import annotations

import math

import numpy as np

import minicnn as mc

from .. import nn, plots
from ..models.initial import he_fan_out
from ..models.mobilenet_v1 import ConvBlock, SeparableBlock
from .base import Check, Experiment, Setup, Tables, equal
from .on_digits import CLASSES, by_seed, drops_at, error, of_seeds, seeded, spread, standardised, train
from .parts import tidy

SIDE = 8
BLOCKS = ((1, 1), (2, 2), (2, 1), (4, 2), (4, 1))  # maps in units of the width, stride
EPOCHS, DROP, LR = 8, 6, 0.1

FULL, SEPARABLE, NARROW = "full, width 16", "separable, width 16", "full, width 6"
NETWORKS = {FULL: (16, ConvBlock), SEPARABLE: (16, SeparableBlock), NARROW: (6, ConvBlock)}

LAYERS, COST = "one layer, multiply-adds a pixel", "cost of the networks"
TRAINING, HELD_OUT = "training error in %", "error on held-out images in %"


def build(width: int, block: type) -> nn.Sequential:
    """An ordinary convolution and five ``block``s; (N, 1, 8, 8) to logits (N, 10)."""
    layers, channels = [ConvBlock(1, width, 1)], width
    for factor, stride in BLOCKS:
        layers.append(block(channels, factor * width, stride))
        channels = factor * width
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, CLASSES))
    he_fan_out(model)
    return model


def layer_costs() -> list[dict]:
    """Both kinds of layer by the counter, and the paper's formula for their ratio."""
    rows = []
    for maps in (16, 32, 64, 512):
        full, separable = (
            mc.summary(block(maps, maps, 1), (maps, SIDE, SIDE), show=False).total_macs // SIDE**2
            for block in (ConvBlock, SeparableBlock)
        )
        rows.append({
            "maps N": maps, "full": full, "separable": separable, "separable / full": round(separable / full, 6),
            "1/N + 1/9": round(1 / maps + 1 / 9, 6),
        })  # fmt: skip
    return rows


def measure(setup: Setup) -> Tables:
    training, held_out = standardised("train"), standardised("held-out")
    tables: Tables = {LAYERS: layer_costs(), COST: [], TRAINING: [], HELD_OUT: []}
    with setup.bar(len(NETWORKS) * EPOCHS * len(setup.seeds), "E16, epochs") as bar:
        for name, (width, block) in NETWORKS.items():
            counted = mc.summary(build(width, block), (1, SIDE, SIDE), show=False)
            costs = {"parameters": counted.total_params, "multiply-adds": counted.total_macs}
            tables[COST].append({"network": name, **costs})
            found = []
            for seed in setup.seeds:
                model = seeded(seed, lambda w=width, b=block: build(w, b))
                train(model, training, seed=seed, epochs=EPOCHS, lr=LR, rate=drops_at(DROP), after_epoch=bar.update)
                found.append((error(model, training), error(model, held_out)))
            for table, values in zip((TRAINING, HELD_OUT), zip(*found)):
                tables[table].append(by_seed(setup.seeds, list(values), network=name))
    return tables


def check(tables: Tables) -> list[Check]:
    lines = []
    for row in tables[LAYERS]:
        ratio, formula = row["separable / full"], row["1/N + 1/9"]
        what, same = f"a layer of {row['maps N']} maps: separable / full", math.isclose(ratio, formula, abs_tol=2e-6)
        lines.append(Check(what, f"{formula:.4f}", f"{ratio:.4f}", same))
    cost = {r["network"]: r for r in tables[COST]}
    for name, parameters, macs in ((FULL, 72_666, 599_680), (SEPARABLE, 10_938, 94_976), (NARROW, 10_516, 86_640)):
        found = f"{cost[name]['parameters']:,}, {cost[name]['multiply-adds']:,}"
        lines.append(equal(f"{name}: parameters, multiply-adds", f"{parameters:,}, {macs:,}", found))
    errors = {r["network"]: of_seeds(r) for r in tables[HELD_OUT]}
    if len(errors[FULL]) > 1:
        lost = np.array(errors[SEPARABLE]) - errors[FULL]
        lines.append(
            Check("separable less full of the same width, mean held-out error, points", "0 to 3", spread(lost),
                  bool(0 <= lost.mean() <= 3))
        )  # fmt: skip
        gained = np.array(errors[NARROW]) - errors[SEPARABLE]
        lines.append(
            Check("narrow full less separable of as many multiply-adds, mean held-out error, points", "> 0",
                  spread(gained), bool(gained.mean() > 0))
        )  # fmt: skip
    return lines


def draw(tables: Tables):
    figure = plots.new_figure(9, 3.6)
    left, right = figure.subplots(1, 2)
    layers = tables[LAYERS]
    maps = [row["maps N"] for row in layers]
    left.plot(maps, [row["separable / full"] for row in layers], "o", color="tab:blue", label="counted")
    fine = np.geomspace(maps[0], maps[-1], 100)
    left.plot(fine, 1 / fine + 1 / 9, color="grey", lw=1, label="1/N + 1/9")
    left.set(xscale="log", xlabel="maps N", ylabel="multiply-adds, separable / full", title="one layer", ylim=(0, 0.2))
    left.set_xticks(maps, maps)
    left.minorticks_off()
    left.legend(fontsize=8)
    for cost, row in zip(tables[COST], tables[HELD_OUT]):
        values, macs = of_seeds(row), cost["multiply-adds"] / 1000
        (points,) = right.plot([macs] * len(values), values, "o", alpha=0.4)
        right.plot(macs, row["mean"], "_", ms=16, mew=2, color=points.get_color(), label=row["network"])
    right.set(xlabel="thousand multiply-adds", ylabel="error on held-out digits (%)", title="networks, each seed")
    right.set(xlim=(0, None), ylim=(0, 4))
    right.legend(fontsize=8)
    for axes in (left, right):
        axes.grid(alpha=0.3)
        tidy(axes)
    return figure


EXPERIMENT = Experiment(
    __name__, measure, check, draw,
    title="Depthwise separable convolutions",
    claim="A depthwise and a 1x1 convolution cost 1/N + 1/9 of a 3x3 convolution, lose little accuracy, and use "
    "their multiply-adds better than a narrower network of ordinary convolutions.",
    lecture="If you want an efficient network (real-time, run on mobile, etc) try MobileNets and ShuffleNets.",
    source="Howard et al. 2017 (MobileNet), section 3.1, table 4 (71.7 to 70.6 % on ImageNet for an eighth of the "
    "work)",
    expected="The cost exactly. For the accuracy: the separable network within 3 points of the full one of its "
    "width, and better than a full one made as cheap by fewer maps.",
    design="Six convolutions of 16, 16, 32, 32, 64, 64 maps on digits of 8x8 pixels: all ordinary; all but the "
    "first separable; all ordinary with 6, 6, 12, 12, 24, 24 maps, which is slightly cheaper than the separable one. "
    "Batch-norm and ReLU after each. SGD at 0.1, momentum 0.9, weight decay 0.0001, batches of 64, 8 epochs of 1,261 "
    "images, from the seventh on at 0.01. 536 held-out images.",
    limits="One image in 536 is 0.19 points. Digits need few maps, so a narrow network lacks nothing: that "
    "separable layers are the better use of multiply-adds shows on ImageNet with hundreds of maps, not here. "
    "Multiply-adds are not time: depthwise convolutions wait for memory (E19).",
    seeds=(0, 1, 2, 3, 4, 5, 6, 7),
    quick_seeds=(0, 1),
    quick="Two seeds.",
)  # fmt: skip
