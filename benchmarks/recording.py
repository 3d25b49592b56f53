"""What one of our models does, as a list of operations that another framework can do, too.

The model runs once under ``shapes_only``: nothing is computed. Every value gets a number in the order of appearance; 0
is the image. What is recorded consists of plain Python, so it can be sent to a process that does not know minicnn.
"""

from __future__ import annotations

import numpy as np

import minicnn as mc
from minicnn import costs, nn, running
from minicnn.kernels import shapes_only


def record(model: nn.Module, shape: tuple[int, ...]) -> dict:
    """Record ``model``, in the mode that it is in, on an input of this shape.

    Returns
    -------
    dict
        ``steps``: list of {"op", "inputs", "options", "value"}; an input is the number of a value, ("weight", name)
        or None. ``outputs``: numbers of what the model gives. ``weights``: {name: (shape, learned)}, ``macs``: the
        multiply-adds of the whole batch.

    Raises
    ------
    ValueError
        If the model computes with something that is neither the image nor a weight.
    """
    recorder = _Recorder(model)
    with shapes_only(), mc.no_grad():
        image = np.zeros(shape, np.float32)
        recorder.number_of[id(image)] = 0
        with running.watched_by(recorder):
            out = model(mc.Tensor(image))
    outputs = out if isinstance(out, tuple) else (out,)
    learned = {name: (p.shape, True) for name, p in model.named_parameters()}
    kept = {name: (b.shape, False) for name, b in model.named_buffers() if b.dtype.kind == "f"}
    return {
        "steps": recorder.steps,
        "outputs": [recorder.number_of[id(t.data)] for t in outputs],
        "weights": learned | kept,
        "macs": recorder.macs,
    }


class _Recorder(running.Watcher):
    def __init__(self, model: nn.Module) -> None:
        named = (*model.named_parameters(), *model.named_buffers())
        self.name_of = {id(t.data): name for name, t in named}
        self.number_of: dict[int, int] = {}  # id of an array: number of the value
        self.alive: list[np.ndarray] = []  # as long as an array lives, its id is its own
        self.steps: list[dict] = []
        self.macs = 0

    def forward_begins(self, ctx, options: dict) -> None:
        self.options = {name: self._weight_or(value) for name, value in options.items()}

    def forward_ends(self, ctx, inputs: list, out: np.ndarray) -> None:
        op = costs.operation(ctx.function)
        shapes = [None if a is None else a.shape for a in inputs]
        self.macs += costs.multiply_adds(op, ctx.function, shapes, out.shape, self.options) or 0
        self.alive.append(out)
        number = self.number_of[id(out)] = len(self.alive)
        sources = [self._source(op, a) for a in inputs]
        self.steps.append({"op": op, "inputs": sources, "options": self.options, "value": number})

    def _source(self, op: str | None, array: np.ndarray | None):
        if array is None or id(array) in self.number_of:
            return None if array is None else self.number_of[id(array)]
        if id(array) in self.name_of:
            return ("weight", self.name_of[id(array)])
        raise ValueError(f"{op} computes with an array of shape {array.shape} that is neither the image nor a weight")

    def _weight_or(self, value):
        if isinstance(value, np.ndarray):
            return ("weight", self.name_of[id(value)])
        return value
