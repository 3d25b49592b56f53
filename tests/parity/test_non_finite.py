"""NaN and infinity go through every operation as in PyTorch."""
from __future__ import annotations

import numpy as np
import pytest

import minicnn as mc

from .cases import CASES
from .helpers import assert_same_calls, drawn

torch = pytest.importorskip("torch")

SPECIAL = np.array([np.nan, np.inf, -np.inf])


def sprinkled(array: np.ndarray, rng: np.random.Generator, share: float) -> np.ndarray:
    """A copy, strides and all, in which about ``share`` of the elements are NaN or infinite."""
    values = rng.choice(SPECIAL, array.shape)
    array[...] = np.where(rng.random(array.shape) < share, values, array)
    return array


@pytest.mark.parametrize("gradients", [False, True], ids=["forward", "backward"])
@pytest.mark.parametrize("room", ["cpu", "plain"])
@pytest.mark.parametrize("name", CASES)
def test_non_finite(name, room, gradients):
    """Protects diverging runs from looking healthy: NaN and infinity end up exactly where PyTorch has them."""

    def one(draw):
        ours, theirs, arrays = CASES[name](draw)
        arrays[0] = sprinkled(arrays[0], draw.rng, draw.of(0.05, 0.3, 1.0))
        assert_same_calls(ours, theirs, arrays, draw.rng, gradients)

    with mc.use_room(room):
        drawn(one, 20)
