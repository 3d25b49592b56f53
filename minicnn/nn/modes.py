"""Training and evaluation mode of whole models."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

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
