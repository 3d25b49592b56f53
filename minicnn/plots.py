"""Pictures. Every function returns a matplotlib Figure and, given a path, writes it too; no window is opened."""

from __future__ import annotations

import functools
import importlib
import os
import pathlib

import numpy as np

from .errors import ArgumentError, FileError
from .files import replacing


def new_figure(width: float, height: float):
    """A Figure that belongs to no window system (pyplot would keep it, and might need a display)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure((width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def literal(text: str) -> str:
    r"""A name as matplotlib draws it letter by letter, whatever somebody wrote into it.

    Between two dollars it would read a formula.

    >>> print(literal("$5 or $6, 猫"))
    \$5 or \$6, ?
    """
    return drawable(" ".join(str(text).split())).replace("$", r"\$")


def drawable(text: str) -> str:
    """A text with "?" for each letter that matplotlib's font lacks: it would draw an empty box, and warn.

    >>> drawable("猫 5")
    '? 5'
    """
    from matplotlib.font_manager import FontProperties, findfont
    from matplotlib.ft2font import FT2Font

    known = _letters(findfont(FontProperties()), FT2Font)
    return "".join(c if ord(c) in known or c == "\n" else "?" for c in text)


@functools.cache
def _letters(font: str, reader) -> frozenset[int]:
    return frozenset(reader(font).get_charmap())


def shortened(text: str, most: int) -> str:
    """The beginning and the end of a text that is longer than ``most`` letters.

    >>> shortened("a-very-long-name.png", 12)
    'a-ver…me.png'
    """
    before = (most - 1) // 2
    return text if len(text) <= most else f"{text[:before]}…{text[before + 1 - most :]}"


def finish(figure, path: str | os.PathLike | None):
    """Write the figure if a path is given, whole or not at all; return it."""
    if path is not None:
        from matplotlib import rc_context

        kind, known = pathlib.Path(path).suffix[1:].lower(), figure.canvas.get_supported_filetypes()
        if kind not in known:
            raise FileError(f"cannot write {path}: no kind of picture ends in {kind!r}; name it .png, .svg or .pdf")
        # the same picture gives the same file: no date in it, names inside .svg that do not change; its text stays text
        undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind)
        with (
            replacing(pathlib.Path(path)) as temporary,
            rc_context({"svg.fonttype": "none", "svg.hashsalt": "minicnn"}),
        ):
            figure.savefig(temporary, dpi=120, metadata=undated)
    return figure


def curves(rows: list[dict], path: str | os.PathLike | None = None, title: str = ""):
    """Loss and accuracy over the epochs, training and validation.

    Parameters
    ----------
    rows : list of dict
        What ``Trainer.fit`` returns and ``metrics.csv`` holds: epoch, train_loss, train_accuracy, val_loss,
        val_accuracy.
    """
    from matplotlib.ticker import LogLocator, MaxNLocator

    figure = new_figure(9, 3.5)
    epochs = [int(r["epoch"]) for r in rows]
    for axes, what, unit in zip(figure.subplots(1, 2), ("loss", "accuracy"), ("", " (%)")):
        for split, colour in (("train", "tab:blue"), ("val", "tab:orange")):
            values = [r.get(f"{split}_{what}") for r in rows]
            if any(v not in (None, "") for v in values):
                scale = 100 if what == "accuracy" else 1
                points = [(e, scale * float(v)) for e, v in zip(epochs, values) if v not in (None, "")]
                label = {"train": "training", "val": "validation"}[split]
                axes.plot(*zip(*points), color=colour, label=label, marker=".")
        axes.set(xlabel="epoch", ylabel=what + unit)
        if what == "loss":
            axes.set_yscale("log")  # the first epochs' losses would hide all later ones
            axes.yaxis.set_minor_locator(LogLocator(subs=(2, 3, 5)))
            axes.yaxis.set_minor_formatter("{x:g}")  # 0.2, not 2 x 10^-1
            axes.yaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        if axes.lines:
            axes.legend()
    if title:
        figure.suptitle(literal(title))
    return finish(figure, path)


def confusion(matrix, classes, path: str | os.PathLike | None = None):
    """Which class was taken for which: rows are the true classes, columns what the network said, in per cent.

    Parameters
    ----------
    matrix : array, (K, K)
        ``Evaluation.confusion``.
    classes : sequence of str
        Names of the K classes. With more than 20, numbers are left out of the squares; with more than 60, names, too,
        but for every second, third ... class.
    """
    matrix = np.asarray(matrix)
    if len(classes) != len(matrix):
        raise ArgumentError(f"confusion: {len(matrix)} rows need as many names of classes, got {len(classes)}")
    share = 100 * matrix / np.maximum(matrix.sum(1, keepdims=True), 1)  # (K, K)
    k = len(matrix)
    side = 0.35 * min(k, 20) + 0.17 * min(max(k - 20, 0), 40)  # inches
    figure = new_figure(3 + side, 2.5 + 0.92 * side)
    axes = figure.subplots()
    image = axes.imshow(share, cmap="Blues", vmin=0, vmax=100)
    figure.colorbar(image, ax=axes, label="% of the true class")
    axes.set(xlabel="predicted", ylabel="true")
    named = range(0, k, -(-k // 60))
    names = [literal(shortened(str(classes[i]), 24)) for i in named]
    size = {} if k <= 20 else {"fontsize": 7}
    axes.set_xticks(named, names, rotation=45 if k <= 20 else 90, ha="right" if k <= 20 else "center", **size)
    axes.set_yticks(named, names, **size)
    if k <= 20:
        for i, j in zip(*np.nonzero(matrix)):
            colour = "white" if share[i, j] > 50 else "black"
            axes.text(j, i, f"{share[i, j]:.0f}", ha="center", va="center", color=colour, fontsize=8)
    return finish(figure, path)


def architecture(
    model, input_size: tuple[int, int, int] = (3, 224, 224), path: str | os.PathLike | None = None, title: str = "",
    training: bool = False,
):  # fmt: skip
    """A model from top to bottom, repeats folded; see :func:`minicnn.diagram.architecture`."""
    from . import diagram

    return diagram.architecture(model, input_size, path, title, training)


def complexity(rows, path: str | os.PathLike | None = None):
    """Accuracy against multiply-adds, the area of a bubble the number of parameters (Canziani et al. 2017, figure 2).

    Parameters
    ----------
    rows : iterable of Network
        Such as ``minicnn.comparison.compare()``. Those for ImageNet are drawn or, if there are none, those for
        CIFAR-10; rows without a published top-1 error are left out.

    Notes
    -----
    The axis of multiply-adds is logarithmic: the networks differ by a factor of a thousand. Filled bubbles are errors
    of one crop of 224 pixels, the only ones to compare with each other; hollow ones were measured otherwise. Networks
    of less than 0.6 million parameters have bubbles as if they had as many, or they could not be seen.
    """
    from .complexity import draw_complexity

    return draw_complexity(rows, path)


#: drawn in minicnn/inside, which is loaded when one of them is asked for
_INSIDE = {
    "feature_maps": "pictures", "filters": "pictures", "grad_cam": "pictures", "guided_backprop": "pictures",
    "occlusion": "pictures", "saliency": "pictures", "strongest_patches": "pictures", "explain": "page",
}  # fmt: skip


def __getattr__(name: str):
    if name in _INSIDE:
        return getattr(importlib.import_module(f".inside.{_INSIDE[name]}", __package__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_INSIDE])
