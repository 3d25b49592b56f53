"""E12: global average pooling takes the weights out of a network's end, and with them the place of what it saw."""

from __future__ import annotations

import numpy as np

import minicnn as mc

from .. import nn, plots
from ..data import ArrayDataset
from ..models.residual import conv3x3
from .base import Check, Experiment, Setup, Tables, at_least, at_most, equal
from .on_digits import CLASSES, STAGES, by_seed, drops_at, error, of_seeds, seeded, standardised, train
from .parts import tidy

SIDE, IMAGES, HIDDEN = 16, 300, 64
SHIFTS = (0, 1, 2, 3, 4)  # pixels; the digit, 8x8, stays in the picture
DIRECTIONS = ((0, 1), (1, 0), (0, -1), (-1, 0))
EPOCHS, DROP, LR = 25, 18, 0.05

FC, GAP, GAP_1 = "FC", "GAP", "GAP, no stride"
NETWORKS = {FC: 2, GAP: 2, GAP_1: 1}  # stride of the second convolution

COST, ERROR = "cost", "error on held-out images in %, by how far they are shifted"


def build(name: str) -> nn.Sequential:
    """Three convolutions with batch-norm, and one of two ends."""
    layers, channels = [], 1
    for i, (maps, _) in enumerate(STAGES):  # (N, 8, 16, 16), (N, 16, 8, 8), (N, 32, 8, 8)
        layers += [conv3x3(channels, maps, NETWORKS[name] if i == 1 else 1), nn.BatchNorm2d(maps), nn.ReLU()]
        channels = maps
    if name == FC:
        pixels = (SIDE // NETWORKS[name]) ** 2
        end = [nn.Flatten(), nn.Linear(channels * pixels, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, CLASSES)]
    else:
        end = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, CLASSES)]
    return nn.Sequential(*layers, *end)


def framed(digits: ArrayDataset, down: int = 0, right: int = 0) -> ArrayDataset:
    """Digits in the middle of a picture of ``SIDE`` pixels, or moved from there; the rest is paper."""
    pictures = np.full((len(digits), 1, SIDE, SIDE), digits.images.min(), np.float32)
    top, left = (SIDE - 8) // 2 + down, (SIDE - 8) // 2 + right
    pictures[:, :, top : top + 8, left : left + 8] = digits.images
    return ArrayDataset(pictures, digits.labels, digits.classes, digits.name)


def measure(setup: Setup) -> Tables:
    training, held_out = framed(standardised("train", IMAGES)), standardised("held-out")
    tables: Tables = {COST: [], ERROR: []}
    with setup.bar(len(NETWORKS) * EPOCHS * len(setup.seeds), "E12, epochs") as bar:
        for name in NETWORKS:
            counted = mc.summary(build(name), (1, SIDE, SIDE), show=False)
            end = sum(row.params for row in counted.rows if row.kind == "fc")
            tables[COST].append({
                "network": name, "parameters": counted.total_params, "in linear layers": end,
                "multiply-adds": counted.total_macs,
            })  # fmt: skip
            by_shift = {shift: [] for shift in SHIFTS}
            for seed in setup.seeds:
                model = seeded(seed, lambda n=name: build(n))
                train(model, training, seed=seed, epochs=EPOCHS, lr=LR, rate=drops_at(DROP), after_epoch=bar.update)
                for shift in SHIFTS:
                    moved = [error(model, framed(held_out, y * shift, x * shift)) for y, x in DIRECTIONS]
                    by_shift[shift].append(round(float(np.mean(moved)), 3))
            tables[ERROR] += [by_seed(setup.seeds, by_shift[s], network=name, shift=s) for s in SHIFTS]
    return tables


def check(tables: Tables) -> list[Check]:
    cost = {r["network"]: r for r in tables[COST]}
    found = {(r["network"], r["shift"]): of_seeds(r) for r in tables[ERROR]}
    moved = {name: [b - a for a, b in zip(found[name, 0], found[name, 2])] for name in NETWORKS}
    odd = [b - a for a, b in zip(found[GAP, 0], found[GAP, 1])]
    every = [abs(b - a) for shift in (1, 2, 3) for a, b in zip(found[GAP_1, 0], found[GAP_1, shift])]
    return [
        equal("parameters: FC, GAP", "137,730, 6,274", f"{cost[FC]['parameters']:,}, {cost[GAP]['parameters']:,}"),
        equal("in linear layers: FC, GAP", f"{131_136 + 650:,}, 330",
              f"{cost[FC]['in linear layers']:,}, {cost[GAP]['in linear layers']:,}"),
        at_least("FC, shifted by 2 pixels: error rises at least by so many points", 50, min(moved[FC])),
        at_most("GAP, shifted by 2 pixels: error rises at most by so many points", 5, max(moved[GAP])),
        at_least("GAP, shifted by 1 pixel, half its stride: error rises at least by so many points", 20, min(odd)),
        at_most("GAP, no stride, shifted by 1, 2, 3 pixels: error changes at most by so many points", 5, max(every)),
    ]  # fmt: skip


def draw(tables: Tables):
    figure = plots.new_figure(9.5, 3.6)
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.6))
    colours = dict(zip(NETWORKS, ("tab:red", "tab:blue", "tab:cyan")))
    for i, row in enumerate(tables[COST]):
        bars = left.bar(i, row["parameters"], color=colours[row["network"]])
        left.bar_label(bars, [f"{row['parameters']:,}"], fontsize=8)
    left.set(ylabel="parameters", title="what it costs")
    left.set_xticks(range(len(tables[COST])), [row["network"] for row in tables[COST]], fontsize=8)
    for name, colour in colours.items():
        rows = [row for row in tables[ERROR] if row["network"] == name]
        for values in zip(*(of_seeds(row) for row in rows)):
            right.plot(SHIFTS, values, color=colour, alpha=0.35, lw=1)
        right.plot(SHIFTS, [row["mean"] for row in rows], "o-", color=colour, label=name)
    right.set(xlabel="held-out digits shifted by (pixels)", ylabel="error (%)", ylim=(0, 100), title="what it sees")
    right.set_xticks(SHIFTS)
    right.legend(fontsize=8)
    right.grid(alpha=0.3)
    for axes in (left, right):
        tidy(axes)
    return figure


EXPERIMENT = Experiment(
    __name__, measure, check, draw,
    title="Global average pooling for fully connected layers",
    claim="Global average pooling in place of fully connected layers saves nearly all weights, and what it learns "
    "in one place it knows in another.",
    lecture="No large FC layers at the end! Instead uses global average pooling to collapse spatial dimensions, and "
    "one linear layer to produce class scores",
    source="Lin et al. 2014 (Network in Network), section 3.2; Szegedy et al. 2014 (GoogLeNet), section 5",
    expected="137,730 parameters against 6,274. Both are trained on digits in the middle. Shifted by 2 pixels, the "
    "network's stride, the fully connected one fails and the pooled one does not. Shifted by 1 pixel the pooled one "
    "fails, too: stride 2 then takes the other pixels. Without a stride it does not matter how far.",
    design="300 digits, standardised, in the middle of pictures of 16x16 pixels. Three convolutions 3x3 of 8, 16, "
    "32 maps with batch-norm, the second with stride 2; then a hidden linear layer of 64 and one of 10, or global "
    "average pooling and one of 10. SGD at 0.05, momentum 0.9, weight decay 0.0001, batches of 64, 25 epochs, from "
    "the 19th on at 0.005. 536 held-out digits, shifted left, right, up and down; mean of the four.",
    limits="Not accuracy: on digits that stay in the middle the fully connected network is the better one here, as "
    "a digit is what stands where, and the pooled one without a stride the worst, as each of its pixels sees less of "
    "a digit. GoogLeNet reports 0.6 % better top-1 by pooling, on ImageNet, where an object may stand anywhere. "
    "Shifted by 4 pixels a digit touches the picture's edge, where the border of zeros comes in.",
    seeds=(0, 1, 2, 3, 4),
    quick_seeds=(0,),
    quick="One seed.",
)  # fmt: skip
