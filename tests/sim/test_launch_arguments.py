"""What `sim.launch` refuses before it runs anything, each in one sentence that says what would fit."""

from __future__ import annotations

import pathlib

import numpy as np
import pytest

from minicnn.kernels import sim

F4 = np.ones(8, np.float32)
ADD = """
extern "C" __global__ void k(const float* x, float* y, int n)
{
    if (threadIdx.x < n) y[threadIdx.x] += x[threadIdx.x];
}"""

REFUSED = {  # what is given otherwise than in a good call, error, words
    "no such order": ({"order": "random"}, ValueError, "order must be 'forward', 'backward', 'shuffled', got 'random'"),
    "an order of no type": ({"order": ["forward"]}, ValueError, "order must be"),
    "a number for a name": ({"name": 3}, TypeError, "name must be the name of a kernel .str., got int"),
    "no name": ({"name": ""}, ValueError, "name must be that of a kernel, such as relu or relu<float>, got ''"),
    "a name that is code": ({"name": 'k<1>", 0}; //'}, ValueError, "name must be that of a kernel"),
    "a name in two lines": ({"name": "k<\nint>"}, ValueError, "name must be that of a kernel"),
    "a path for a text": ({"source": pathlib.Path("my.cu")}, TypeError, r"pass its text, pathlib.Path\(...\).read"),
    "a file's name for a text": ({"source": "folder/my.cu"}, ValueError, "got the name 'folder/my.cu'; pass its text"),
    "bytes for a text": ({"source": ADD.encode()}, TypeError, "source must be the text of a .cu file .str., got bytes"),
    "nothing for a text": ({"source": None}, TypeError, "source must be the text"),
    "half a byte": ({"shared_mem": 1.5}, TypeError, "shared_mem must be a whole number of bytes, got 1.5"),
    "negative memory": ({"shared_mem": -1}, ValueError, "shared_mem must be 0 to 232448 bytes, got -1"),
    "memory in words": ({"shared_mem": "48K"}, TypeError, "shared_mem must be a whole number of bytes, got '48K'"),
    "no time": ({"seconds": 0}, ValueError, "seconds must be greater than 0 and finite, got 0"),
    "time that is none": ({"seconds": float("nan")}, ValueError, "seconds must be greater than 0"),
    "time in words": ({"seconds": "2"}, TypeError, "seconds must be a number or None, got '2'"),
    "a fraction for a seed": ({"seed": 0.5}, TypeError, "seed must be a whole number, got 0.5"),
    "a number for a file": ({"filename": 5}, TypeError, "filename must be str, got int"),
    "an array for all arguments": ({"args": F4}, TypeError, "args must be a list or tuple .*, got ndarray"),
    "nothing for all arguments": ({"args": None}, TypeError, "args must be a list or tuple"),
    "the other byte order": (
        {"args": [F4.astype(">f4"), F4, 8]}, TypeError,
        r"k, argument 0 \(const float\*\): the array is >f4, .*; x.astype\('float32'\) turns them",
    ),
    "objects": ({"args": [F4.astype(object), F4, 8]}, TypeError, "Python's objects do not exist on a device"),
    "a word for a number": ({"args": [F4, F4, np.str_("8")]}, TypeError, "a number was expected, got str_"),
    "a complex number": ({"args": [F4, F4, np.complex64(8)]}, TypeError, "a number was expected, got complex64"),
    "nothing for an array": ({"args": [None, F4, 8]}, TypeError, "an array was expected, got NoneType"),
}  # fmt: skip


def good() -> dict:
    return {"source": ADD, "name": "k", "grid": 1, "block": 8, "args": [F4, np.zeros(8, np.float32), 8]}


@pytest.mark.parametrize("what", REFUSED)
def test_refused(what):
    changed, error, says = REFUSED[what]
    with pytest.raises(error, match=says) as caught:
        sim.launch(**(good() | changed))
    assert "\n" not in str(caught.value)


def test_the_call_that_is_good():
    """The one that the others differ from; NumPy's numbers and a negative seed will do."""
    call = good() | {"order": "shuffled", "seed": np.int64(-1), "shared_mem": np.int32(4), "seconds": np.float32(9)}
    sim.launch(**call)
    np.testing.assert_array_equal(call["args"][1], F4)


def test_seconds_from_the_environment(monkeypatch):
    for said in ("soon", "0", "nan"):
        monkeypatch.setenv("MINICNN_SIM_SECONDS", said)
        with pytest.raises(ValueError, match=f"MINICNN_SIM_SECONDS must be a number of seconds .*, got '{said}'"):
            sim.launch(**good())


@pytest.mark.parametrize("filename", ['a "b".cu', "two\nlines.cu", "tab\there\r.cu", "back\\slash.cu", "", "\0.cu"])
def test_odd_file_names(filename):
    """Faults and the compiler's errors have the line all the same."""
    text = 'extern "C" __global__ void k(float* y)\n{\n    y[9] = 1;\n}'
    for one in (filename, pathlib.Path(filename)):
        with pytest.raises(sim.KernelFault) as caught:
            sim.launch(text, "k", 1, 1, [np.zeros(8, np.float32)], filename=one)
        assert (caught.value.file, caught.value.line) == (str(one), 3)
    with pytest.raises(sim.CompileError, match=r"(?s):3:\d+: error: 'j' was not declared"):
        sim.launch(text.replace("9", "j"), "k", 1, 1, [np.zeros(8, np.float32)], filename=filename)


VECTORS = """
struct Own { float a; int b; };
enum Way { up, down };
extern "C" __global__ void k(const float4* x, float2* y, uchar4* z, float3 by, Own* own, void* all, Way way)
{
    y[0].x = x[0].x + x[1].w + by.z;
    y[0].y = own[0].a + own[0].b + way;
    z[0].w = 7;
}
"""


def vectors() -> list:
    own = np.array([(0.5, 3)], [("a", "f4"), ("b", "i4")])
    return [np.arange(8, dtype="f4"), np.zeros(2, "f4"), np.zeros(4, "u1"), [1, 2, 3.5], own, np.zeros(3, "i2"), 1]


def test_vectors_and_structs():
    """An array of floats for float4*, or complex numbers for float2*; a struct of the file's own as records."""
    for y in (np.zeros(2, "f4"), np.zeros(1, "c8"), np.zeros(1, [("x", "f4"), ("y", "f4")])):
        args = vectors()
        args[1] = y
        sim.launch(VECTORS, "k", 1, 1, args)
        assert y.view("f4").tolist() == [0 + 7 + 3.5, 0.5 + 3 + 1] and args[2].tolist() == [0, 0, 0, 7]


@pytest.mark.parametrize("i, value, says", [
    (0, np.zeros(8, "i4"), r"argument 0 \(const float4\*\): the array is int32; it must be float32, of which float4"),
    (0, np.zeros(8), r"the array is float64; it must be float32, of which float4 is made"),
    (0, np.zeros(4, "c8"), r"the array is complex64; it must be float32"),
    (1, np.zeros(1, "c16"), r"argument 1 \(float2\*\): the array is complex128; it must be float32"),
    (2, np.zeros(4, "i1"), r"argument 2 \(uchar4\*\): the array is int8; it must be uint8"),
    (3, [1, 2], r"argument 3 \(float3\): 8 bytes were given"),
    (3, [1, "2", 3], r"argument 3 \(float3\): numbers were expected"),
    (3, np.zeros(3), r"argument 3 \(float3\): the array is float64; it must be float32"),
    (3, 5, r"argument 3 \(float3\): an array or a record was expected, got int"),
    (6, 1.5, r"argument 6 \(unsigned\): 1.5 is no whole number"),
])  # fmt: skip
def test_vectors_of_another_type(i, value, says):
    """Whole numbers are no floats, also where four of them are read at once."""
    args = vectors()
    args[i] = value
    with pytest.raises(TypeError, match=says):
        sim.launch(VECTORS, "k", 1, 1, args)


@pytest.mark.parametrize("check", [True, False])
def test_the_same_array_twice(check):
    """It is one piece of memory on the device, too; so is a view of all of it."""
    for view in (lambda x: x, lambda x: x[:], lambda x: x.reshape(2, 4)):
        x = np.arange(8, dtype=np.float32)
        sim.launch(ADD, "k", 1, 8, [x, view(x), 8], check=check)
        np.testing.assert_array_equal(x, 2 * np.arange(8))
    with pytest.raises(sim.KernelFault, match="race"):
        sim.launch(ADD.replace("+= x[threadIdx.x]", "= x[7 - threadIdx.x]"), "k", 1, 8, [x, x[:], 8])


def test_arrays_that_overlap():
    """A copy of each would not do what the device does; to read both is no harm."""
    x = np.arange(12, dtype=np.float32)
    with pytest.raises(ValueError, match=r"argument 1 \(float\*\): the array overlaps that of argument 0 \(const flo"):
        sim.launch(ADD, "k", 1, 8, [x[:8], x[4:], 8])
    y = np.zeros(8, np.float32)
    text = ADD.replace("k(", "k(const float* z, ").replace("+= ", "+= z[threadIdx.x] + ")
    sim.launch(text, "k", 1, 8, [x[:8], x[4:], y, 8])
    np.testing.assert_array_equal(y, x[:8] + x[4:])


def test_the_same_array_that_counts_as_never_written():
    x = sim.empty(8)
    with pytest.raises(sim.KernelFault, match="uninitialised"):
        sim.launch(ADD, "k", 1, 8, [x, x, 8])
    x[...] = 3
    sim.launch(ADD, "k", 1, 8, [x, x[:], 8])
    assert x.tolist() == [6] * 8
