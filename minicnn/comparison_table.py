"""A comparison of models as text, CSV, JSON or Markdown."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from . import columns
from .models.published import PROTOCOLS, SOURCES

if TYPE_CHECKING:
    from .comparison import Comparison, Network

HEAD = (
    "model", "variant, options", "input", "params M", "mult-adds G", "memory MB", "training MB", "top-1 %", "top-5 %",
    "crops", "source",
)  # fmt: skip
NUMBERS = range(3, 9)
TITLES = {
    "ImageNet": "ImageNet, 1000 classes, error on the validation images",
    "CIFAR-10": "CIFAR-10, error on the test images",
    "MNIST": "MNIST, error on the test images",
    "other": "Other models",
}


def _cells(row: Network) -> tuple[str, ...]:
    return (
        row.name,
        row.setting,
        "x".join(map(str, row.input_size)),
        f"{row.params / 1e6:.2f}",
        f"{row.macs / 1e9:.4f}",
        f"{row.memory / 2**20:.2f}",
        f"{row.training_memory / 2**20:.2f}",
        "-" if row.top1 is None else f"{row.top1:.2f}",
        "-" if row.top5 is None else f"{row.top5:.2f}",
        row.protocol or "-",
        row.source or "-",
    )


def notes(rows: Comparison) -> list[str]:
    """What was counted, and what the words under crops and source mean."""
    protocols, sources = ({getattr(r, what) for r in rows} for what in ("protocol", "source"))
    return [
        "Parameters and multiply-adds (one multiply-add = one) are counted from the models; memory: outputs of "
        "convolutions and",
        "linear layers of one image; training: what the backward keeps of one image, heads for training included; "
        "MB = 2^20 bytes.",
        "Errors are published ones; only those with the same crops can be compared:",
        *(f"  {name}: {words}" for name, words in PROTOCOLS.items() if name in protocols),
        "Sources:",
        *(f"  {name}: {words}" for name, words in SOURCES.items() if name in sources),
    ]


def _by_data(rows: Comparison) -> Iterator[tuple[str, list[tuple[str, ...]]]]:
    for data, title in TITLES.items():
        if cells := [_cells(r) for r in rows if r.data == data]:
            yield title, cells


def text(rows: Comparison) -> str:
    blocks = [line for title, cells in _by_data(rows) for line in (title, *columns.text(HEAD, cells, NUMBERS), "")]
    return "\n".join([*blocks, *notes(rows)])


def markdown(rows: Comparison) -> str:
    blocks = [
        line
        for title, cells in _by_data(rows)
        for line in (f"**{title}**", "", *columns.markdown(HEAD, cells, NUMBERS), "")
    ]
    return "\n".join([*blocks, *(f"{line.replace('<', '&lt;')}  " for line in notes(rows))])


def to_csv(rows: Comparison) -> str:
    """Whole numbers, memory in bytes; options as name=value."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    for number, row in enumerate(rows):
        cells = {**dataclasses.asdict(row), "input_size": "x".join(map(str, row.input_size))}
        cells["options"] = " ".join(f"{name}={value}" for name, value in row.options.items())
        if number == 0:
            writer.writerow(cells)
        writer.writerow(cells.values())
    return file.getvalue().rstrip("\n")


def to_json(rows: Comparison) -> str:
    return json.dumps([dataclasses.asdict(row) for row in rows], indent=1)


FORMS = {"text": text, "csv": to_csv, "json": to_json, "markdown": markdown}
