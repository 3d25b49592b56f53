"""What a training run shows while it runs: a bar with time left, loss, accuracy, learning rate, speed and memory."""

from __future__ import annotations

import sys

from tqdm.auto import tqdm

from .metrics import Average
from .profiling_memory import peak_mb


def bar(batches: int, label: str, enabled: bool = True) -> tqdm:
    """A progress bar over an epoch's batches, for terminals, notebooks and log files."""
    often = 0.1 if sys.stderr.isatty() else 5  # a log file does not want ten lines a second
    return tqdm(total=batches or None, desc=label, unit="batch", disable=not enabled, mininterval=often)


def figures(average: Average, lr: float, images: int, seconds: float) -> dict[str, str]:
    """What stands at the end of the bar."""
    shown = {
        "loss": f"{average.loss:.3f}",
        "acc": f"{100 * average.accuracy:.1f}%",
        "lr": f"{lr:.3g}",
        "images/s": f"{images / seconds:.0f}",
    }
    memory = peak_mb()
    return shown if memory is None else {**shown, "mem": f"{memory:.0f}MB"}
