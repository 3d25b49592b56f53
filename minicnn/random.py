"""The framework's random state: one NumPy generator for initialisation, one counter for dropout.

Dropout is counter-based: each call takes the next ``offset`` of the stream ``seed`` (see ``kernels/plain/dropout.py``),
so that two numbers are all its state, and a resumed run draws the same bits.
"""

from __future__ import annotations

import numpy as np

from .errors import ArgumentError


class RandomState:
    """``generator`` draws initial weights; ``(seed, offset)`` drives dropout."""

    def __init__(self, seed: int) -> None:
        self.reset(seed)

    def reset(self, seed: int) -> None:
        self.seed, self.offset = seed, 0
        self.generator = np.random.default_rng(seed)

    def next_offset(self) -> int:
        self.offset += 1
        return self.offset - 1

    def get(self) -> dict:
        """Everything needed to go on from here, as JSON-able numbers."""
        return {"seed": self.seed, "offset": self.offset, "generator": self.generator.bit_generator.state}

    def set(self, state: dict) -> None:
        self.seed, self.offset = state["seed"], state["offset"]
        self.generator.bit_generator.state = state["generator"]


state = RandomState(0)


def manual_seed(seed: int) -> None:
    """Start initialisation and dropout from ``seed`` (a whole number >= 0).

    >>> from minicnn import nn
    >>> manual_seed(0)
    >>> first = nn.Linear(2, 2).weight.tolist()
    >>> manual_seed(0)
    >>> nn.Linear(2, 2).weight.tolist() == first
    True
    """
    if not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ArgumentError(f"manual_seed: the seed must be a whole number >= 0, got {seed!r}")
    state.reset(int(seed))
