"""Messages between the grader and a submission's process: what goes in comes out, and nothing else is believed."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minicnn as mc
from minicnn.coursework import wire

ARRAYS = hnp.arrays(
    st.one_of(hnp.floating_dtypes(), hnp.integer_dtypes(), hnp.boolean_dtypes(), hnp.complex_number_dtypes()).filter(
        lambda dtype: dtype.itemsize <= 16 and dtype.kind != "c" or dtype.itemsize in (8, 16)
    ),
    hnp.array_shapes(min_dims=0, min_side=0, max_side=4),
).filter(lambda a: a.dtype != np.longdouble)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), ARRAYS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.one_of(st.text(), st.integers()), inner, max_size=3),
    ),
    max_leaves=6,
)


def same(a, b) -> bool:
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and (a == b or a != a)


@given(VALUES)
def test_what_goes_in_comes_out(value):
    """All that can travel, nested in all ways; bytes in this machine's order."""
    little = value.astype(value.dtype.newbyteorder("<")) if isinstance(value, np.ndarray) else value
    if not isinstance(value, np.ndarray):
        assert same(wire.through(value), value) or "'>" in repr(value) or _holds_big_endian(value)
    else:
        assert same(wire.through(little), little)


def _holds_big_endian(value) -> bool:
    if isinstance(value, np.ndarray):
        return value.dtype.byteorder == ">"
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    return any(map(_holds_big_endian, parts))


def test_tensors_travel_as_arrays_and_scalars_as_scalars():
    """What students return: a tensor, a number of NumPy's, an array of any strides."""
    x = np.arange(6.0).reshape(2, 3).T
    assert same(wire.through(x), np.ascontiguousarray(x))
    assert same(wire.through(mc.tensor(x)), np.ascontiguousarray(x))
    assert type(wire.through(np.float32(2))) is np.float32


@pytest.mark.parametrize("value", [object(), len, {1: {2: set()}}, np.array([None]), np.array(["a"]), b"bytes"])
def test_what_cannot_travel_is_named(value):
    """By its type."""
    with pytest.raises(wire.WireError, match="cannot be handed over"):
        wire.pack(value)


@given(st.binary(max_size=60), st.binary(max_size=40))
def test_noise_is_refused(header, body):
    """Any bytes: a value or a WireError, never another error."""
    try:
        wire.unpack(header, body)
    except wire.WireError:
        return
    json.loads(header)


@pytest.mark.parametrize(
    "header",
    [
        {"array": "<f8", "shape": [10**12], "scalar": False}, {"array": "O", "shape": [1], "scalar": False},
        {"array": "<f8", "shape": [-1], "scalar": False}, {"array": "<f8", "shape": [1] * 99, "scalar": False},
        {"array": "<f8,<f8", "shape": [1], "scalar": False}, {"array": "|V8", "shape": [1], "scalar": False},
        {"dict": [[[], 1]]}, {"dict": [[1]]}, {"tuple": 3}, {},
    ],
)  # fmt: skip
def test_forged_arrays_are_refused(header):
    """Shapes without numbers, objects, negative lengths: nothing is allocated for them."""
    with pytest.raises(wire.WireError):
        wire.unpack(json.dumps(header).encode(), b"12345678")


@pytest.mark.parametrize("head", [b"MCW2" + bytes(16), b"MCW1" + b"\xff" * 16])
def test_heads_that_lie_are_refused(head):
    """Another magic word, or more bytes than may come."""
    with pytest.raises(wire.WireError):
        wire.sizes(head)
