"""E18: ZFNet is a bigger AlexNet; what that costs."""

from __future__ import annotations

from .. import plots
from ..lecture_check import Tables as Summaries
from ..models.published import FIGURES
from .base import Check, Experiment, Setup, Tables, equal
from .parts import tidy

WIDE = "512-1024-512"
NETWORKS = {"AlexNet": ("alexnet", "paper"), "ZFNet": ("zfnet", "paper"), f"ZFNet {WIDE}": ("zfnet", WIDE)}
KINDS = ("conv", "fc")


def measure(setup: Setup) -> Tables:
    summaries, totals, layers = Summaries(), [], []
    for name, (model, variant) in NETWORKS.items():
        table = summaries(model, variant)
        published = {f.source: f.top5 for f in FIGURES if f.model == model and (f.variant or "paper") == variant}
        totals.append({
            "network": name, "parameters": table.total_params, "multiply-adds": table.total_macs,
            "bytes of outputs": table.total_memory,
            "published top-5 error, %": published.get("Zeiler 2013", published.get("Krizhevsky 2012")),
        })  # fmt: skip
        rows = [r for r in table.rows if r.kind in KINDS]
        layers += [
            {"network": name, "layer": f"{row.kind}{i}", "maps": row.output_shape[0], "multiply-adds": row.macs}
            for i, row in enumerate(rows, start=1)
        ]
    return {"networks": totals, "layers": layers}


def check(tables: Tables) -> list[Check]:
    totals, layers = tables.values()
    macs = {(r["network"], r["layer"]): r["multiply-adds"] for r in layers}
    names = list(NETWORKS)
    growth = [
        ", ".join(f"{macs[names[n], f'conv{i}'] / macs[names[n - 1], f'conv{i}']:.3g}" for i in range(1, 6))
        for n in (1, 2)
    ]
    return [
        equal("multiply-adds", "724,406,816, 1,168,032,896, 2,476,704,896",
              ", ".join(f"{r['multiply-adds']:,}" for r in totals)),
        equal("parameters", "60,965,224, 62,357,608, 107,627,624", ", ".join(f"{r['parameters']:,}" for r in totals)),
        equal("published top-5 errors, %: the bigger the better", "18.2, 16.5, 16",
              ", ".join(f"{r['published top-5 error, %']:g}" for r in totals)),
        equal("without groups conv2, conv4 and conv5 double, at fewer places in conv2", "1.62, 1.85, 1, 2, 2",
              growth[0]),
        equal("wider layers: only conv3 to conv5 grow", "1, 1, 1.33, 3.56, 5.33", growth[1]),
    ]  # fmt: skip


def draw(tables: Tables):
    totals, layers = tables.values()
    figure = plots.new_figure(10, 3.4)
    left, right = figure.subplots(1, 2, width_ratios=(1.9, 1))
    colours = ("0.6", "tab:blue", "tab:orange")
    for i, (name, colour) in enumerate(zip(NETWORKS, colours)):
        of = [r for r in layers if r["network"] == name]
        places = [p + (i - 1) * 0.27 for p in range(len(of))]
        left.bar(places, [r["multiply-adds"] / 1e6 for r in of], 0.27, color=colour, label=name)
    left.set_xticks(range(len(of)), [r["layer"] for r in of])
    left.set(ylabel="multiply-adds (10$^6$)")
    left.legend(fontsize=8)
    for row, colour in zip(totals, colours):
        right.plot(row["multiply-adds"] / 1e9, row["published top-5 error, %"], "o", color=colour, markersize=9)
        right.annotate(f"{row['network']}\n{row['parameters'] / 1e6:.0f} M parameters",
                       (row["multiply-adds"] / 1e9, row["published top-5 error, %"]), xytext=(0, 8),
                       textcoords="offset points", fontsize=8, ha="center")  # fmt: skip
    right.set(xlabel="multiply-adds (10$^9$)", ylabel="published top-5 error (%)", xlim=(0, 3.2), ylim=(15, 19.5))
    right.grid(alpha=0.3)
    tidy(left, right)
    return figure


EXPERIMENT = Experiment(
    __name__, measure, check, draw,
    title="ZFNet: a bigger AlexNet",
    claim="From AlexNet to ZFNet the cost grows by more than half, with wider layers to more than three times; the "
    "published errors fall.",
    lecture="Takeaway from AlexNet to ZFNet: larger networks tend to work better (translated).",
    source="Zeiler & Fergus 2013 (ZFNet), figure 3 and table 2",
    expected="724, 1168, 2477 million multiply-adds; published top-5 errors of one network 18.2, 16.5, 16.0 %. "
    "conv1 grows because it strides less; conv4 and conv5 double, and conv2 nearly, because ZFNet, on one GPU, has no "
    "groups (conv2 at 26x26 places instead of 27x27).",
    design="Counted from the three networks, run for their shapes alone; the errors are the papers' (validation "
    "images; 18.2 is AlexNet in its own paper, the other two are ZFNet's).",
    limits="Only the cost is shown, the errors are quoted. Which of the changes helps, the denser first filters or "
    "the wider layers, takes ImageNet to see; and three networks are no proof that bigger is better.",
    errata="ILSVRC 2013 was won by Clarifai with 11.7 % top-5 error; ZFNet's paper has 14.8 % at best, with six "
    "networks (table 2).",
)  # fmt: skip
