"""E7: what arrives at the first block of 56 layers, before the first step of training."""

from __future__ import annotations

import numpy as np

import minicnn as mc

from .. import functional as F
from .. import nn, plots
from .base import Check, Experiment, Setup, Tables, at_least, at_most, between
from .on_digits import BATCH, by_seed, chosen, network, of_seeds, seeded, standardised
from .parts import tidy

DEPTH = 56
SHORTCUTS = {"plain": None, "residual": "A"}
SIDES = (8, 32)  # of the images; 32: each pixel of a digit four times in each direction
STARTS = ("He", "Xavier")
NORMS = ("none", "batch-norm")

RATIO, FLOW = "gradient at the first block's output / at the last block's", "figure: gradient by block"


class NoNorm(nn.Module):
    """Stands where batch-norm stood: adds the shortcut and cuts off below 0, but does not normalise."""

    def forward(self, x, relu: bool = False, residual=None):
        x = x if residual is None else x + residual
        return F.relu(x) if relu else x


def build(shortcut: str | None, norm: str, start: str) -> nn.Sequential:
    """plain-56 or ResNet-56; ``start`` "He" is N(0, 2 / fan), "Xavier" U of variance 2 / (fan_in + fan_out)."""
    model = network(DEPTH, shortcut)
    for module in list(model.modules()):
        if start == "Xavier" and isinstance(module, nn.Conv2d):
            nn.init.xavier_uniform_(module.weight)
        for name, child in list(module.named_children()):
            if norm == "none" and isinstance(child, nn.BatchNorm2d):
                setattr(module, name, NoNorm())
    return model


def gradients(model: nn.Sequential, images: np.ndarray, labels: np.ndarray) -> list[float]:
    """Length of dL/dy for the output y of each block, first to last: the gradient of a zero added there."""
    layers, zeros = list(model), []
    x = mc.tensor(images)
    for layer in layers:
        for block in layer if isinstance(layer, nn.Sequential) else [layer]:
            x = block(x)
            if isinstance(layer, nn.Sequential):  # a stage
                zeros.append(mc.tensor(np.zeros(x.shape, x.dtype), requires_grad=True))
                x = x + zeros[-1]
    F.cross_entropy(x, labels).backward()
    return [float(np.linalg.norm(zero.grad)) for zero in zeros]


def measure(setup: Setup) -> Tables:
    digits = standardised("train", BATCH)
    tables: Tables = {RATIO: [], FLOW: []}
    sides = SIDES[:1] if setup.quick else SIDES
    with setup.bar(len(sides) * 8 * len(setup.seeds), "E7, networks") as bar:
        for side in sides:
            images = digits.images.repeat(side // 8, 2).repeat(side // 8, 3)  # (N, 1, side, side)
            for norm in NORMS:
                for start in STARTS:
                    for kind, shortcut in SHORTCUTS.items():
                        labels = {"network": f"{kind}-{DEPTH}", "norm": norm, "start": start, "image": side}
                        ratios = []
                        for seed in setup.seeds:
                            model = seeded(seed, lambda s=shortcut, n=norm, i=start: build(s, n, i))
                            flow = gradients(model, images, digits.labels)
                            ratios.append(float(f"{flow[0] / flow[-1]:.4g}"))
                            bar.update()
                        tables[RATIO].append(labels | geometric(setup.seeds, ratios))
                        of_last = {f"block {i}": float(f"{g:.4g}") for i, g in enumerate(flow, start=1)}
                        tables[FLOW].append({**labels, "seed": setup.seeds[-1], **of_last})
    return tables


def geometric(seeds: tuple[int, ...], ratios: list[float]) -> dict:
    """As :func:`by_seed`, but with the geometric mean, and the factor of one layer that this makes."""
    row = by_seed(seeds, ratios)
    row["mean"] = float(f"{np.exp(np.mean(np.log(ratios))):.4g}")
    row["factor of a layer"] = float(f"{row['mean'] ** (1 / (DEPTH - 4)):.3f}")  # two layers each in 26 blocks
    return row


def check(tables: Tables) -> list[Check]:
    lines = []
    for side in dict.fromkeys(row["image"] for row in tables[RATIO]):
        found = {
            (r["network"].split("-")[0], r["norm"], r["start"]): of_seeds(r) for r in chosen(tables[RATIO], image=side)
        }
        what = f"{side}x{side}: first / last block's gradient, "
        vanished = max(found["plain", "none", "Xavier"])
        lines.append(at_most(what + "plain, no norm, Xavier's start, largest", 1e-6, vanished))
        exploded = min(min(found["plain", "batch-norm", start]) for start in STARTS)
        lines.append(at_least(what + "plain, batch-norm, smallest", 100, exploded))
        residual = [ratio for start in STARTS for ratio in found["residual", "batch-norm", start]]
        lines.append(between(what + "residual, batch-norm, smallest", 1, 100, min(residual)))
        lines.append(between(what + "residual, batch-norm, largest", 1, 100, max(residual)))
        largest = max(found["plain", "none", "He"])
        if side == 8:
            lines.append(at_most(what + "plain, no norm, He's start, largest (borders of zeros)", 1e-2, largest))
        else:
            smallest = min(found["plain", "none", "He"])
            lines.append(at_least(what + "plain, no norm, He's start, smallest", 1e-2, smallest))
    return lines


def draw(tables: Tables):
    sides = list(dict.fromkeys(row["image"] for row in tables[FLOW]))
    figure = plots.new_figure(10, 3.6 * len(sides))
    panels = figure.subplots(len(sides), 2, squeeze=False, sharey=True)
    for side, pair in zip(sides, panels):
        for norm, axes in zip(NORMS, pair):
            for row in chosen(tables[FLOW], image=side, norm=norm):
                flow = [value for key, value in row.items() if key.startswith("block ")]
                style = "-" if row["start"] == "He" else "--"
                colour = "tab:red" if row["network"].startswith("plain") else "tab:blue"
                kind = row["network"].split("-")[0]
                axes.plot(range(1, len(flow) + 1), flow, style, color=colour, label=f"{kind}, {row['start']}'s start")
            axes.set(title=f"{'no norm' if norm == 'none' else norm}, images {side}x{side}", yscale="log")
            axes.set_xlabel("block (the last is next to the loss)")
            axes.grid(alpha=0.3)
            axes.legend(fontsize=8)
            tidy(axes)
        pair[0].set_ylabel("length of dL/dy")
    return figure


EXPERIMENT = Experiment(
    __name__, measure, check, draw,
    title="How the gradient fares in 56 layers, before training",
    claim="In 56 plain layers the gradient vanishes (no batch-norm) or explodes (batch-norm) on its way to the "
    "first block; with shortcuts and batch-norm its size stays within a hundredfold.",
    lecture="Network is too deep, gradients don't propagate cleanly",
    source="He et al. 2016, section 4.1 (with batch-norm plain networks' gradients do not vanish); Yang et al. "
    '2019, "A Mean Field Theory of Batch Normalization" (they explode)',
    expected="Without batch-norm and with Xavier's start, which leaves out ReLU's factor 2, a plain network's "
    "gradient falls below a millionth. He's start keeps it on 32x32 pixels; on 8x8 it vanishes all the same, as most "
    "of a 3x3 window on the last maps, 2x2, lies in the border of zeros. With batch-norm it does not vanish, it "
    "grows a hundredfold and more. Residual, with batch-norm: less than a hundredfold.",
    design="plain-56 and ResNet-56 of E4 as they start, one batch of 64 digits, forward and backward once. The "
    "length of dL/dy, y the output of a block, for the first of the 27 blocks over that for the last.",
    limits="This is the first step only: training changes all of it, and a gradient of healthy size is no proof "
    "that a network learns (E4 is). Shortcuts alone are no cure: without any norm ResNet-56 with He's start adds to "
    'its signal in each block, and its gradient explodes. The paper found "healthy norms" with batch-norm in its '
    "plain networks; here they grow from the last block to the first by a factor of thousands. So shortcuts do not "
    "cure vanishing gradients in networks that have batch-norm: there nothing vanishes.",
    seeds=(0, 1, 2),
    quick_seeds=(0,),
    quick="One seed, 8x8 pixels only.",
)  # fmt: skip
