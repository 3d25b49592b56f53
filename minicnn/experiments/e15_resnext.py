"""E15: ResNeXt's three forms are one function, and its five settings cost the same."""

from __future__ import annotations

import numpy as np

import minicnn as mc

from .. import plots
from ..lecture_check import Tables as Summaries
from ..lecture_check import block
from ..models.resnext import FORMS, copy_form_c
from .base import Check, Experiment, Setup, Tables, at_most, equal
from .parts import furthest, tidy

CHANNELS, FILTERS, SIDE, BATCH = 256, 64, 14, 2
CARDINALITY, WIDTH = 32, 4
SETTINGS = ((1, 64), (2, 40), (4, 24), (8, 14), (32, 4))  # table 2: G paths of c channels


def measure(setup: Setup) -> Tables:
    (seed,) = setup.seeds
    mc.manual_seed(seed)
    c = FORMS["c"](CHANNELS, FILTERS, 1, CARDINALITY, WIDTH).to("float64")
    rng = np.random.default_rng(seed)
    x, upstream = (rng.normal(size=(BATCH, CHANNELS, SIDE, SIDE)) for _ in range(2))
    output, gradient = run(c, x, upstream)
    forms = []
    for name in FORMS:
        form = FORMS[name](CHANNELS, FILTERS, 1, CARDINALITY, WIDTH).to("float64")
        if name == "c":
            form.load_state_dict(c.state_dict())
        else:
            copy_form_c(c, form)
        y, own = run(form, x, upstream)
        forms.append({
            "form": name, "convolutions": sum(type(m).__name__ == "Conv2d" for m in form.modules()),
            "weights": sum(p.size for p in form.parameters() if p.ndim == 4), "outputs differ by": furthest(y, output),
            "gradients differ by": furthest(own, gradient),
        })  # fmt: skip
    summaries, settings = Summaries(), []
    for cardinality, width in SETTINGS:
        table = summaries("resnext50_32x4d", cardinality=cardinality, width=width)
        settings.append({
            "paths G": cardinality, "channels c": width,
            "weights of a block": sum(r.macs for r in block(table, "layer1.1")) // 56**2,
            "(8 C c + 9 c^2) G": (8 * FILTERS * width + 9 * width**2) * cardinality,
            "network: parameters": table.total_params, "network: multiply-adds": table.total_macs,
        })  # fmt: skip
    return {
        f"one block, {CARDINALITY} paths of {WIDTH} channels, float64": forms,
        "table 2's settings, C = 64": settings,
    }


def run(form, x: np.ndarray, upstream: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Output, and the gradient of the image."""
    image = mc.tensor(x, requires_grad=True)
    y = form(image)
    y.backward(upstream)
    return y.data, image.grad


def check(tables: Tables) -> list[Check]:
    forms, settings = tables.values()
    a, b, c = forms
    most = max(s["weights of a block"] for s in settings) / min(s["weights of a block"] for s in settings) - 1
    without = [s["weights of a block"] for s in settings if s["channels c"] != 14]
    return [
        *[at_most(f"form ({f['form']}) against (c): {what}", 1e-13, f[what])
          for f in (a, b) for what in ("outputs differ by", "gradients differ by")],
        equal("weights of the three forms", "70,144, 70,144, 70,144", ", ".join(f"{f['weights']:,}" for f in forms)),
        equal("weights of a block, counted", "69,632, 69,760, 69,888, 71,456, 70,144",
              ", ".join(f"{s['weights of a block']:,}" for s in settings)),
        equal("by the formula (8 C c + 9 c^2) G", ", ".join(f"{s['weights of a block']:,}" for s in settings),
              ", ".join(f"{s['(8 C c + 9 c^2) G']:,}" for s in settings)),
        at_most("settings differ by, %", 3, 100 * most),
        at_most("all but 8 x 14 differ by, %", 1, 100 * (max(without) / min(without) - 1)),
    ]  # fmt: skip


def draw(tables: Tables):
    forms, settings = tables.values()
    figure = plots.new_figure(10, 3.2)
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.2))
    floor = 1e-17
    for i, (what, colour) in enumerate((("outputs differ by", "tab:blue"), ("gradients differ by", "tab:orange"))):
        values = [max(f[what], floor) for f in forms]
        places = [p + 0.2 * (2 * i - 1) for p in range(3)]
        left.bar(places, values, 0.38, bottom=0, color=colour, label=what.removesuffix(" differ by"))
        for place, value in zip(places, values):
            left.text(place, value * 1.5, "0" if value == floor else f"{value:.1g}", ha="center", fontsize=8)
    left.set_yscale("log")
    left.set_xticks(range(3), [f"({f['form']})\n{f['convolutions']} convolutions" for f in forms], fontsize=8)
    left.set(ylabel="relative difference from (c)", ylim=(floor, 1e-11), title="three forms, one function")
    left.legend(fontsize=8, loc="upper right")
    names = [f"{s['paths G']} x {s['channels c']}" for s in settings]
    bars = right.bar(names, [s["weights of a block"] for s in settings], color="tab:blue", width=0.6)
    right.bar_label(bars, [f"{s['weights of a block']:,}" for s in settings], fontsize=8)
    right.set(xlabel="paths x channels", ylabel="weights of a block", ylim=(0, 82_000), title="five settings, one cost")
    tidy(left, right)
    return figure


EXPERIMENT = Experiment(
    __name__, measure, check, draw,
    title="ResNeXt: many paths are one grouped convolution",
    claim="32 parallel bottlenecks, added up, are the same function as one bottleneck with a grouped convolution; "
    "and more paths, narrower ones, cost the same.",
    lecture="If one bottleneck branch is good, take several in parallel (translated).",
    source="Xie et al. 2017 (ResNeXt), figure 3, section 3.3 and table 2",
    expected="Outputs and gradients equal up to rounding in float64. 69,632 weights a block for 1 x 64 up to 71,456 "
    "for 8 x 14: within 3 %, as c has to be a whole number.",
    design=f"One block on {BATCH}x{CHANNELS}x{SIDE}x{SIDE} random numbers, training mode, weights drawn in form (c) "
    "and carried over to (a), paths added, and (b), paths joined. Weights of the five settings counted from "
    "ResNeXt-50.",
    limits="That 32 x 4 is more accurate than 1 x 64 (22.2 against 23.9 % top-1 error, table 3) is 1.7 points on "
    "ImageNet; on small data there is nothing to be seen, and nothing is claimed. Equal multiply-adds are not equal "
    "time: grouped convolutions are slower (E19).",
    seeds=(0,),
)  # fmt: skip
