"""E1: two 3x3 convolutions see as much as one 5x5. How many weights that takes depends on where they stand."""

from __future__ import annotations

import numpy as np

import minicnn as mc

from .. import nn, plots
from .base import Check, Experiment, Setup, Tables, equal

SIDE, CHANNELS, MAP = 15, 64, 56
STACKS = {"two 3x3": (3, 3), "one 5x5": (5,), "three 3x3": (3, 3, 3), "one 7x7": (7,)}


def stack(kernels: tuple[int, ...], in_channels: int, channels: int) -> nn.Sequential:
    """Convolutions one behind the other; the first goes from ``in_channels`` to ``channels``."""
    sources = (in_channels, *[channels] * (len(kernels) - 1))
    return nn.Sequential(*[nn.Conv2d(c, channels, k, padding=k // 2, bias=False) for c, k in zip(sources, kernels)])


def seen_from_the_middle(model: nn.Module, side: int) -> np.ndarray:
    """d (middle pixel) / d image of random weights, root of the mean square over the channels; (side, side)."""
    x = mc.tensor(np.ones((1, CHANNELS, side, side)), requires_grad=True)
    model.to("float64")(x)[0, 0, side // 2, side // 2].backward()
    return np.sqrt((x.grad[0] ** 2).mean(0))


def measure(setup: Setup) -> Tables:
    mc.manual_seed(setup.seeds[0])
    fields, maps, costs = [], [], []
    for name, kernels in STACKS.items():
        gradient = seen_from_the_middle(stack(kernels, CHANNELS, CHANNELS), SIDE)
        rows, columns = np.nonzero(gradient.any(1))[0], np.nonzero(gradient.any(0))[0]
        counted = mc.summary(stack(kernels, 1, 1), (1, SIDE, SIDE), show=False).rows[-1].rf
        fields.append({
            "layers": name, "rows seen": int(np.ptp(rows)) + 1, "columns seen": int(np.ptp(columns)) + 1,
            "pixels seen": int(np.count_nonzero(gradient)), "minicnn table says": counted,
        })  # fmt: skip
        maps += [{"layers": name, "row": r, **{f"c{c}": gradient[r, c] for c in range(SIDE)}} for r in range(SIDE)]
        for first in (CHANNELS, CHANNELS // 2):
            table = mc.summary(stack(kernels, first, CHANNELS), (first, MAP, MAP), show=False)
            costs.append({
                "layers": name, "from": "C" if first == CHANNELS else "C/2", "to": "C",
                "weights": table.total_params, "weights in C^2": table.total_params / CHANNELS**2,
                "multiply-adds": table.total_macs,
            })  # fmt: skip
    return {
        "what the middle pixel sees": fields,
        f"cost, C = {CHANNELS}, maps of {MAP}x{MAP}": costs,
        "figure: map": maps,
    }


def check(tables: Tables) -> list[Check]:
    fields, costs, _ = tables.values()
    seen = {r["layers"]: r for r in fields}
    weights = {(r["layers"], r["from"]): r["weights in C^2"] for r in costs}
    macs = {(r["layers"], r["from"]): r["multiply-adds"] for r in costs}
    lines = [
        equal(f"{name}: rows seen, columns seen, pixels seen", f"{side}, {side}, {side**2}",
              f"{seen[name]['rows seen']}, {seen[name]['columns seen']}, {seen[name]['pixels seen']}")
        for name, side in (("two 3x3", 5), ("one 5x5", 5), ("three 3x3", 7), ("one 7x7", 7))
    ]  # fmt: skip
    for pair, of, expected in (
        (("two 3x3", "one 5x5"), "C", (18, 25)),
        (("three 3x3", "one 7x7"), "C", (27, 49)),
        (("two 3x3", "one 5x5"), "C/2", (13.5, 12.5)),
        (("three 3x3", "one 7x7"), "C/2", (22.5, 24.5)),
    ):
        lines.append(
            equal(f"weights in C^2 from {of} to C: {pair[0]}, {pair[1]}", "{}, {}".format(*expected),
                  "{:g}, {:g}".format(*(weights[name, of] for name in pair)))
        )  # fmt: skip
    fewer = macs["two 3x3", "C"] < macs["one 5x5", "C"], macs["two 3x3", "C/2"] < macs["one 5x5", "C/2"]
    lines.append(equal("two 3x3 compute less than one 5x5: C to C, C/2 to C", "True, False", "{}, {}".format(*fewer)))
    return lines


def draw(tables: Tables):
    _, costs, maps = tables.values()
    figure = plots.new_figure(11, 3)
    panels = figure.subplots(1, 5, width_ratios=(1, 1, 1, 1, 2.2))
    for axes, name in zip(panels, STACKS):
        gradient = np.array([[r[f"c{c}"] for c in range(SIDE)] for r in maps if r["layers"] == name])
        shown = np.ma.masked_equal(gradient[3:-3, 3:-3], 0)  # what is not seen stays white
        axes.imshow(shown, cmap="viridis")
        axes.set(title=name, xticks=[], yticks=[], xlabel="white: gradient is 0")
        axes.xaxis.label.set_fontsize(8)
    axes, places = panels[-1], np.arange(2)
    for i, (name, colour) in enumerate(zip(STACKS, ("tab:blue", "tab:orange", "tab:cyan", "tab:red"))):
        values = [r["weights in C^2"] for r in costs if r["layers"] == name]
        bars = axes.bar(places + (i - 1.5) * 0.2, values, 0.2, label=name, color=colour)
        axes.bar_label(bars, fmt="{:g}", fontsize=8)
    axes.set(xticks=places, ylabel="weights / C$^2$", ylim=(0, 58))
    axes.set_xticklabels(["C to C", "C/2 to C"])
    axes.legend(fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


EXPERIMENT = Experiment(
    __name__, measure, check, draw,
    title="Two 3x3 convolutions for one 5x5",
    claim="Two 3x3 convolutions see as much as one 5x5, three as much as one 7x7; from C to C maps, with fewer weights "
    "and less work.",
    lecture="Two 3x3 conv has same receptive field as a single 5x5 conv, but has fewer parameters and takes less "
    "computation!",
    source="Simonyan & Zisserman 2015 (VGG), section 2.3",
    expected="5x5 and 7x7 pixels; 18 C^2 weights against 25 C^2, 27 C^2 against 49 C^2. Where the first layer "
    "doubles the maps, as at the beginning of VGG's stages: 13.5 C^2 against 12.5 C^2, so that there the 5x5 is the "
    "cheaper.",
    design="Backward from one output pixel through random weights in float64, without ReLU, which could only hide "
    "pixels: where the image's gradient is not zero, the pixel sees. Weights and multiply-adds by minicnn's "
    "counter.",
    limits="That small kernels make a network better (7 % top-1 in VGG's section 4.1, on ImageNet) does not show on "
    "small images: only field and cost are claimed here. The field says what can be seen, not how much it counts: "
    "the colours show that a stack gives the middle more weight.",
    errata='"Fewer parameters" holds from C to C maps, not where the first of the two layers doubles them.',
    seeds=(0,),
)  # fmt: skip
