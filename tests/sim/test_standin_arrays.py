"""The stand-in's arrays: NumPy's numbers and types, CuPy's layouts, views that share memory."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minicnn.kernels import sim
from minicnn.kernels.sim import standin as xp

pytestmark = pytest.mark.skipif(sim.why_not() is not None, reason=str(sim.why_not()))
DTYPES = [np.bool_, np.uint8, np.int32, np.int64, np.float16, np.float32, np.float64, np.complex64]
SCALARS = [2, 2.5, True, np.float32(2), np.float64(2), np.int64(2)]


def both(shape, dtype=np.float32, seed=0):
    host = (np.random.default_rng(seed).standard_normal(shape) * 10).astype(dtype)
    return host, xp.asarray(host)


def same(device, host) -> None:
    """The same dtype, shape and numbers, to the bit."""
    host = np.asarray(host)
    assert type(device) is xp.ndarray and (device.dtype, device.shape) == (host.dtype, host.shape)
    np.testing.assert_array_equal(device.get(), host)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scalar", SCALARS, ids=repr)
def test_scalars_promote_as_in_numpy_2(dtype, scalar):
    """A Python number adapts to the array, a NumPy scalar has its own dtype."""
    host, x = both((3,), dtype)
    same(x + scalar, host + scalar)
    same(scalar * x, scalar * host)
    same(x == scalar, host == scalar)


@pytest.mark.parametrize("name", "add subtract multiply maximum minimum greater less_equal arctan2 hypot".split())
def test_ufuncs_of_two(name):
    """As operators and as functions, with broadcasting; float32 with float64 gives float64."""
    a, x = both((2, 3, 4))
    b, y = both((3, 1), np.float64, 1)
    same(getattr(np, name)(x, y), getattr(np, name)(a, b))
    same(getattr(xp, name)(x, y), getattr(np, name)(a, b))


def test_ufuncs_of_other_forms():
    """dtype=, numbers alone, two results, and a number that the array's dtype cannot hold."""
    host, x = both((2, 3))
    same(np.add(x, 1, dtype=np.float64), np.add(host, 1, dtype=np.float64))
    same(xp.maximum(2, 3.5), np.maximum(2, 3.5))
    same(xp.sqrt(2), np.sqrt(2))
    for ours, theirs in zip(
        (*xp.modf(x), *xp.frexp(x), *divmod(x, 2)), (*np.modf(host), *np.frexp(host), *divmod(host, 2))
    ):
        same(ours, theirs)
    same(np.exp(xp.ones(3, np.int32)), np.exp(np.ones(3, np.int32)))
    whole, fraction = xp.empty((2, 3)), xp.empty((2, 3))
    assert xp.modf(x, out=(fraction, whole))[1] is whole
    same(whole, np.trunc(host).astype(float))
    with pytest.raises(OverflowError):
        xp.ones(3, np.uint8) + 300
    with pytest.raises(TypeError, match="not supported for the input types|did not contain a loop"):
        xp.exp(x.astype(complex)) % 2
    with pytest.raises(TypeError, match="Wrong number of arguments for 'cupy_add'"):
        xp.add(x)
    with pytest.raises(ValueError, match="both a positional and keyword"):
        xp.exp(x, x, out=x)


def test_no_warnings_as_on_a_gpu():
    """1 / 0 is inf and the mean of nothing is nan, without a word (the tests make warnings errors)."""
    zero = xp.zeros(3, np.float32)
    assert np.isinf((1 / zero).get()).all() and np.isnan((zero / zero).get()).all()
    assert np.isnan(xp.log(zero - 1).get()).all() and np.isnan(xp.empty((0,)).mean().get())
    (zero / zero).astype(np.int32)


LAYOUTS = [
    lambda x: x,
    lambda x: x.T,
    lambda x: x.transpose(0, 2, 3, 1),
    lambda x: x[:, ::2],
    lambda x: x[::-1],
]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_elementwise_results_are_in_c_order(layout):
    """cupy#7342: whatever the operands' layout, also where NumPy would keep it."""
    x = layout(both((2, 3, 4, 5))[1])
    for result in (np.exp(x), x + 1, x + x, -x, x > 0, np.where(x > 0, x, 0), x.clip(0, 1), np.maximum(x, 0)):
        assert result.flags.c_contiguous and result.base is None


@pytest.mark.parametrize("layout", LAYOUTS)
def test_copies_keep_or_choose_their_layout(layout):
    """astype and empty_like keep the order of axes (K), the copy method makes C order, as CuPy's."""
    x = layout(both((2, 3, 4, 5))[1])
    host = x._host
    kept = np.empty_like(host).strides
    for made in (x.astype(np.float32), x.copy("K"), xp.copy(x), xp.empty_like(x), np.zeros_like(x), np.full_like(x, 2)):
        assert made.strides == kept and made.base is None
    assert x.copy().flags.c_contiguous and x.copy("F").flags.f_contiguous
    assert xp.ascontiguousarray(x).flags.c_contiguous and xp.asfortranarray(x).flags.f_contiguous
    assert x.astype(np.float32, copy=False) is x and x.astype(np.float64, copy=False) is not x
    assert (xp.ascontiguousarray(x) is x) == x.flags.c_contiguous
    same(x.copy("F"), host)
    same(x.astype(np.int32), host.astype(np.int32))


def test_host_arrays_keep_fortran_order():
    """asarray of a transposed NumPy array is a transposed array, as in CuPy; order="C" changes that."""
    host = np.ones((2, 3)).T
    assert xp.asarray(host).flags.f_contiguous and xp.asarray(host, order="C").flags.c_contiguous


def test_views_share_memory():
    """What is written through a view is seen by all others, and its base is the array that owns the memory."""
    host, x = both((4, 6))
    views = {
        "slice": x[1:3, ::2], "transposed": x.T, "reshaped": x.reshape(2, 2, 6), "raveled": x.ravel(),
        "element": x[1, 2],
        "new axis": x[:, None], "squeezed": x[None].squeeze(0), "split": xp.split(x, 2)[1], "flipped": xp.flip(x),
        "diagonal": x.diagonal(), "broadcast": xp.broadcast_to(x, (3, 4, 6)), "real": x.real,
        "viewed": x.view(np.int32), "swapped": x.swapaxes(0, 1), "moved": np.moveaxis(x, 0, 1), "deep": x[1:][0].T[2:],
    }  # fmt: skip
    for name, view in views.items():
        assert view is x or view.base is x, name
        assert xp.shares_memory(view, x) and view.data.mem.memory is x._memory, name
    x[...] = 7
    assert (views["slice"].get() == 7).all() and views["element"].item() == 7
    views["reshaped"][...] = 8
    views["element"].fill(9)
    host[...] = 8
    host[1, 2] = 9
    same(x, host)


def test_copies_share_nothing():
    """Where NumPy copies, so do we."""
    _, x = both((4, 6))
    for copied in (
        x.T.reshape(-1),
        x.T.ravel(),
        x[[0, 1]],
        x[x > 0],
        x.flatten(),
        x.copy(),
        xp.concatenate([x]),
        x.take([1]),
    ):
        assert copied.base is None and not xp.may_share_memory(copied, x)


def test_pointer_and_layout():
    """What kernels and other libraries are told."""
    _, x = both((4, 6))
    part = x[1:, 2:]
    assert part.data.ptr == x.data.ptr + (6 + 2) * 4 and part.strides == (24, 4)
    assert (x.nbytes, x.itemsize, x.size, x.ndim, part.nbytes) == (96, 4, 24, 2, 48)
    assert (x.flags.c_contiguous, x.flags.f_contiguous, x.flags.owndata) == (True, False, True)
    assert x.T.flags["F_CONTIGUOUS"] and not part.flags.forc and x.T.flags.fnc
    described = part.__cuda_array_interface__
    assert described["data"] == (part.data.ptr, False) and described["strides"] == (24, 4)
    assert (described["shape"], described["typestr"], described["version"]) == ((3, 4), "<f4", 3)
    assert xp.empty((0, 3)).data.ptr == 0 and xp.empty((0, 3)).sum(0).tolist() == [0, 0, 0]
    again = xp.ndarray((2, 6), np.float32, memptr=x.data + 24)
    again[...] = 1
    assert (x.get()[1:3] == 1).all() and not (x.get()[[0, 3]] == 1).any()


def test_in_place_operators_keep_the_array():
    """a += b changes a, for everybody who looks at its memory; it never changes dtype."""
    host, x = both((3, 4))
    same_array, view, address = x, x[1], x.data.ptr
    x += 1
    x *= np.float64(2)
    x -= x[0].copy()
    x /= 3
    x **= 2
    assert x is same_array and x.data.ptr == address and x.dtype == np.float32
    np.testing.assert_array_equal(view.get(), x.get()[1])
    x.T[...] = 5
    x[1:] += x[:-1]  # operands that overlap: as if the right side were computed first
    np.testing.assert_array_equal(x.get(), [[5] * 4, [10] * 4, [10] * 4])
    with pytest.raises(TypeError, match="same_kind"):
        counts = xp.zeros(3, np.int32)
        counts += 1.5
    with pytest.raises(ValueError):
        x += xp.zeros((2, 3, 4), np.float32)


def test_out():
    """out= is filled and returned; its shape must be the result's."""
    host, x = both((3, 4))
    out = xp.empty((3, 4), np.float32)
    assert np.exp(x, out=out) is out and xp.exp(x, out) is out
    same(out, np.exp(host))
    total = xp.empty((4,), np.float64)
    assert x.sum(0, out=total) is total and xp.sum(x, axis=0, out=total) is total
    product = xp.empty((3, 3), np.float32)
    assert xp.matmul(x, x.T, out=product) is product
    same(product, host @ host.T)
    with pytest.raises(ValueError, match=r"out has \(3, 4\), the result \(4,\)"):
        x.sum(0, out=out)
    with pytest.raises(TypeError, match="casting rule 'same_kind'"):
        np.add(x, 0.5, out=xp.empty((3, 4), np.int32))


INDICES = [
    0, -1, (1, 2), (..., 1), (slice(None), None), slice(0, 0), (slice(None, None, -1), slice(1, None, 2)), ..., (),
    None, [0, 2], ([0, 1], [1, 2]), (slice(None), [1, 1]), np.array([True, False, True]), np.int64(1), True, [],
    (..., [0, 1]),
]  # fmt: skip


@pytest.mark.parametrize("index", INDICES, ids=repr)
def test_indexing(index):
    """Reading, writing and in-place arithmetic on any part; a single element is a 0-d array, not a number."""
    host, x = both((3, 4, 5))
    same(x[index], host[index])
    x[index] = -1
    host[index] = -1
    same(x, host)
    x[index] += 3
    host[index] += 3
    same(x, host)


def test_indexing_with_device_arrays():
    """Masks and integer arrays that live on the device."""
    host, x = both((3, 4))
    rows, mask = xp.asarray([2, 0]), x > 0
    same(x[rows], host[[2, 0]])
    same(x[mask], host[host > 0])
    same(x[rows, xp.asarray([1, 3])], host[[2, 0], [1, 3]])
    x[mask] = x[mask] * 2
    host[host > 0] *= 2
    same(x, host)
    xp.add.at(x, (xp.asarray([0, 0]), xp.asarray([1, 1])), 1)  # twice the same element
    np.add.at(host, ([0, 0], [1, 1]), 1)
    same(x, host)
    for bad in (x[0], [0.5]):
        with pytest.raises(IndexError, match="must be of integer or boolean type"):
            x[bad]
    with pytest.raises(IndexError):
        x[xp.asarray([3])]  # CuPy would wrap around


REDUCTIONS = "sum prod mean var std max min argmax argmin all any cumsum".split()


@pytest.mark.parametrize("name", REDUCTIONS)
def test_reductions(name):
    """As methods and functions; of everything they give a 0-d device array."""
    host, x = both((3, 4, 5))
    host *= 0.1
    x *= np.float32(0.1)
    for axis in (None, 0, -1):
        same(getattr(x, name)(axis=axis), getattr(host, name)(axis=axis))
        same(getattr(np, name)(x, axis=axis), getattr(np, name)(host, axis=axis))
    if name in ("sum", "mean", "max", "all"):
        same(getattr(x, name)(axis=(0, 2), keepdims=True), getattr(host, name)(axis=(0, 2), keepdims=True))
    if name in ("sum", "mean", "var"):
        same(getattr(x, name)(0, dtype=np.float64), getattr(host, name)(0, dtype=np.float64))
    with pytest.raises(np.exceptions.AxisError):
        getattr(x, name)(axis=7)


@pytest.mark.parametrize(
    "function",
    [
        lambda m, a, b: m.matmul(a, b.swapaxes(1, 2)),
        lambda m, a, b: a @ b.swapaxes(1, 2),
        lambda m, a, b: m.matmul(a[0], b[0].T),
        lambda m, a, b: a[0].dot(b[0].T),
        lambda m, a, b: m.dot(a[0], b[0, 0]),
        lambda m, a, b: m.tensordot(a, b, ([0, 2], [0, 2])),
        lambda m, a, b: m.tensordot(a, b.T, 1),
        lambda m, a, b: m.einsum("nij,nkj->nik", a, b),
        lambda m, a, b: m.einsum("nij->j", a),
        lambda m, a, b: m.outer(a[0, 0], b[0, 0]),
        lambda m, a, b: m.linalg.norm(a),
        lambda m, a, b: m.concatenate([a, b], axis=1),
        lambda m, a, b: m.stack([a, b], axis=-1),
        lambda m, a, b: m.pad(a, ((0, 0), (1, 2), (3, 0)), constant_values=9),
        lambda m, a, b: m.take_along_axis(a, m.argsort(a, axis=1), 1),
        lambda m, a, b: m.sort(a, axis=0),
        lambda m, a, b: m.tile(a, (2, 1, 1)),
        lambda m, a, b: m.repeat(a, 3, axis=1),
        lambda m, a, b: m.roll(a, 2, axis=1),
        lambda m, a, b: m.flip(a, 1),
        lambda m, a, b: m.nonzero(a > 0)[1],
        lambda m, a, b: m.unique((a > 0).astype(m.int32), return_counts=True)[1],
        lambda m, a, b: m.bincount(m.arange(5) % 3),
        lambda m, a, b: m.isclose(a, a + 1e-9),
        lambda m, a, b: m.allclose(a, b),
        lambda m, a, b: m.array_equal(a, a),
        lambda m, a, b: m.tril(a[0]) + m.triu(a[0], 1),
        lambda m, a, b: m.eye(3, 4, 1),
        lambda m, a, b: m.linspace(0, 1, 7),
        lambda m, a, b: m.arange(2, 9, 2),
        lambda m, a, b: m.percentile(a, 30),
        lambda m, a, b: m.count_nonzero(a > 0),
        lambda m, a, b: m.nan_to_num(a / (a * 0)),
        lambda m, a, b: m.broadcast_arrays(a, b[:1])[1],
        lambda m, a, b: m.diff(a),
        lambda m, a, b: a.clip(None, 1),
        lambda m, a, b: divmod(a, 3)[1],
        lambda m, a, b: m.searchsorted(m.arange(5), m.arange(7)),
        lambda m, a, b: m.delete(a, [1], axis=1),
        lambda m, a, b: m.vstack([a[0], b[0]]),
        lambda m, a, b: m.rollaxis(a, 2),
        lambda m, a, b: m.median(a),
        lambda m, a, b: m.average(a, axis=0),
    ],
)
def test_functions_are_numpys(function):
    """The same numbers as NumPy's function of that name, on the device."""
    (a, x), (b, y) = both((2, 3, 4)), both((2, 3, 4), seed=1)
    with np.errstate(all="ignore"):
        same(function(xp, x, y), function(np, a, b))


def test_creation():
    """empty, zeros, ones, full and their _like."""
    same(xp.zeros((2, 3), np.int32), np.zeros((2, 3), np.int32))
    same(xp.ones(3), np.ones(3))
    same(xp.full((2,), 7), np.full((2,), 7))
    same(xp.full((), xp.asarray(2.5)), np.full((), 2.5))
    same(xp.zeros_like(xp.ones((2, 3)), shape=(4,)), np.zeros(4))
    same(xp.array([[1, 2], [3, 4]], np.float32), np.array([[1, 2], [3, 4]], np.float32))
    same(xp.array([xp.ones(2), xp.zeros(2)]), np.array([[1.0, 1], [0, 0]]))
    same(xp.array(5, ndmin=2), np.array(5, ndmin=2))
    assert xp.empty((2, 3), order="F").flags.f_contiguous and xp.get_array_module(xp.ones(1), 3) is xp
    assert xp.get_array_module(np.ones(1)) is np
    for bad, error in (((2, -1), ValueError), (2.5, TypeError), (xp.asarray(3), TypeError)):
        with pytest.raises(error):
            xp.empty(bad)
    x = xp.ones((2, 6))
    with pytest.raises(ValueError, match=r"cannot reshape array of size 12 into shape \(5, 2\)"):
        x.reshape(5, 2)
    x.shape = (3, 4)
    assert x.shape == (3, 4)
    with pytest.raises(AttributeError):
        x.T.shape = (12,)


@given(st.data())
def test_copyto_and_where_on_drawn_shapes(data):
    """copyto writes a device array or a number, everywhere or where a mask says so."""
    shape = tuple(data.draw(st.lists(st.integers(0, 4), min_size=1, max_size=3)))
    host, x = both(shape)
    mask = host > data.draw(st.floats(-10, 10))
    other, y = both(shape, np.float64, 1)
    xp.copyto(x, y, where=xp.asarray(mask))
    np.copyto(host, other, where=mask)
    same(x, host)
    xp.copyto(x, 3)
    assert (x.get() == 3).all()


def test_random_numbers_are_on_the_device():
    """The same seed gives the same numbers."""
    for draw in (
        lambda: xp.random.default_rng(1).standard_normal((3,), np.float32),
        lambda: xp.random.RandomState(1).uniform(size=(3,), dtype=np.float32),
        lambda: xp.random.RandomState(1).randint(0, 9, (3,)),
    ):
        same(draw(), draw().get())
