"""The small step that every framework takes: its data, and how it is served to the parent.

    x 32x3x32x32 -> conv 3x3, 64 filters, padding 1 -> ReLU -> max-pool 2 -> linear 10 -> cross-entropy, backward, SGD

Both biases start at 0 and learn; the linear layer sees the maps in the order (C, H, W). From the weights below the
losses of the first three steps are 3.96897, 3.05731, 2.69278. Needs NumPy only.
"""

from __future__ import annotations

import pathlib
import sys
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

sys.path.append(str(pathlib.Path(__file__).parents[1]))  # for worker.py
import worker  # noqa: E402

LR = 1e-4
LOSSES = (3.96897, 3.05731, 2.69278)


class Data(NamedTuple):
    """float32, as drawn in float64 from ``default_rng(0)``, in this order."""

    x: np.ndarray  # (32, 3, 32, 32)
    y: np.ndarray  # (32,), whole numbers below 10
    filters: np.ndarray  # (64, 3, 3, 3)
    linear: np.ndarray  # (64 * 16 * 16, 10)
    biases: tuple[np.ndarray, np.ndarray]  # (64,), (10,), zeros


def data() -> Data:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((32, 3, 32, 32)).astype(np.float32)
    y = rng.integers(0, 10, 32)
    filters = (rng.standard_normal((64, 3, 3, 3)) * np.sqrt(2 / 27)).astype(np.float32)
    linear = (0.01 * rng.standard_normal((64 * 16 * 16, 10))).astype(np.float32)
    return Data(x, y, filters, linear, (np.zeros(64, np.float32), np.zeros(10, np.float32)))


def serve(build: Callable[[Data], Callable[[], float]]) -> None:
    """``build(data)`` gives the step, a function that returns the loss before its update."""
    worker.serve(lambda request: _Task(build(data())))


class _Task:
    def __init__(self, step: Callable[[], float]) -> None:
        self.step = step

    def first(self) -> dict:
        return {"losses": [float(self.step()) for _ in LOSSES]}
