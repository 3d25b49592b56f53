"""What the tests of the profiler share: a clock to turn by hand, and layers that turn it."""

from __future__ import annotations

import numpy as np

import minicnn as mc
from minicnn import functional as F
from minicnn import nn


class Timer:
    """A clock that stands still until a layer turns it on: times come out exact."""

    now = 0.0

    def __call__(self) -> float:
        return self.now

    def turn(self, seconds: float) -> None:
        self.now += seconds


def takes(turn, forward=0.0, backward=0.0):
    """An operation (x -> 2 x) that calls ``turn`` with its duration in seconds."""

    class Takes(mc.Function):
        @staticmethod
        def forward(ctx, x):
            turn(forward)
            return 2 * x

        @staticmethod
        def backward(ctx, grad):
            turn(backward)
            return 2 * grad

    return Takes


class Layer(nn.Module):
    """One operation, and ``python`` seconds in the layer's own forward around it."""

    def __init__(self, turn, forward=0.0, backward=0.0, python=0.0):
        super().__init__()
        self.function, self.turn, self.python = takes(turn, forward, backward), turn, python
        self.scale = nn.Parameter(np.ones(1, np.float32))

    def forward(self, x):
        self.turn(self.python)
        return self.function.apply(x * self.scale)


class Residual(nn.Module):
    def __init__(self, layer, function):
        super().__init__()
        self.layer, self.function = layer, function

    def forward(self, x):
        return self.function.apply(self.layer(x) + x)


def rows_by_name(profile):
    assert len({row.name for row in profile.rows}) == len(profile.rows)
    return {row.name: row for row in profile.rows}


def images(n=4):
    return np.ones((n, 3), np.float32)


def batches_of(turn, count, seconds):
    for _ in range(count):
        turn(seconds)
        yield images()


def small_network():
    """(N, 3, 2, 2) -> (N, 4)."""
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 4))


def train_step(model, n=5, optimizer=None):
    x = np.random.default_rng(0).standard_normal((n, 3, 2, 2)).astype(np.float32)
    loss = F.cross_entropy(model(x), np.arange(n) % 4)
    loss.backward()
    if optimizer is not None:
        optimizer.step()
    return loss
