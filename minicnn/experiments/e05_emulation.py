"""E5: a deeper network can do whatever a shallower one does; training does not find that by itself."""

from __future__ import annotations

import numpy as np

import minicnn as mc

from .. import functional as F
from .. import nn, plots
from ..data import get_dataset
from ..optim import SGD
from ..optim.clip import clip_grad_norm_
from .base import Check, Experiment, Setup, Tables, at_least, at_most, equal
from .parts import largest, tidy

WIDTHS = (8, 16, 32)
SHALLOW, DEEP = 1, 3  # blocks of two convolutions in each of three stages: 8 and 20 layers
SHALLOW_ERROR, COPIED_ERROR, RANDOM_ERROR = "plain-8", "plain-20 that emulates it", "plain-20 from random weights"
EPOCHS, BATCH, RATE, MOMENTUM, CLIP = 12, 64, 0.05, 0.9, 1.0


def plain(blocks: int) -> nn.Sequential:
    """A plain network of 6 ``blocks`` + 2 layers without batch-norm; (N, 1, 8, 8) -> (N, 10)."""
    layers, channels = [nn.Conv2d(1, WIDTHS[0], 3, padding=1)], WIDTHS[0]
    for stage, width in enumerate(WIDTHS):
        for number in range(2 * blocks):
            stride = 2 if stage and number == 0 else 1
            layers += [nn.ReLU(), nn.Conv2d(channels, width, 3, stride, padding=1)]
            channels = width
    for conv in layers[::2]:
        nn.init.kaiming_normal_(conv.weight)
        nn.init.zeros_(conv.bias)
    return nn.Sequential(*layers, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10))


def convolutions(model: nn.Module) -> list[nn.Conv2d]:
    return [m for m in model.modules() if isinstance(m, nn.Conv2d)]


def emulate(shallow: nn.Module, deep: nn.Module) -> None:
    """Give ``deep`` the layers of ``shallow``, and make the layers that it has more of identities.

    A 3x3 kernel that is 1 in the middle of its own channel and 0 elsewhere copies; so does the ReLU behind it, because
    what comes is the output of a ReLU.
    """
    theirs, ours = convolutions(shallow), convolutions(deep)
    per_stage, more = 2 * SHALLOW, 2 * DEEP
    copied = [0, *[1 + s * more + i for s in range(len(WIDTHS)) for i in range(per_stage)]]
    for number, conv in enumerate(ours):
        if number in copied:
            source = theirs[copied.index(number)]
            conv.weight.data[...], conv.bias.data[...] = source.weight.data, source.bias.data
        else:
            conv.weight.data[...], conv.bias.data[...] = 0, 0
            for channel in range(conv.out_channels):
                conv.weight.data[channel, channel, 1, 1] = 1
    deep[-1].load_state_dict(shallow[-1].state_dict())


def train(model: nn.Module, images: np.ndarray, labels: np.ndarray, seed: int, setup: Setup, name: str) -> float:
    """SGD; the training error in % afterwards."""
    optimizer, rng = SGD(model.parameters(), lr=RATE, momentum=MOMENTUM), np.random.default_rng(seed)
    with setup.bar(EPOCHS, f"{name}, seed {seed}") as bar:
        for _ in range(EPOCHS):
            for batch in np.array_split(rng.permutation(len(images)), len(images) // BATCH):
                optimizer.zero_grad()
                F.cross_entropy(model(mc.tensor(images[batch])), labels[batch]).backward()
                clip_grad_norm_(model.parameters(), CLIP)  # without batch-norm, one long gradient can end it all
                optimizer.step()
            bar.update()
    return error(model, images, labels)


def logits(model: nn.Module, images: np.ndarray) -> np.ndarray:
    with mc.no_grad():
        return model(mc.tensor(images)).data


def error(model: nn.Module, images: np.ndarray, labels: np.ndarray) -> float:
    return 100 * float((logits(model, images).argmax(1) != labels).mean())


def measure(setup: Setup) -> Tables:
    digits = get_dataset("digits", "train")
    images = digits.images.astype("float32")
    images = (images - images.mean()) / images.std()  # (N, 1, 8, 8)
    rows = []
    for seed in setup.seeds:
        mc.manual_seed(seed)
        shallow, deep, twin = plain(SHALLOW), plain(DEEP), plain(DEEP)
        reached = train(shallow, images, digits.labels, seed, setup, "plain-8")
        emulate(shallow, twin)
        own, copied = logits(shallow, images), logits(twin, images)
        single = float(np.abs(own - copied).max())
        double = np.abs(logits(shallow.to("float64"), images.astype(float))
                        - logits(twin.to("float64"), images.astype(float))).max()  # fmt: skip
        rows.append({
            "seed": seed, SHALLOW_ERROR: reached,
            COPIED_ERROR: 100 * float((copied.argmax(1) != digits.labels).mean()),
            RANDOM_ERROR: train(deep, images, digits.labels, seed, setup, "plain-20"),
            "logits differ by (float32)": single, "logits differ by (float64)": float(double),
        })  # fmt: skip
    return {"digits, 8x8 pixels: error on the training images, %": rows}


def check(tables: Tables) -> list[Check]:
    (rows,) = tables.values()
    lines = [
        equal("float64: logits of plain-8 and of the plain-20 that emulates it differ by", 0.0,
              largest([r["logits differ by (float64)"] for r in rows])),
        at_most("float32: differ by", 1e-4, largest([r["logits differ by (float32)"] for r in rows])),
        equal("training error of both, %", str([round(r[SHALLOW_ERROR], 2) for r in rows]),
              str([round(r[COPIED_ERROR], 2) for r in rows])),
    ]  # fmt: skip
    for row in rows:
        worse = row[RANDOM_ERROR] - row[SHALLOW_ERROR]
        lines.append(at_least(f"seed {row['seed']}: plain-20 from random weights is worse by, points", 1, worse))
    return lines


def draw(tables: Tables):
    (rows,) = tables.values()
    figure = plots.new_figure(7, 3.4)
    axes = figure.subplots()
    for i, (name, colour) in enumerate(
        ((SHALLOW_ERROR, "0.6"), (COPIED_ERROR, "tab:green"), (RANDOM_ERROR, "tab:red")), start=-1
    ):
        places = [p + 0.27 * i for p in range(len(rows))]
        bars = axes.bar(places, [r[name] for r in rows], 0.25, color=colour, label=name)
        axes.bar_label(bars, fmt="{:.1f}", fontsize=8)
    axes.set_xticks(range(len(rows)), [f"seed {r['seed']}" for r in rows])
    axes.set(ylabel="error on the training images (%)")
    axes.margins(y=0.25)
    axes.legend(fontsize=8)
    tidy(axes)
    return figure


EXPERIMENT = Experiment(
    __name__, measure, check, draw,
    title="A deeper network can emulate a shallower one",
    claim="A plain network of 20 layers can compute exactly what one of 8 layers computes; trained from random "
    "weights it comes out worse, on the training images.",
    lecture="A deeper model can emulate a shallower model: copy layers from shallower model, set extra layers to "
    "identity.",
    source="He et al. 2016 (ResNet), section 1",
    expected="Layers copied, the others set to the identity: the same logits to the last bit. From random weights "
    "and with the same recipe: a larger error on the training images, for every seed.",
    design=f"Digits, 1261 training images of 8x8. plain-8 and plain-20 (6n + 2 layers, widths {WIDTHS}, no "
    f"batch-norm, He's initial weights), SGD, lr {RATE}, momentum {MOMENTUM}, batches of {BATCH}, {EPOCHS} epochs, "
    f"gradients cut to a length of {CLIP:g}. An identity is a 3x3 kernel with a 1 in its middle; ReLUs do not "
    "matter: nothing negative comes.",
    limits="Few epochs and few images: more training brings plain-20 down, too. What is shown is that a good "
    "solution exists and is not found first, not that it cannot be found. With Winograd's algorithm (large maps in "
    "float32) an identity is one only up to rounding.",
    seeds=(0, 1, 2), quick_seeds=(1,), quick="One seed instead of three.",
)  # fmt: skip
