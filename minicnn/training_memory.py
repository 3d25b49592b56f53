"""How much memory does a training step take? Worked out from shapes, before a single number is computed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import functional as F
from . import running
from .autograd import Context, enable_grad
from .errors import ArgumentError
from .kernels import shapes
from .nn import Module
from .nn.modes import ready
from .ops import checks
from .profiling_memory import MB, kept_bytes, total_bytes
from .tensor import Tensor

#: optimiser -> arrays that it keeps for each parameter
STATES = {"sgd": 1, "sgd without momentum": 0, "adam": 2, "adamw": 2, "rmsprop": 1}


@dataclass(frozen=True)
class TrainingMemory:
    """Bytes of a training step.

    Attributes
    ----------
    parameters, gradients, state : int
        The weights; one gradient for each; what the optimiser keeps (momentum: one array more, Adam: two).
    activations : int
        What the graph holds for the backward when the forward is done, and the images.
    peak : int
        The most at one time. In the backward, activations go as gradients come, so that it is less than the sum.
    """

    batch_size: int
    parameters: int
    gradients: int
    state: int
    activations: int
    peak: int

    def __str__(self) -> str:
        parts = {
            "weights": self.parameters,
            "gradients": self.gradients,
            "optimiser": self.state,
            f"activations of {self.batch_size} images": self.activations,
            "at the peak": self.peak,
        }
        return "training memory: " + ", ".join(f"{bytes_ / MB:,.1f} MB {what}" for what, bytes_ in parts.items())


class _Peak(running.Watcher):
    """Follows the backward: what is still held, what has been made, and which gradients wait for their operation."""

    def __init__(self, kept: dict[int, int]) -> None:
        self.kept, self.held = kept, sum(kept.values())
        self.gradients = self.most = 0
        self.waiting: dict[Context, np.ndarray] = {}
        self.owned: set[Context] = set()  # where two gradients have met in an array of their own

    def backward_ends(self, node, grad, parts: list) -> None:
        self.waiting.pop(node, None)
        self.gradients += sum(p.nbytes for p, t in zip(parts, node.inputs) if p is not None and t.node is None)
        onward = [(t.node, p) for p, t in zip(parts, node.inputs) if p is not None and t.node is not None]
        passing = {id(array): array.nbytes for array in (grad, *self.waiting.values(), *(p for _, p in onward))}
        sums = sum(p.nbytes for n, p in onward if n in self.waiting and n not in self.owned)
        self.most = max(self.most, self.held + self.gradients + sum(passing.values()) + sums)
        self.owned.update(n for n, _ in onward if n in self.waiting)
        self.waiting.update(onward)
        self.held -= self.kept.pop(node.order, 0)


def training_memory(
    model: Module, input_size: tuple[int, int, int], batch_size: int = 1, optimizer: str = "sgd"
) -> TrainingMemory:
    """Memory of one step: forward, cross-entropy, backward, update.

    Parameters
    ----------
    model : Module
    input_size : (C, H, W)
    batch_size : int
    optimizer : {"sgd", "sgd without momentum", "adam", "adamw", "rmsprop"}

    Returns
    -------
    TrainingMemory
        Without what the interpreter and its libraries take, and without a kernel's own working space.
    """
    checks.whole("training_memory", "batch_size", batch_size)
    if optimizer not in STATES:
        raise ArgumentError(f"training_memory: optimizer must be one of {', '.join(STATES)}, got {optimizer!r}")
    parameters = list(model.parameters())
    outside = [p.data for p in parameters] + [b.data for b in model.buffers()]
    before = [p.grad for p in parameters]
    with shapes.shapes_only(), ready(model, training=True), enable_grad():
        dtype = next((p.dtype for p in parameters), np.dtype(np.float32))
        images = shapes.blank((batch_size, *input_size), dtype)
        outputs = model(Tensor(images))
        labels = np.zeros(batch_size, np.int64)
        losses = [F.cross_entropy(o, labels) for o in (outputs if isinstance(outputs, tuple) else (outputs,))]
        loss = sum(losses[1:], start=losses[0])
        kept = kept_bytes(loss, lambda node: node.order, lambda array: None, outside)
        activations = sum(kept.values()) + images.nbytes
        peak = _Peak(kept)
        with running.watched_by(peak):
            loss.backward()
    for parameter, grad in zip(parameters, before):
        parameter.grad = grad
    weights = total_bytes(p.data for p in parameters)
    learned = total_bytes(p.data for p in parameters if p.requires_grad)
    state = STATES[optimizer] * learned
    return TrainingMemory(
        batch_size=batch_size, parameters=weights, gradients=learned, state=state, activations=activations,
        peak=weights + state + images.nbytes + peak.most,
    )  # fmt: skip
