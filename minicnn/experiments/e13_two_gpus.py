"""E13: AlexNet's split over two GPUs is a grouped convolution."""

from __future__ import annotations

import numpy as np

import minicnn as mc

from .. import functional as F
from .. import models, nn, plots
from .base import Check, Experiment, Setup, Tables, at_most, equal
from .parts import furthest, tidy

IN, OUT, KERNEL, SIDE, BATCH = 96, 256, 5, 27, 2
LAYERS = ("conv2", "conv3", "conv4", "conv5")


def towers(x, weight, dtype: str):
    """conv2 as on two GPUs: each sees half of the maps, and makes half of the new ones."""
    halves = []
    for gpu in range(2):
        part = mc.tensor(weight[gpu * OUT // 2 : (gpu + 1) * OUT // 2].astype(dtype), requires_grad=True)
        own = x[:, gpu * IN // 2 : (gpu + 1) * IN // 2]
        halves.append((F.conv2d(own, part, padding=KERNEL // 2, algorithm="im2col"), part))
    return F.cat([y for y, _ in halves], axis=1), [part for _, part in halves]


def compare(dtype: str, seed: int) -> dict:
    """Outputs and gradients of the two ways, and how far they are apart."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(BATCH, IN, SIDE, SIDE)).astype(dtype)
    weight = (0.01 * rng.normal(size=(OUT, IN // 2, KERNEL, KERNEL))).astype(dtype)
    upstream = rng.normal(size=(BATCH, OUT, SIDE, SIDE)).astype(dtype)
    image, other, whole = (mc.tensor(a, requires_grad=True) for a in (x, x, weight))
    # im2col for both: "auto" may choose other algorithms, which round otherwise, by the number of groups
    grouped = F.conv2d(image, whole, padding=KERNEL // 2, groups=2, algorithm="im2col")
    split, parts = towers(other, weight, dtype)
    grouped.backward(upstream)
    split.backward(upstream)
    return {
        "numbers": dtype, "outputs": furthest(split.data, grouped.data),
        "image's gradient": furthest(other.grad, image.grad),
        "weights' gradient": furthest(np.concatenate([p.grad for p in parts]), whole.grad),
        "weights of two towers": sum(p.size for p in parts), "of one convolution without groups": OUT * IN * KERNEL**2,
    }  # fmt: skip


def seen(convs: list[nn.Conv2d], seed: int) -> list[int]:
    """How many maps of each tower reach the first tower's first map of the last of these convolutions."""
    channels = convs[0].in_channels
    x = mc.tensor(np.ones((1, channels, 3, 3)), requires_grad=True)
    y, rng = x, np.random.default_rng(seed)
    for conv in convs:
        weight = mc.tensor(rng.uniform(0.5, 1.5, conv.weight.shape))
        y = F.conv2d(y, weight, padding=conv.kernel_size[0] // 2, groups=conv.groups)
    y[0, 0].sum().backward()
    reached = (x.grad[0] != 0).any((1, 2))  # (channels,)
    return [int(reached[: channels // 2].sum()), int(reached[channels // 2 :].sum())]


def measure(setup: Setup) -> Tables:
    model = models.get_model("alexnet", width=0.25, num_classes=10)  # the paper's connections, a quarter of the maps
    convs = {name: module for name, module in model.features.named_children() if name in LAYERS}
    (seed,) = setup.seeds
    reach = []
    for i, name in enumerate(LAYERS):
        own, other = seen(list(convs.values())[: i + 1], seed)
        reach.append({
            "from pool1 to": name, "groups of this layer": convs[name].groups, "maps of its own tower seen": own,
            "maps of the other tower seen": other,
        })  # fmt: skip
    return {"conv2 two ways, differences": [compare(d, seed) for d in ("float64", "float32")], "who sees whom": reach}


def check(tables: Tables) -> list[Check]:
    ways, reach = tables.values()
    double, single = ways
    lines = [
        at_most(f"float64, {what}: two towers differ from groups=2 by", 1e-14, double[what])
        for what in ("outputs", "image's gradient", "weights' gradient")
    ]
    lines += [
        at_most(f"float32, {what}: by", 1e-5, single[what])
        for what in ("outputs", "image's gradient", "weights' gradient")
    ]
    half = reach[0]["maps of its own tower seen"]
    return [
        *lines,
        equal("weights: towers, one convolution", "307,200, 614,400",
              f"{double['weights of two towers']:,}, {double['of one convolution without groups']:,}"),
        equal("conv2 sees of the other tower", 0, reach[0]["maps of the other tower seen"]),
        *[equal(f"{row['from pool1 to']} sees of the other tower", half, row["maps of the other tower seen"])
          for row in reach[1:]],
        equal("groups of conv2 to conv5", "2, 1, 2, 2", ", ".join(str(r["groups of this layer"]) for r in reach)),
    ]  # fmt: skip


def draw(tables: Tables):
    ways, reach = tables.values()
    figure = plots.new_figure(9, 3.2)
    left, right = figure.subplots(1, 2)
    half = reach[0]["maps of its own tower seen"]
    places = np.arange(len(reach))
    left.bar(places - 0.2, [r["maps of its own tower seen"] for r in reach], 0.38, label="its own")
    left.bar(places + 0.2, [r["maps of the other tower seen"] for r in reach], 0.38, label="the other")
    left.set_xticks(places, [f"{r['from pool1 to']}\ngroups={r['groups of this layer']}" for r in reach])
    left.set(ylabel="maps of pool1 seen", ylim=(0, 1.5 * half), title="what a map in one tower depends on")
    left.legend(title="tower", fontsize=8, ncols=2)
    names = {"two towers\n= groups=2": "weights of two towers", "one convolution": "of one convolution without groups"}
    bars = right.bar(list(names), [ways[0][key] for key in names.values()], color=["tab:green", "0.6"], width=0.5)
    right.bar_label(bars, fmt="{:,.0f}")
    right.set(title="weights of conv2", ylim=(0, 720_000))
    tidy(left, right)
    return figure


EXPERIMENT = Experiment(
    __name__, measure, check, draw,
    title="Two GPUs are a grouped convolution",
    claim="AlexNet's two towers compute what grouped convolutions compute, with half of the weights; they meet in "
    "conv3 and in the linear layers.",
    lecture="Trained on two GTX 580 GPUs - only 3GB of memory each! Model split over two GPUs.",
    source="Krizhevsky, Sutskever & Hinton 2012 (AlexNet), section 3.5 and figure 2",
    expected="The same outputs and gradients up to rounding (in float64: 1e-14); 307,200 instead of 614,400 "
    "weights. A map of conv2 sees only its own tower, one of conv3 sees both, and so does all that follows.",
    design=f"conv2 at its true size ({IN} maps of {SIDE}x{SIDE} to {OUT} by {KERNEL}x{KERNEL}, batch of {BATCH}), "
    "once as two convolutions on halves, once with groups=2. Then the connections of minicnn's AlexNet, a quarter "
    "as wide: which maps of pool1 have a gradient, weights positive, without ReLU.",
    limits="That two GPUs take 1.7 % off the top-1 error of a net with half as many kernels in each layer, on one "
    "GPU (section 3.5), needs ImageNet to see. Time on two GPUs is not measured either.",
    seeds=(0,),
)  # fmt: skip
