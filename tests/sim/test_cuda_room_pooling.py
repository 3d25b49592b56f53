"""Pooling in the cuda room where images are unusual: ties, NaN, windows without pixels, any number of channels."""

from __future__ import annotations

import numpy as np
import pytest
from against_plain import assert_as_plain
from device_arrays import run_on_device

from minicnn.kernels.cuda import pooling

NOTHING = (0, 0, 0, 0)


def test_first_of_equal_pixels_wins(xp):
    """Also where all are equal, also -1 beside padding: a padding of zeros would win there."""
    x = np.full((1, 1, 3, 3), -1.0)
    y, index = assert_as_plain(xp, "max_pool2d", (x, (3, 3), (1, 1), (1, 1, 1, 1), (1, 1), (3, 3)))
    assert (y == -1).all()
    assert index[0, 0, 0, 0] == 4 and index[0, 0, 1, 1] == 0  # the corner sees its image from the middle of the window


def test_last_nan_of_a_window_wins(xp):
    """PyTorch's rule, and nothing is larger than NaN."""
    x = np.array([1.0, np.nan, np.inf, np.nan, 3.0, 5.0]).reshape(1, 1, 1, 6)
    y, index = assert_as_plain(xp, "max_pool2d", (x, (1, 5), (1, 1), NOTHING, (1, 1), (1, 2)))
    assert np.isnan(y).all() and index.ravel().tolist() == [3, 2]


def test_pixels_of_minus_infinity_beat_the_padding(xp):
    """The index must name a pixel of the image, or the gradient would go nowhere."""
    x = np.full((2, 3, 2, 3), -np.inf, np.float32)
    y, index = assert_as_plain(xp, "max_pool2d", (x, (2, 2), (2, 2), (1, 0, 1, 0), (1, 1), (1, 2)))
    assert (y == -np.inf).all() and index[0, 0].tolist() == [[3, 2]]


def test_windows_without_pixels(xp):
    """A window in the padding alone: -infinity and -1, and its gradient reaches no pixel."""
    x = np.arange(4.0).reshape(1, 1, 2, 2)
    options = ((1, 1), (2, 2), (0, 1, 0, 1), (1, 1))
    y, index = assert_as_plain(xp, "max_pool2d", (x, *options, (2, 2)))
    assert y.ravel().tolist() == [0, -np.inf, -np.inf, -np.inf] and index.ravel().tolist() == [0, -1, -1, -1]
    (dx,) = assert_as_plain(xp, "max_pool2d_backward", (np.ones((1, 1, 2, 2)), index, (2, 2), *options))
    assert dx.sum() == 1


@pytest.mark.parametrize("channels", [1, 31, 32, 33, 70])
@pytest.mark.parametrize("n", [0, 3])
def test_pooling_of_any_number_of_channels(xp, rng, channels, n):
    """Warps that hold several pixels, and channels that fill no whole number of warps; H and W differ."""
    x = rng.standard_normal((n, channels, 7, 5))
    pool, ceil = ((3, 2), (2, 2), (1, 1, 0, 1)), (4, 3)
    _, index = assert_as_plain(xp, "max_pool2d", (x, *pool, (1, 1), ceil))
    grad = rng.standard_normal(index.shape)
    assert_as_plain(xp, "max_pool2d_backward", (grad, index, (7, 5), *pool, (1, 1)))
    for count_include_pad in (True, False):
        assert_as_plain(xp, "avg_pool2d", (x, *pool, ceil, count_include_pad))
        assert_as_plain(xp, "avg_pool2d_backward", (grad, (7, 5), *pool, count_include_pad))
    assert_as_plain(xp, "adaptive_avg_pool2d", (x, (3, 7)))
    assert_as_plain(xp, "adaptive_avg_pool2d_backward", (grad, (7, 5)))


def test_means_of_many_pixels_keep_their_digits(xp):
    """A float32 sum of 60,000 values near 100 would be off in the fourth digit."""
    x = np.random.default_rng(0).uniform(100, 101, (1, 2, 300, 200)).astype(np.float32)
    exact = x.astype(np.float64).mean((2, 3))
    for name, options in (
        ("adaptive_avg_pool2d", ((1, 1),)),
        ("avg_pool2d", ((300, 200), (1, 1), NOTHING, (1, 1), True)),
    ):
        (y,) = run_on_device(xp, name, (x, *options))
        np.testing.assert_allclose(y[:, :, 0, 0], exact, rtol=1e-7)


@pytest.mark.parametrize("grad_size, fits", [(3, True), (4, True), (2, False), (5, False)])
def test_pooling_gradient_has_a_pooled_size(xp, grad_size, fits):
    """7 pixels under 2x2 windows are 3, or 4 with ceil_mode; any other gradient belongs to another image."""
    grad, index = np.ones((1, 1, grad_size, grad_size)), np.zeros((1, 1, grad_size, grad_size), np.int32)
    pool = ((7, 7), (2, 2), (2, 2), NOTHING)
    for name, args in (
        ("max_pool2d_backward", (grad, index, *pool, (1, 1))),
        ("avg_pool2d_backward", (grad, *pool, True)),
    ):
        if fits:
            assert_as_plain(xp, name, args)
        else:
            with pytest.raises(ValueError, match="pooled"):
                run_on_device(xp, name, args)


def test_sizes_beyond_an_int_are_refused_by_name(xp):
    """Inside an image the kernels count with ints; too much is said before it is allocated or launched."""
    x = xp.ones((1, 1, 1, 1), np.float32)
    with pytest.raises(ValueError, match="adaptive_avg_pool2d: 1 pixels along one side and 1073741824 windows"):
        pooling.adaptive_avg_pool2d(x, (1, 2**30))
    with pytest.raises(ValueError, match="adaptive_avg_pool2d_backward: 1073741824 pixels .* and 1 windows"):
        pooling.adaptive_avg_pool2d_backward(x, (2**30, 1))
    with pytest.raises(ValueError, match=r"avg_pool2d in pooling.cu, parameter per_image: 2147483648 does not fit int"):
        pooling.AVG((x, x, 1, 2**31, *(1,) * 14), threads=1)
