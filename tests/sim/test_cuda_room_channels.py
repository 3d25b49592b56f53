"""Batch normalisation and LRN in the cuda room: any number of channels and shares, and sums that keep their digits."""

from __future__ import annotations

import numpy as np
import pytest
from against_plain import assert_as_plain
from device_arrays import run_on_device

from minicnn.kernels.cuda import batch_norm


@pytest.mark.parametrize("pixels_per_thread, most_shares", [(1, 1024), (1, 3), (128, 1024)])
@pytest.mark.parametrize("channels", [1, 2, 3, 5, 16, 17, 32, 33, 48, 100])
def test_sums_of_any_number_of_channels_and_shares(xp, rng, monkeypatch, channels, pixels_per_thread, most_shares):
    """Lanes without a channel, several blocks of channels, one share or many: the same sums."""
    monkeypatch.setattr(batch_norm, "PIXELS_PER_THREAD", pixels_per_thread)
    monkeypatch.setattr(batch_norm, "MOST_SHARES", most_shares)
    x, grad = rng.standard_normal((3, channels, 17, 13)), rng.standard_normal((3, channels, 17, 13))
    mean, var, weight = rng.standard_normal(channels), rng.random(channels) + 0.1, rng.standard_normal(channels)
    cut = batch_norm.Cut(3 * 17 * 13, channels)
    assert cut.groups * cut.lanes >= channels and cut.shares <= most_shares
    assert (cut.shares > 1) == (pixels_per_thread == 1)
    assert_as_plain(xp, "channel_sum", (x,))
    assert_as_plain(xp, "channel_stats", (x,))
    assert_as_plain(xp, "batch_norm", (x, mean, var, weight, weight, 1e-5))
    for training in (True, False):
        assert_as_plain(xp, "batch_norm_backward", (grad, x, mean, var, weight, 1e-5, training))


@pytest.mark.parametrize("channels", [1, 4, 33])
def test_checker_finds_nothing_in_sums_of_several_shares(xp, rng, monkeypatch, checked, channels):
    """Drawn shapes are too small for more than one share; here every block writes its own row of sums."""
    monkeypatch.setattr(batch_norm, "PIXELS_PER_THREAD", 1)
    x = rng.standard_normal((2, channels, 17, 11)).astype(np.float32)
    mean, var = assert_as_plain(xp, "channel_stats", (x,), rtol=1e-6)
    weight = rng.standard_normal(channels).astype(np.float32)
    assert_as_plain(xp, "channel_sum", (x,), rtol=1e-5)
    assert_as_plain(xp, "batch_norm_backward", (x, x, mean, var, weight, 1e-5, True), rtol=1e-4)


def test_number_of_shares_follows_from_the_shape():
    """Enough blocks to fill a GPU, but not so many that adding up their sums becomes the work."""
    assert batch_norm.Cut(128 * 56 * 56, 64).shares == 1024
    assert batch_norm.Cut(128 * 7 * 7, 2048).shares == 25
    assert batch_norm.Cut(0, 3).shares == 1
    assert [batch_norm.Cut(9, c).lanes for c in (1, 2, 3, 16, 17, 32, 33)] == [1, 2, 4, 16, 32, 32, 32]


def test_float32_sums_keep_their_digits(xp):
    """Values near 100, many of them: summed in float32 the variance loses its digits."""
    x = np.random.default_rng(0).uniform(100, 101, (4, 60, 50, 40)).astype(np.float32).transpose(0, 3, 1, 2)
    exact, ones = x.astype(np.float64), np.ones(40, np.float32)
    var = exact.var((0, 2, 3))
    got_mean, got_var = run_on_device(xp, "channel_stats", (x,))
    (total,) = run_on_device(xp, "channel_sum", (x,))
    _, dweight, dbias = run_on_device(xp, "batch_norm_backward", (x, x, got_mean, got_var, ones, 1e-5, True))
    np.testing.assert_allclose(got_mean, exact.mean((0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(got_var, var, rtol=1e-9)
    np.testing.assert_allclose(total, exact.sum((0, 2, 3)), rtol=1e-7)
    np.testing.assert_allclose(dbias, exact.sum((0, 2, 3)), rtol=1e-7)
    np.testing.assert_allclose(dweight, 4 * 60 * 50 * var / np.sqrt(var + 1e-5), rtol=1e-6)


def test_variance_far_from_zero(xp, rng):
    """E[x^2] - E[x]^2 at 1e8 has an error of about 1, the size of the variance itself."""
    x = 1e8 + rng.standard_normal((2, 3, 9, 7))
    _, var = run_on_device(xp, "channel_stats", (x,))
    np.testing.assert_allclose(var, x.var((0, 2, 3)), rtol=1e-8)


@pytest.mark.filterwarnings("ignore:Mean of empty slice:RuntimeWarning")
def test_sums_over_no_pixels(xp):
    """An empty batch: sums of zero, a mean of NaN, as in plain."""
    x, vector = np.empty((0, 5, 3, 2)), np.ones(5)
    mean, _ = assert_as_plain(xp, "channel_stats", (x,))
    assert np.isnan(mean).all()
    assert_as_plain(xp, "channel_sum", (x,))
    assert_as_plain(xp, "batch_norm", (x, vector, vector, vector, vector, 1e-5))
    dx, dweight, dbias = run_on_device(xp, "batch_norm_backward", (x, x, vector, vector, vector, 1e-5, True))
    assert dx.shape == x.shape and not dweight.any() and not dbias.any()


# ---- LRN


@pytest.mark.parametrize("size", [1, 2, 5, 40, 1000])
def test_lrn_windows_of_any_size(xp, rng, size):
    """Odd and even windows, and such as are wider than all channels."""
    x, grad = rng.standard_normal((2, 33, 3, 5)), rng.standard_normal((2, 33, 3, 5))
    for beta in (0.75, 0.5):
        assert_as_plain(xp, "local_response_norm", (x, size, 0.3, beta, 1.0))
        assert_as_plain(xp, "local_response_norm_backward", (grad, x, size, 0.3, beta, 1.0))


def test_lrn_forgets_what_has_left_the_window(xp):
    """A running sum would carry the rounding error of 1e8, and NaN for ever, through all later channels."""
    for extreme in (1e8, np.nan, np.inf):
        x = np.ones((1, 40, 1, 2), np.float32)
        x[:, 3] = extreme
        y, *_ = assert_as_plain(xp, "local_response_norm", (x, 5, 1.0, 0.75, 1.0), rtol=1e-6)
        np.testing.assert_allclose(y[0, 6:38], 6**-0.75, rtol=1e-6)
        grad = np.ones_like(x)
        assert_as_plain(xp, "local_response_norm_backward", (grad, x, 5, 1.0, 0.75, 1.0), rtol=1e-6)
