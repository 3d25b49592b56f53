"""Max, average and adaptive average pooling against torch.nn.functional's."""

from __future__ import annotations

import pytest

import minicnn as mc
from minicnn import functional as F

from .cases import CASES
from .helpers import assert_close, assert_same_calls, drawn, drawn_configurations

torch = pytest.importorskip("torch")

CONFIGURATIONS = {"max_pool2d": 220, "avg_pool2d": 180, "adaptive_avg_pool2d": 100}


@pytest.mark.parametrize("room", ["cpu", "plain"])
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_drawn_poolings(name, room):
    """Protects output sizes, values and gradients of every drawn window, ceil mode, padding and memory layout."""
    with mc.use_room(room):
        drawn_configurations(CASES[name], CONFIGURATIONS[name] if room == "cpu" else 30)


@pytest.mark.parametrize("room", ["cpu", "plain"])
def test_ties_go_to_the_first_maximum(room):
    """Protects max pooling's choice among equal values: row by row the first, as PyTorch's, also beside the padding."""

    def one(draw):
        ours, theirs, (x,) = CASES["max_pool2d"](draw)
        x[...] = draw.rng.integers(-1, 1, x.shape)  # few values: almost every window has ties
        assert_same_calls(ours, theirs, [x], draw.rng)

    with mc.use_room(room):
        drawn(one, 60)


def test_stride_defaults_to_the_window(rng):
    """Protects the default stride, and a window of one number."""
    x = rng.standard_normal((2, 3, 7, 8))
    for name in ("max_pool2d", "avg_pool2d"):
        ours, theirs = getattr(F, name)(mc.tensor(x), 3), getattr(torch.nn.functional, name)(torch.tensor(x), 3)
        assert_close(ours.data, theirs, name)
