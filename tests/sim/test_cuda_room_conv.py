"""The cuda room's convolutions and products against the plain room: drawn shapes, several launch geometries."""

from __future__ import annotations

from unittest import mock

import numpy as np
import pytest
from device_arrays import moved, on_device, run_on_device
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_cpu_room import depthwise as as_depthwise
from test_cpu_room import examples, resized
from test_kernels_agree import CASES, Draw, assert_agree, call

from minicnn import kernels
from minicnn.kernels import KERNELS
from minicnn.kernels.cuda import conv, depthwise, gemm, im2col, launcher

NAMES = ("im2col", "col2im", "matmul", "conv2d", "conv2d_input_grad", "conv2d_weight_grad")
CONVOLUTIONS = NAMES[3:]
DEPTHWISE = tuple(f"{name} depthwise" for name in CONVOLUTIONS)
ORDINARY = settings(max_examples=80, deadline=None, derandomize=True, database=None, suppress_health_check=HealthCheck)
FEW = settings(ORDINARY, max_examples=25)  # in check mode every access of every thread is looked at


class DepthwiseDraw(Draw):
    """Of the convolutions that ``test_kernels_agree`` draws, only depthwise ones: kernels of their own here."""

    def of(self, *values):
        if isinstance(values[-1], str) and values[-1] == "depthwise":
            return "depthwise"
        if values == (1, 1, 2, 3):  # groups
            values = (2, 3, 33)  # 33: more than the 32 channels of one block
        elif values == (1, 2, 3, 128):  # filters for each channel
            values = (1, 1, 2, 3)
        return super().of(*values)


def drawn(name: str, data) -> tuple[str, Draw]:
    """``"conv2d depthwise"`` -> the kernel's name and what draws its arguments."""
    name, _, variant = name.partition(" ")
    return name, (DepthwiseDraw if variant else Draw)(data)


def compare(xp, name: str, draw: Draw) -> None:
    """One drawn call, with blocks, grids and shares that do not divide the work, against plain."""
    args = tuple(CASES[name](draw))
    expected = call(name, "plain", args)
    geometry = launcher.launched_with(block=draw.of(32, 32, 96, 256, 1024), blocks=draw.of(None, 1, 1, 3))
    with geometry, mock.patch.object(depthwise, "ROWS_PER_SHARE", draw.of(1, 5, 32)):
        assert_agree(name, run_on_device(xp, name, args), expected, draw.dtype)


@pytest.mark.parametrize("name", [*NAMES, *DEPTHWISE])
def test_agrees_with_plain(xp, name):
    """Odd, non-square shapes; strides, dilation, padding on one side, groups; both dtypes; any layout and geometry."""

    @ORDINARY
    @given(st.data())
    def agree(data):
        compare(xp, *drawn(name, data))

    agree()


@pytest.mark.parametrize("name", [*NAMES, *DEPTHWISE])
def test_checker_finds_nothing(xp, name, checked):
    """No race, no access outside, nothing read before it is written: on any drawn shape and geometry."""

    @FEW
    @given(st.data())
    def agree(data):
        compare(xp, *drawn(name, data))

    agree()


SLIPS = {  # what students get wrong, and what the checker calls it
    "a border one too far": ("im2col.cu", "iw < w", "iw <= w", "out of bounds"),
    "a guard forgotten": ("im2col.cu", "size = rows * channels", "size = rows * channels + 1", "out of bounds"),
    "a barrier forgotten": ("depthwise.cu", "__syncthreads();", "", "race"),
    "a result not written": (
        "depthwise.cu",
        "threadIdx.y == 0 && o < outputs",
        "threadIdx.y == 0 && o < outputs - 1",
        "uninitialised",
    ),
}


@pytest.mark.parametrize("slip", SLIPS)
def test_checker_finds_slips(xp, rng, checked, slip):
    """That the checker finds nothing in the room's own kernels means something only if it finds what is there."""
    from minicnn.kernels import sim

    file, right, wrong, kind = SLIPS[slip]
    text = launcher.source(file)
    assert right in text
    x, y = rng.standard_normal((2, 2, 4, 5, 3))
    window = (3, 3), (1, 1), (1, 1, 1, 1), (1, 1)
    name, args = ("im2col", (x, *window)) if file == "im2col.cu" else ("conv2d_weight_grad", (y, x, *window, 4))
    run_on_device(xp, name, args)
    with launcher.replaced(file, text.replace(right, wrong)), pytest.raises(sim.KernelFault) as caught:
        run_on_device(xp, name, args)
    assert caught.value.kind == kind and caught.value.file == file
    assert 0 < caught.value.line <= text.count("\n")


def plain(name: str, args: tuple) -> list[np.ndarray]:
    with np.errstate(all="ignore"):
        return call(name, "plain", args)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", [*NAMES, *DEPTHWISE])
def test_nan_and_infinity_spread_as_in_plain(xp, name, value):
    """Zeros of the padding are multiplied where the definition multiplies them, and nowhere else."""
    name, _, variant = name.partition(" ")
    args = as_depthwise(examples()[name]) if variant else examples()[name]
    for position, array in enumerate(args):
        if isinstance(array, np.ndarray) and array.dtype.kind == "f":
            poisoned = array.copy()
            poisoned.flat[[0, array.size // 2]] = value
            changed = (*args[:position], poisoned, *args[position + 1 :])
            with np.errstate(all="ignore"):
                results = run_on_device(xp, name, changed)
            for got, want in zip(results, plain(name, changed), strict=True):
                np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-10, err_msg=f"{name}, argument {position}")


@pytest.mark.parametrize("name", NAMES)
def test_wrong_shapes_raise(xp, name):
    """A kernel does not look before it reads: what does not fit is refused, or computed as plain computes it."""
    args = examples()[name]
    for position in range(len(KERNELS[name].roles)):
        for axis in range(args[position].ndim):
            for array in resized(args[position], axis):
                changed = (*args[:position], array, *args[position + 1 :])
                try:
                    results = run_on_device(xp, name, changed)
                except ValueError:
                    continue
                for got, want in zip(results, call(name, "plain", changed), strict=True):
                    np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-10)


GEOMETRY = ((2, 1), (1, 0, 2, 1), (1, 2))  # stride, padding, dilation


@pytest.mark.parametrize("groups", [1, 2, 6])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_columns_are_made_for_a_few_images_at_a_time(xp, rng, monkeypatch, name, groups):
    """With a bound that one image's columns exceed, every image is a part of its own and nothing else changes."""
    x, w = rng.standard_normal((5, 6, 9, 7)), rng.standard_normal((12, 6 // groups, 3, 2))
    y = plain("conv2d", (x, w, None, *GEOMETRY, groups))[0]
    args = {
        "conv2d": (x, w, rng.standard_normal(12), *GEOMETRY, groups),
        "conv2d_input_grad": (y, w, (9, 7), *GEOMETRY, groups),
        "conv2d_weight_grad": (y, x, (3, 2), *GEOMETRY, groups),
    }[name]
    (whole,) = run_on_device(xp, name, args)
    monkeypatch.setattr(conv, "COLUMN_BYTES", 1)
    (in_parts,) = run_on_device(xp, name, args)
    np.testing.assert_allclose(in_parts, whole, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(in_parts, plain(name, args)[0], rtol=1e-10, atol=1e-12)


def test_column_memory_stays_within_its_bound():
    """Parts are as many images as fit the bound, and one where not even one fits."""

    def parts(shape, kernel_size, padding, groups):
        window = conv.Window.over(shape, kernel_size, (1, 1), padding, (1, 1))
        return [part.n for _, part in conv._parts(window, groups, 4)]

    most = conv.COLUMN_BYTES // (32 * 32 * 9 * 64 * 4)
    assert parts((100, 32, 32, 64), (3, 3), (1, 1, 1, 1), 1) == [most] * (100 // most) + [100 % most]
    assert parts((2, 4096, 4096, 64), (3, 3), (1, 1, 1, 1), 1) == [1, 1]
    pointwise = (1024, 256, 256, 2), (1, 1), (0, 0, 0, 0)
    assert parts(*pointwise, 1) == [1024], "no columns, no bound"
    assert parts(*pointwise, 2) == [512, 512], "groups need columns"
    assert parts((2**17, 256, 256, 1), (1, 1), (0, 0, 0, 0), 1)[0] == 2**15 - 1, "cuBLAS counts rows with ints"


def test_products_that_cublas_cannot_count_are_refused(xp, monkeypatch):
    """CuPy would cut a size over 2**31 - 1 to 32 bits without a word."""
    monkeypatch.setattr(gemm, "MOST", 3)
    a, b = xp.ones((1, 2, 4)), xp.ones((1, 4, 2))
    with pytest.raises(ValueError, match=r"\(1, 2, 4\) @ \(1, 4, 2\), but cuBLAS takes sizes up to 3; cut"):
        kernels.matmul(a, b, False, False)


def test_results_do_not_depend_on_the_grid(xp, rng):
    """Every number has one thread that sums it in one order: any block size gives the same bits."""
    x, y = rng.standard_normal((2, 2, 8, 8, 9)).astype(np.float32)
    w, full, bias = (rng.standard_normal(s).astype(np.float32) for s in ((8, 1, 3, 3), (8, 8, 3, 3), (8,)))
    same = ((1, 1), (1, 1, 1, 1), (1, 1))
    for name, args in (
        ("conv2d", (x, full, bias, *same, 1)),
        ("conv2d_input_grad", (y, full, (8, 9), *same, 1)),
        ("conv2d", (x, w, bias, *same, 8)),
        ("conv2d_input_grad", (y, w, (8, 9), *same, 8)),
        ("conv2d_weight_grad", (y, x, (3, 3), *same, 8)),
    ):
        (once,) = run_on_device(xp, name, args)
        with launcher.launched_with(block=32, blocks=2):
            (again,) = run_on_device(xp, name, args)
        np.testing.assert_array_equal(once, again)


def test_long_sums_keep_their_digits(xp):
    """A depthwise weight's gradient sums over all pixels; in float32 throughout it would lose digits."""
    x = np.random.default_rng(0).uniform(100, 101, (2, 2, 300, 200)).astype(np.float32)
    ones = np.ones_like(x)
    (dw,) = run_on_device(xp, "conv2d_weight_grad", (ones, x, (1, 1), (1, 1), (0, 0, 0, 0), (1, 1), 2))
    np.testing.assert_allclose(dw[:, 0, 0, 0], x.astype(np.float64).sum((0, 2, 3)), rtol=1e-6)


def test_images_beyond_an_int_are_refused_by_name(xp):
    """One image of 2**31 numbers: the kernels count inside an image with ints, and the message says which one."""
    x = xp.zeros((1, 2, 2, 1), np.float32)
    window = im2col.Window.over((1, 2**16, 2**15, 1), (1, 1), (1, 1), (0, 0, 0, 0), (1, 1))
    with pytest.raises(ValueError, match=r"im2col.cu, parameter per_image: 2147483648 does not fit int"):
        im2col.images_of(x, x, window, 1)


def test_a_kernel_that_does_not_fit_the_image_is_refused(xp):
    """Without output pixels there is nothing to launch; the message holds all the sizes."""
    x, w = moved(xp, (np.ones((1, 1, 2, 2)), np.ones((1, 1, 5, 5))))
    with pytest.raises(ValueError, match=r"kernel of \(5, 5\).*image of \(2, 2\)"):
        kernels.conv2d(x, w, None, (1, 1), (0, 0, 0, 0), (1, 1), 1)


def test_im2col_of_a_pointwise_convolution_is_not_made(xp, rng, monkeypatch):
    """A 1x1 convolution multiplies the pixels where they lie: no columns, in none of the three directions."""
    monkeypatch.setattr(conv, "columns_of", None)
    monkeypatch.setattr(conv, "images_of", None)
    x, w, y = rng.standard_normal((2, 3, 5, 4)), rng.standard_normal((7, 3, 1, 1)), rng.standard_normal((2, 7, 5, 4))
    simple = ((1, 1), (0, 0, 0, 0), (1, 1))
    for name, args in (
        ("conv2d", (x, w, None, *simple, 1)),
        ("conv2d_input_grad", (y, w, (5, 4), *simple, 1)),
        ("conv2d_weight_grad", (y, x, (1, 1), *simple, 1)),
    ):
        assert_agree(name, run_on_device(xp, name, args), plain(name, args), np.dtype(np.float64))


def test_results_are_channels_last(xp, rng):
    """The next layer reads channels-last; a result in another order would be copied there each time."""
    x, w = on_device(xp, rng.standard_normal((2, 4, 6, 5))), on_device(xp, rng.standard_normal((6, 2, 3, 3)))
    for groups, weight in ((2, w), (1, on_device(xp, rng.standard_normal((6, 4, 3, 3))))):
        y = kernels.conv2d(x, weight, None, (1, 1), (1, 1, 1, 1), (1, 1), groups)
        assert y.transpose(0, 2, 3, 1).flags.c_contiguous
