"""Winograd's convolution equals the definition, within its digits, and is taken when it should be."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minicnn as mc
from minicnn import kernels

winograd = pytest.importorskip("minicnn.kernels.cpu.winograd", reason="the cpu room needs Numba")


def three(x, weight, bias, grad, padding, algorithm, room):
    """The convolution and its two gradients, channels first."""
    geometry = ((1, 1), padding, (1, 1), 1, algorithm)
    with kernels.use_room(room):
        y = kernels.conv2d(x, weight, bias, *geometry)
        if grad is None:
            return (y,)
        dx = kernels.conv2d_input_grad(grad, weight, x.shape[2:], *geometry)
        return y, dx, kernels.conv2d_weight_grad(grad, x, (3, 3), *geometry)


def drawn(rng, n, c, o, h, w, padding):
    size = (h + padding[0] + padding[1] - 2, w + padding[2] + padding[3] - 2)
    shapes = ((n, c, h, w), (o, c, 3, 3), (o,), (n, o, *size))
    return [rng.standard_normal(shape).astype(np.float32) for shape in shapes]


def distance(a, b):
    """|a - b| / |b|, over all numbers"""
    return np.linalg.norm(a.astype(np.float64) - b) / np.linalg.norm(b)


@given(
    n=st.integers(1, 3), c=st.integers(1, 5), o=st.integers(1, 5), h=st.integers(1, 11), w=st.integers(1, 11),
    padding=st.tuples(*[st.integers(0, 2)] * 4), seed=st.integers(0, 99),
)  # fmt: skip
def test_equals_the_definition(n, c, o, h, w, padding, seed):
    """Forward and both gradients, whatever remains at the edges of the tiles: 1e-5 of the norm, against float64."""
    if h + padding[0] + padding[1] < 3 or w + padding[2] + padding[3] < 3:
        return
    arrays = drawn(np.random.default_rng(seed), n, c, o, h, w, padding)
    found = three(*arrays, padding, "winograd", "cpu")
    wanted = three(*(a.astype(np.float64) for a in arrays), padding, "im2col", "plain")
    for got, want in zip(found, wanted, strict=True):
        assert got.dtype == np.float32 and got.shape == want.shape
        assert np.linalg.norm(got - want) <= 1e-5 * np.linalg.norm(want) + 1e-6


@pytest.mark.compiled
@pytest.mark.parametrize(
    ("n", "c", "o", "size"), [(2, 64, 64, 30), (3, 160, 96, 14), (1, 256, 512, 7), (40, 32, 48, 9)]
)
def test_many_channels_and_blocks(rng, n, c, o, size, monkeypatch):
    """The digits hold where sums are long, and where tiles come in several blocks."""
    arrays = drawn(rng, n, c, o, size, size, (1, 1, 1, 1))
    wanted = three(*(a.astype(np.float64) for a in arrays), (1, 1, 1, 1), "im2col", "cpu")
    for block in (8 << 20, 1 << 20):
        monkeypatch.setattr(winograd, "BLOCK_BYTES", block)
        found = three(*arrays, (1, 1, 1, 1), "winograd", "cpu")
        assert max(distance(got, want) for got, want in zip(found, wanted, strict=True)) < 1e-5


def test_one_block_or_many(rng, monkeypatch):
    """Tiles that come in blocks of three give what they give at once."""
    arrays = drawn(rng, 2, 3, 4, 9, 13, (1, 0, 2, 1))
    whole = three(*arrays, (1, 0, 2, 1), "winograd", "cpu")
    monkeypatch.setattr(winograd, "BLOCK_BYTES", 0)
    monkeypatch.setattr(winograd, "FEWEST_TILES", 3)
    for got, want in zip(three(*arrays, (1, 0, 2, 1), "winograd", "cpu"), whole, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)


@pytest.mark.filterwarnings("ignore:invalid value")  # NumPy's, where it computes
@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("where", range(4))
def test_infinities_stay_where_they_are(rng, bad, where):
    """An infinity in a tile would become NaN in all its outputs: such convolutions are done by im2col."""
    arrays = drawn(rng, 2, 3, 4, 7, 9, (1, 1, 1, 1))
    arrays[where].flat[arrays[where].size // 2] = bad
    found = three(*arrays, (1, 1, 1, 1), "winograd", "cpu")
    for got, want in zip(found, three(*arrays, (1, 1, 1, 1), "im2col", "plain"), strict=True):
        np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
        np.testing.assert_array_equal(np.isinf(got), np.isinf(want))


def test_float64_is_always_im2col(rng, monkeypatch):
    """Digits are what float64 is asked for; gradient checks rely on it."""
    arrays = [a.astype(np.float64) for a in drawn(rng, 1, 2, 2, 6, 6, (1, 1, 1, 1))]
    monkeypatch.setattr(winograd, "forward", None)
    monkeypatch.setattr(winograd, "input_grad", None)
    monkeypatch.setattr(winograd, "weight_grad", None)
    for got, want in zip(
        three(*arrays, (1, 1, 1, 1), "winograd", "cpu"), three(*arrays, (1, 1, 1, 1), "im2col", "plain"), strict=True
    ):
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("algorithm", "channels", "taken"),
    [("auto", 64, True), ("auto", 4, False), ("im2col", 64, False), ("winograd", 4, True)],
)
def test_which_algorithm_is_taken(rng, algorithm, channels, taken, monkeypatch):
    """ "auto" goes by the shape alone, and a student's choice counts."""
    calls = []
    for name in ("forward", "input_grad", "weight_grad"):
        monkeypatch.setattr(winograd, name, lambda *args, name=name: calls.append(name))  # None: not finite, go on
    arrays = drawn(rng, 1, channels, channels, 24, 24, (1, 1, 1, 1))
    three(*arrays, (1, 1, 1, 1), algorithm, "cpu")
    assert calls == (["forward", "input_grad", "weight_grad"] if taken else [])


@pytest.mark.parametrize("algorithm", ["winograd", "direct"])
def test_layer_and_its_gradients_pass_the_choice_on(rng, algorithm, monkeypatch):
    """nn.Conv2d(..., algorithm=...) reaches forward and backward."""
    calls, module = [], importlib.import_module(f"minicnn.kernels.cpu.{algorithm}")
    for name in ("forward", "input_grad", "weight_grad"):
        real = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *a, name=name, real=real: calls.append(name) or real(*a))
    layer = mc.nn.Conv2d(2, 3, 3, padding=1, algorithm=algorithm)
    x = mc.tensor(rng.standard_normal((1, 2, 5, 5)).astype(np.float32), requires_grad=True)
    with kernels.use_room("cpu"):
        layer(x).sum().backward()
    assert calls == ["forward", "input_grad", "weight_grad"]
    assert x.grad.shape == x.shape and layer.weight.grad.shape == layer.weight.shape


@pytest.mark.compiled
def test_threads_do_not_change_the_bits(rng):
    """What a task is follows from shapes, so one thread and two add in the same order."""
    arrays = drawn(rng, 9, 24, 40, 21, 18, (1, 1, 1, 1))
    before = kernels.get_num_threads()
    try:
        results = []
        for threads in (1, before):
            kernels.set_num_threads(threads)
            results.append(three(*arrays, (1, 1, 1, 1), "winograd", "cpu"))
    finally:
        kernels.set_num_threads(before)
    for one, many in zip(*results, strict=True):
        np.testing.assert_array_equal(one, many)


def test_empty_batch(rng):
    """No images: no tiles, no division by their number."""
    arrays = drawn(rng, 0, 2, 3, 6, 6, (1, 1, 1, 1))
    y, dx, dw = three(*arrays, (1, 1, 1, 1), "winograd", "cpu")
    assert y.shape == (0, 3, 6, 6) and dx.shape == (0, 2, 6, 6) and not dw.any()
