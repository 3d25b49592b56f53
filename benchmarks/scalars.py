"""One side of ``overhead.py``: ``python scalars.py micrograd|minicnn|torch``. The network of micrograd's demo.

An MLP 2-16-16-1 whose every number is a node of the graph: a step is 640 additions, multiplications and ReLUs, and
its backward. All frameworks run the same lines below. Needs the standard library only, as micrograd does.
"""

from __future__ import annotations

import importlib
import random
import sys
from collections.abc import Callable

import worker

WIDTHS = (2, 16, 16, 1)
POINT = (0.7, -1.2)


def drawn() -> list[list[list[float]]]:
    """For each layer and neuron its weights and, last, its bias."""
    rng = random.Random(0)
    return [[[rng.uniform(-1, 1) for _ in range(m + 1)] for _ in range(n)] for m, n in zip(WIDTHS, WIDTHS[1:])]


def count() -> int:
    """Operations of a forward: a product and a sum for each weight, and a ReLU for each hidden neuron."""
    return sum(2 * m * n for m, n in zip(WIDTHS, WIDTHS[1:])) + sum(WIDTHS[1:-1])


def mlp(layers: list, point: list):
    """What the network says of a point; all numbers are the framework's scalars."""
    values = point
    for layer in layers:
        values = [sum((w * v for w, v in zip(weights, values)), bias) for *weights, bias in layer]
        if layer is not layers[-1]:
            values = [v.relu() for v in values]
    (score,) = values
    return score


class Task:
    """``{"backward": whether gradients are computed, too}``"""

    def __init__(self, request: dict, scalar: Callable, number: Callable, no_gradient: float | None) -> None:
        self.layers = [[[scalar(w) for w in weights] for weights in layer] for layer in drawn()]
        self.learned = [w for layer in self.layers for weights in layer for w in weights]
        self.point = [scalar(v) for v in POINT]
        self.backward, self.number, self.no_gradient = request["backward"], number, no_gradient

    def first(self) -> dict:
        value = self.number(self.step())
        gradients = [abs(float(w.grad)) for w in self.learned if w.grad is not None]
        return {"value": value, "gradients": sum(gradients)}

    def step(self):
        out = mlp(self.layers, self.point)
        if self.backward:
            for w in self.learned:
                w.grad = self.no_gradient
            out.backward()
        return out


def framework(name: str) -> tuple[Callable, Callable, float | None]:
    """How to make a scalar that learns, how to read one, and what its gradient is before a backward."""
    if name == "micrograd":
        return importlib.import_module("micrograd.engine").Value, lambda value: value.data, 0
    tensor = importlib.import_module(name).tensor
    return lambda number: tensor(number, requires_grad=True), lambda t: t.item(), None


if __name__ == "__main__":
    if sys.argv[1] == "torch":
        importlib.import_module("torch").set_num_threads(1)
    serving = framework(sys.argv[1])
    worker.serve(lambda request: Task(request, *serving))
