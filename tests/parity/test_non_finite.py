"""NaN and infinity go through every operation as in PyTorch: to the same places, and without a warning from NumPy."""

from __future__ import annotations

import numpy as np
import pytest

import minicnn as mc

from .cases import CASES
from .helpers import assert_same_calls, drawn

torch = pytest.importorskip("torch")

ALL = (np.nan, np.inf, -np.inf)
TWO_SIDED = {"add", "sub", "mul", "div", "pow", "maximum", "minimum", "mse_loss", "matmul", "cat", "stack"}

#: What a gradient is tested with, where PyTorch's own is an accident otherwise.
DEFINED = {
    "local_response_norm": (np.nan,),  # inf: autograd through x / d^beta makes inf * 0 of a gradient whose limit is 0
    "var": (np.nan,),  # inf: x - mean is infinite for every x, and the order of products decides over inf or NaN
    "unbiased_var": (np.nan,),
    "relu6": (np.inf, -np.inf),  # NaN: PyTorch's vector loop stops the gradient, its scalar loop passes it on
}


def sprinkled(array: np.ndarray, special: tuple, share: float, rng: np.random.Generator) -> np.ndarray:
    """The array, strides and all, with about ``share`` of its elements made NaN or infinite."""
    array[...] = np.where(rng.random(array.shape) < share, rng.choice(special, array.shape), array)
    return array


def run(name: str, room: str, special: tuple, gradients: bool) -> None:
    def one(draw):
        ours, theirs, arrays = CASES[name](draw)
        for i in range(len(arrays) if name in TWO_SIDED else 1):
            arrays[i] = sprinkled(arrays[i], special, draw.of(0.05, 0.3, 1.0), draw.rng)
        assert_same_calls(ours, theirs, arrays, draw.rng, gradients)

    with mc.use_room(room):
        drawn(one, 20 if room == "cpu" else 10)


@pytest.mark.parametrize("room", ["cpu", "plain"])
@pytest.mark.parametrize("name", CASES)
def test_forward(name, room):
    """Protects diverging runs from looking healthy: NaN and infinity come out where PyTorch has them, unannounced."""
    run(name, room, ALL, gradients=False)


@pytest.mark.parametrize("room", ["cpu", "plain"])
@pytest.mark.parametrize("name", CASES)
def test_backward(name, room):
    """Protects gradients from losing (or inventing) NaN and infinity, where PyTorch's are no accident."""
    run(name, room, DEFINED.get(name, ALL), gradients=True)
