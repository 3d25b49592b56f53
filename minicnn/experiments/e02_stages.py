"""E2: VGG's convolutions cost the same at each resolution. Which ones do not?"""

from __future__ import annotations

from .. import plots
from ..lecture_check import Tables as Summaries
from .base import Check, Experiment, Setup, Tables, equal
from .parts import tidy

INTERIOR, HALF, QUARTER, FIRST = 1_849_688_064, 924_844_032, 462_422_016, 86_704_128
KINDS = {  # why a convolution costs what it does, with a colour
    "C to C maps": "tab:blue", "first of a stage: C/2 to C": "tab:cyan", "stage 5: 512 to 512 on a quarter of the map":
    "tab:orange", "first of all: 3 maps": "tab:red",
}  # fmt: skip


def measure(setup: Setup) -> Tables:
    rows, stage, place = [], 1, 1
    for row in Summaries()("vgg16").rows:
        if row.kind == "maxpool":
            stage, place = stage + 1, 1
        elif row.kind == "conv":
            rows.append({
                "layer": f"conv{stage}_{place}", "stage": stage, "maps in": row.input_shape[0],
                "maps out": row.output_shape[0], "side": row.output_shape[1], "multiply-adds": row.macs,
                "share of an interior one": row.macs / INTERIOR, "why": kind(stage, place),
            })  # fmt: skip
            place += 1
    stages = [
        {"stage": s, "convolutions": len(of), "multiply-adds": sum(r["multiply-adds"] for r in of)}
        for s in range(1, 6)
        for of in [[r for r in rows if r["stage"] == s]]
    ]
    return {"convolutions of VGG-16, image of 224x224": rows, "stages": stages}


def kind(stage: int, place: int) -> str:
    usual, first, last, image = KINDS
    return image if (stage, place) == (1, 1) else last if stage == 5 else first if place == 1 else usual


def check(tables: Tables) -> list[Check]:
    rows, stages = tables.values()

    def found(*layers: str) -> str:
        values = {r["multiply-adds"] for r in rows if r["layer"] in layers}
        return " or ".join(f"{v:,}" for v in sorted(values))

    totals = [s["multiply-adds"] for s in stages]
    interior = ("conv1_2", "conv2_2", "conv3_2", "conv3_3", "conv4_2", "conv4_3")
    return [
        equal("interior convolutions of stages 1 to 4", f"{INTERIOR:,}", found(*interior)),
        equal("first convolution of stages 2, 3, 4: half", f"{HALF:,}", found("conv2_1", "conv3_1", "conv4_1")),
        equal("all of stage 5: a quarter", f"{QUARTER:,}", found("conv5_1", "conv5_2", "conv5_3")),
        equal("conv1_1", f"{FIRST:,}", found("conv1_1")),
        equal("convolutions", 13, len(rows)),
        equal("the five stages as wholes cost the same", False, len(set(totals)) == 1),
    ]


def draw(tables: Tables):
    rows, stages = tables.values()
    figure = plots.new_figure(10, 3.6)
    left, right = figure.subplots(1, 2, width_ratios=(2.6, 1))
    for why, colour in KINDS.items():
        of = [(place, r["multiply-adds"] / 1e9) for place, r in enumerate(rows) if r["why"] == why]
        left.bar(*zip(*of), color=colour, label=why)
    left.axhline(INTERIOR / 1e9, color="grey", linewidth=0.8, linestyle="--")
    left.set_xticks(range(len(rows)), [r["layer"] for r in rows], rotation=60)
    left.set(ylabel="multiply-adds (10$^9$)", ylim=(0, 2.6), title="each convolution")
    left.legend(fontsize=8, ncols=2, loc="upper left")
    bars = right.bar([s["stage"] for s in stages], [s["multiply-adds"] / 1e9 for s in stages], color="0.6")
    right.bar_label(bars, fmt="{:.1f}")
    right.set(xlabel="stage", title="each stage", ylim=(0, 5.4))
    tidy(left, right)
    return figure


EXPERIMENT = Experiment(
    __name__, measure, check, draw,
    title="VGG: equal cost at each resolution, and where not",
    claim="Halving height and width and doubling the channels keeps the cost of a convolution.",
    lecture="Conv layers at each spatial resolution take the same amount of computation!",
    source="Simonyan & Zisserman 2015 (VGG), section 2.1 and table 1, configuration D",
    expected="The interior convolutions, C to C maps, of stages 1 to 4 have 1,849,688,064 multiply-adds each. Not "
    "equal: the first one of stages 2 to 4, from C/2 maps (half of it); stage 5, where 512 maps stay 512 while the "
    "map halves (a quarter); the very first, from 3 maps (1/21).",
    design="Counted from the network, run for its shapes alone; no weights, no images.",
    limits="Nothing is left out: this is arithmetic. That equal cost is a good way to spend it is not shown by it.",
    errata='"After pool, double #channels" does not hold at the last pool, 512 to 512. The lecture lists two '
    "convolutions in stage 3; VGG-16 has three (and VGG-19 four, as in stages 4 and 5).",
)  # fmt: skip
