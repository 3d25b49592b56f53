"""E6: a residual block with zero weights is the identity, forward and backward."""

from __future__ import annotations

import numpy as np

import minicnn as mc

from .. import nn, plots
from ..models.preact_resnet import Block
from ..models.residual import BasicBlock
from .base import Check, Experiment, Setup, Tables, equal
from .parts import tidy

BLOCKS, CHANNELS, SIDE, BATCH = 20, 8, 8, 4
PLAIN, POST, PRE = "plain", "residual", "residual, pre-activation"
GAMMA, CONV, BOTH = "last gamma = 0", "last convolution = 0", "both convolutions = 0"
BRANCH = ("conv1", "bn1", "conv2", "bn2")


def build(design: str) -> nn.Sequential:
    if design == PRE:
        return nn.Sequential(*[Block(CHANNELS, CHANNELS, 1, shortcut="A") for _ in range(BLOCKS)])
    return nn.Sequential(*[BasicBlock(CHANNELS, CHANNELS, 1, None if design == PLAIN else "A") for _ in range(BLOCKS)])


def part(block: nn.Module, name: str) -> nn.Module:
    """One layer of a block's branch, by its name in ``BRANCH``."""
    return next(m for path, m in block.named_modules() if path.rpartition(".")[2] == name)


def zero(block: nn.Module, what: str) -> None:
    """Set the branch's last convolution, both, or its last batch-norm's gamma (beta is 0 anyway) to 0."""
    for name in {GAMMA: ("bn2",), CONV: ("conv2",), BOTH: ("conv1", "conv2")}[what]:
        for parameter in part(block, name).parameters():
            parameter.data[...] = 0


def step(model: nn.Module, x: np.ndarray, upstream: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[float]]:
    """Output, gradient of the image, and the gradient's length before each block, first block first."""
    image = mc.tensor(x, requires_grad=True)
    entered, y = [], image
    for block in model:
        y.retain_grad()
        entered.append(y)
        y = block(y)
    y.backward(upstream)
    return y.data, image.grad, [float(np.linalg.norm(t.grad)) for t in entered]


def measure(setup: Setup) -> Tables:
    rng = np.random.default_rng(setup.seeds[0])
    shape = (BATCH, CHANNELS, SIDE, SIDE)
    anything = rng.normal(size=shape).astype("float32")
    upstream = rng.normal(size=shape).astype("float32")
    rows, learning, lengths = [], [], []
    for design, what in ((POST, GAMMA), (POST, CONV), (POST, BOTH), (PRE, CONV), (PLAIN, GAMMA)):
        mc.manual_seed(setup.seeds[0])
        model = build(design)
        for block in model:
            zero(block, what)
        x = anything if design == PRE else np.abs(anything) + np.float32(0.01)  # as a ReLU gives it
        y, gradient, norms = step(model, x, upstream)
        own = float(np.linalg.norm(upstream))
        rows.append({
            "blocks": design, "set to zero": what, "max |output - input|": np.abs(y - x).max(),
            "max |dL/dx - upstream|": np.abs(gradient - upstream).max(), "length of dL/dx / upstream": norms[0] / own,
        })  # fmt: skip
        learning.append({"blocks": design, "set to zero": what, **{n: length(model[BLOCKS // 2], n) for n in BRANCH}})
        lengths += [
            {"blocks": design, "set to zero": what, "block": i, "length": n / own} for i, n in enumerate(norms, start=1)
        ]
    return {
        f"{BLOCKS} blocks": rows,
        "gradients of the parameters in block 11, their length": learning,
        "figure: gradient in front of each block": lengths,
    }


def length(block: nn.Module, name: str) -> float:
    """Of the gradient of all parameters of a layer."""
    return float(np.sqrt(sum(np.square(p.grad, dtype=float).sum() for p in part(block, name).parameters())))


def check(tables: Tables) -> list[Check]:
    rows, learning, _ = tables.values()
    found = {(r["blocks"], r["set to zero"]): r for r in rows}
    moves = {(r["blocks"], r["set to zero"]): ", ".join(n for n in BRANCH if r[n] > 0) for r in learning}
    lines = []
    for key in ((POST, GAMMA), (POST, CONV), (POST, BOTH), (PRE, CONV)):
        lines += [
            equal(f"{', '.join(key)}: output differs from input by", 0.0, found[key]["max |output - input|"]),
            equal(f"{', '.join(key)}: gradient differs from upstream by", 0.0, found[key]["max |dL/dx - upstream|"]),
        ]
    lines += [
        equal(f"{PLAIN}, {GAMMA}: length of the gradient of the image", 0.0,
              found[PLAIN, GAMMA]["length of dL/dx / upstream"]),
        equal(f"{POST}, {GAMMA}: layers with a gradient", "bn2", moves[POST, GAMMA]),
        equal(f"{POST}, {CONV}: layers with a gradient", "conv2, bn2", moves[POST, CONV]),
        equal(f"{POST}, {BOTH}: layers with a gradient", "bn2", moves[POST, BOTH]),
        equal(f"{PRE}, {CONV}: layers with a gradient", "conv2", moves[PRE, CONV]),
    ]  # fmt: skip
    return lines


def draw(tables: Tables):
    rows, learning, lengths = tables.values()
    figure = plots.new_figure(10, 3.4)
    left, right = figure.subplots(1, 2)
    styles = {
        (POST, GAMMA): ("tab:green", "-", 4),
        (PRE, CONV): ("black", "--", 1),
        (PLAIN, GAMMA): ("tab:red", "-", 2),
    }
    for (design, what), (colour, line, width) in styles.items():
        of = [r for r in lengths if (r["blocks"], r["set to zero"]) == (design, what)]
        left.plot([r["block"] for r in of], [r["length"] for r in of], line, color=colour, linewidth=width,
                  label=f"{design}, {what}")  # fmt: skip
    left.set(xlabel="block (20 is the last)", ylabel="length of the gradient / upstream", ylim=(-0.08, 1.6))
    left.set_xticks(range(2, BLOCKS + 1, 2))
    left.set_title("gradient in front of each block")
    left.legend(fontsize=8)
    shown = [r for r in learning if r["blocks"] != PLAIN]
    for i, row in enumerate(shown):
        values = [row[n] for n in BRANCH]
        places = [p + 0.22 * (i - 1.5) for p in range(len(BRANCH))]
        right.bar(places, values, 0.2, label=f"{row['blocks']}, {row['set to zero']}")
        for place, value in zip(places, values):
            right.text(place, max(1.0, value) * 1.2, "0" if value == 0 else "", ha="center", fontsize=8)
    right.set_xticks(range(len(BRANCH)), BRANCH)
    right.set(ylabel="length of the gradient")
    right.set_title("first step: which layers of a block move")
    right.set(yscale="log", ylim=(1, 1e8))
    right.legend(fontsize=8)
    tidy(left, right)
    return figure


EXPERIMENT = Experiment(
    __name__, measure, check, draw,
    title="Zero weights: identity forward, gradient copied backward",
    claim="Residual blocks whose last layer is zero put out what comes in, and hand the gradient back as it came.",
    lecture="Change the network so learning identity functions with extra layers is easy! If the weights of these "
    "two convolutions are zero, the block is the identity; in the backward the upstream gradient is copied "
    "(translated).",
    source="He et al. 2016 (ResNet), section 3.1; He et al. 2016 (identity mappings), equations 3 to 5",
    expected="Over 20 blocks not one bit of difference between input and output, nor between the gradient of the "
    "input and the upstream one. Plain blocks with the same zeros: no gradient at all. In the first step only the "
    "zeroed layer learns, and the batch-norm behind it; the layers before it have a gradient of exactly 0. Where "
    "both convolutions are zero, neither has one.",
    design=f"{BLOCKS} blocks of {CHANNELS} maps of {SIDE}x{SIDE}, batch of {BATCH}, float32, training mode, random "
    "input and upstream gradient. Gamma and beta of the last batch-norm are 0, or the last convolution is. The "
    "blocks with a ReLU after the addition get a positive input: they are the identity only for what a ReLU has "
    "passed.",
    limits="A convolution of zeros in front of a batch-norm gets a huge gradient, as a variance of 0 makes it "
    "divide by sqrt(eps): in practice gamma is set to zero (Goyal et al. 2017). An identity is a place to start "
    "from, not a trained network. How gradients flow through blocks with random weights is E7, and what that is "
    "worth in training E4 and E8.",
    errata="\"These two convolutions\": with both at zero neither ever learns, as each one's gradient contains the "
    "other. The last one is enough, or the last gamma.",
    seeds=(0,),
)  # fmt: skip
