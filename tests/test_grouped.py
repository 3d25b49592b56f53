"""Grouped convolution with a group in every lane equals the definition, and is taken when it should be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from minicnn import kernels

grouped = pytest.importorskip("minicnn.kernels.cpu.grouped", reason="the cpu room needs Numba")

from minicnn.kernels.cpu import tile  # noqa: E402
from minicnn.kernels.cpu.windows import output_size  # noqa: E402

SAME = ((1, 1), (1, 1, 1, 1), (1, 1))
NONE = np.empty(0, np.float32)


def drawn(rng, n, groups, cg, og, size, kernel_size, geometry, dtype=np.float32):
    """x, weight, bias and the output's gradient, channels last."""
    o = groups * og
    shapes = ((n, *size, groups * cg), (o, *kernel_size, cg), (o,), (n, *output_size(size, kernel_size, *geometry), o))
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def by_lanes(x, weight, bias, grad, geometry, groups):
    """The convolution and its two gradients as grouped.py computes them; None where it leaves one to im2col."""
    y, dx, dw = np.empty_like(grad), np.empty_like(x), np.empty_like(weight)
    grouped.forward(x, weight, bias, y, *geometry, groups)
    done = grouped.input_grad(grad, weight, dx, *geometry, groups)
    grouped.weight_grad(grad, x, dw, *geometry, groups)
    return y, dx if done else None, dw


def by_room(room, x, weight, bias, grad, geometry, groups, algorithm="auto"):
    """The same through the kernels of a room."""
    x, weight, grad = (a.transpose(0, 3, 1, 2) for a in (x, weight, grad))
    with kernels.use_room(room):
        three = (
            kernels.conv2d(x, weight, bias if bias.size else None, *geometry, groups, algorithm),
            kernels.conv2d_input_grad(grad, weight, x.shape[2:], *geometry, groups, algorithm),
            kernels.conv2d_weight_grad(grad, x, weight.shape[2:], *geometry, groups, algorithm),
        )
    return [a.transpose(0, 2, 3, 1) for a in three]


PAIR = st.tuples(st.integers(1, 3), st.integers(1, 3))


@settings(max_examples=60)
@given(
    n=st.integers(1, 2), groups=st.sampled_from([1, 3, 7, 32, 33, 65]), cg=st.sampled_from([1, 2, 3, 4, 5, 9]),
    og=st.sampled_from([1, 2, 4, 5, 8]), size=st.tuples(st.integers(1, 7), st.integers(1, 7)), kernel_size=PAIR,
    stride=PAIR, dilation=PAIR, padding=st.tuples(*[st.integers(0, 3)] * 4), biased=st.booleans(),
    dtype=st.sampled_from([np.float32, np.float64]), seed=st.integers(0, 99),
)  # fmt: skip
def test_equals_the_definition(n, groups, cg, og, size, kernel_size, stride, dilation, padding, biased, dtype, seed):
    """Forward and both gradients: lanes, tiles and rows that are not filled, any stride, padding and dilation."""
    geometry = stride, padding, dilation
    assume(min(output_size(size, kernel_size, *geometry)) >= 1)
    arrays = drawn(np.random.default_rng(seed), n, groups, cg, og, size, kernel_size, geometry, dtype)
    if not biased:
        arrays[2] = NONE.astype(dtype)
    found = by_lanes(*arrays, geometry, groups)
    wanted = by_room("plain", *(a.astype(np.float64) for a in arrays), geometry, groups)
    digits = 1e-5 if dtype == np.float32 else 1e-12
    for got, want in zip(found, wanted, strict=True):
        assert got.dtype == dtype
        np.testing.assert_allclose(got, want, rtol=digits, atol=20 * digits)


@pytest.mark.compiled
@pytest.mark.parametrize(
    ("channels", "out", "size", "stride"), [(128, 128, 30, 1), (256, 128, 28, 2), (512, 512, 14, 1), (256, 512, 9, 2)]
)
def test_layers_of_resnext(rng, channels, out, size, stride):
    """Several tasks, shares and blocks of rows, and sums that are long: against float64."""
    geometry = (stride, stride), (1, 1, 1, 1), (1, 1)
    arrays = drawn(rng, 3, 32, channels // 32, out // 32, (size, size), (3, 3), geometry)
    assert grouped.pays(32, channels // 32, out // 32)
    wanted = by_room("cpu", *(a.astype(np.float64) for a in arrays), geometry, 32, "im2col")
    for got, want in zip(by_room("cpu", *arrays, geometry, 32), wanted, strict=True):
        assert np.linalg.norm(got - want) < 2e-6 * np.linalg.norm(want)


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_rows_of_a_task_do_not_matter(rng, rows, monkeypatch):
    """The forward and the gradient by the input, bit for bit: a task owns its output pixels."""
    geometry = (1, 1), (1, 0, 2, 1), (2, 1)
    arrays = drawn(rng, 2, 33, 2, 3, (9, 5), (3, 3), geometry)
    whole = by_lanes(*arrays, geometry, 33)
    monkeypatch.setattr(grouped, "_rows_per_task", lambda *_: rows)
    for got, want in zip(by_lanes(*arrays, geometry, 33)[:2], whole[:2], strict=True):
        np.testing.assert_array_equal(got, want)


@pytest.mark.filterwarnings("ignore:invalid value")  # NumPy's, where it computes
@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("where", range(4))
def test_infinities_spread_as_in_plain(rng, bad, where):
    """What fills up lanes and tiles, and the neighbours that a tile reads with it, meet nothing that counts."""
    arrays = drawn(rng, 2, 32, 3, 2, (5, 6), (3, 3), SAME)
    arrays[where].flat[[0, arrays[where].size // 2, -1]] = bad
    found = by_room("cpu", *arrays, SAME, 32)
    for got, want in zip(found, by_room("plain", *arrays, SAME, 32), strict=True):
        np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
        np.testing.assert_array_equal(np.isinf(got), np.isinf(want))


@pytest.mark.parametrize(
    ("groups", "cg", "og", "algorithm", "taken"),
    [
        (32, 4, 4, "auto", True),
        (64, 2, 4, "winograd", True),
        (32, 4, 4, "im2col", False),
        (32, 32, 32, "auto", False),
        (33, 4, 4, "auto", False),  # the second 32 lanes would hold one group
        (3, 8, 2, "auto", False),
    ],
)
def test_when_it_is_taken(rng, groups, cg, og, algorithm, taken, monkeypatch):
    """Where groups fill the lanes and are small, unless the student chose im2col."""
    calls = []
    for name in ("forward", "input_grad", "weight_grad"):
        real = getattr(grouped, name)
        monkeypatch.setattr(grouped, name, lambda *a, name=name, real=real: calls.append(name) or real(*a))
    arrays = drawn(rng, 1, groups, cg, og, (2, 2), (1, 1), ((1, 1), (0,) * 4, (1, 1)))
    by_room("cpu", *arrays, ((1, 1), (0,) * 4, (1, 1)), groups, algorithm)
    assert calls == (["forward", "input_grad", "weight_grad"] if taken else [])


def test_empty_batch(rng):
    """No images: no tasks, and a gradient of zeros."""
    arrays = drawn(rng, 0, 32, 2, 2, (4, 4), (3, 3), SAME)
    y, dx, dw = by_room("cpu", *arrays, SAME, 32)
    assert y.shape == (0, 4, 4, 64) and dx.shape == (0, 4, 4, 64) and not dw.any()


@pytest.mark.compiled
def test_threads_do_not_change_the_bits(rng):
    """What a task is follows from shapes, so one thread and two add in the same order."""
    arrays = drawn(rng, 5, 32, 4, 8, (17, 13), (3, 3), ((2, 1), (1, 1, 1, 1), (1, 1)))
    before = kernels.get_num_threads()
    try:
        results = []
        for threads in (1, before):
            kernels.set_num_threads(threads)
            results.append(by_lanes(*arrays, ((2, 1), (1, 1, 1, 1), (1, 1)), 32))
    finally:
        kernels.set_num_threads(before)
    for one, many in zip(*results, strict=True):
        np.testing.assert_array_equal(one, many)


@pytest.mark.compiled
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("vector_bytes", [64, 32])
def test_the_tile_in_vectors_equals_its_definition(rng, dtype, vector_bytes, monkeypatch):
    """On processors with AVX-512 and on others, whatever the distances between lines."""
    import numba

    monkeypatch.setattr(tile, "vector_bytes", lambda: vector_bytes)
    compiled = numba.njit(lambda *arguments: tile._vectors(*arguments))
    left, right = rng.standard_normal((2, 5000)).astype(dtype)
    for start, at_left, next_left, at_right, next_right, across, count in (
        (0, 0, 128, 0, 32, 96, 1),
        (7, 3, 160, 11, 64, 32, 9),
    ):
        want = rng.standard_normal(tile.TILE + 20).astype(dtype)
        got = want.copy()
        compiled(got, start, left, at_left, next_left, right, at_right, next_right, across, count)
        tile.multiply_add(want, start, left, at_left, next_left, right, at_right, next_right, across, count)
        np.testing.assert_allclose(got, want, rtol=1e-5 if dtype == np.float32 else 1e-13, atol=1e-6)
