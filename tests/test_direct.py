"""Direct convolution equals the definition, and is taken when it should be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from minicnn import kernels

direct = pytest.importorskip("minicnn.kernels.cpu.direct", reason="the cpu room needs Numba")
vectors = pytest.importorskip("minicnn.kernels.cpu.vectors", reason="the cpu room needs Numba")


def three(x, weight, bias, grad, stride, padding, algorithm, room):
    """The convolution and its two gradients, channels first."""
    geometry = (stride, padding, (1, 1), 1, algorithm)
    with kernels.use_room(room):
        y = kernels.conv2d(x, weight, bias, *geometry)
        dx = kernels.conv2d_input_grad(grad, weight, x.shape[2:], *geometry)
        return y, dx, kernels.conv2d_weight_grad(grad, x, weight.shape[2:], *geometry)


def drawn(rng, n, c, o, h, w, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1, 1, 1)):
    oh = (h + padding[0] + padding[1] - kernel_size[0]) // stride[0] + 1
    ow = (w + padding[2] + padding[3] - kernel_size[1]) // stride[1] + 1
    shapes = ((n, c, h, w), (o, c, *kernel_size), (o,), (n, o, oh, ow))
    return [rng.standard_normal(shape).astype(np.float32) for shape in shapes]


def assert_close(found, arrays, stride, padding):
    """1e-5 of the norm, against float64."""
    wanted = three(*(a.astype(np.float64) for a in arrays), stride, padding, "im2col", "plain")
    for got, want in zip(found, wanted, strict=True):
        assert got.dtype == np.float32 and got.shape == want.shape
        assert np.linalg.norm(got - want) <= 1e-5 * np.linalg.norm(want) + 1e-6


@given(
    n=st.integers(1, 3), c=st.integers(1, 20), o=st.integers(1, 20), h=st.integers(1, 9), w=st.integers(1, 19),
    kernel_size=st.tuples(st.integers(1, 4), st.integers(1, 4)), stride=st.tuples(*[st.integers(1, 3)] * 2),
    padding=st.tuples(*[st.integers(0, 3)] * 4), seed=st.integers(0, 99),
)  # fmt: skip
def test_equals_the_definition(n, c, o, h, w, kernel_size, stride, padding, seed):
    """Forward and both gradients, whatever is left over of blocks of pixels, weights and channels."""
    assume(h + padding[0] + padding[1] >= kernel_size[0] and w + padding[2] + padding[3] >= kernel_size[1])
    arrays = drawn(np.random.default_rng(seed), n, c, o, h, w, kernel_size, stride, padding)
    assert_close(three(*arrays, stride, padding, "direct", "cpu"), arrays, stride, padding)


@pytest.mark.compiled
@pytest.mark.parametrize(
    ("n", "c", "o", "size", "kernel", "stride"),
    [(5, 16, 16, 32, 3, 1), (3, 16, 32, 32, 3, 2), (2, 3, 64, 40, 7, 2), (2, 70, 33, 20, 5, 1), (2, 8, 48, 9, 1, 2)],
)
def test_layers_of_networks(rng, n, c, o, size, kernel, stride):
    """Many channels and strips of rows, and sums as long as in real layers; the mean of x is not 0, as after ReLU."""
    geometry = (kernel, kernel), (stride, stride), (kernel // 2,) * 4
    arrays = drawn(rng, n, c, o, size, size, *geometry)
    arrays[0] = np.abs(arrays[0])
    assert_close(three(*arrays, *geometry[1:], "direct", "cpu"), arrays, *geometry[1:])


def test_one_strip_or_many(rng, monkeypatch):
    """Rows that are taken one at a time give what they give together; the forward bit by bit."""
    arrays = drawn(rng, 2, 3, 5, 9, 13)
    whole = three(*arrays, (1, 1), (1, 1, 1, 1), "direct", "cpu")
    monkeypatch.setattr(direct, "SEEN_BYTES", 0)
    single = three(*arrays, (1, 1), (1, 1, 1, 1), "direct", "cpu")
    np.testing.assert_array_equal(single[0], whole[0])
    np.testing.assert_array_equal(single[1], whole[1])
    np.testing.assert_allclose(single[2], whole[2], rtol=1e-5, atol=1e-5)


def test_long_sums_keep_their_digits(rng):
    """A weight gradient over 70,000 pixels that all add 0.1: added one by one in float32, it is off by 6e-4."""
    x, grad = np.ones((17, 1, 64, 65), np.float32), np.full((17, 1, 64, 65), 0.1, np.float32)
    with kernels.use_room("cpu"):
        dw = kernels.conv2d_weight_grad(grad, x, (1, 1), (1, 1), (0, 0, 0, 0), (1, 1), 1, "direct")
    assert abs(dw.item() / grad.sum(dtype=np.float64) - 1) < 1e-5


@pytest.mark.filterwarnings("ignore:invalid value")  # NumPy's, where it computes
@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("where", range(4))
@pytest.mark.parametrize("stride", [(1, 1), (2, 2)])
def test_infinities_stay_where_they_are(rng, bad, where, stride):
    """What a block holds beside the pixels, weights and channels that are wanted reaches no result."""
    arrays = drawn(rng, 2, 3, 4, 7, 9, stride=stride)
    arrays[where].flat[arrays[where].size // 2] = bad
    found = three(*arrays, stride, (1, 1, 1, 1), "direct", "cpu")
    for got, want in zip(found, three(*arrays, stride, (1, 1, 1, 1), "im2col", "plain"), strict=True):
        np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
        np.testing.assert_array_equal(np.isinf(got), np.isinf(want))


def test_float64_is_always_im2col(rng, monkeypatch):
    """Digits are what float64 is asked for; gradient checks rely on it."""
    arrays = [a.astype(np.float64) for a in drawn(rng, 1, 2, 2, 6, 6)]
    for name in ("forward", "input_grad", "weight_grad"):
        monkeypatch.setattr(direct, name, None)
    found = three(*arrays, (1, 1), (1, 1, 1, 1), "direct", "cpu")
    for got, want in zip(found, three(*arrays, (1, 1), (1, 1, 1, 1), "im2col", "plain"), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("algorithm", "channels", "stride", "taken"),
    [
        ("auto", 16, 1, True),  # ResNet-20's first layers
        ("auto", 16, 2, True),
        ("auto", 64, 1, False),  # Winograd's
        ("auto", 100, 2, False),  # BLAS's
        ("im2col", 16, 1, False),
        ("winograd", 16, 1, False),
        ("direct", 64, 1, True),
    ],
)
def test_which_algorithm_is_taken(rng, algorithm, channels, stride, taken, monkeypatch):
    """ "auto" goes by the shape alone, and a student's choice counts."""
    calls = []
    for name in ("forward", "input_grad", "weight_grad"):
        real = getattr(direct, name)
        monkeypatch.setattr(direct, name, lambda *args, name=name, real=real: calls.append(name) or real(*args))
    arrays = drawn(rng, 1, channels, channels, 32, 32, stride=(stride, stride))
    three(*arrays, (stride, stride), (1, 1, 1, 1), algorithm, "cpu")
    assert calls == (["forward", "input_grad", "weight_grad"] if taken else [])


@pytest.mark.compiled
def test_threads_do_not_change_the_bits(rng):
    """What a task is follows from shapes, so one thread and two add in the same order."""
    arrays = drawn(rng, 9, 5, 40, 21, 18)
    before = kernels.get_num_threads()
    try:
        results = []
        for threads in (1, before):
            kernels.set_num_threads(threads)
            results.append(three(*arrays, (1, 1), (1, 1, 1, 1), "direct", "cpu"))
    finally:
        kernels.set_num_threads(before)
    for one, many in zip(*results, strict=True):
        np.testing.assert_array_equal(one, many)


@pytest.mark.parametrize(("n", "o"), [(0, 3), (2, 0)])
def test_nothing_to_compute(rng, n, o):
    """No images, or no output channels: empty results and zero gradients."""
    y, dx, dw = three(*drawn(rng, n, 2, o, 6, 6), (1, 1), (1, 1, 1, 1), "direct", "cpu")
    assert y.shape == (n, o, 6, 6) and dx.shape == (n, 2, 6, 6) and not dx.any() and not dw.any()


def in_python_and_compiled(function, *arguments):
    """The same call of an instruction, as its definition and through Numba; arrays are copied first."""
    import numba

    results = []
    for run in (function, numba.njit(function)):
        copies = [a.copy() if isinstance(a, np.ndarray) else a for a in arguments]
        run(*copies)
        results.append(copies)
    return results


def test_instructions_are_what_they_say(rng):
    """Each instruction's Python definition and its compiled code leave the same numbers behind, and touch no others."""
    count, lanes = vectors.COUNT, vectors.LANES
    x, w, y = (
        rng.standard_normal(size).astype(np.float32) for size in (3 * count + 9, 3 * lanes, (lanes + 3) * count + 9)
    )

    def program(x, w, y):
        block = vectors.repeat(w, 2)
        block = vectors.multiply_add(block, x, 4, 3, w, lanes + 1)
        vectors.store(block, y, 5, lanes + 3)
        vectors.add_to(vectors.multiply_add(vectors.zeros(), x, 0, 1, w, 0), y, 5, lanes + 3)

    python, compiled = in_python_and_compiled(program, x, w, y)
    for a, b in zip(python, compiled, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    assert not np.array_equal(python[2], y) and np.array_equal(python[2][:5], y[:5])
