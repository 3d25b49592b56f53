"""E11: bottleneck blocks, more layers for the same work."""

from __future__ import annotations

import math

import minicnn as mc

from .. import plots
from ..kernels import shapes
from ..models.residual import BasicBlock, Bottleneck
from ..models.resnet import ResNet
from .base import Check, Experiment, Setup, Tables, between, equal
from .parts import tidy

C, SIDE = 64, 56
NETWORKS = {  # block, blocks in each stage, shortcut, parameters and multiply-adds by other counters
    "ResNet-34, option A": (BasicBlock, (3, 4, 6, 3), "A"),
    "ResNet-34, option B": (BasicBlock, (3, 4, 6, 3), "B"),
    "50 layers of basic blocks": (BasicBlock, (4, 6, 10, 4), "B"),
    "ResNet-50": (Bottleneck, (3, 4, 6, 3), "B"),
}


def measure(setup: Setup) -> Tables:
    blocks, networks = [], []
    for name, block, channels in (("basic", BasicBlock, C), ("bottleneck", Bottleneck, 4 * C)):
        for row in mc.summary(block(channels, C, 1), (channels, SIDE, SIDE), show=False).rows:
            if row.kind == "conv":
                blocks.append({
                    "block": name, "layer": f"{row.kernel}x{row.kernel}", "from": row.input_shape[0],
                    "to": row.output_shape[0], "multiply-adds": row.macs,
                    "in H W C^2": row.macs / math.prod(row.output_shape[1:]) / C**2,
                })  # fmt: skip
    for name, (block, numbers, shortcut) in NETWORKS.items():
        with shapes.shapes_only():
            model = ResNet(block, numbers, 1000, shortcut=shortcut)
        table = mc.summary(model, (3, 224, 224), show=False)
        layers = 2 + sum(numbers) * (2 if block is BasicBlock else 3)
        networks.append({
            "network": name, "layers": layers, "blocks": sum(numbers), "parameters": table.total_params,
            "multiply-adds": table.total_macs,
        })  # fmt: skip
    return {f"blocks, C = {C}, maps of {SIDE}x{SIDE}": blocks, "networks, 224x224": networks}


def check(tables: Tables) -> list[Check]:
    blocks, networks = tables.values()
    units = {name: sum(r["in H W C^2"] for r in blocks if r["block"] == name) for name in ("basic", "bottleneck")}
    row = {r["network"]: r for r in networks}
    a, b, deep, fifty = (row[name]["multiply-adds"] for name in NETWORKS)
    return [
        equal("basic block, two layers, C maps: H W C^2", 18.0, units["basic"]),
        equal("bottleneck, three layers, 4C maps: H W C^2", 17.0, units["bottleneck"]),
        equal("ResNet-34: multiply-adds, options A and B", "3,644,493,824, 3,663,761,408", f"{a:,}, {b:,}"),
        equal("ResNet-50: multiply-adds", 3_857_973_248, fifty),
        equal("parameters: ResNet-34 (B), ResNet-50", "21,797,672, 25,557,032",
              f"{row['ResNet-34, option B']['parameters']:,}, {row['ResNet-50']['parameters']:,}"),
        between("16 more layers: multiply-adds of ResNet-50 over ResNet-34 (B), %", 5, 6, 100 * (fifty / b - 1)),
        between("50 layers of basic blocks: over ResNet-34 (B), %", 40, 60, 100 * (deep / b - 1)),
    ]  # fmt: skip


def draw(tables: Tables):
    blocks, networks = tables.values()
    figure = plots.new_figure(10, 3.4)
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.3))
    for name in ("basic", "bottleneck"):
        bottom = 0.0
        for row in (r for r in blocks if r["block"] == name):
            height = row["in H W C^2"]
            colour = "tab:blue" if row["layer"] == "3x3" else "tab:orange"
            left.bar(name, height, bottom=bottom, color=colour, edgecolor="white")
            left.text(name, bottom + height / 2, f"{row['layer']}, {row['from']} to {row['to']}: {height:g}",
                      ha="center", va="center", fontsize=8)  # fmt: skip
            bottom += height
        left.text(name, bottom + 0.3, f"{bottom:g}", ha="center")
    left.set(ylabel="multiply-adds (H W C$^2$)", ylim=(0, 21), title="one block")
    names = [r["network"].replace(" of basic", "\nof basic").replace(", option", "\noption") for r in networks]
    bars = right.bar(names, [r["multiply-adds"] / 1e9 for r in networks], color=["0.7", "0.7", "0.5", "tab:green"])
    right.bar_label(bars, [f"{r['multiply-adds'] / 1e9:.2f}\n{r['parameters'] / 1e6:.1f} M" for r in networks])
    right.set(ylabel="multiply-adds (10$^9$)", ylim=(0, 7.2), title="whole networks, and their parameters")
    right.tick_params(axis="x", labelsize=8)
    tidy(left, right)
    return figure


EXPERIMENT = Experiment(
    __name__, measure, check, draw,
    title="Bottleneck blocks: more layers for the same work",
    claim="A bottleneck block has three layers and four times the channels for slightly less work than a basic "
    "block.",
    lecture="Basic & Bottleneck Block: More layers, less computational cost!",
    source="He et al. 2016 (ResNet), figure 5, section 4.1 and table 1",
    expected="17 H W C^2 multiply-adds against 18. Whole networks: ResNet-50 has 16 layers more than ResNet-34 and "
    "5 % more multiply-adds (3.858 against 3.664 G); basic blocks stacked as deep would have half as many again.",
    design="Counted from the models, run for their shapes alone: one block on maps of 56x56; ResNet-34 with both "
    "shortcuts; ResNet-50 as in the paper, stride in the 1x1 convolution; and a network of 50 layers of basic "
    "blocks (4, 6, 10, 4).",
    limits="Only cost. That the deeper network is also more accurate (He et al., table 3) takes ImageNet to see. A "
    "multiply-add is not a second: see E19.",
    errata='"Less" holds block against block, not network against network: ResNet-50 costs 5 % more than '
    "ResNet-34. The 3.8 G printed for it are 3.858 cut off, and torchvision's ResNet-50, whose errors stand beside "
    "it, has 4.09.",
)  # fmt: skip
