"""E4: a deeper plain network is worse on the very images it was trained on; a residual network is not."""

from __future__ import annotations

from .. import plots
from .base import Check, Experiment, Setup, Tables, at_least, at_most
from .on_digits import (
    by_epoch,
    by_seed,
    chosen,
    drops_at,
    epochs_of,
    error,
    network,
    of_seeds,
    seeded,
    standardised,
    train,
)  # fmt: skip
from .parts import tidy

DEPTHS = (8, 20, 56)
KINDS = {"plain": None, "ResNet": "A"}  # shortcut
STARTS = {"warm-up": 1, "0.1 at once": 0}  # epochs at a tenth of the learning rate, before the 8 of the training
EPOCHS, DROP, LR = 8, 6, 0.1

TRAINING, HELD_OUT, CURVES = "training error in %", "error on held-out images in %", "figure: training error by epoch"


def measure(setup: Setup) -> Tables:
    training, held_out = standardised("train"), standardised("held-out")
    starts = ["warm-up"] if setup.quick else list(STARTS)
    epochs = {start: EPOCHS + STARTS[start] for start in starts}
    tables: Tables = {TRAINING: [], HELD_OUT: [], CURVES: []}
    with setup.bar(sum(epochs.values()) * len(KINDS) * len(DEPTHS) * len(setup.seeds), "E4, epochs") as bar:
        for start in starts:
            rate = drops_at(DROP + STARTS[start], warm_up=STARTS[start])
            for kind, shortcut in KINDS.items():
                for depth in DEPTHS:
                    labels, found = {"network": f"{kind}-{depth}", "start": start}, []
                    for seed in setup.seeds:
                        model = seeded(seed, lambda depth=depth, shortcut=shortcut: network(depth, shortcut))
                        rows = train(
                            model, training, seed=seed, epochs=epochs[start], lr=LR, rate=rate, after_epoch=bar.update
                        )
                        found.append((error(model, training), error(model, held_out)))
                        tables[CURVES].append(by_epoch([r["error"] for r in rows], **labels, seed=seed))
                    for name, values in zip((TRAINING, HELD_OUT), zip(*found)):
                        tables[name].append(by_seed(setup.seeds, list(values), **labels))
    return tables


def check(tables: Tables) -> list[Check]:
    rows, lines = tables[TRAINING], []
    starts = list(dict.fromkeys(row["start"] for row in rows))
    found = {(r["network"], r["start"]): of_seeds(r) for r in rows}
    mean = {(r["network"], r["start"]): r["mean"] for r in rows}
    for start in starts:
        for deep, shallow in (("plain-56", "plain-20"), ("plain-20", "plain-8"), ("plain-56", "ResNet-56")):
            gap = min(found[deep, start]) - max(found[shallow, start])
            what = f"{start}: lowest training error of {deep} less highest of {shallow}, points"
            lines.append(Check(what, "> 0", f"{gap:.2f}", gap > 0))
        lines.append(at_least(f"{start}: mean training error of plain-56 in %", 30, mean["plain-56", start]))
    lines.append(at_most("warm-up: highest training error of ResNet-56 in %", 1, max(found["ResNet-56", "warm-up"])))
    if "0.1 at once" in starts:
        gap = mean["ResNet-56", "0.1 at once"] - mean["ResNet-56", "warm-up"]
        what = "ResNet-56: mean training error without warm-up less that with it, points"
        lines.append(Check(what, "> 0", f"{gap:.2f}", gap > 0))
    return lines


def draw(tables: Tables):
    curves, starts = tables[CURVES], list(dict.fromkeys(row["start"] for row in tables[CURVES]))
    figure = plots.new_figure(9, 3.4 * len(starts))
    panels = figure.subplots(len(starts), 2, sharey=True, squeeze=False)
    for start, (left, right) in zip(starts, panels):
        for kind, axes in zip(KINDS, (left, right)):
            for depth, colour in zip(DEPTHS, ("tab:green", "tab:orange", "tab:red")):
                for i, row in enumerate(chosen(curves, network=f"{kind}-{depth}", start=start)):
                    values = epochs_of(row)
                    label = f"{kind}-{depth}" if i == 0 else None
                    axes.plot(range(1, len(values) + 1), values, color=colour, label=label, alpha=0.75, lw=1.2)
            axes.set(title=f"{kind}, {start}", xlabel="epoch", ylim=(-2, 100))
            axes.grid(alpha=0.3)
            axes.legend(fontsize=8)
            tidy(axes)
        left.set_ylabel("training error (%)")
    return figure


EXPERIMENT = Experiment(
    __name__, measure, check, draw,
    title="Degradation: deeper plain networks underfit",
    claim="More layers make a plain network worse on its own training images, and a residual network not.",
    lecture="In fact the deep model seems to be underfitting since it also performs worse than the shallow model on "
    "the training set!",
    source="He et al. 2016, section 4.2, figure 6; its warm-up: the same section, on ResNet-110",
    expected="Training error rises from plain-8 to plain-20 to plain-56, and stays near 0 for ResNets of the same "
    "depths and weights. A learning rate of 0.1 from the first step on is too much for the deepest ResNet.",
    design="6n + 2 layers as in the paper, with 8, 16, 32 maps on digits of 8x8 pixels; batch-norm after each "
    "convolution, shortcuts A, which have no weights. SGD, momentum 0.9, weight decay 0.0001, batches of 64, 8 "
    "epochs of 1,261 images at 0.1, from the seventh on at 0.01. Warm-up: one more epoch, at 0.01, before these, for "
    "all networks alike. The error of a table is that of the finished network in evaluation mode, that of a curve "
    "the mean over an epoch's batches as they were trained on.",
    limits="160 to 180 steps: plain-56 is caught early, and much longer training would bring it further down (the "
    "paper's, after 64,000 steps, is worse than plain-20 by some per cent, not by sixty). Without warm-up ResNet-56 "
    "is itself behind ResNet-20 in every seed at this length; PyTorch gave the same picture in a comparison run. "
    "That deeper ResNets are better on new images needs more data than the digits.",
    seeds=(0, 1, 2, 3, 4),
    quick_seeds=(0,),
    quick="One seed, with warm-up only.",
)  # fmt: skip
