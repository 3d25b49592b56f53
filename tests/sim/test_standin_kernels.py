"""Raw kernels through the stand-in: CuPy's argument rules, with an error where CuPy would pass garbage on."""

from __future__ import annotations

import numpy as np
import pytest

from minicnn.kernels import sim
from minicnn.kernels.sim import standin as xp

pytestmark = pytest.mark.skipif(sim.why_not() is not None, reason=str(sim.why_not()))
TEXT = """
template <typename T> __global__ void scale(const T* x, T* y, long long n, T factor) {
    long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (i < n) y[i] = factor * x[i];
}
extern "C" __global__ void types(float* out, int a, long long b, double c, bool d, unsigned int e, signed char f) {
    out[0] = a; out[1] = b; out[2] = c; out[3] = d; out[4] = e; out[5] = f;
}
extern "C" __global__ void halves(const float4* x, float* sums) {
    sums[threadIdx.x] = x[threadIdx.x].x + x[threadIdx.x].w;
}
extern "C" __global__ void where(int* grid, const void* nothing) {
    if (threadIdx.x == 0 && threadIdx.y == 0 && nothing == nullptr)
        grid[blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z)] = blockDim.x * 100 + blockDim.y;
}
extern "C" __global__ void reversed(float* x) {
    extern __shared__ float tile[];
    tile[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    x[threadIdx.x] = tile[blockDim.x - 1 - threadIdx.x];
}
"""
MODULE = xp.RawModule(code=TEXT, options=("--std=c++17",), name_expressions=("scale<float>", "scale<double>"))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_template_kernels(dtype):
    """The instances named in name_expressions, on arrays and on contiguous parts of them."""
    x = xp.arange(100, dtype=dtype)
    y = xp.zeros(100, dtype)
    kernel = MODULE.get_function(f"scale<{'float' if dtype == np.float32 else 'double'}>")
    kernel((2,), (32,), (x[10:60], y[40:], 50, dtype(3)))
    expected = np.zeros(100, dtype)
    expected[40:90] = 3 * np.arange(10, 60)
    np.testing.assert_array_equal(y.get(), expected)


def test_scalars_are_passed_as_cupy_passes_them():
    """int is long long, float is double, bool is one byte, and NumPy scalars are what they are."""
    out = xp.zeros(6, np.float32)
    kernel = MODULE.get_function("types")
    kernel((1,), (1,), (out, np.int32(-1), -2, 3.5, True, np.uint32(4), np.int8(-5)))
    assert out.tolist() == [-1, -2, 3.5, 1, 4, -5]


REST = (64, np.float32(2))  # the arguments after the arrays


@pytest.mark.parametrize(
    ("args", "error", "text"),
    [
        (lambda x: (x, x, 64), TypeError, r"takes 4 arguments \(const float\*, float\*, long long, float\), got 3"),
        (lambda x: (x, x, *REST, 1), TypeError, "takes 4 arguments .* got 5"),
        (
            lambda x: (x, x, 64, 2.0),
            TypeError,
            r"argument 3 \(C\+\+ type float\): float is passed as float64.*numpy.float32\(x\)",
        ),
        (
            lambda x: (x, x, 64, 2),
            TypeError,
            r"argument 3 .*: int is passed as int64, 8 bytes; pass numpy.float32\(x\)",
        ),
        (lambda x: (x, x, np.int32(64), np.float32(2)), TypeError, r"argument 2 .*long long.*numpy.int64\(x\)"),
        (
            lambda x: (x, x, 64.0, np.float32(2)),
            TypeError,
            r"argument 2 .*: float is passed as float64, 8 bytes; pass numpy.int64",
        ),
        (lambda x: (x, x, 2**63, np.float32(2)), OverflowError, "argument 2 .* does not fit into 64 bits"),
        (lambda x: (x, x, x, np.float32(2)), TypeError, "argument 2 .*: a device array cannot be passed by value"),
        (lambda x: (x, x, "64", np.float32(2)), TypeError, "argument 2 .*: a number is needed, got str"),
        (lambda x: (np.ones(64, "f"), x, *REST), TypeError, r"argument 0 \(C\+\+ type const float\*\): a NumPy array"),
        (lambda x: (3, x, *REST), TypeError, "argument 0 .*: a device array is needed, got int"),
        (lambda x: (xp.ones(64), x, *REST), TypeError, "argument 0 .*: the array is float64; it must be float32"),
        (lambda x: (x, xp.ones(64, np.int32), *REST), TypeError, "argument 1 .*: the array is int32"),
        (lambda x: (x[::2], x, *REST), ValueError, r"argument 0 .* not C-contiguous \(strides \(8,\)"),
        (lambda x: (x.reshape(8, 8).T, x, *REST), ValueError, "argument 0 .* not C-contiguous"),
        (lambda x: x, TypeError, "the arguments must be a tuple"),
    ],
)
def test_wrong_arguments(args, error, text):
    """Names kernel, argument and type, and what to pass; nothing is launched."""
    arguments = args(xp.ones(64, np.float32))
    with xp.launches.collect() as launched, pytest.raises(error, match=f"kernel scale<float>.*{text}"):
        MODULE.get_function("scale<float>")((2,), (32,), arguments)
    assert launched == []


def test_vector_pointers_must_be_aligned():
    """float4* needs 16 bytes: a slice may begin in between, which a GPU would punish with an error."""
    x, sums = xp.arange(33, dtype=np.float32), xp.zeros(8, np.float32)
    aligned = next(i for i in range(4) if x[i:].data.ptr % 16 == 0)
    kernel = MODULE.get_function("halves")
    part = x[aligned : aligned + 28]
    kernel((1,), (7,), (part, sums))
    np.testing.assert_array_equal(sums.get()[:7], part.get()[::4] + part.get()[3::4])
    with pytest.raises(ValueError, match="argument 0 .* no multiple of 16 bytes"):
        kernel((1,), (7,), (x[aligned + 1 :], sums))


@pytest.mark.parametrize(
    ("grid", "block", "shared_mem", "error", "text"),
    [
        ([2], (32,), 0, TypeError, r"grid must be a tuple of one to three whole numbers, got \[2\]"),
        (2, (32,), 0, TypeError, "grid must be a tuple"),
        ((2,), (32, 1, 1, 1), 0, TypeError, "block must be a tuple of one to three"),
        ((2.0,), (32,), 0, TypeError, r"grid \(2.0,\) along x is no whole number"),
        ((True,), (32,), 0, TypeError, "no whole number"),
        ((0,), (32,), 0, ValueError, "CuPy would launch 1 there, without a word"),
        ((2,), (32, 0), 0, ValueError, r"block \(32, 0\) has 0 along y"),
        ((-1,), (32,), 0, ValueError, "-1 along x"),
        ((2,), (1025,), 0, xp.cuda.driver.CUDADriverError, "1025 along x, a GPU takes at most 1024"),
        ((2,), (64, 32), 0, xp.cuda.driver.CUDADriverError, r"block \(64, 32\) has 2048 threads"),
        ((2,), (1, 1, 65), 0, xp.cuda.driver.CUDADriverError, "65 along z, a GPU takes at most 64"),
        ((1, 65536), (32,), 0, xp.cuda.driver.CUDADriverError, "65536 along y, a GPU takes at most 65535"),
        ((2**31,), (32,), 0, xp.cuda.driver.CUDADriverError, "CUDA_ERROR_INVALID_VALUE"),
        ((2,), (32,), 49153, xp.cuda.driver.CUDADriverError, "49153 bytes of dynamic shared memory, 49152 are allowed"),
        ((2,), (32,), -1, TypeError, "shared_mem must be a number of bytes"),
        ((2,), (32,), 4.0, TypeError, "shared_mem must be a number of bytes"),
    ],
)
def test_wrong_geometry(grid, block, shared_mem, error, text):
    """What CuPy, the driver or the hardware refuses, and the empty grid that CuPy makes one block of."""
    x = xp.ones(64, np.float32)
    with xp.launches.collect() as launched, pytest.raises(error, match=text):
        MODULE.get_function("scale<float>")(grid, block, (x, x, *REST), shared_mem=shared_mem)
    assert launched == []


def test_three_dimensions_and_null():
    """Grid and block may have up to three sizes, NumPy integers too; None is the null pointer."""
    out = xp.zeros(24, np.int32)
    MODULE.get_function("where")((2, np.int64(3), 4), (4, 2), (out, None))
    assert (out.get() == 402).all()


def test_launches_are_recorded():
    """Name, grid, block and shared memory, for tests that count launches."""
    x = xp.arange(8, dtype=np.float32)
    with xp.launches.collect() as launched:
        MODULE.get_function("reversed")((1,), (8,), (x,), shared_mem=32)
        MODULE.get_function("scale<float>")((1, 1), (8,), (x, x, 8, np.float32(1)))
    assert launched == [("reversed", (1,), (8,), 32), ("scale<float>", (1, 1), (8,), 0)]
    assert xp.launches[-2:] == tuple(launched) and launched[0].shared_mem == 32
    assert x.tolist() == list(range(7, -1, -1))


def test_more_shared_memory_needs_permission():
    """Above 48 KB only after max_dynamic_shared_size_bytes is set, and never beyond the hardware."""
    kernel = MODULE.get_function("reversed")
    assert kernel.max_dynamic_shared_size_bytes == 48 * 1024
    x = xp.arange(32, dtype=np.float32)
    kernel.max_dynamic_shared_size_bytes = 100_000
    kernel((1,), (32,), (x,), shared_mem=100_000)
    assert x.tolist() == list(range(31, -1, -1))
    with pytest.raises(xp.cuda.driver.CUDADriverError, match="232448"):
        kernel.max_dynamic_shared_size_bytes = 300_000
    assert MODULE.get_function("reversed").max_dynamic_shared_size_bytes == 48 * 1024  # each kernel has its own


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("unknown", "the text has no kernel unknown"),
        ("scale<int>", r"must be listed in name_expressions=\('scale<int>',\); name_expressions are \('scale<float>'"),
    ],
)
def test_unknown_kernels(name, text):
    """CuPy's error class, and what is missing."""
    with pytest.raises(xp.cuda.driver.CUDADriverError, match=f"CUDA_ERROR_NOT_FOUND.*{text}"):
        MODULE.get_function(name)


def test_cpp_kernels_need_extern_c():
    """NVRTC mangles the name of a C++ kernel, so that a GPU would not find it."""
    text = "__global__ void one(float* x) { x[0] = 1; }"
    with pytest.raises(xp.cuda.driver.CUDADriverError, match='write extern "C" before the kernel'):
        xp.RawModule(code=text).get_function("one")
    x = xp.zeros(1, np.float32)
    xp.RawModule(code=text, name_expressions=["one"]).get_function("one")((1,), (1,), (x,))
    assert x.item() == 1


def test_raw_kernel():
    """One kernel without a module; options define macros."""
    text = 'extern "C" __global__ void add(float* x) { x[threadIdx.x] += AMOUNT; }'
    x = xp.zeros(4, np.float32)
    kernel = xp.RawKernel(text, "add", ("-DAMOUNT=3",))
    kernel.compile()
    kernel((1,), (4,), (x,))
    assert x.tolist() == [3] * 4 and kernel.name == "add"


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({}, TypeError, "Exactly one of `code` and `path`"),
        ({"code": "", "path": "a.cubin"}, TypeError, "Exactly one of `code` and `path`"),
        ({"path": "a.cubin"}, ValueError, "a.cubin is a GPU's machine code"),
        ({"code": "", "options": ["-DX"]}, TypeError, "options a tuple"),
        ({"code": "", "backend": "gcc"}, ValueError, "'nvrtc' or 'nvcc'"),
        ({"code": "", "backend": "nvcc", "name_expressions": ("f",)}, ValueError, "only nvrtc supports"),
        ({"code": "", "enable_cooperative_groups": True}, ValueError, "no cooperative groups"),
    ],
)
def test_wrong_modules(arguments, error, text):
    """What CuPy refuses when a module is made, and what the simulator cannot do."""
    with pytest.raises(error, match=text):
        xp.RawModule(**arguments)


def test_text_that_does_not_compile():
    """The compiler's message, with the line of the text; making the module does not compile yet."""
    module = xp.RawModule(code='extern "C" __global__ void k(float* x) {\n    x[0] = oops;\n}\n')
    with pytest.raises(sim.CompileError, match=r":2:.*oops"):
        module.get_function("k")((1,), (1,), (xp.zeros(1, np.float32),))


# -------------------------------------------------------------------- check mode
SUM = """
extern "C" __global__ void sum(const float* x, float* y, int n) {
    float total = 0;
    for (int i = 0; i < n; ++i) total += x[i];
    y[0] = total;
}
"""


def run_sum(x, n=None, y=None):
    y = xp.zeros(1, np.float32) if y is None else y
    xp.RawKernel(SUM, "sum")((1,), (1,), (x, y, np.int32(x.size if n is None else n)))
    return y.item()


def test_check_mode_sees_uninitialised_reads():
    """What the host or a kernel has written may be read; what xp.empty gave may not."""
    with sim.checking():
        x = xp.empty(8, np.float32)
        with pytest.raises(sim.KernelFault) as fault:
            run_sum(x)
        assert fault.value.kind == "uninitialised" and fault.value.line == 4
        x[:7] = 1
        with pytest.raises(sim.KernelFault):
            run_sum(x)
        assert run_sum(x, 7) == 7
        x[7:] = 2
        assert run_sum(x) == 9
        assert run_sum(x + x) == 18


def write_slices(x):
    x[:, :2] = 1
    x[:, 2:] = 2


def write_mask(x):
    x[xp.asarray(np.tile([True, True, False], 4).reshape(4, 3))] = 1
    x[:, 2].fill(2)


def write_fancy(x):
    x[[0, 1, 2, 3], :2] = 1
    x[xp.arange(4), 2] = 2


def write_out(x):
    np.add(xp.zeros((4, 2), np.float32), 1, out=x[:, :2])
    xp.copyto(x, 2, where=xp.asarray(np.tile([False, False, True], 4).reshape(4, 3)))


def write_host(x):
    x[:3].set(np.tile(np.float32([1, 1, 2]), (3, 1)))
    x[3] = xp.asarray([1, 1, 2])


@pytest.mark.parametrize("write", [write_slices, write_mask, write_fancy, write_out, write_host])
def test_check_mode_knows_what_the_host_wrote(write):
    """Every way of writing marks what it wrote, and not a byte more."""
    with sim.checking():
        x = xp.empty((4, 3), np.float32)
        write(x)
        assert run_sum(x) == 16
        wide = xp.empty((4, 5), np.float32)  # the columns beside it stay unwritten
        write(wide[:, 1:4] if write is not write_host else wide[:, :3].copy())
        with pytest.raises(sim.KernelFault):
            run_sum(wide)


def test_check_mode_stops_at_the_end_of_an_array():
    """One element too far is a fault, also where the memory page goes on."""
    with sim.checking():
        x = xp.ones(5, np.float32)
        with pytest.raises(sim.KernelFault) as fault:
            run_sum(x, 6)
    assert fault.value.line == 4


def test_arrays_made_before_check_mode():
    """They count as written; results arrive, in views of the same memory too; faults are found beyond their end."""
    buffer = xp.zeros(10, np.float32)
    buffer[:8] = xp.ones(8, np.float32)
    x, y = buffer[:8], buffer[9:]
    uninitialised = xp.empty(3, np.float32)
    with sim.checking():
        assert run_sum(x, y=y) == 8
        assert buffer.tolist() == [1] * 8 + [0, 8]
        run_sum(uninitialised)
        with pytest.raises(sim.KernelFault):
            run_sum(buffer, 11)
        new = xp.empty(3, np.float32)
        with pytest.raises(sim.KernelFault):
            run_sum(new, y=y)
    assert run_sum(x) == 8 and run_sum(new) is not None  # and back again, with memory that was made for checking


def test_one_module_serves_both_modes():
    """A module that was compiled before checking is compiled again with the checker."""
    race = xp.RawKernel('extern "C" __global__ void k(float* x) { x[0] = threadIdx.x; }', "k")
    x = xp.zeros(1, np.float32)
    race((1,), (32,), (x,))
    with sim.checking(), pytest.raises(sim.KernelFault) as fault:
        race((1,), (32,), (x,))
    assert fault.value.kind == "race"
    race((1,), (32,), (x,))


def test_launch_bounds_and_the_preprocessor():
    """A launch beyond __launch_bounds__ fails as on a GPU; kernels count as the preprocessor leaves them."""
    code = """
#define MADE(NAME) extern "C" __global__ void __launch_bounds__(64) NAME##_all(float* y) { y[threadIdx.x] = 1; }
MADE(set)
#if 0
extern "C" __global__ void old(float* y) {}
#endif
"""
    module, y = xp.RawModule(code=code), xp.zeros(64, dtype=xp.float32)
    kernel = module.get_function("set_all")
    kernel((1,), (64,), (y,))
    assert float(y.sum()) == 64
    with pytest.raises(
        xp.cuda.driver.CUDADriverError, match=r"__launch_bounds__\(64\), and a .* launch has 65 threads"
    ):
        kernel((1,), (65,), (y,))
    with pytest.raises(xp.cuda.driver.CUDADriverError, match="the text has no kernel old"):
        module.get_function("old")


def test_arrays_for_vector_pointers():
    """CuPy would let a kernel read whole numbers as floats."""
    code = 'extern "C" __global__ void k(float4* x) { x[0].x = 1; }'
    x = xp.zeros(4, dtype=xp.int32)
    with pytest.raises(TypeError, match=r"C\+\+ type float4\*\): the array is int32; float4 is made of float32"):
        xp.RawKernel(code, "k")((1,), (1,), (x,))
