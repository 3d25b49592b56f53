"""E17: with a channel shuffle between them, grouped 1x1 convolutions see all channels, if there are enough."""

from __future__ import annotations

import numpy as np

import minicnn as mc

from .. import functional as F
from .. import plots
from ..lecture_check import Tables as Summaries
from .base import Check, Experiment, Setup, Tables, equal

CASES = ((1, 24), (2, 24), (3, 24), (4, 24), (8, 64), (8, 32))  # groups, channels
SHOWN = ((3, 24), (8, 64), (8, 32))


def flow(groups: int, channels: int, shuffle: bool, seed: int) -> np.ndarray:
    """Which inputs reach which outputs of two grouped 1x1 convolutions; (channels out, channels in) of bools."""
    rng = np.random.default_rng(seed)
    first, second = (mc.tensor(rng.uniform(0.5, 1.5, (channels, channels // groups, 1, 1))) for _ in range(2))
    reached = []
    for out in range(channels):
        x = mc.tensor(np.ones((1, channels, 1, 1)), requires_grad=True)
        y = F.conv2d(x, first, groups=groups)
        y = F.channel_shuffle(y, groups) if shuffle else y
        F.conv2d(y, second, groups=groups)[0, out].sum().backward()
        reached.append(x.grad[0, :, 0, 0] != 0)
    return np.array(reached)


def measure(setup: Setup) -> Tables:
    rows, maps = [], []
    for groups, channels in CASES:
        row = {"groups g": groups, "channels C": channels, "channels of a group C/g": channels // groups}
        for shuffle, name in ((False, "without"), (True, "with shuffle")):
            matrix = flow(groups, channels, shuffle, setup.seeds[0])
            row[f"{name}: pairs connected"] = float(matrix.mean())
            if (groups, channels) in SHOWN:
                maps += [
                    {"groups g": groups, "channels C": channels, "shuffle": shuffle, "output": i,
                     "inputs": "".join("x" if seen else "." for seen in inputs)}
                    for i, inputs in enumerate(matrix)
                ]  # fmt: skip
        rows.append({**row, "1 / g": 1 / groups, "min(1, C / g^2)": min(1.0, channels / groups**2)})
    return {
        "two grouped 1x1 convolutions": rows, "the first shuffle of ShuffleNet v1": shufflenets(),
        "figure: who sees whom": maps,
    }  # fmt: skip


def shufflenets() -> list[dict]:
    """How many channels ShuffleNets shuffle where they have fewest, and which share of pairs that connects."""
    rows = []
    for width, groups in ((1.0, 3), (1.0, 8), (0.5, 8), (0.25, 8)):
        table = Summaries()("shufflenet_v1", width=width, groups=groups)
        channels = next(r.output_shape[0] for r in table.rows if r.kind == "shuffle")
        rows.append({
            "width": width, "groups g": groups, "channels C": channels,
            "min(1, C / g^2)": min(1.0, channels / groups**2),
        })  # fmt: skip
    return rows


def check(tables: Tables) -> list[Check]:
    rows, nets, _ = tables.values()
    lines = []
    for row in rows:
        name = f"g = {row['groups g']}, C = {row['channels C']}: pairs connected"
        lines.append(equal(f"{name} without shuffle", 1 / row["groups g"], row["without: pairs connected"]))
        wanted = min(1.0, row["channels C"] / row["groups g"] ** 2)
        lines.append(equal(f"{name} with shuffle", wanted, row["with shuffle: pairs connected"]))
    shares = [row["min(1, C / g^2)"] for row in nets]
    return [*lines, equal("ShuffleNet v1 1.0 g3, 1.0 g8, 0.5 g8, 0.25 g8", "1, 1, 0.75, 0.375",
                          ", ".join(f"{share:g}" for share in shares))]  # fmt: skip


def draw(tables: Tables):
    _, _, maps = tables.values()
    figure = plots.new_figure(8.4, 6)
    grid = figure.subplots(2, len(SHOWN))
    for column, (groups, channels) in enumerate(SHOWN):
        for axes, shuffle in zip(grid[:, column], (False, True)):
            of = [r for r in maps if (r["groups g"], r["channels C"], r["shuffle"]) == (groups, channels, shuffle)]
            matrix = np.array([[letter == "x" for letter in r["inputs"]] for r in of])
            axes.imshow(matrix, cmap="Blues", vmin=0, vmax=1.4, interpolation="nearest")
            axes.set_title(f"g = {groups}, C = {channels}, {'with' if shuffle else 'without'}: {matrix.mean():.3g}",
                           fontsize=10)  # fmt: skip
            axes.set(xlabel="input channel", ylabel="output channel")
    figure.suptitle("blue: connected; without and with shuffle between the two convolutions")
    return figure


EXPERIMENT = Experiment(
    __name__, measure, check, draw,
    title="Channel shuffle: who sees whom",
    claim="Two grouped 1x1 convolutions keep their groups apart; a channel shuffle between them connects all with "
    "all.",
    lecture="If you want an efficient network (real-time, run on mobile, etc) try MobileNets and ShuffleNets.",
    source="Zhang et al. 2018 (ShuffleNet), section 3.1 and figure 1",
    expected="Without shuffle a share 1/g of all pairs of input and output is connected. With it all of them, if a "
    "group has at least g channels (C/g >= g); else only C/g^2: half with g = 8 and C = 32.",
    design="Positive weights, gradient of each output channel with respect to each input channel: not zero means "
    "connected.",
    limits="Connected is not yet useful: whether it lowers the error is another matter (ShuffleNet, table 3, on "
    "ImageNet: 1.3 to 5.8 points), which takes a training.",
    errata="The condition C/g >= g is not in the lecture, and easily missed: ShuffleNet's own first stages of 0.5 "
    "and 0.25 times the width with 8 groups miss it.",
    seeds=(0,),
)  # fmt: skip
