"""The launcher: what CuPy and the hardware would take as it is, each mistake has its error, and grids are right."""

from __future__ import annotations

import re

import numpy as np
import pytest

from minicnn.kernels import cuda
from minicnn.kernels.cuda import backend, launcher
from minicnn.kernels.cuda.signature import parse
from minicnn.kernels.sim.module import Module

TEXT = """
template <typename T>
__global__ void scale(const T* x, T* y, T factor, long long size)
{
    const long long step = (long long)blockDim.x * gridDim.x;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < size; i += step) {
        y[i] = factor * x[i];
    }
}

template <typename T>
__global__ void numbers(T* y, int a, unsigned int b, unsigned long long c, double d)
{
    y[0] = a;
    y[1] = b;
    y[2] = c;
    y[3] = d;
}

__global__ void who(int* block_of)
{
    block_of[(blockIdx.y * gridDim.x + blockIdx.x) * blockDim.x + threadIdx.x] = blockIdx.y * gridDim.x + blockIdx.x;
}
"""


@pytest.fixture
def declared(xp, monkeypatch):
    """Kernels of a file that only these tests have, and a registry of their own."""
    monkeypatch.setattr(launcher, "_declared", {})
    monkeypatch.setattr(launcher, "_sources", {"test.cu": TEXT})
    monkeypatch.setattr(launcher, "_modules", {})
    return {
        "scale": launcher.Kernel("test.cu", "scale<T>", "const T* x, T* y, T factor, long long size"),
        "numbers": launcher.Kernel(
            "test.cu", "numbers<T>", "T* y, int a, unsigned int b, unsigned long long c, double d"
        ),
        "who": launcher.Kernel("test.cu", "who", "int* block_of"),
    }


@pytest.fixture
def scale(declared):
    return declared["scale"]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [1, 31, 256, 257, 1000])
def test_a_launch_computes(xp, scale, dtype, size):
    """T is what the arrays are, a Python float becomes one, and every element has its thread."""
    x = xp.asarray(np.arange(size, dtype=dtype))
    y = xp.empty(size, dtype)
    scale((x, y, 0.1, size), threads=size)
    np.testing.assert_array_equal(y.get(), dtype(0.1) * np.arange(size, dtype=dtype))


def test_numbers_arrive_in_their_own_type(xp, declared):
    """CuPy would pass every int as 8 bytes and every float as a double, whatever the kernel reads."""
    y = xp.empty(4, np.float64)
    declared["numbers"]((y, True, np.int64(2**32 - 1), 2**64 - 1, np.float32(0.5)), threads=1)
    assert y.get().tolist() == [1.0, 2.0**32 - 1, float(2**64 - 1), 0.5]


def test_an_empty_launch_is_none(xp, scale, monkeypatch):
    """CuPy launches one block for a grid of 0; here nothing is launched, not even compiled, but still checked."""
    monkeypatch.setattr(scale, "_compiled", None)
    empty = xp.empty((0, 3), np.float32)
    scale((empty, empty, 1.0, 0), threads=0)
    scale((empty, empty, 1.0, 0), blocks=(4, 0), block=32)
    with pytest.raises(TypeError, match="parameter factor"):
        scale((empty, empty, "1", 0), threads=0)


def test_grid_is_counted_in_blocks_and_capped(scale):
    """As many blocks as cover the threads, up to a bound beyond which threads stride."""
    assert scale._geometry(257, None, 256, 0) == ((2,), (256,))
    assert scale._geometry(256, None, 256, 0) == ((1,), (256,))
    assert scale._geometry(2**40, None, 256, 0) == ((launcher.MOST_BLOCKS,), (256,))
    assert scale._geometry(None, (3, np.int64(2)), (8, 4), 0) == ((3, 2), (8, 4))
    with launcher.launched_with(block=32, blocks=3):
        assert scale._geometry(1000, None, 256, 0) == ((3,), (32,))
        assert scale._geometry(40, None, 256, 0) == ((2,), (32,))
        assert scale._geometry(None, 7, 128, 0) == ((7,), (128,))


def test_blocks_in_two_dimensions(xp, declared):
    y = xp.empty(2 * 3 * 4, np.int32)
    declared["who"]((y,), blocks=(3, 2), block=4)
    np.testing.assert_array_equal(y.get(), np.repeat(np.arange(6), 4))


def launch(*changes, **geometry):
    """A call of scale with arguments changed by ``changes``, pairs (number, function of the right argument)."""

    def call(xp, scale):
        args = [xp.zeros((4, 6), np.float32), xp.zeros((4, 6), np.float32), 2.0, 24]
        for i, change in changes:
            args[i] = change(args[i])
        scale(tuple(args), **(geometry or {"threads": 24}))

    return call


MISTAKES = {
    "an argument is missing": (
        lambda xp, scale: scale((xp.zeros(3, np.float32), 3), threads=3),
        (TypeError, "kernel scale in test.cu takes 4 arguments (const T* x, T* y, T factor, long long size), got 2"),
    ),
    "host array": (
        launch((0, lambda a: a.get())),
        (TypeError, "parameter x: a device array is needed, got a NumPy array", "host's memory", "xp.asarray"),
    ),
    "no array": (launch((1, lambda a: None)), (TypeError, "parameter y: a device array is needed, got None")),
    "two dtypes": (
        launch((1, lambda a: a.astype(np.float64))),
        (TypeError, "parameter y: the array is float64, the kernel reads float32", ".astype(xp.float32)"),
    ),
    "integers": (
        launch((0, lambda a: a.astype(np.int32))),
        (TypeError, "parameter x: kernels compute in float32 or float64, got int32"),
    ),
    "half precision": (launch((0, lambda a: a.astype(np.float16))), (TypeError, "float32 or float64, got float16")),
    "transposed": (
        launch((0, lambda a: a.T)),
        (ValueError, "parameter x: shape (6, 4) with strides (4, 24) is not C-contiguous", "ascontiguousarray"),
    ),
    "result with gaps": (
        launch((1, lambda a: a[:, ::2])),
        (ValueError, "parameter y: shape (4, 3) with strides (24, 8)", "xp.empty"),
    ),
    "reversed": (launch((0, lambda a: a[::-1])), (ValueError, "parameter x: ", "strides (-24, 4)")),
    "misaligned": (
        launch((0, lambda a: a.reshape(-1).view(np.uint8)[2:-2].view(np.float32))),
        (ValueError, "parameter x: address 0x", "no multiple of 4", ".copy()"),
    ),
    "fraction for an integer": (
        launch((3, lambda n: 24.0)),
        (TypeError, "parameter size: a whole number is needed (long long), got 24.0"),
    ),
    "string for a number": (
        launch((2, lambda n: "2")),
        (TypeError, "parameter factor: a number is needed (T), got '2'"),
    ),
    "complex number": (launch((2, lambda n: 1j)), (TypeError, "parameter factor: a number is needed")),
    "None for a number": (launch((3, lambda n: None)), (TypeError, "parameter size: a whole number is needed")),
    "array for a number": (
        lambda xp, scale: launch((2, lambda n: xp.ones((), np.float32)))(xp, scale),
        (TypeError, "parameter factor: a number is needed (T), got an array", ".item()"),
    ),
    "host array for a number": (launch((3, np.asarray)), (TypeError, "parameter size: a number is needed", ".item()")),
    "integer over its type": (
        launch((3, lambda n: 2**63)),
        (ValueError, "parameter size: 9223372036854775808 does not fit long long", "9223372036854775807"),
    ),
    "float over its type": (
        launch((2, lambda n: 1e39)),
        (ValueError, "parameter factor: 1e+39 does not fit float32", "3.40282"),
    ),
    "integer over every float": (launch((2, lambda n: 10**400)), (ValueError, "parameter factor: ", "float32")),
    "no geometry": (lambda xp, scale: scale((xp.zeros(1), xp.zeros(1), 1.0, 1)), (TypeError, "give threads or blocks")),
    "both geometries": (launch(threads=1, blocks=1), (TypeError, "give threads or blocks, and not both")),
    "block over 1024 threads": (
        launch(threads=24, block=1056),
        (ValueError, "block along x is 1056, but 1 to 1024 are possible"),
    ),
    "block over 1024 threads in all": (
        launch(blocks=1, block=(32, 33)),
        (ValueError, "block (32, 33) has 1056 threads, but a block holds 1024"),
    ),
    "block too deep": (launch(blocks=1, block=(1, 1, 65)), (ValueError, "block along z is 65, but 1 to 64")),
    "no thread in a block": (launch(threads=24, block=0), (ValueError, "block along x is 0, but 1 to 1024")),
    "grid over 65535 along y": (launch(blocks=(1, 65536)), (ValueError, "blocks along y is 65536, but 0 to 65535")),
    "grid over 2**31 - 1 along x": (launch(blocks=2**31), (ValueError, "blocks along x is 2147483648")),
    "four dimensions": (launch(blocks=(1, 1, 1, 1)), (TypeError, "a tuple of one to three, got (1, 1, 1, 1)")),
    "fraction of a block": (launch(blocks=1.5), (TypeError, "blocks must be", "got 1.5")),
    "negative threads": (launch(threads=-1), (ValueError, "threads is -1, but 0 to")),
    "threads in a flat block": (launch(threads=24, block=(8, 8)), (TypeError, "counted along x, but block is (8, 8)")),
    "too much shared memory": (
        launch(threads=24, shared_mem=48 * 1024 + 1),
        (ValueError, "shared_mem is 49153 bytes, but a block has 49152"),
    ),
    "negative shared memory": (launch(threads=24, shared_mem=-1), (ValueError, "shared_mem is -1")),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_refused(xp, scale, mistake):
    """Each would be garbage, a crash, or CUDA's "invalid argument": here it is a sentence, before any launch."""
    call, (error, *says) = MISTAKES[mistake]
    with pytest.raises(error) as caught:
        call(xp, scale)
    for words in ("kernel scale in test.cu", *says):
        assert words in str(caught.value)


def test_arrays_of_two_devices_are_refused(xp, scale, monkeypatch):
    """Two GPUs, or a GPU and the simulator: an address of one means nothing on the other."""
    x, y = xp.zeros(3, np.float32), xp.zeros(3, np.float32)
    monkeypatch.setattr(backend, "device_of", lambda a: "cuda" if a is y else "sim" if a is x else None)
    with pytest.raises(ValueError, match=r"one device, got x on sim:0, y on cuda:0"):
        scale((x, y, 1.0, 3), threads=3)


def test_int_parameters_take_31_bits(declared, xp):
    """A size over 2**31 - 1 for an int is refused by name; it would wrap to a negative number."""
    y = xp.zeros(4, np.float32)
    with pytest.raises(ValueError, match=r"parameter a: 2147483648 does not fit int, which holds -2147483648 to 2147"):
        declared["numbers"]((y, 2**31, 0, 0, 0), threads=1)
    with pytest.raises(ValueError, match=r"parameter b: -1 does not fit unsigned int, which holds 0 to 4294967295"):
        declared["numbers"]((y, 0, -1, 0, 0), threads=1)


def test_a_kernel_is_declared_once(declared):
    """Two declarations of one function could differ."""
    with pytest.raises(ValueError, match=r"scale<T> of test.cu is declared twice"):
        launcher.Kernel("test.cu", "scale<T>", "T* x")


@pytest.mark.parametrize(("name", "signature"), [("f", "T* x"), ("f<T>", "float* x"), ("f<T>", "int* x, T factor")])
def test_t_is_decided_by_an_array(declared, name, signature):
    """A template whose T no array decides could not be compiled; a T without a template is a slip."""
    with pytest.raises(ValueError, match="T stands in the name if and only if an array"):
        launcher.Kernel("test.cu", name, signature)


@pytest.mark.parametrize("signature", ["long n", "const T& x", "T** x", "half* x", "T", "float4* x", "int n int m"])
def test_signatures_outside_the_rules_are_refused(signature):
    """`long` has another width on Windows, references and double pointers cannot be passed: not even declared."""
    with pytest.raises(ValueError, match=re.escape(repr(signature))):
        parse(signature)


def test_a_kernel_without_arrays_is_refused(declared):
    """It could give nothing back, and nothing would say on which device to launch it."""
    with pytest.raises(ValueError, match="f of test.cu has no array"):
        launcher.Kernel("test.cu", "f", "int n")


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, np.float64(np.inf)])
def test_infinity_and_nan_are_numbers(xp, scale, value):
    """Only finite numbers that float32 would turn into infinity are refused."""
    x, y = xp.ones(1, np.float32), xp.empty(1, np.float32)
    scale((x, y, value, 1), threads=1)
    np.testing.assert_array_equal(y.get(), np.float32(value))


def test_another_text_can_take_a_files_place(xp, scale):
    """How a student's own .cu is run in the room's functions; afterwards the room's own text is back."""
    x, y = xp.ones(3, np.float32), xp.empty(3, np.float32)
    with launcher.replaced("test.cu", TEXT.replace("factor * x[i]", "factor + x[i]")):
        scale((x, y, 4.0, 3), threads=3)
        assert y.get().tolist() == [5, 5, 5]
    scale((x, y, 4.0, 3), threads=3)
    assert y.get().tolist() == [4, 4, 4]


def test_a_text_that_does_not_compile_names_file_and_line(xp, scale):
    """A student's slip: the compiler's own words, with the line of the .cu file and not of what it is wrapped in."""
    x = xp.ones(3, np.float32)
    with (
        launcher.replaced("test.cu", TEXT.replace("y[i] = factor * x[i];", "y[i] = factor * z[i];")),
        pytest.raises(Exception, match=r"test\.cu[:(]7.*(.|\n)*\bz\b"),
    ):
        scale((x, x.copy(), 1.0, 3), threads=3)


def test_every_shared_kernel_of_the_room_is_declared_in_its_file():
    """`minicnn kernels list` reads the registry: what lies in a .cu file without a declaration would be missing."""
    for kernel in cuda.declared():
        assert kernel.file.removesuffix(".cu") in {p.stem for p in launcher.FOLDER.glob("*.cu")}
    for file in launcher.FOLDER.glob("*.cu"):
        names = re.findall(r"__global__\s+void\s+(?:__launch_bounds__\([^)]*\)\s*)?(\w+)\(", file.read_text())
        assert names and set(names) == {k.function for k in cuda.declared() if k.file == file.name}, file.name


@pytest.mark.parametrize("element", launcher.ELEMENTS, ids=str)
@pytest.mark.parametrize("file", sorted({k.file for k in cuda.declared()}))
def test_declarations_are_what_cpp_sees(xp, file, element):
    """The launcher passes what was declared; if the .cu file says otherwise, a GPU would read garbage."""
    kernels = [k for k in cuda.declared() if k.file == file]
    module = Module(launcher.source(file), filename=file, names=[k.instance(element) for k in kernels if k.takes_t])
    for kernel in kernels:
        said = module.signature(kernel.instance(element))
        declared = [(p.pointer, p.pointer and p.const, p.dtype(element)) for p in kernel.parameters]
        seen = [(p.pointer, p.pointer and p.const, np.dtype(f"{p.kind}{p.size}")) for p in said]
        assert declared == seen, f"{kernel} is declared, {file} has {', '.join(map(str, said))}"
