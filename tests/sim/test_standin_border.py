"""The stand-in for CuPy, between host and device: nothing crosses by itself, and what crosses is counted."""

from __future__ import annotations

import copy
import gc
import pickle

import numpy as np
import pytest

from minicnn.kernels import sim
from minicnn.kernels.sim import standin as xp

pytestmark = pytest.mark.skipif(sim.why_not() is not None, reason=str(sim.why_not()))
HOST = np.arange(6, dtype=np.float32).reshape(2, 3)


@pytest.fixture
def x():
    return xp.asarray(HOST)


@pytest.mark.parametrize("convert", [np.asarray, np.array, lambda a: np.asarray(a, np.float64), np.ascontiguousarray])
def test_no_implicit_conversion(x, convert):
    """NumPy gets the numbers only from .get(); the message says so, as CuPy's does."""
    with pytest.raises(TypeError, match=r"Implicit conversion to a NumPy array is not allowed.*`\.get\(\)`"):
        convert(x)


@pytest.mark.parametrize(
    "mix",
    [
        lambda d, h: d + h,
        lambda d, h: h + d,
        lambda d, h: d * h,
        lambda d, h: np.maximum(d, h),
        lambda d, h: d > h,
        lambda d, h: h > d,
        lambda d, h: np.where(d > 0, d, h),
        lambda d, h: np.concatenate([d, h]),
        lambda d, h: np.stack([h, d]),
        lambda d, h: np.add(d, d, out=h.copy()),
        lambda d, h: np.sum(d, out=np.zeros((), np.float32)),
        lambda d, h: d @ h.T,
        lambda d, h: h.T @ d,
        lambda d, h: np.dot(d, h.T),
        lambda d, h: np.einsum("ij,ij->i", d, h),
        lambda d, h: np.tensordot(d, h.T, 1),
        lambda d, h: xp.exp(h),
        lambda d, h: xp.sum(h),
        lambda d, h: xp.exp([1.0]),
        lambda d, h: d + [1.0, 2.0, 3.0],
        lambda d, h: d + None,
        lambda d, h: d == "text",
        lambda d, h: xp.copyto(h.copy(), d),
        lambda d, h: xp.zeros_like(h),
    ],
)
def test_host_and_device_do_not_mix(x, mix):
    """A NumPy array (or a list) among device arrays is a TypeError everywhere, never a hidden copy."""
    with pytest.raises(TypeError):
        mix(x, HOST)


def test_mixing_names_the_type(x):
    """The text is CuPy's."""
    with pytest.raises(TypeError, match="Unsupported type <class 'numpy.ndarray'>"):
        x + HOST


def test_host_array_cannot_be_written_into_elements(x):
    """x[...] = numpy_array is CuPy's ValueError; a number or a 0-d array is one value and may be written."""
    with pytest.raises(ValueError, match="non-scalar numpy.ndarray cannot be used for fill"):
        x[0] = HOST[0]
    with pytest.raises(ValueError, match="non-scalar numpy.ndarray cannot be used for fill"):
        x.fill(HOST)
    with pytest.raises(TypeError, match="Unsupported type"):
        x[0] = "text"
    x[0] = np.array(7.0)
    x[1, 0] = np.float64(8)
    np.testing.assert_array_equal(x.get(), [[7, 7, 7], [8, 4, 5]])


def test_numpys_functions_give_device_arrays(x):
    """NEP 13 and NEP 18: code written with np works on device arrays, and stays on the device."""
    results = {
        "exp": np.exp(x), "where": np.where(x > 2, x, 0), "concatenate": np.concatenate([x, x]), "abs": np.abs(x),
        "zeros_like": np.zeros_like(x), "stack": np.stack([x, x]), "split": np.split(x, 2)[1], "clip": np.clip(x, 1, 2),
        "argsort": np.argsort(x), "sum": np.sum(x, axis=1), "mean": np.mean(x), "expand_dims": np.expand_dims(x, 0),
        "moveaxis": np.moveaxis(x, 0, 1), "full_like": np.full_like(x, 3), "multiply.outer": np.multiply.outer(x, x),
        "maximum": np.maximum(x, 2), "sqrt": np.sqrt(x), "prod": np.prod(x), "take": np.take(x, x.astype(int) % 3),
        "linalg.norm": np.linalg.norm(x), "pad": np.pad(x, 1), "add.reduce": np.add.reduce(x, axis=1),
        "empty like": np.empty(3, like=x), "divide": 1 / (x + 1), "scalar": np.float64(2) * x,
        "isfinite": np.isfinite(x),
    }  # fmt: skip
    for name, result in results.items():
        assert type(result) is xp.ndarray, name
    np.testing.assert_array_equal(results["where"].get(), np.where(HOST > 2, HOST, 0))
    np.testing.assert_array_equal(results["take"].get(), np.take(HOST, HOST.astype(int) % 3))
    np.testing.assert_array_equal(results["add.reduce"].get(), [3, 12])
    assert (np.shape(x), np.ndim(x), np.size(x), np.result_type(x, 1.0)) == ((2, 3), 2, 6, np.float32)


def test_what_cupy_lacks_is_refused(x):
    """NumPy says so itself, and does not convert."""
    with pytest.raises(TypeError, match="no implementation found for 'numpy.insert'"):
        np.insert(x, 0, 0)
    with pytest.raises(TypeError):
        np.spacing(x)
    with pytest.raises(TypeError, match="Wrong arguments"):
        np.add(x, x, where=True)


def test_objects_that_wrap_arrays_get_their_turn(x):
    """An operand whose class has __array_ufunc__ = None, as a tensor's has, answers the operator itself."""

    class Wrapper:
        __array_ufunc__ = None

        def __radd__(self, other):
            return "mine"

        __rmatmul__ = __lt__ = __radd__

    assert x + Wrapper() == x @ Wrapper() == (x > Wrapper()) == "mine"
    x_before = x
    x += Wrapper()
    assert x == "mine" and type(x_before) is xp.ndarray


def test_get_and_set(x):
    """.get() is a copy in C order (or the one asked for); .set() wants the same dtype and shape."""
    host = x.T.get()
    assert host.flags.c_contiguous and host.flags.owndata
    host[...] = -1
    np.testing.assert_array_equal(x.get(), HOST)
    assert x.get(order="F").flags.f_contiguous and x.T.get(order="A").flags.f_contiguous
    out = np.empty((2, 3), np.float32)
    assert x.get(out=out) is out
    np.testing.assert_array_equal(out, HOST)
    x.set(HOST[::-1])
    np.testing.assert_array_equal(x.get(), HOST[::-1])
    np.testing.assert_array_equal(xp.asnumpy(x), HOST[::-1])
    np.testing.assert_array_equal(xp.asnumpy([1, 2]), [1, 2])


@pytest.mark.parametrize(
    ("act", "error", "text"),
    [
        (lambda x: x.set(HOST.astype(float)), TypeError, "float64 array cannot be set to float32 array"),
        (lambda x: x.set(HOST.T), ValueError, r"Shape mismatch. Old shape: \(2, 3\), new shape: \(3, 2\)"),
        (lambda x: x.set([1]), TypeError, "Only numpy.ndarray can be set"),
        (lambda x: x[:, ::2].set(HOST[:, ::2]), RuntimeError, "Cannot set to non-contiguous array"),
        (lambda x: x.get(order="X"), ValueError, "unsupported order: X"),
        (lambda x: x.get(out=np.empty(3)), TypeError, "float64 array cannot be obtained from float32 array"),
        (lambda x: x.get(out=[1]), TypeError, "Only numpy.ndarray can be obtained"),
        (lambda x: x.get(out=np.empty(3, np.float32)), ValueError, r"Expected shape: \(2, 3\), actual shape: \(3,\)"),
        (lambda x: x.item(), ValueError, "can only convert an array of size 1 to a Python scalar"),
        (lambda x: bool(x), ValueError, "truth value of an array with more than one element is ambiguous"),
        (lambda x: len(x[0, 0]), TypeError, r"len\(\) of unsized object"),
        (lambda x: iter(x[0, 0]), TypeError, "iteration over a 0-d array"),
        (lambda x: hash(x), TypeError, "unhashable"),
        (lambda x: range(x[0, 1]), TypeError, "cannot be interpreted as an integer"),
        (lambda x: x[: x[0, 1]], TypeError, "slice indices must be integers"),
        (lambda x: xp.asarray(["a"]), ValueError, "Unsupported dtype <U1"),
        (lambda x: xp.empty(3, object), ValueError, "Unsupported dtype object"),
        (lambda x: x.astype("U3"), ValueError, "Unsupported dtype <U3"),
        (lambda x: x.view("M8[s]"), ValueError, "Unsupported dtype"),
    ],
)
def test_refused(x, act, error, text):
    """What CuPy refuses is refused, in CuPy's words where those are fixed."""
    with pytest.raises(error, match=text):
        act(x)


def test_python_numbers(x):
    """One number comes out by name: item, float, int, bool, complex, tolist, and printing."""
    one = x[1, 2]
    assert (one.item(), float(one), int(one), bool(one), complex(one)) == (5.0, 5.0, 5, True, 5 + 0j)
    assert not bool(x[0, 0]) and x.tolist() == HOST.tolist() and f"{one:.2f}" == "5.00"
    assert repr(x) == repr(HOST) and str(x) == str(HOST)
    assert [row.tolist() for row in x] == HOST.tolist() and len(x) == 2
    assert x.tobytes() == HOST.tobytes()


def test_copies_and_pickles(x):
    """Pickling goes through the host; deep copies are arrays of their own."""
    again = pickle.loads(pickle.dumps(x.T))
    assert type(again) is xp.ndarray and again.flags.f_contiguous
    np.testing.assert_array_equal(again.get(), HOST.T)
    for made in (copy.copy(x), copy.deepcopy(x), x.copy(), xp.array(x)):
        made[...] = 0
    np.testing.assert_array_equal(x.get(), HOST)
    assert xp.asarray(x) is x


def test_transfers_are_counted(x):
    """A test can assert that a step copies its batch and nothing else."""
    with xp.transfers.collect() as seen:
        y = np.exp(x) @ x.T + xp.zeros((2, 2), np.float32)
        y[y > 3] = 0
        y.sum()
        xp.full((3,), 2.5)
    assert seen == []
    with xp.transfers.collect() as seen:
        xp.asarray(HOST)
        x.get()
        x[0, 0].item()
        x.set(HOST)
        x[np.array([1, 0])]
        float(x.sum())
        if (x > 0).any():
            pass
    assert [(t.name, t.nbytes, t.direction) for t in seen] == [
        ("array", 24, "to device"), ("get", 24, "to host"), ("item", 4, "to host"), ("set", 24, "to device"),
        ("index", 16, "to device"), ("item", 4, "to host"), ("bool", 1, "to host"),
    ]  # fmt: skip


def test_records_remember_the_last_entries():
    """The record does not grow with a training run, yet counts everything."""
    from minicnn.kernels.sim.standin.records import REMEMBERED, Record

    record = Record()
    with record.collect() as seen:
        for i in range(REMEMBERED + 5):
            record.add((i,))
    assert (record.count, len(record), record[0], record[-1]) == (REMEMBERED + 5, REMEMBERED, (5,), (REMEMBERED + 4,))
    assert len(seen) == REMEMBERED + 5 and len(list(record)) == REMEMBERED
    record.clear()
    assert record.count == len(record) == 0


def test_memory_lives_as_long_as_a_view_of_it():
    """A view keeps the memory, its end frees it, and the pool knows how much there is."""
    pool = xp.get_default_memory_pool()
    gc.collect()
    before = pool.used_bytes()
    x = xp.full(1000, 3.0)
    view = x[990:]
    assert pool.used_bytes() - before == 8192  # 8000 bytes in units of 512
    del x
    assert view.tolist() == [3.0] * 10 and pool.used_bytes() - before == 8192
    del view
    gc.collect()
    assert pool.used_bytes() == before


def test_temporaries_outlive_their_use():
    """The memory of (x + x) must not be gone while exp still reads it."""
    x = xp.ones((256, 1024))
    for _ in range(20):
        assert float(xp.exp((x + x) - (x * 2)).sum()) == x.size


def test_pool_limit():
    """Beyond the limit there is CuPy's OutOfMemoryError, which a test of memory use can provoke."""
    pool = xp.get_default_memory_pool()
    gc.collect()
    pool.set_limit(size=pool.used_bytes() + 4096)
    try:
        x = xp.empty(4096, np.uint8)
        with pytest.raises(xp.cuda.memory.OutOfMemoryError, match="Out of memory allocating 512 bytes"):
            xp.empty(1, np.uint8)
        del x
        xp.empty(1, np.uint8)
    finally:
        pool.set_limit()
    assert pool.get_limit() == 0
    with pytest.raises(ValueError, match="cannot be specified at the same time"):
        pool.set_limit(size=1, fraction=0.5)


def test_device_streams_and_events():
    """What a framework asks of cupy.cuda has an answer; a second device has not."""
    assert xp.cuda.is_available() and xp.cuda.runtime.getDeviceCount() == 1
    with xp.cuda.Device(0) as device, xp.cuda.Stream(non_blocking=True) as stream:
        assert xp.empty(1).device == device and xp.cuda.get_current_stream() is stream
        start, end = xp.cuda.Event(), xp.cuda.Event()
        start.record()
        xp.exp(xp.ones(10))
        stream.record(end).synchronize()
    assert xp.cuda.get_current_stream() is xp.cuda.Stream.null
    assert 0 < xp.cuda.get_elapsed_time(start, end) < 10_000
    free, total = device.mem_info
    assert 0 < free <= total
    with pytest.raises(xp.cuda.runtime.CUDARuntimeError, match="invalid device ordinal"):
        xp.cuda.Device(1).use()
    with pytest.raises(xp.cuda.runtime.CUDARuntimeError, match="not recorded"):
        xp.cuda.get_elapsed_time(start, xp.cuda.Event())
