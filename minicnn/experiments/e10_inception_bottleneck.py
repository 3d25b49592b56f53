"""E10: 1x1 convolutions before the large ones make an inception module cheap."""

from __future__ import annotations

import numpy as np

import minicnn as mc

from .. import plots
from ..lecture_check import Module
from .base import Check, Experiment, Setup, Tables, at_least, equal
from .parts import milliseconds, tidy

CHANNELS, SIDE, REDUCED, BATCH, REPEATS = 256, 28, 64, 8, 3
MODULES = {"naive": CHANNELS, f"through 1x1 to {REDUCED} maps": REDUCED}


def measure(setup: Setup) -> Tables:
    layers, modules = [], []
    images = np.random.default_rng(setup.seeds[0]).normal(size=(BATCH, CHANNELS, SIDE, SIDE)).astype("float32")
    with setup.bar(len(MODULES), "timing") as bar:
        for name, reduced in MODULES.items():
            mc.manual_seed(setup.seeds[0])
            module = Module(reduced)
            table = mc.summary(module, (CHANNELS, SIDE, SIDE), show=False)
            layers += [
                {"module": name, "branch": r.name.partition(".")[0], "layer": f"{r.kernel}x{r.kernel}",
                 "from": r.input_shape[0], "to": r.output_shape[0], "multiply-adds": r.macs}
                for r in table.rows if r.kind == "conv"
            ]  # fmt: skip
            x = mc.tensor(images, requires_grad=True)
            with mc.no_grad():
                forward = milliseconds(lambda module=module, x=x: module(x), REPEATS)
            modules.append({
                "module": name, "parameters": table.total_params, "multiply-adds": table.total_macs,
                "maps out": table.rows[-1].output_shape[0], f"forward, batch {BATCH}, ms": forward,
                f"forward and backward, batch {BATCH}, ms": milliseconds(lambda m=module, x=x: both(m, x), REPEATS),
            })  # fmt: skip
            bar.update()
    return {f"modules on {CHANNELS} maps of {SIDE}x{SIDE}": modules, "layers": layers}


def both(module, x) -> None:
    module(x).sum().backward()


def check(tables: Tables) -> list[Check]:
    modules, layers = tables.values()
    naive, narrow = modules
    three = sum(r["multiply-adds"] for r in layers if r["layer"] == "3x3" and r["module"] != "naive")
    times = [key for key in naive if key.endswith("ms")]
    return [
        equal("multiply-adds: naive, through 1x1", "854,196,224, 271,351,808",
              f"{naive['multiply-adds']:,}, {narrow['multiply-adds']:,}"),
        equal("CS231n's 358 million: with the 3x3 convolution counted twice", 358_055_936,
              narrow["multiply-adds"] + three),
        *[at_least(f"{key.removesuffix(', ms')}: naive takes longer, times", 1.5, naive[key] / narrow[key], timed=True)
          for key in times],
    ]  # fmt: skip


def draw(tables: Tables):
    modules, layers = tables.values()
    figure = plots.new_figure(10, 3.4)
    left, right = figure.subplots(1, 2, width_ratios=(1.5, 1))
    colours = {"1x1": "tab:orange", "3x3": "tab:blue", "5x5": "tab:cyan"}
    for place, name in enumerate(MODULES):
        bottom = 0.0
        for row in (r for r in layers if r["module"] == name):
            height = row["multiply-adds"] / 1e6
            left.barh(place, height, left=bottom, color=colours[row["layer"]], edgecolor="white")
            if height > 60:
                left.text(bottom + height / 2, place, f"{row['layer']}\n{row['from']} to {row['to']}", ha="center",
                          va="center", fontsize=8)  # fmt: skip
            bottom += height
        left.text(bottom + 10, place, f"{bottom:.0f}", va="center")
    left.set_yticks(range(len(MODULES)), [name.replace(" to", "\nto") for name in MODULES])
    left.invert_yaxis()
    left.set(xlabel="multiply-adds (10$^6$); orange: 1x1", xlim=(0, 960))
    times = [key for key in modules[0] if key.endswith("ms")]
    for i, (row, colour) in enumerate(zip(modules, ("0.6", "tab:green"))):
        bars = right.bar([p + 0.4 * i for p in range(len(times))], [row[t] for t in times], 0.38, color=colour,
                         label=row["module"])  # fmt: skip
        right.bar_label(bars, fmt="{:.0f}", fontsize=8)
    right.set_xticks([0.2, 1.2], ["forward", "forward\nand backward"])
    right.set(ylabel=f"milliseconds, batch of {BATCH}")
    right.margins(y=0.2)
    right.legend(fontsize=8)
    tidy(left, right)
    return figure


EXPERIMENT = Experiment(
    __name__, measure, check, draw,
    title="1x1 convolutions before the large ones",
    claim="1x1 convolutions that reduce the channels first make an inception module three times as cheap.",
    lecture='Uses 1x1 "Bottleneck" layers to reduce channel dimension before expensive conv.',
    source="Szegedy et al. 2015 (GoogLeNet), section 4 and figure 2; the module of CS231n, lecture 9",
    expected="854,196,224 multiply-adds naive, 271,351,808 through 1x1 convolutions to 64 maps: 3.1 times fewer. "
    "Clearly less time as well, if not by the same factor.",
    design=f"CS231n's module on {CHANNELS} maps of {SIDE}x{SIDE}: 128 maps by 1x1, 192 by 3x3, 96 by 5x5, and a "
    f"pool. Counted, and run on this machine in float32, a batch of {BATCH}, the shortest of {REPEATS} runs.",
    limits="Not what the reduction costs in accuracy: the module then computes something else. The naive module "
    "also puts out more maps (its pool keeps all 256), so that the next module pays again; that is not counted "
    "here.",
    errata="CS231n prints 358 million for the module with 1x1 convolutions; that counts its 3x3 convolution twice. "
    "And the lecture's 418 million for GoogLeNet's stem are 481.",
    seeds=(0,),
)  # fmt: skip
