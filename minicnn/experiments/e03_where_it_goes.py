"""E3: where a classic network's memory, parameters and multiply-adds are."""

from __future__ import annotations

import numpy as np

import minicnn as mc

from .. import nn, plots
from ..lecture_check import Tables as Summaries
from ..rows import Row
from .base import Check, Experiment, Setup, Tables, at_least, equal
from .parts import tidy

SHARES = ("memory", "parameters", "multiply-adds")
NAMES = {"alexnet": "AlexNet (one tower, 227x227)", "vgg16": "VGG-16 (224x224)", "mini": "mini AlexNet (32x32)"}


def mini_alexnet() -> nn.Sequential:
    """Five convolutions, three pools, three linear layers, for 3x32x32."""
    layers = []
    for channels, maps, kernel, pool in (
        (3, 32, 5, True), (32, 96, 5, True), (96, 192, 3, False), (192, 128, 3, False), (128, 128, 3, True),
    ):  # fmt: skip
        layers += [nn.Conv2d(channels, maps, kernel, padding=kernel // 2), nn.ReLU()]
        layers += [nn.MaxPool2d(3, 2)] if pool else []
    head = [nn.Linear(128 * 3 * 3, 1024), nn.ReLU(), nn.Linear(1024, 1024), nn.ReLU(), nn.Linear(1024, 10)]
    return nn.Sequential(*layers, nn.Flatten(), *head)


def measured_bytes(model: nn.Module, image: np.ndarray) -> tuple[list[int], list[int]]:
    """Bytes of the outputs, and of the parameters, that each convolution and linear layer really has."""
    outputs, weights = [], []

    def look(module, inputs, output):
        outputs.append(output.data.nbytes)
        weights.append(sum(p.data.nbytes for p in module.parameters()))

    handles = [m.register_forward_hook(look) for m in model.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    with mc.no_grad():
        model(mc.tensor(image))
    for handle in handles:
        handle.remove()
    return outputs, weights


def layers(network: str, rows: list[Row]) -> list[dict]:
    counts = {"conv": 0, "fc": sum(r.kind == "conv" for r in rows)}
    table = []
    for row in rows:
        if row.kind in counts:
            counts[row.kind] += 1
            table.append({
                "network": network, "layer": f"{row.kind}{counts[row.kind]}", "kind": row.kind, "bytes": row.memory,
                "parameters": row.params, "multiply-adds": row.macs,
            })  # fmt: skip
    return table


def measure(setup: Setup) -> Tables:
    summaries = Summaries()
    counted = layers("alexnet", summaries("alexnet", "lecture").rows) + layers("vgg16", summaries("vgg16").rows)
    mc.manual_seed(setup.seeds[0])
    model = mini_alexnet()
    mini = layers("mini", mc.summary(model, (3, 32, 32), show=False).rows)
    image = np.random.default_rng(setup.seeds[0]).normal(size=(1, 3, 32, 32)).astype("float32")
    for row, output, weights in zip(mini, *measured_bytes(model, image), strict=True):
        row["bytes measured"], row["bytes of parameters measured"] = output, weights
    return {"layers": counted, "mini AlexNet, counted and measured": mini, "shares in %": shares(counted + mini)}


def shares(rows: list[dict]) -> list[dict]:
    """Where most of it is, in per cent of all."""
    table = []
    for network in NAMES:
        of = [r for r in rows if r["network"] == network]
        early = 4 if network == "vgg16" else 2  # VGG's stages 1 and 2 have two convolutions each

        def share(what: str, part: list[dict], of=of) -> float:
            return 100 * sum(r[what] for r in part) / sum(r[what] for r in of)

        table.append({
            "network": network, "early convolutions": f"the first {early}", "of memory": share("bytes", of[:early]),
            "conv1 of memory": share("bytes", of[:1]),
            "linear layers of parameters": share("parameters", [r for r in of if r["kind"] == "fc"]),
            "convolutions of multiply-adds": share("multiply-adds", [r for r in of if r["kind"] == "conv"]),
        })  # fmt: skip
    return table


def check(tables: Tables) -> list[Check]:
    rows, mini, _ = tables.values()
    of = {name: [r for r in rows if r["network"] == name] for name in ("alexnet", "vgg16")}
    lines = [
        equal("AlexNet, conv1, all: KiB", "784, 1958",
              f"{of['alexnet'][0]['bytes'] / 1024:.0f}, {sum(r['bytes'] for r in of['alexnet']) / 1024:.0f}"),
        equal("AlexNet, parameters: linear, all", "58,631,144, 61,100,840", _pair(of["alexnet"], "parameters", "fc")),
        equal("AlexNet, multiply-adds: conv, all", "658,145,280, 716,767,232",
              _pair(of["alexnet"], "multiply-adds", "conv")),
        equal("VGG-16, parameters: linear, all", "123,642,856, 138,357,544", _pair(of["vgg16"], "parameters", "fc")),
        equal("mini: layers whose outputs have as many bytes as was counted", len(mini),
              sum(r["bytes measured"] == r["bytes"] for r in mini)),
        equal("mini: layers whose parameters have 4 bytes each", len(mini),
              sum(r["bytes of parameters measured"] == 4 * r["parameters"] for r in mini)),
    ]  # fmt: skip
    for row in shares(rows + mini):
        name = NAMES[row["network"]].partition(" (")[0]
        lines += [
            at_least(f"{name}: early convolutions' share of memory, %", 50, row["of memory"]),
            at_least(f"{name}: linear layers' share of parameters, %", 75, row["linear layers of parameters"]),
            at_least(f"{name}: convolutions' share of multiply-adds, %", 90, row["convolutions of multiply-adds"]),
        ]
    return lines


def _pair(rows: list[dict], what: str, kind: str) -> str:
    return f"{sum(r[what] for r in rows if r['kind'] == kind):,}, {sum(r[what] for r in rows):,}"


def draw(tables: Tables):
    rows = tables["layers"] + tables["mini AlexNet, counted and measured"]
    figure = plots.new_figure(11, 6.5)
    grid = figure.subplots(3, 3)
    for panels, (network, title) in zip(grid, NAMES.items()):
        of = [r for r in rows if r["network"] == network]
        for axes, what, label in zip(panels, ("bytes", "parameters", "multiply-adds"), SHARES):
            total = sum(r[what] for r in of)
            colours = ["tab:blue" if r["kind"] == "conv" else "tab:orange" for r in of]
            axes.bar(range(len(of)), [100 * r[what] / total for r in of], color=colours)
            axes.set_xticks(range(len(of)), [r["layer"] for r in of], rotation=90, fontsize=7)
            axes.set(ylim=(0, 80))
            axes.set_title(f"{label}: {total:,}" + (" bytes" if what == "bytes" else ""), fontsize=9)
        panels[0].set_ylabel(f"{title.partition(' (')[0]}\n% of all")
        tidy(*panels)
    figure.suptitle("convolutions blue, linear layers orange", fontsize=10)
    return figure


EXPERIMENT = Experiment(
    __name__, measure, check, draw,
    title="Where memory, parameters and multiply-adds are",
    claim="Early convolutions hold most of the memory, linear layers nearly all parameters, and convolutions do "
    "most of the work.",
    lecture="Most of the memory usage is in the early convolution layers. Nearly all parameters are in the "
    "fully-connected layers. Most floating-point ops occur in the convolution layers.",
    source="Krizhevsky, Sutskever & Hinton 2012 (AlexNet); Simonyan & Zisserman 2015 (VGG)",
    expected="AlexNet: conv1 alone 784 of 1958 KiB; linear layers 58.6 of 61.1 million parameters (96.0 %); "
    "convolutions 658 of 717 million multiply-adds (91.8 %). VGG-16: stages 1 and 2 71 % of memory, linear layers "
    "89.4 % of parameters.",
    design="Counted for AlexNet (the lecture's single tower) and VGG-16, run for their shapes alone. A mini AlexNet "
    "for 32x32 pixels really runs, and its arrays' bytes are read off. Memory: outputs of convolutions and linear "
    "layers of one image, 4 bytes a number.",
    limits="Memory here is what layers put out for one image. Training keeps more for the backward, and gradients "
    "of the parameters; `minicnn table NAME --batch-size 32` shows that. Nets of today end in one linear layer: for "
    "them the second sentence does not hold (E12).",
    errata="The lecture's table has 145 million multiply-adds for conv4 of AlexNet; it is 149.5. Its VGG-16 has 15 "
    "layers (two convolutions in stage 3), and its totals, 48.6 MB and 13.6 G, are those of that network.",
    seeds=(0,),
)  # fmt: skip
