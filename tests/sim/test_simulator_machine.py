"""The simulator as a machine: its functions against NumPy's, its compiler, its cache, several threads and processes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from minicnn.kernels import sim
from minicnn.kernels.sim import build, memory
from minicnn.kernels.sim.module import Module

ONE = """
extern "C" __global__ void k(const {t}* x, const {t}* y, {t}* out, int n) {{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {{ {t} a = x[i], b = y[i]; out[i] = {expression}; }}
}}"""
X = np.array([0.5, 1.0, 2.0, 3.5, 100.0, 1e-3, 7.25, 0.125])
Y = np.array([1.5, 0.25, 2.0, 0.5, 3.0, 2.0, 0.75, 8.0])
FUNCTIONS = {
    "exp": ("expf(b)", "exp(b)", np.exp(Y)), "log": ("logf(a)", "log(a)", np.log(X)),
    "pow": ("powf(a, b)", "pow(a, b)", X**Y), "sqrt": ("sqrtf(a)", "sqrt(a)", np.sqrt(X)),
    "rsqrt": ("rsqrtf(a)", "rsqrt(a)", 1 / np.sqrt(X)), "tanh": ("tanhf(b)", "tanh(b)", np.tanh(Y)),
    "max": ("fmaxf(a, b)", "fmax(a, b)", np.maximum(X, Y)), "min": ("min(a, b)", "min(a, b)", np.minimum(X, Y)),
    "fma": ("fmaf(a, b, 1.f)", "fma(a, b, 1.)", X * Y + 1), "abs": ("fabsf(a - b)", "fabs(a - b)", abs(X - Y)),
    "floor": ("floorf(a)", "floor(a)", np.floor(X)), "fast exp": ("__expf(-b)", "exp(-b)", np.exp(-Y)),
    "infinite": ("isinf(a / (b - b)) ? 1 : 0", "isnan(b - b + 0 / (b - b)) ? 1 : 0", np.ones(8)),
    "bits": ("__int_as_float(__float_as_int(a))", "__longlong_as_double(__double_as_longlong(a))", X),
}  # fmt: skip


@pytest.mark.parametrize("kind", ["float", "double"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name, kind):
    """Within the last digits of NumPy's."""
    dtype = np.float32 if kind == "float" else np.float64
    expression, expected = FUNCTIONS[name][kind == "double"], FUNCTIONS[name][2]
    out = sim.empty(8, dtype)
    sim.launch(ONE.format(t=kind, expression=expression), "k", 1, 32, [X.astype(dtype), Y.astype(dtype), out, 8])
    np.testing.assert_allclose(out, expected, rtol=2e-6 if kind == "float" else 1e-15)


WHOLE = {
    "popc": ("__popc(a)", lambda a, b: [bin(v).count("1") for v in a]),
    "clz": ("__clz(a)", lambda a, b: [32 - v.bit_length() for v in a]),
    "ffs": ("__ffs(a)", lambda a, b: [(v & -v).bit_length() for v in a]),
    "brev": ("(int)__brev(a)", lambda a, b: [int(f"{v:032b}"[::-1], 2) for v in a]),
    "umulhi": ("(int)__umulhi(a, b)", lambda a, b: [v * w >> 32 for v, w in zip(a, b)]),
    "min": ("min(a, b) + 1000 * max(a, 3)", lambda a, b: np.minimum(a, b) + 1000 * np.maximum(a, 3)),
}  # fmt: skip


@pytest.mark.parametrize("name", WHOLE)
def test_functions_of_whole_numbers(name):
    a, b = np.array([0, 1, 5, 12345, 7], np.int32), np.array([3, 2, 1, 99999, 65536], np.int32)
    expression, expected = WHOLE[name]
    out = np.zeros(5, np.int32)
    sim.launch(ONE.format(t="int", expression=expression), "k", 1, 32, [a, b, out, 5])
    wanted = expected(a.tolist(), b.tolist())
    np.testing.assert_array_equal(out, np.asarray(wanted, np.int64).astype(np.int32))


def test_denormal_floats_become_zero():
    """As on a GPU with CuPy's options."""
    x, out = np.array([1e-39, 1.0], np.float32), sim.empty(2)
    sim.launch(ONE.format(t="float", expression="a * b"), "k", 1, 32, [x, np.ones(2, np.float32), out, 2])
    assert out.tolist() == [0.0, 1.0]


def test_empty_is_unset_once():
    """What one kernel has written the next one may read; assignments count, results and views are as expected."""
    x, out, more = np.ones(4, np.float32), sim.empty(4), sim.empty(4)
    with pytest.raises(sim.KernelFault, match="uninitialised"):
        sim.launch(ADD, "k", 1, 4, [x, more, out, 4])
    sim.launch(ADD, "k", 1, 4, [x, x, out, 4])
    sim.launch(ADD, "k", 1, 4, [x, out, sim.empty(4), 4])
    more[...] = 5
    sim.launch(ADD, "k", 1, 4, [x, more, out, 4])
    assert repr(out) == repr(np.full(4, 6, np.float32)) and type(out + 1) is np.ndarray and float(out.sum()) == 24


def test_dynamic_memory_is_one_piece_whatever_it_is_called():
    """Two kernels of one file name it differently, with different types; each sees its launch's bytes, checked."""
    text = """
extern "C" __global__ void first(float* y) {
    extern __shared__ float room[];
    room[threadIdx.x] = threadIdx.x;
    __syncthreads();
    y[threadIdx.x] = room[31 - threadIdx.x];
}
extern "C" __global__ void second(double* y) {
    extern __shared__ double space[];
    extern __shared__ unsigned char raw[];
    space[threadIdx.x] = 2 * threadIdx.x;
    __syncthreads();
    y[threadIdx.x] = space[31 - threadIdx.x] + (raw == (unsigned char*)space);
}"""
    for check in (True, False):
        y, z = sim.empty(32), sim.empty(32, np.float64)
        sim.launch(text, "first", 1, 32, [y], 128, check)
        sim.launch(text, "second", 1, 32, [z], 256, check)
        assert y.tolist() == list(range(31, -1, -1)) and z.tolist() == [2 * (31 - i) + 1 for i in range(32)]
    with pytest.raises(sim.KernelFault, match="dynamic shared memory; the launch gave it 128 bytes"):
        sim.launch(text, "second", 1, 32, [z], 128)


@pytest.mark.parametrize("name", ["INFINITY", "NAN", "FLT_MAX", "INT_MAX"])
def test_what_nvrtc_has_not_is_not_here(name):
    """A file that needs a header must not pass, only to fail on a GPU."""
    with pytest.raises(sim.CompileError, match=name):
        sim.launch(ONE.format(t="float", expression=name), "k", 1, 1, [np.ones(1, np.float32)] * 3 + [1])


@pytest.mark.parametrize("what", ["exit(3)", "_exit(3)", "abort()", "throw 5"])
def test_a_kernel_cannot_end_python(what):
    """Nor would NVRTC compile these."""
    with pytest.raises(sim.CompileError, match="kernel.cu:4"):
        sim.launch(ONE.format(t="float", expression="a; " + what), "k", 1, 1, [F4, F4, F4.copy(), 4])


def test_assertions_also_with_their_header():
    """The C library's own would end the process."""
    for header in ("assert.h", "cassert"):
        with pytest.raises(sim.KernelFault, match="n == 4"):
            text = f'#include <{header}>\nextern "C" __global__ void k(int n) {{ assert(n == 4); }}'
            sim.launch(text, "k", 1, 1, [5])


def test_a_text_that_does_not_compile():
    """The compiler's words, with the line of the text, and little else."""
    with pytest.raises(sim.CompileError) as caught:
        sim.launch('extern "C" __global__ void k(float* y)\n{\n    y[0] = what;\n}', "k", 1, 1, [], filename="mine.cu")
    assert "mine.cu:3:" in str(caught.value) and "what" in str(caught.value) and len(str(caught.value)) < 1000


def test_a_kernel_that_is_not_there():
    with pytest.raises(ValueError, match="has no kernel other; it has k"):
        sim.launch(ONE.format(t="float", expression="a"), "other", 1, 1, [])


ADD = ONE.format(t="float", expression="a + b")
F4 = np.ones(4, np.float32)
ARGUMENTS = {
    "too few": ([F4, F4], 1, 1, TypeError, "takes 4 arguments .const float.*int., got 2"),
    "another dtype": ([F4, F4.astype(float), F4.copy(), 4], 1, 1, TypeError, "argument 1 .const float.*float64"),
    "a list": ([[1.0], F4, F4.copy(), 4], 1, 1, TypeError, "an array was expected, got list"),
    "a slice": ([np.ones(8, np.float32)[::2], F4, F4.copy(), 4], 1, 1, ValueError, "not contiguous"),
    "read only": ([F4, F4, np.broadcast_to(np.float32(0), 1), 1], 1, 1, ValueError, "read-only"),
    "a fraction": ([F4, F4, F4.copy(), 4.5], 1, 1, TypeError, "4.5 is no whole number"),
    "too large": ([F4, F4, F4.copy(), 2**31], 1, 1, ValueError, "2147483648 does not fit"),
    "an array by value": ([F4, F4, F4.copy(), F4], 1, 1, TypeError, "a number was expected"),
    "no blocks": ([F4, F4, F4.copy(), 4], 0, 1, ValueError, "grid must be"),
    "a huge block": ([F4, F4, F4.copy(), 4], 1, 1025, ValueError, "block must be"),
    "many threads": ([F4, F4, F4.copy(), 4], 1, (64, 64), ValueError, "4096 threads"),
    "four dimensions": ([F4, F4, F4.copy(), 4], (1, 1, 1, 1), 1, ValueError, "grid must be"),
}  # fmt: skip


@pytest.mark.parametrize("what", ARGUMENTS)
def test_arguments(what):
    args, grid, block, error, says = ARGUMENTS[what]
    with pytest.raises(error, match=says):
        sim.launch(ADD, "k", grid, block, args)


def test_a_broken_cache_is_rebuilt(tmp_path, monkeypatch):
    """A library that was cut off, as by a full disk, is compiled anew; one that is whole is not."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    module = Module(ADD)
    made = module.path
    whole = made.read_bytes()
    made.write_bytes(whole[: len(whole) // 2])
    assert Module(ADD).path == made and made.stat().st_size == len(whole)
    number = made.stat().st_ino  # of a file that was made anew it would be another
    assert Module(ADD).path == made and made.stat().st_ino == number


def test_any_change_makes_another_library(tmp_path, monkeypatch):
    """The text, the options, the checker: nothing stale is ever run."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    made = {Module(ADD).path, Module(ADD + " ").path, Module(ADD, check=True).path, Module(ADD, options=("-DX",)).path}
    assert len(made) == 4 and all(path.parent == build.folder() for path in made)


def test_two_processes_with_an_empty_cache(tmp_path):
    """Both compile, neither sees half a file."""
    script = (
        f"import numpy as np\nfrom minicnn.kernels import sim\ny = np.zeros(2, np.float32)\nsim.launch({ADD!r}, 'k'"
    )
    script += ", 1, 2, [np.ones(2, np.float32), np.ones(2, np.float32), y, 2])\nprint(y.tolist())"
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": root}
    running = [
        subprocess.Popen([sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    assert [process.communicate(timeout=120)[0].strip() for process in running] == ["[2.0, 2.0]"] * 2


def test_several_python_threads(rng):
    """Launches take turns, and each gets its own numbers; a fault in one is no other's."""
    xs = [rng.standard_normal(1000).astype(np.float32) for _ in range(8)]
    outs, faults = [np.zeros(1000, np.float32) for _ in xs], []

    def run(i: int) -> None:
        for _ in range(5):
            try:
                sim.launch(ADD, "k", 32, 32, [xs[i], xs[i], outs[i], 1000 if i % 2 else 1200])
            except sim.KernelFault as fault:
                faults.append((i, fault.kind))

    threads = [threading.Thread(target=run, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults and set(faults) == {(i, "out of bounds") for i in (0, 2, 4, 6)} and len(faults) == 20
    for x, out in zip(xs[1::2], outs[1::2]):
        np.testing.assert_array_equal(out, x + x)


def test_workers_do_not_change_results(monkeypatch):
    """Blocks on one worker or on four give the same, also where they add atomically into whole numbers."""
    text = 'extern "C" __global__ void k(int* y, int n) { atomicAdd(&y[(blockIdx.x * 7 + threadIdx.x) % n], 1); }'
    found = []
    for workers in (1, 4):
        monkeypatch.setattr("minicnn.kernels.sim.module._workers", workers)
        y = np.zeros(13, np.int32)
        sim.launch(text, "k", 300, 64, [y, 13], check=False)
        found.append(y)
    np.testing.assert_array_equal(*found)
    assert found[0].sum() == 300 * 64


def test_memory_is_freed_and_used_again():
    """Unchecked memory comes back for the next array of its size: fresh pages cost more than most kernels."""
    size = 12_345_678  # of which there is no other
    first = memory.Memory(size, checked=False)
    address = first.address
    del first
    assert memory.Memory(size, checked=False).address == address


def test_the_portable_switch_of_stacks(tmp_path, monkeypatch):
    """Where there is no assembly for a processor, ucontext does it: the same results, barriers and shuffles too."""
    text = build.runtime_text()
    changed = {**text, "fibers.h": text["fibers.h"].replace("#if defined(__x86_64__)", "#if defined(NEVER)", 1)}
    assert changed != text
    script = """
import numpy as np
from minicnn.kernels import sim
from minicnn.kernels.sim import build
text = build.runtime_text()
changed = {**text, "fibers.h": text["fibers.h"].replace("#if defined(__x86_64__)", "#if defined(NEVER)", 1)}
build.runtime_text = lambda: changed
y = np.arange(64, dtype=np.float32)
sim.launch('''extern "C" __global__ void k(float* y) {
    __shared__ float tile[64];
    tile[threadIdx.x] = y[threadIdx.x];
    __syncthreads();
    y[threadIdx.x] = tile[63 - threadIdx.x] + __shfl_xor_sync(0xffffffffu, 0.f, 1);
}''', "k", 1, 64, [y])
print((y == np.arange(64)[::-1]).all())
"""
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": root}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "True", done.stderr
