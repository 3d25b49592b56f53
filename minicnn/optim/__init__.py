"""Optimisers and learning-rate schedules."""

from __future__ import annotations

from . import lr_scheduler
from .adam import Adam, AdamW
from .averaging import EMA
from .clip import clip_grad_norm_
from .groups import weight_decay_groups
from .optimizer import Optimizer
from .rmsprop import RMSprop
from .sgd import SGD

__all__ = [
    "EMA", "SGD", "Adam", "AdamW", "Optimizer", "RMSprop", "clip_grad_norm_", "lr_scheduler", "weight_decay_groups",
]  # fmt: skip
