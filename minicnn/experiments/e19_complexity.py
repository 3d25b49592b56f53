"""E19: what networks cost and what they get right; and whether a multiply-add is a measure of time."""

from __future__ import annotations

import dataclasses

import numpy as np

import minicnn as mc

from .. import models, nn, plots
from ..comparison import Comparison, Network, compare
from .base import Check, Experiment, Setup, Tables, at_least, at_most
from .parts import milliseconds, name_points, tidy

ROUNDS, REPEATS = 5, 2
WAYS = ((224, "im2col"), (224, "auto"), (64, "auto"))  # side of the image, algorithm of the convolutions
DENSE = (
    ("resnet18", "paper"), ("resnet34", "paper"), ("resnet50", "torchvision"), ("resnet101", "torchvision"),
    ("preact_resnet50", "paper"), ("googlenet", "torchvision"), ("vgg11", "torchvision"), ("vgg16", "torchvision"),
)  # fmt: skip
GROUPED = (
    ("resnext50_32x4d", "paper"), ("mobilenet_v1", "paper"), ("mobilenet_v2", "paper"), ("shufflenet_v1", "paper"),
    ("shufflenet_v2", "paper"), ("efficientnet_lite0", "paper"),
)  # fmt: skip
SHOWN = ("name", "setting", "family", "params", "macs", "memory", "top1", "protocol")


def measure(setup: Setup) -> Tables:
    networks = [
        {**{key: getattr(row, key) for key in SHOWN}, "label": row.label}
        for row in compare()
        if row.data == "ImageNet" and row.top1 is not None
    ]
    timed = [] if setup.quick else times(setup)
    per_way = [summed_up(timed, side, algorithm) for side, algorithm in WAYS] if timed else []
    return {
        "ImageNet: counted cost, published top-1 error in %": networks, "forward of one image": timed,
        "a multiply-add as a measure of time": per_way,
    }  # fmt: skip


def times(setup: Setup) -> list[dict]:
    """Several rounds over all networks, and the shortest time of each: a moment in which the machine is busy with
    something else then falls on one round, not on one network."""
    rng, rows = np.random.default_rng(setup.seeds[0]), []
    images = {side: rng.normal(size=(1, 3, side, side)).astype("float32") for side, _ in WAYS}
    kinds = {**dict.fromkeys(DENSE, "dense"), **dict.fromkeys(GROUPED, "grouped, depthwise")}
    mc.manual_seed(setup.seeds[0])
    built = {(name, variant): models.get_model(name, variant=variant) for name, variant in kinds}
    with setup.bar(ROUNDS * len(built), "timing") as bar:
        for round_ in range(ROUNDS):
            for place, (network, model) in enumerate(built.items()):
                for way, (side, algorithm) in enumerate(WAYS):
                    taken = forward_ms(model, images[side], algorithm)
                    if round_ == 0:
                        macs = mc.summary(model, (3, side, side), show=False).total_macs
                        rows.append({
                            "network": network[0], "convolutions": kinds[network], "side": side,
                            "algorithm": algorithm, "multiply-adds": macs, "forward, ms": taken,
                        })  # fmt: skip
                    row = rows[place * len(WAYS) + way]
                    row["forward, ms"] = min(row["forward, ms"], taken)
                bar.update()
    return [{**row, "per 10^9 multiply-adds, ms": 1e9 * row["forward, ms"] / row["multiply-adds"]} for row in rows]


def forward_ms(model: nn.Module, image: np.ndarray, algorithm: str) -> float:
    model.eval()
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            module.algorithm = algorithm
    x = mc.tensor(image)
    with mc.no_grad():
        return milliseconds(lambda: model(x), REPEATS)


def summed_up(timed: list[dict], side: int, algorithm: str) -> dict:
    """How well multiply-adds predict time, one size of image and one algorithm."""
    of = [r for r in timed if (r["side"], r["algorithm"]) == (side, algorithm)]
    dense, grouped = ([r for r in of if (r["convolutions"] == "dense") is wanted] for wanted in (True, False))
    price, dear = ([r["per 10^9 multiply-adds, ms"] for r in rows] for rows in (dense, grouped))
    correlation = np.corrcoef([r["multiply-adds"] for r in dense], [r["forward, ms"] for r in dense])[0, 1]
    return {
        "side": side, "algorithm": algorithm, "dense: correlation over the ms": float(correlation),
        "dense: dearest / cheapest, by ms": max(price) / min(price),
        "grouped / dense (medians), by ms": float(np.median(dear) / np.median(price)),
    }  # fmt: skip


def check(tables: Tables) -> list[Check]:
    networks, timed, _ = tables.values()
    row = {r["label"]: r for r in reversed(networks)}  # the first of equal names counts
    alex, vgg, google, fifty = (row[name] for name in ("alexnet", "vgg16", "googlenet", "resnet50"))
    light = [r for r in networks if r["family"] in ("MobileNet", "ShuffleNet")]
    better = [r for r in light if r["top1"] < alex["top1"]]
    lines = [
        at_least("VGG-16: multiply-adds, times AlexNet's", 10, vgg["macs"] / alex["macs"]),
        at_least("VGG-16: multiply-adds, times ResNet-50's, which errs less", 3.5, vgg["macs"] / fifty["macs"]),
        at_most("ResNet-50: top-1 error, points over VGG-16's", -1, fifty["top1"] - vgg["top1"]),
        at_most("GoogLeNet: parameters, share of AlexNet's", 0.15, google["params"] / alex["params"]),
        at_most("AlexNet: multiply-adds, share of ResNet-50's, with twice the parameters", 0.2,
                alex["macs"] / fifty["macs"]),
        at_least("MobileNets and ShuffleNets better than AlexNet with fewer multiply-adds", 5,
                 sum(r["macs"] < alex["macs"] for r in better)),
    ]  # fmt: skip
    return lines + (checks_of_times(timed) if timed else [])


def checks_of_times(timed: list[dict]) -> list[Check]:
    found = summed_up(timed, 224, "im2col")
    return [
        at_least("dense nets, 224, im2col: correlation of time and multiply-adds", 0.9,
                 found["dense: correlation over the ms"], timed=True),
        at_most("dense nets: dearest multiply-add, times the cheapest", 3,
                found["dense: dearest / cheapest, by ms"], timed=True),
        at_least("grouped and depthwise: a multiply-add takes, times as long (medians)", 1.5,
                 found["grouped / dense (medians), by ms"], timed=True),
    ]  # fmt: skip


def as_network(row: dict) -> Network:
    """A row as ``plots.complexity`` takes it; what it does not draw is left empty."""
    return Labelled(
        row["name"], None, {}, row["family"], (3, 224, 224), row["params"], row["macs"], row["memory"], 0, "ImageNet",
        row["top1"], None, row["protocol"], text=row["label"],
    )  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Labelled(Network):
    """With the label that was stored."""

    text: str = ""

    @property
    def label(self) -> str:
        return self.text


def draw(tables: Tables):
    networks, timed, _ = tables.values()
    figure = plots.complexity(Comparison(map(as_network, networks)))
    if timed:
        add_below(figure, timed)
    return figure


def add_below(figure, timed: list[dict]) -> None:
    """A row of panels under the chart, one for each way: time against multiply-adds."""
    more = 5.0  # inches
    width, height = figure.get_size_inches()
    for axes in figure.axes:  # the chart's labels are placed in inches: it must not change its size
        x, y, w, h = axes.get_position().bounds
        axes.set_position((x, (y * height + more) / (height + more), w, h * height / (height + more)))
    figure.set_size_inches(width, height + more)
    for place, (side, algorithm) in enumerate(WAYS):
        axes = figure.add_axes((0.06 + 0.32 * place, 0.6 / (height + more), 0.26, (more - 1.4) / (height + more)))
        for kind, colour in (("dense", "tab:blue"), ("grouped, depthwise", "tab:orange")):
            of = [r for r in timed if (r["side"], r["algorithm"], r["convolutions"]) == (side, algorithm, kind)]
            axes.plot([r["multiply-adds"] / 1e9 for r in of], [r["forward, ms"] for r in of], "o", color=colour,
                      label=kind)  # fmt: skip
            price = np.median([r["per 10^9 multiply-adds, ms"] for r in of])
            if kind == "dense":
                macs = [r["multiply-adds"] / 1e9 for r in timed if r["side"] == side]
                ends = np.array([min(macs), max(macs)])
                axes.plot(
                    ends,
                    price * ends,
                    color=colour,
                    linewidth=0.8,
                    linestyle="--",
                    label=f"median: {price:.0f} ms for 10$^9$",
                )
        axes.set(xscale="log", yscale="log", xlabel="multiply-adds (10$^9$)", ylabel="forward of one image (ms)")
        axes.set_title(f"{side}x{side}, {algorithm}", fontsize=10)
        axes.grid(alpha=0.25)
        axes.legend(fontsize=8, loc="lower right")
        tidy(axes)
        shown = [r for r in timed if (r["side"], r["algorithm"]) == (side, algorithm)]
        name_points(axes, [r["network"] for r in shown], [r["multiply-adds"] / 1e9 for r in shown],
                    [r["forward, ms"] for r in shown])  # fmt: skip


EXPERIMENT = Experiment(
    __name__, measure, check, draw,
    title="Comparing complexity: accuracy, work, parameters, time",
    claim="Accuracy is not bought by multiply-adds alone, and a multiply-add is a measure of time only among "
    "networks of the same kind.",
    lecture="Comparing complexity: the radius is the number of parameters, right is more operations, up is more "
    "accurate; best is the upper left (translated). If you just care about accuracy, ResNet-50 or ResNet-101 are "
    "great choices. If you want an efficient network try MobileNets and ShuffleNets.",
    source="Canziani, Culurciello & Paszke 2017, figures 1, 2 and 9; Ma et al. 2018 (ShuffleNet v2), section 2 and "
    "guidelines G1 to G4",
    expected="VGG costs most; AlexNet is cheap to run and large; GoogLeNet small; ResNet-50 errs less than VGG-16 "
    "with a quarter of its work; many MobileNets and ShuffleNets err less than AlexNet with fewer multiply-adds. "
    "Time grows in proportion to multiply-adds among networks with dense convolutions if all of the products are "
    "really computed (im2col) on large images; depthwise and grouped convolutions take longer for each.",
    design="All of minicnn's networks for ImageNet: counted multiply-adds and parameters against published top-1 "
    f"errors, of one crop if not hollow. Then {len(DENSE) + len(GROUPED)} networks with random weights on this "
    f"machine: forward of one image, the shortest of {ROUNDS * REPEATS}, three ways: 224x224 by im2col; 224x224 as "
    "minicnn chooses, with Winograd's algorithm; 64x64.",
    limits="The errors are published, nothing is trained. Times are this machine's, in float32, one image at a "
    "time. Before the run the line was expected for 64x64 as well; it is not there: on small maps each layer has "
    "its fixed cost, and weights are read for few products. Winograd's algorithm bends it, too, in favour of 3x3 "
    "convolutions, that is of VGG.",
    errata="One table of the lecture mixes the paper's ResNets' operations (3.8, 7.6, 11.3 G) with the errors of "
    "torchvision's (4.1, 7.8, 11.5 G); VGG-16 with 15.3 G is without linear layers, VGG-19 with 19.6 G with them.",
    seeds=(0,), quick="The times: only what is counted.",
)  # fmt: skip
