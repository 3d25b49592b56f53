"""What the tests of gradcheck share."""

from __future__ import annotations

import numpy as np
import pytest

import minicnn as mc


def draw(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def op(forward, backward):
    """A function of tensors from a forward(*arrays) and a backward(grad, *arrays)."""

    class Planted(mc.Function):
        @staticmethod
        def forward(ctx, *arrays):
            ctx.save_for_backward(*arrays)
            return forward(*arrays)

        @staticmethod
        def backward(ctx, grad):
            return backward(grad, *ctx.saved)

    return Planted.apply


def failure(fn, inputs, **options) -> mc.GradcheckError:
    with pytest.raises(mc.GradcheckError) as caught:
        mc.gradcheck(fn, inputs, **options)
    error = caught.value
    assert error.diagnosis in str(error)
    return error


def pair_failure(forward, backward, arrays) -> mc.GradcheckError:
    with pytest.raises(mc.GradcheckError) as caught:
        mc.gradcheck_pair(forward, backward, arrays)
    return caught.value


def scaled(factor):
    return op(np.sin, lambda grad, x: factor * grad * np.cos(x))
