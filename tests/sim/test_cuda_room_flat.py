"""Cross-entropy, dropout and updates in the cuda room: labels, random bits, and arrays that begin anywhere."""

from __future__ import annotations

import numpy as np
import pytest
from against_plain import assert_as_plain
from device_arrays import run_on_device

from minicnn.kernels import KERNELS
from minicnn.kernels.plain.dropout import philox


@pytest.mark.parametrize("classes", [1, 31, 32, 33, 100])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_of_any_number_of_classes(xp, rng, classes, smoothing):
    """Less than a warp, just one, more; labels of any kind of whole number, negative ones from the end."""
    logits = 50 * rng.standard_normal((5, classes))
    for labels in (rng.integers(0, classes, 5), rng.integers(-classes, classes, 5).astype(np.int32)):
        _, p = assert_as_plain(xp, "softmax_cross_entropy", (logits, labels, smoothing))
        grad = rng.standard_normal(5)
        assert_as_plain(xp, "softmax_cross_entropy_backward", (grad, p, labels, smoothing))


def test_cross_entropy_of_impossible_classes(xp):
    """Logits of -infinity are classes masked out: the loss of another class stays finite. A row of them is NaN."""
    logits = np.array([[1.0, -np.inf, 2.0], [-np.inf] * 3, [np.inf, 0.0, 0.0]])
    loss, p = assert_as_plain(xp, "softmax_cross_entropy", (logits, np.array([2, 0, 1]), 0.0))
    assert np.isfinite(loss[0]) and p[0, 1] == 0 and np.isnan(loss[1:]).all()


@pytest.mark.parametrize("place", [0, 1, 31, 32, 69])
def test_cross_entropy_subtracts_the_largest_logit(xp, place):
    """Wherever it stands in the row: exp(1000) is infinite, and the loss would be NaN."""
    logits = np.linspace(-1, 1, 70)[None].repeat(2, 0)
    logits[0, place] = 1000
    loss, p = assert_as_plain(xp, "softmax_cross_entropy", (logits, np.array([5, 5]), 0.1))
    assert np.isfinite(loss).all() and p[0, place] == 1


@pytest.mark.parametrize("label", [7, -8])
def test_labels_out_of_range_raise(xp, label):
    """A label beyond the classes would read beyond the row; labels that are no whole numbers name no class."""
    labels, p = np.array([0, label]), np.full((2, 7), 1 / 7)
    for name, leading in (("softmax_cross_entropy", ()), ("softmax_cross_entropy_backward", (np.ones(2),))):
        with pytest.raises(IndexError, match="7 classes"):
            run_on_device(xp, name, (*leading, p, labels, 0.0))
        with pytest.raises(TypeError, match="whole numbers"):
            run_on_device(xp, name, (*leading, p, labels.astype(float), 0.0))


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 127, 1000])
@pytest.mark.parametrize("seed, offset", [(0, 0), (2**64 - 1, 2**33 + 5), (2**32, 1)])
def test_dropout_makes_the_same_bits_as_plain(xp, size, seed, offset):
    """The last block of four may be cut short; seed and offset have 64 bits, of which none may be lost."""
    for p in (0.0, 0.3, 1.0):
        assert_as_plain(xp, "dropout", (np.ones(size, np.float32), p, seed, offset), rtol=0)


def test_dropout_keeps_a_number_at_the_threshold(xp):
    """Random numbers below p * 2**32 drop; the one that equals it keeps, in every room."""
    number = int(philox(1, 3, 4)[0])
    (kept,) = assert_as_plain(xp, "dropout", (np.ones(1), number / 2**32, 3, 4), rtol=1e-15)
    (dropped,) = assert_as_plain(xp, "dropout", (np.ones(1), (number + 1) / 2**32, 3, 4))
    assert kept[0] > 1 and dropped[0] == 0


def test_dropout_counts_channels_last(xp, rng):
    """The position of a number is that in memory, in every room, or the same seed would drop others."""
    assert_as_plain(xp, "dropout", (rng.standard_normal((2, 3, 5, 7)), 0.5, 1, 2), rtol=0)


def test_dropout_keeps_nan(xp):
    """NaN * 0 is NaN: a run that has gone wrong must not look healthy half of the time."""
    (y,) = assert_as_plain(xp, "dropout", (np.full(64, np.nan), 0.5, 1, 2))
    assert np.isnan(y).all()


def test_arrays_that_begin_in_the_middle_of_memory(xp, rng):
    """A slice begins at an address that is no multiple of 16 bytes; kernels that read float4 would fail there."""
    x = rng.standard_normal(38).astype(np.float32)
    whole = xp.asarray(x)
    got = KERNELS["dropout"](whole[1:], 0.5, 1, 2).get()
    np.testing.assert_array_equal(got, KERNELS["dropout"].function("plain")(x[1:], 0.5, 1, 2))
    KERNELS["sgd_update"](whole[1:], whole[1:], None, 0.5, 0.0, 0.0, False)
    np.testing.assert_array_equal(whole.get(), np.concatenate([x[:1], x[1:] / 2]))


def test_no_weight_decay_multiplies_nothing(xp):
    """0 * infinity would make NaN of a parameter that has overflowed."""
    param, grad = np.array([np.inf, 1.0]), np.ones(2)
    for name, rest in (
        ("sgd_update", (None, 0.1, 0.0, 0.0, False)),
        ("sgd_update", (np.ones(2), 0.1, 0.9, 0.0, True)),
        ("adam_update", (np.ones(2), np.ones(2), 0.1, 0.9, 0.99, 1e-8, 0.0, 3, False)),
        ("rmsprop_update", (np.ones(2), None, None, 0.1, 0.9, 1e-8, 0.0, 0.0, False)),
    ):
        updated, *_ = assert_as_plain(xp, name, (param.copy(), grad, *rest))
        assert updated[0] == np.inf
