"""The page of ``scaling.py``: ``python scaling_page.py scaling.json scaling.png`` draws a finished run again."""

from __future__ import annotations

import json
import pathlib
import sys

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

STYLES = {"ours": ("-", "o"), "PyTorch": ("--", "s")}
PANELS = (  # axis of the plot, quantity, its label
    ("batch", "ms", "ms per step"), ("size", "ms", "ms per step"), ("depth", "ms", "ms per step"),
    ("threads", "ms", "ms per step"), ("batch", "mb", "peak memory, MB"),
)  # fmt: skip
LABELS = {"batch": "batch", "size": "image height and width", "depth": "layers", "threads": "threads"}


def page(run: dict, path: pathlib.Path) -> Figure:
    """Five curves and the roofline; both axes are logarithmic, so that a power is a straight line."""
    figure = Figure((15, 8.5), layout="constrained")
    FigureCanvasAgg(figure)
    *panels, last = figure.subplots(2, 3).flat
    for axes, (axis, quantity, label) in zip(panels, PANELS, strict=True):
        _curves(axes, run["steps"], axis, quantity)
        axes.set(xlabel=LABELS[axis], ylabel=label, title=f"{label.split(',')[0]} against {LABELS[axis]}")
    _roofline(last, run)
    facts = run["machine"]
    figure.suptitle(f"Training steps on {facts['cpu']}, {facts['threads']} of {facts['cores']} threads, float32")
    figure.savefig(path, dpi=100)
    return figure


def _curves(axes, steps: list[dict], axis: str, quantity: str) -> None:
    points = [s for s in steps if s["axis"] == axis and "error" not in s and s[quantity] is not None]
    for k, curve in enumerate(dict.fromkeys(s["curve"] for s in points)):
        line = [s for s in points if s["curve"] == curve]
        for side, (dashes, marker) in STYLES.items():
            values = [s[quantity][side] for s in line]
            axes.plot(
                [s["value"] for s in line], values, dashes, marker=marker, color=f"C{k}", label=f"{curve}: {side}"
            )
    axes.set(xscale="log", yscale="log")
    ticks = sorted({s["value"] for s in points})
    labels = ["" if previous and t < 1.1 * previous else str(t) for previous, t in zip([0, *ticks], ticks)]  # no room
    axes.set_xticks(ticks, labels=labels)
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))  # a decade has too few labels
    axes.minorticks_off()
    axes.yaxis.set_major_formatter("{x:g}")
    axes.grid(alpha=0.3)
    if points:
        axes.legend(fontsize="small")


def _roofline(axes, run: dict) -> None:
    """No layer is above both roofs, but for Winograd: it is credited with products that it does not need."""
    facts, layers = run["machine"], [c for c in run["convolutions"] if "error" not in c]
    peak, copy = max(facts["peaks"].values()), facts["copy"]
    for k, model in enumerate(dict.fromkeys(c["model"] for c in layers)):
        line = [c for c in layers if c["model"] == model]
        for side, (_, marker) in STYLES.items():
            face = f"C{k}" if side == "ours" else "none"
            axes.scatter(
                [c["flop_per_byte"] for c in line], [c["gflops"][side] for c in line],
                marker=marker, facecolors=face, edgecolors=f"C{k}", label=f"{model}: {side}",
            )  # fmt: skip
    ridge = peak / copy  # FLOP per byte where the roofs meet
    ends = [c["flop_per_byte"] for c in layers] + [ridge]
    left, right = min(ends) / 2, max(ends) * 2
    axes.plot([left, ridge, right], [left * copy, peak, peak], color="black")
    axes.annotate(f"BLAS, {peak:.0f} GFLOP/s", (right, peak), ha="right", va="bottom")
    axes.annotate(f"copying, {copy:.0f} GB/s", (left, left * copy), ha="left", va="top", xytext=(12, 0),
                  textcoords="offset points")  # fmt: skip
    axes.set(
        xscale="log", yscale="log", xlabel="FLOP per byte moved at least", ylabel="GFLOP/s",
        title="forward of convolutions, Winograd as direct",
    )  # fmt: skip
    axes.grid(alpha=0.3)
    if layers:
        axes.legend(fontsize="small", loc="lower right")


if __name__ == "__main__":
    page(json.loads(pathlib.Path(sys.argv[1]).read_text()), pathlib.Path(sys.argv[2]))
