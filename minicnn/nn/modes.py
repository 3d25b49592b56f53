"""Training and evaluation mode of whole models."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from .. import random
from .layers import BatchNorm2d
from .module import Module


@contextlib.contextmanager
def evaluating(model: Module) -> Iterator[None]:
    """Evaluation mode inside the block; afterwards every module is in the mode it was in, frozen ones included."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            object.__setattr__(module, "training", mode)


@contextlib.contextmanager
def ready(model: Module, training: bool) -> Iterator[None]:
    """To look at a model without a trace: evaluation or training mode inside the block, all but the batch-norms, whose
    statistics must stay; afterwards every mode, and the count of dropouts, is as before."""
    before = random.state.get()
    try:
        with evaluating(model):
            if training:
                for module in model.modules():
                    object.__setattr__(module, "training", not isinstance(module, BatchNorm2d))
            yield
    finally:
        random.state.set(before)


def is_frozen(module: Module) -> bool:
    """Whether a layer has parameters, and none of them learns."""
    parameters = list(module.parameters())
    return bool(parameters) and not any(p.requires_grad for p in parameters)


def train_mode(model: Module) -> None:
    """Training mode, but for frozen layers: a frozen batch-norm keeps its statistics, which belong to its weights."""
    model.train()
    for module in model.modules():
        if is_frozen(module):
            module.eval()
