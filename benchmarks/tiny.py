"""One side of ``overhead.py``: ``python tiny.py minicnn|torch``. Single operations on tensors of a few numbers.

Both frameworks call these operations alike, so there is one table; on so few numbers, what takes time is Python.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import worker

LIBRARIES = {"minicnn": ("minicnn", "minicnn.functional"), "torch": ("torch", "torch.nn.functional")}
SHAPES = {"a": (2, 3), "b": (2, 3), "w": (4, 3), "x": (1, 2, 4, 4), "k": (2, 2, 3, 3)}  # x: (N, C, H, W)


class Tiny(NamedTuple):
    """An operation, of the framework's ``functional`` module and its tensors by name."""

    tensors: str  # names in SHAPES, a letter each
    call: Callable


OPERATIONS = {
    "add": Tiny("ab", lambda F, t: t["a"] + t["b"]),
    "mul": Tiny("ab", lambda F, t: t["a"] * t["b"]),
    "relu": Tiny("a", lambda F, t: F.relu(t["a"])),
    "sum": Tiny("a", lambda F, t: t["a"].sum()),
    "linear": Tiny("aw", lambda F, t: F.linear(t["a"], t["w"])),
    "conv2d": Tiny("xk", lambda F, t: F.conv2d(t["x"], t["k"], padding=1)),
    "max_pool2d": Tiny("x", lambda F, t: F.max_pool2d(t["x"], 2)),
    "batch_norm": Tiny("x", lambda F, t: F.batch_norm(t["x"], None, None, training=True)),
    "cross_entropy": Tiny("a", lambda F, t: F.cross_entropy(t["a"], t["labels"])),
}


class Task:
    """``{"operation": of the table, "backward": whether gradients are computed, too}``"""

    def __init__(self, framework: str, request: dict) -> None:
        library, self.functional = (importlib.import_module(name) for name in LIBRARIES[framework])
        self.operation, self.backward = OPERATIONS[request["operation"]], request["backward"]
        make = library.tensor
        self.tensors = {
            name: make(np.random.default_rng(ord(name)).standard_normal(SHAPES[name], dtype=np.float32))
            for name in self.operation.tensors
        }
        self.learned = list(self.tensors.values())
        for tensor in self.learned:
            tensor.requires_grad_()
        self.tensors["labels"] = make(np.array([0, 2]))
        shape = tuple(self.forward().shape)
        self.grad = make(np.random.default_rng(0).standard_normal(shape, dtype=np.float32))  # of the operation's result

    def forward(self):
        return self.operation.call(self.functional, self.tensors)

    def first(self) -> dict:
        self.step()
        gradients = [float(np.linalg.norm(np.asarray(t.grad))) for t in self.learned if t.grad is not None]
        return {"value": float(np.linalg.norm(self.forward().detach().numpy())), "gradients": float(sum(gradients))}

    def step(self) -> None:
        """A graph is built in any case: the forward is that of training."""
        out = self.forward()
        if self.backward:
            for tensor in self.learned:
                tensor.grad = None
            out.backward(self.grad)


if __name__ == "__main__":
    if sys.argv[1] == "torch":
        importlib.import_module("torch").set_num_threads(1)
    else:
        importlib.import_module("minicnn").set_num_threads(1)
    worker.serve(lambda request: Task(sys.argv[1], request))
