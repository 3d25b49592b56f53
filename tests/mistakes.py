"""What the tests of bad input share: a mistake is a call, the error it gets, and what the message must say."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import minicnn as mc


def case(what: str, call: Callable, error: type[Exception], *says: str):
    """One row of a table of mistakes; the message must hold all of ``says``: the values at fault, what would fit."""
    return pytest.param(call, error, says, id=what.replace(" ", "-"))


def complaint(call: Callable, error: type[Exception], says: tuple[str, ...] = ()) -> mc.MinicnnError:
    """Make the mistake; check the error's type and that its message says all of ``says``."""
    with pytest.raises(error) as caught:
        call()
    assert isinstance(caught.value, mc.MinicnnError), "notebooks and the command line render MinicnnErrors only"
    for words in says:
        assert words in str(caught.value)
    return caught.value


def image(*shape: int) -> mc.Tensor:
    return mc.tensor(np.random.default_rng(0).standard_normal(shape).astype(np.float32))
