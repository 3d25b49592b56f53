"""The simulator runs what CUDA C++ allows, and what NVRTC would refuse does not pass here either."""

from __future__ import annotations

import numpy as np
import pytest

from minicnn.kernels import sim
from minicnn.kernels.sim.module import Module
from minicnn.kernels.sim.text import dynamic_names, kernel_names

both = pytest.mark.parametrize("check", [True, False])


def floats(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.float32)


def test_dynamic_memory_by_several_names():
    """Each kernel of a file may call its dynamic memory what it likes, whatever other libraries have by that name."""
    text = """
extern "C" __global__ void one(float* y) {
    extern __shared__ float buffer[];
    buffer[threadIdx.x] = y[threadIdx.x]; __syncthreads(); y[threadIdx.x] = buffer[31 - threadIdx.x];
}
extern "C" __global__ void two(double* y) {
    extern __shared__ double environ_[];
    environ_[threadIdx.x] = y[threadIdx.x]; __syncthreads(); y[threadIdx.x] = environ_[31 - threadIdx.x];
}
extern "C" __global__ void late(double* y) {
    extern __shared__ double environ_[];
    y[threadIdx.x] = environ_[threadIdx.x];
}"""
    for check in (True, False):
        for name, dtype in (("one", np.float32), ("two", np.float64)):
            y = np.arange(32, dtype=dtype)
            sim.launch(text, name, 1, 32, [y], 32 * y.itemsize, check=check)
            np.testing.assert_array_equal(y, np.arange(32)[::-1])
    with pytest.raises(sim.KernelFault) as caught:
        sim.launch(text, "late", 1, 32, [np.zeros(32)], 256)
    assert caught.value.kind == "uninitialised" and "dynamic shared memory" in str(caught.value)
    with pytest.raises(sim.KernelFault) as caught:
        sim.launch(text, "two", 1, 32, [np.zeros(32)], 31 * 8)
    assert caught.value.kind == "out of bounds" and "the launch gave it 248 bytes" in str(caught.value)


@both
def test_dynamic_memory_in_a_template(check):
    """The usual trick: raw bytes, read as T."""
    text = """
template <typename T> __global__ void k(T* y) {
    extern __shared__ __align__(16) unsigned char raw[];
    T* room = reinterpret_cast<T*>(raw);
    room[threadIdx.x] = y[threadIdx.x];
    __syncthreads();
    y[threadIdx.x] = room[blockDim.x - 1 - threadIdx.x];
}"""
    for dtype, name in ((np.float32, "k<float>"), (np.float64, "k<double>")):
        y = np.arange(40, dtype=dtype)
        sim.launch(text, name, 1, 40, [y], 40 * y.itemsize, check=check)
        np.testing.assert_array_equal(y, np.arange(40)[::-1])


@both
def test_dynamic_memory_that_no_kernel_uses(check):
    """Asking for shared memory that the file does not mention does no harm; too much of it is refused."""
    text = 'extern "C" __global__ void k(float* y) { y[threadIdx.x] = 1; }'
    y = floats(8)
    sim.launch(text, "k", 1, 8, [y], 40000, check=check)
    np.testing.assert_array_equal(y, 1)
    for nbytes in (-1, 10**9):
        with pytest.raises(ValueError, match="shared_mem must be 0 to 232448 bytes, got"):
            sim.launch(text, "k", 1, 8, [y], nbytes, check=check)


@both
def test_qualifiers_where_people_write_them(check):
    """Launch bounds before or after void, constants and device functions in any order of words."""
    text = """
#define TILE 4
static __constant__ float a[2] = {1, 2};
__constant__ static const float b[2] = {10, 20};
__device__ __constant__ int shift = 100;
namespace helpers { static __device__ __forceinline__ float add(float x, float y) { return x + y; } }
__host__ __device__ inline float twice(float x) { return 2 * x; }
struct Pair { float first, second; __device__ float sum() const { return helpers::add(first, second); } };
extern "C" __global__ __launch_bounds__(256) void before(float* __restrict__ y) { y[threadIdx.x] = a[threadIdx.x % 2]; }
extern "C" __global__ void __launch_bounds__(TILE * (64 + 1), 2) after(float* y)
{
    Pair p{b[threadIdx.x % 2], float(shift)};
    y[threadIdx.x] = twice(p.sum());
}
extern "C" { __global__ void inside(float* y) { y[threadIdx.x] = 3; } }
"""
    for name, expected in (("before", [1, 2]), ("after", [220, 240]), ("inside", [3, 3])):
        y = floats(2)
        sim.launch(text, name, 1, 2, [y], check=check)
        np.testing.assert_array_equal(y, expected)


@both
def test_kernels_named_like_functions_of_the_c_library(check):
    """A kernel called `index` or `swab` is the file's own."""
    text = """
extern "C" __global__ void index(float* y) { y[threadIdx.x] = 1; }
extern "C" __global__ void swab(float* y) { y[threadIdx.x] = 2; }
extern "C" __global__ void getpid(float* y) { y[threadIdx.x] = 3; }"""
    for value, name in enumerate(("swab", "getpid"), 2):
        y = floats(2)
        sim.launch(text.replace("index", "indices"), name, 1, 2, [y], check=check)
        np.testing.assert_array_equal(y, value)


def test_constants_of_the_c_library_are_unknown():
    """NVRTC has no INFINITY, FLT_MAX or INT_MAX: a file that uses them must not compile here."""
    for name in ("INFINITY", "NAN", "FLT_MAX", "FLT_EPSILON", "DBL_MAX", "INT_MAX", "LLONG_MAX", "M_PI"):
        with pytest.raises(sim.CompileError, match=rf"(?s)mine.cu:2:.*{name}"):
            sim.launch(f'\nextern "C" __global__ void k(float* y) {{ y[0] = {name}; }}', "k", 1, 1, [floats(1)],
                       filename="mine.cu")  # fmt: skip


@both
def test_integers_wrap_and_bits_may_be_read_as_another_type(check):
    """A GPU's compiler takes neither to be impossible; nor does ours."""
    text = """
extern "C" __global__ void k(const float* x, int* y) {
    y[threadIdx.x] = *(const int*)(x + threadIdx.x);
    unsigned u = 0xffffffffu;
    y[threadIdx.x] += int(u + 1 + threadIdx.x);
}"""
    x, y = np.array([1, -2, 3], np.float32), np.zeros(3, np.int32)
    sim.launch(text, "k", 1, 3, [x, y], check=check)
    np.testing.assert_array_equal(y, x.view(np.int32) + np.arange(3))


def test_signed_overflow_wraps_without_the_checker():
    """As on a GPU; that the compiler may assume otherwise must not change results."""
    text = """
extern "C" __global__ void k(int* y, int n) {
    for (int i = n; i < i + 1 && y[0] < 5; ++i) y[0]++;
    y[1] = n + 1;
}"""
    y = np.zeros(2, np.int32)
    sim.launch(text, "k", 1, 1, [y, 2**31 - 1], check=False)
    assert y.tolist() == [0, -(2**31)]


@both
def test_small_float32_numbers_are_flushed(check):
    """CuPy compiles with -ftz=true: subnormal numbers count as zero, and the caller's arithmetic stays as it was."""
    text = 'extern "C" __global__ void k(const float* x, float* y) { y[threadIdx.x] = x[threadIdx.x] * 0.5f; }'
    x, y = np.array([1e-39, 2e-38, 4], np.float32), floats(3)
    sim.launch(text, "k", 1, 3, [x, y], check=check)
    np.testing.assert_array_equal(y, [0, 0, 2])
    assert np.float32(1e-39) * np.float32(0.5) > 0


def test_compile_options_define_macros():
    module = Module(
        'extern "C" __global__ void k(float* y) { y[0] = VALUE; }', options=("-DVALUE=3", "--use_fast_math")
    )
    assert [str(p) for p in module.signature("k")] == ["float*"]


def test_signatures_come_from_the_compiler():
    """Names of types, constness and sizes, also through aliases and templates."""
    text = """
using index = long long;
template <typename T, int N> __global__ void k(const T* x, T* __restrict__ y, index n, const int m, bool b, float4 v,
                                               const void* p, unsigned char c, T s, half h) {}
"""
    module = Module(text, names=["k<float, 3>", "k<double, 2>"])
    assert [str(p) for p in module.signature("k<float, 3>")] == [
        "const float*", "float*", "long long", "int", "bool", "float4", "const void*", "unsigned char",
        "float", "half",
    ]  # fmt: skip
    assert [str(p) for p in module.signature("k<double, 2>")][:2] == ["const double*", "double*"]
    assert module.kernels() == ["k<float, 3>", "k<double, 2>"]
    with pytest.raises(KeyError, match=r"has no kernel other; it has k<float, 3>, k<double, 2>"):
        module.signature("other")


def test_names_are_read_off_the_text():
    """Comments do not count, templates are asked for by name, each name once."""
    text = """
// __global__ void no(int) {}
/* __global__ void never(int) {} */
__global__ void yes(int);
extern "C" __global__ void yes(int n) { extern __shared__ float a[]; extern __shared__ __align__(16) double b [ ]; }
template <typename T> __global__ void shape(T* x) { extern __align__(8) __shared__ unsigned char c[]; }
static __global__ void __launch_bounds__(128) last() { __shared__ float d[4]; }
"""
    assert kernel_names(text) == ["yes", "last"]
    assert dynamic_names(text) == ("a", "b", "c")


def test_a_kernel_without_arguments_and_one_with_many():
    many = ", ".join(f"int a{i}" for i in range(30))
    total = " + ".join(f"a{i}" for i in range(30))
    text = f"""
__device__ int seen;
extern "C" __global__ void none() {{ seen = 4; }}
extern "C" __global__ void many(int* y, {many}) {{ y[0] = seen + {total}; }}"""
    y = np.zeros(1, np.int32)
    sim.launch(text, "none", 1, 1, [])
    sim.launch(text, "many", 1, 1, [y, *range(30)])
    assert y[0] == 4 + 435


def test_threads_of_a_block_that_is_no_multiple_of_a_warp():
    """Blocks of any size and shape up to 1,024 threads; every thread once."""
    text = """
extern "C" __global__ void k(int* y) {
    int t = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
    __syncthreads();
    y[(blockIdx.y * gridDim.x + blockIdx.x) * blockDim.x * blockDim.y * blockDim.z + t] += 1;
}"""
    for block in ((1,), (33,), (1024,), (7, 5), (3, 5, 11), (1, 1, 64)):
        y = np.zeros((6, int(np.prod(block))), np.int32)
        sim.launch(text, "k", (3, 2), block, [y])
        np.testing.assert_array_equal(y, 1)


@both
def test_vectors_are_initialised_by_braces(check):
    """As the plain structs that they are on a GPU: in part, in arrays, as constants."""
    text = """
__constant__ float4 table[2] = {{1, 2, 3, 4}, {5, 6, 7}};
__constant__ int2 flat[2] = {1, 2, 3, 4};
extern "C" __global__ void k(float* y) {
    __shared__ float4 tile[2];
    float4 part = {1.f, 2.f}, none = {};
    if (threadIdx.x == 0) { tile[0] = table[1]; tile[1] = {part.y, none.x, 8, 9}; }
    __syncthreads();
    y[threadIdx.x] = ((float*)tile)[threadIdx.x] + flat[1].y;
}"""
    y = floats(8)
    sim.launch(text, "k", 1, 8, [y], check=check)
    np.testing.assert_array_equal(y, np.array([5, 6, 7, 0, 2, 0, 8, 9]) + 4)


@both
def test_halves_and_vectors_in_shared_memory(check):
    """C++ would like to initialise variables of such types. CUDA does not, and the checker takes no notice."""
    text = """
#include <cuda_fp16.h>
template <typename V> __global__ void k(const V* x, V* y) {
    __shared__ V tile[8];
    tile[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    y[threadIdx.x] = tile[7 - threadIdx.x];
}
extern "C" __global__ void unset(const half* x, half* y) {
    __shared__ half tile[8];
    if (threadIdx.x) tile[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    y[threadIdx.x] = tile[threadIdx.x];
}"""
    for name, dtype, width in (("k<half>", np.float16, 1), ("k<float4>", np.float32, 4), ("k<float3>", np.float32, 3)):
        x = np.arange(8 * width, dtype=dtype).reshape(8, width)
        y = np.zeros_like(x)
        sim.launch(text, name, 1, 8, [x, y], check=check)
        np.testing.assert_array_equal(y, x[::-1])
    if check:
        with pytest.raises(sim.KernelFault) as caught:
            sim.launch(text, "unset", 1, 8, [np.zeros(8, np.float16)] * 2)
        assert (caught.value.kind, caught.value.line, caught.value.thread) == ("uninitialised", 13, (0, 0, 0))


@both
def test_indices_are_vectors(check):
    """threadIdx and blockIdx are a uint3, blockDim and gridDim a dim3, and each is made of the other."""
    text = """
__device__ unsigned flat(uint3 at, dim3 size) { return (at.z * size.y + at.y) * size.x + at.x; }
extern "C" __global__ void k(unsigned* y) {
    uint3 u = threadIdx;
    dim3 there(u), size = blockDim;
    uint3 block, all = gridDim;
    block = blockIdx;
    auto again = threadIdx;
    const uint3& seen = threadIdx;
    const unsigned number = flat(block, all) * size.x * size.y * size.z + flat(there, blockDim);
    y[number] = flat(threadIdx, size) + 1000 * flat(blockIdx, gridDim) + (again.x - seen.x);
}"""
    y = np.zeros((6, 24), np.uint32)
    sim.launch(text, "k", (3, 2), (2, 3, 4), [y], check=check)
    np.testing.assert_array_equal(y, np.arange(24) + 1000 * np.arange(6)[:, None])
    with pytest.raises(sim.CompileError, match="(?s)kernel.cu:1:.*read-only|const"):
        sim.launch('extern "C" __global__ void k(float* y) { threadIdx.x = 3; }', "k", 1, 1, [floats(1)], check=check)
