"""The cuda room's other kernels against the plain room: what holds for every one of them."""

from __future__ import annotations

import numpy as np
import pytest
from against_plain import plain
from device_arrays import moved, run_on_device
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_cpu_room import examples, resized
from test_kernels_agree import CASES, Draw, assert_agree, call

from minicnn.kernels import KERNELS
from minicnn.kernels.cuda import launcher
from minicnn.kernels.layout import IMAGE, STATISTIC

FILES = ("pooling", "batch_norm", "lrn", "relu", "cross_entropy", "dropout", "update")
NAMES = [name for name, kernel in KERNELS.items() if kernel.file in FILES]
SEVERAL = [name for name in NAMES if len(KERNELS[name].roles) > 1]
ORDINARY = settings(max_examples=40, deadline=None, derandomize=True, database=None, suppress_health_check=HealthCheck)
FEW = settings(ORDINARY, max_examples=8)  # in check mode every access of every thread is looked at


def compare(xp, name: str, draw: Draw) -> None:
    """One drawn call, with blocks and grids that do not divide the work, against plain."""
    args = tuple(CASES[name](draw))
    expected = call(name, "plain", args)
    with launcher.launched_with(block=draw.of(32, 96, 256, 1024), blocks=draw.of(None, 1, 3)):
        assert_agree(name, run_on_device(xp, name, args), expected, draw.dtype)


@pytest.mark.parametrize("name", NAMES)
def test_agrees_with_plain(xp, name):
    """Odd, non-square shapes, ties, empty batches; both dtypes; any layout and geometry."""

    @ORDINARY
    @given(st.data())
    def agree(data):
        compare(xp, name, Draw(data))

    agree()


@pytest.mark.parametrize("name", NAMES)
def test_checker_finds_nothing(xp, name, checked):
    """No race, no access outside, nothing read before it is written: on any drawn shape and geometry."""

    @FEW
    @given(st.data())
    def agree(data):
        compare(xp, name, Draw(data))

    agree()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", NAMES)
def test_nan_and_infinity_spread_as_in_plain(xp, name, value):
    """They stay in their window, channel or row, and no comparison or guard loses one."""
    args = examples()[name]
    for position, array in enumerate(args):
        if isinstance(array, np.ndarray) and array.dtype.kind == "f":
            poisoned = array.copy()
            poisoned.flat[[0, array.size // 2]] = value
            changed = (*args[:position], poisoned, *args[position + 1 :])
            for got, want in zip(run_on_device(xp, name, changed), plain(name, changed), strict=True):
                np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-10, err_msg=f"{name}, argument {position}")


@pytest.mark.parametrize("name", SEVERAL)
def test_wrong_shapes_raise(xp, name):
    """A kernel does not look before it reads: what does not fit is refused, or computed as plain computes it."""
    args = examples()[name]
    refused = set()
    for position in range(len(KERNELS[name].roles)):
        for axis in range(args[position].ndim):
            for array in resized(args[position], axis):
                changed = (*args[:position], array, *args[position + 1 :])
                try:
                    results = run_on_device(xp, name, changed)
                except (ValueError, IndexError):  # IndexError: a label that is no class
                    refused.add(position)
                    continue
                for got, want in zip(results, plain(name, changed), strict=True):
                    np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-10)
    assert refused == set(range(len(KERNELS[name].roles)))


@pytest.mark.parametrize("name", SEVERAL)
def test_wrong_types_raise(xp, name):
    """Only statistics may differ in dtype: float64 beside float32 is refused."""
    args = examples(np.float32)[name]
    floating = [i for i, a in enumerate(args) if isinstance(a, np.ndarray) and a.dtype == np.float32]
    for position in floating if len(floating) > 1 else ():
        changed = (*args[:position], args[position].astype(np.float64), *args[position + 1 :])
        with pytest.raises(TypeError, match="float64"):
            run_on_device(xp, name, changed)


@pytest.mark.parametrize("name", NAMES)
def test_results_repeat_with_any_grid(xp, name):
    """Who computes a number follows from the shape alone, and sums have one order: the bits are always the same."""
    args = examples(np.float32, size=10, c=8, n=3)[name]
    once = run_on_device(xp, name, args)
    with launcher.launched_with(block=32, blocks=2):
        again = run_on_device(xp, name, args)
    for a, b in zip(once, again, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", [name for name in NAMES if STATISTIC in KERNELS[name].roles])
def test_statistics_may_be_float32(xp, name):
    """Running statistics loaded from a file are float32; then plain computes with them as they are."""
    args = examples(np.float32)[name]
    args = tuple(a.astype(np.float32) if isinstance(a, np.ndarray) else a for a in args)
    for got, want in zip(run_on_device(xp, name, args), plain(name, args), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", [name for name in NAMES if IMAGE in KERNELS[name].results])
def test_images_come_out_channels_last(xp, name):
    """The next layer reads channels-last; a result in another order would be copied there each time."""
    results = KERNELS[name](*moved(xp, examples()[name]))
    for result in results if isinstance(results, tuple) else (results,):
        if result.ndim == 4:
            assert result.transpose(0, 2, 3, 1).flags.c_contiguous
