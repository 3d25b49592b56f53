"""From text to library: the compiler's errors with the right lines, the cache and its accidents, no compiler at all."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from minicnn.kernels import sim
from minicnn.kernels.sim import build, mode
from minicnn.kernels.sim.module import Module

TEXT = 'extern "C" __global__ void k(float* y) { y[threadIdx.x] = VALUE; }\n'


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache of this test's own, empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "minicnn" / "sim"


def run(text: str, **options) -> np.ndarray:
    y = np.zeros(4, np.float32)
    sim.launch(text, "k", 1, 4, [y], **options)
    return y


def in_a_process(code: str, **environment: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", textwrap.dedent(code)]
    environment = {**os.environ, **environment}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


BAD = {
    "unknown name": (3, "'j' was not declared", 'extern "C" __global__ void k(float* y)\n{\n    y[j] = 1;\n}\n'),
    "missing semicolon": (2, "expected ';'",
                          '\n__device__ int f() { return 1 }\nextern "C" __global__ void k(float* y) {}'),
    "missing brace": (4, "expected", 'extern "C" __global__ void k(float* y)\n{\n    if (y) {\n}\n'),
    "wrong type": (2, "cannot convert", 'extern "C" __global__ void k(float* y) {\n  double* z = y;\n}'),
    "in a template": (3, "no match|request for member",
                      "template <typename T> __global__ void k(T* y)\n{\n    y[0] = y[0].x;\n}\n"),
    "shuffle of a large type": (
        5, "a shuffle moves 4 or 8 bytes",
        'extern "C" __global__ void k(float* y)\n{\n    float4 v = {1};\n'
        "    // the next line is at fault\n    v = __shfl_sync(0xffffffffu, v, 0);\n}\n",
    ),
    "no value returned": (1, "no return statement in function",
                          '__device__ float f(float x) { x = 2; }\nextern "C" __global__ void k(float* y) {}'),
    "a shared variable with a value": (
        5, "error: a __shared__ variable cannot be given a value where it is declared; let one thread",
        'extern "C" __global__ void k(float* y)\n{\n    /* = 1 */\n#ifndef OTHER\n'
        "    __shared__ float sum = 0;\n#endif\n}",
    ),
    "a shared array with values": (
        3, r"error: a __shared__ variable cannot be given a value",
        'extern "C" __global__ void k(float* y)\n{\n    __shared__ alignas(16) float a[2 == 2 ? 4 : 8], b[2]{1, 2};\n}',
    ),
    "too much static shared memory": (
        5, r"error: 49156 bytes of static shared memory \(\w+ \d+, \w+ \d+\), and a block has 49152; take smaller",
        'extern "C" __global__ void k(float* y)\n{\n    __shared__ float one;\n    one = y[0];\n'
        "    __shared__ float tile[64][192];\n    tile[threadIdx.x][0] = one;\n    __syncthreads();\n"
        "    y[0] = tile[5][0] + one;\n}",
    ),
    "too much in a template": (
        1, "error: 65536 bytes of static shared memory",
        "template <typename T> __global__ void k(T* y) { __shared__ T a[1 << 14]; a[0] = y[0]; __syncthreads(); "
        "y[0] = a[1]; }",
    ),
    "an array of no fixed size": (
        3, "error: .*variable length array 'a'",
        'extern "C" __global__ void k(float* y)\n{\n    float a[(int)y[0]];\n    y[0] = a[0];\n}\n',
    ),
    "an unknown header": (2, "No such file", '\n#include "helpers.h"\nextern "C" __global__ void k(float* y) {}'),
}  # fmt: skip


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize("what", BAD)
def test_compilers_message_has_the_line(what, check):
    """What g++ says, about the file and the line that the student wrote, and not much more."""
    line, words, text = BAD[what]
    name = "k<float>" if text.startswith("template") else "k"
    with pytest.raises(sim.CompileError, match=words) as caught:
        sim.launch(text, name, 1, 4, [np.zeros(4, np.float32)], check=check, filename="pool.cu")
    said = str(caught.value)
    assert said.startswith("pool.cu does not compile:\n") and f"pool.cu:{line}:" in said, said
    assert len(said.splitlines()) < 30


def test_a_declared_function_that_nobody_defines():
    text = '__device__ float helper(float);\nextern "C" __global__ void k(float* y) { y[0] = helper(2); }'
    for _ in range(2):
        with pytest.raises(
            sim.CompileError, match=r"pool.cu cannot be loaded: it calls helper\(float\), which it declares"
        ):
            run(text, filename="pool.cu")


def test_an_unknown_kernel():
    with pytest.raises(ValueError, match="pool.cu has no kernel pool; it has k"):
        sim.launch(TEXT.replace("VALUE", "1"), "pool", 1, 1, [np.zeros(1, np.float32)], filename="pool.cu")
    with pytest.raises(ValueError, match="pool.cu has no kernel k; it has none"):
        sim.launch("// nothing here\n", "k", 1, 1, [], filename="pool.cu")


@pytest.mark.parametrize("check", [True, False])
def test_shared_memory_that_nvcc_takes(check):
    """What looks like a value and is none; and 48 KB for each kernel, not for all of a file."""
    text = """
#define SHARED __shared__ float
#if 0
__shared__ float dropped = 3;
#endif
extern "C" __global__ void k(float* y) {
    __shared__ struct { float a, b; } pair;
    __shared__ float tile[2 >= 1 ? 32 * 300 : 1];  // __shared__ float not = 4;
    SHARED sum; int other = 5;
    const char* said = "__shared__ float x = 1;";
    pair.a = tile[0] = sum = other + (said == nullptr);
    y[threadIdx.x] = pair.a + tile[0] + sum;
}
extern "C" __global__ void second(float* y) { __shared__ float tile[32 * 300]; tile[0] = y[0]; y[0] = tile[0]; }
"""
    y = np.zeros(1, np.float32)
    sim.launch(text, "k", 1, 1, [y], check=check)
    assert y == 15


def test_launch_bounds_hold():
    """A launch with more threads than a kernel is declared for fails on a GPU."""
    text = """
#define TILE 8
#ifdef TILE
#define BOUNDED __launch_bounds__(TILE * (1 + 1), 4)
#endif
extern "C" __global__ void BOUNDED k(float* y) { y[threadIdx.y * 8 + threadIdx.x] = 1; }
template <typename T> __global__ void __launch_bounds__(TILE) t(T* y) { y[threadIdx.x] = 1; }
template <int N> __global__ void __launch_bounds__(N) own(float* y) { y[threadIdx.x] = N; }
extern "C" __launch_bounds__(4) __global__ void other(float* y) { y[threadIdx.x] = 2; }
"""
    y = np.zeros((16, 2), np.float32)
    for name, block, most in (("k", (8, 2), 16), ("t<float>", 8, 8), ("own<4>", 4, None), ("other", 4, None)):
        sim.launch(text, name, 1, block, [y])
        if most:
            with pytest.raises(
                ValueError, match=rf"__launch_bounds__\({most}\), and a block .* has {most + 4} threads"
            ):
                sim.launch(text, name, 1, most + 4, [y])


def test_kernels_that_the_preprocessor_makes_or_drops():
    """Those behind #if count as C++ sees them; a macro may define kernels."""
    text = """
#if 0
extern "C" __global__ void k(float* y) { this is no C++ }
extern "C" __global__ void old(float* y) { nor is this }
#else
extern "C" __global__ void k(float* y) { y[threadIdx.x] = 2; }
#endif
#define MADE(NAME, VALUE) \\
    extern "C" __global__ void NAME##_kernel(float* y) \\
    { y[threadIdx.x] = VALUE; }
MADE(three, 3)
MADE(four, 4)
const char* said = "// not a comment"; /* extern "C" __global__ void none(float* y) */
extern "C" void __global__ five(float* y) { y[threadIdx.x] = y[9] = 5; }
"""
    for name, value in (("k", 2), ("three_kernel", 3), ("four_kernel", 4)):
        y = np.zeros(4, np.float32)
        sim.launch(text, name, 1, 4, [y])
        assert y.tolist() == [value] * 4
    with pytest.raises(
        ValueError, match="has no kernel old; it has k, three_kernel, four_kernel, five; what #if leaves"
    ):
        sim.launch(text, "old", 1, 4, [y])
    with pytest.raises(sim.KernelFault) as caught:  # the line is the text's
        sim.launch(text, "five", 1, 4, [y])
    assert caught.value.line == 14
    module = Module('#line 1 "a.cu"\n#ifdef SMALL\n__global__ void small() {}\n#endif\n', options=("-DSMALL",))
    assert module.kernels() == ["small"]


def test_kernels_in_namespaces():
    """They have the namespace in their names, but for extern "C"."""
    text = """
namespace mine { namespace {
template <typename T> __device__ T twice(T x) { return 2 * x; }
}
namespace deep::er { __global__ void k(float* y) { y[threadIdx.x] = twice(2.f); } }
extern "C" __global__ void plain(float* y) { y[threadIdx.x] = 5; }
extern "C" { __global__ void wrapped(float* y) { y[threadIdx.x] = 6; } }
template <typename T> __global__ void t(T* y) { y[threadIdx.x] = twice(T(3.5)); }
}
namespace { __global__ void hidden(float* y) { y[threadIdx.x] = 8; } }
"""
    expected = {"mine::deep::er::k": 4, "plain": 5, "wrapped": 6, "mine::t<float>": 7, "hidden": 8}
    for name, value in expected.items():
        y = np.zeros(4, np.float32)
        sim.launch(text, name, 1, 4, [y])
        assert y.tolist() == [value] * 4
    there = r"it has mine::deep::er::k, plain, wrapped, hidden, the template mine::t \(such as mine::t<float>\)"
    with pytest.raises(ValueError, match=f"has no kernel k; {there}"):
        sim.launch(text, "k", 1, 4, [y])


def test_a_template_needs_its_types():
    """Asked for without them, it says what to ask for."""
    text = "template <typename T, int N = int(4), bool fast> __global__ void k(T* y) {}\n"
    with pytest.raises(ValueError, match="has no kernel k; k is a template: ask for an instance of it, such as k<"):
        sim.launch(text, "k", 1, 1, [np.zeros(1)])
    with pytest.raises(ValueError, match=r"such as k<float, 32, true>"):
        sim.launch(text.replace("int(4)", "4"), "k", 1, 1, [np.zeros(1)])
    with pytest.raises(ValueError, match=r"no kernel j<float>; it has the template k \(such as k<float, 32, true>\)"):
        sim.launch(text.replace("int(4)", "4"), "j<float>", 1, 1, [np.zeros(1)])


def test_a_kernel_in_a_form_that_is_not_recognised():
    """The message names the line."""
    text = '\nextern "C" __global__ auto k(float* y) -> void { y[0] = 1; }\n'
    with pytest.raises(
        ValueError, match="no kernel k; it has none; the __global__ in line 2 was not recognised: write"
    ):
        sim.launch(text, "k", 1, 1, [np.zeros(1)])


def test_file_names_do_no_harm():
    """Names with quotes, bars and other marks of ours; the fault has the name as it was given."""
    name = 'my "odd" |#@file\\name.cu'
    with pytest.raises(sim.KernelFault) as caught:
        sim.launch(
            '\nextern "C" __global__ void k(float* y) { y[9] = 1; }',
            "k",
            1,
            1,
            [np.zeros(1, np.float32)],
            filename=name,
        )
    assert caught.value.file == name


def test_compiled_once(cache, monkeypatch):
    """The second time nothing is compiled; other text, options or another compiler are another library."""
    made = [Module(TEXT.replace("VALUE", "1"), check=check).path for check in (False, True)]
    assert len(set(made)) == 2 and all(p.parent == cache for p in made)
    calls = []
    monkeypatch.setattr(build, "_compile", lambda *a: calls.append(a) or shutil.copy(made[0], a[1] / "made.so"))
    assert [Module(TEXT.replace("VALUE", "1"), check=check).path for check in (False, True)] == made and not calls
    assert Module(TEXT.replace("VALUE", "2")).path not in made and len(calls) == 1
    assert Module(TEXT, options=("-DVALUE=1",)).path not in made and len(calls) == 2
    other = cache.parent / "g++-other"
    other.symlink_to(shutil.which("g++"))
    monkeypatch.setenv("MINICNN_CXX", str(other))
    assert Module(TEXT.replace("VALUE", "1")).path not in made and len(calls) == 3
    assert not [path for path in cache.iterdir() if path.suffix != ".so"]


DAMAGES = {
    "empty": lambda data: b"",
    "in the header": lambda data: data[:50],
    "in the middle": lambda data: data[:5000],
    "last byte": lambda data: data[:-1],
    "other file": lambda data: b"no library" * 900,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_library_is_made_anew(cache, damage):
    """A full disk or a killed process may have left half a file."""
    module = Module(TEXT.replace("VALUE", "5"))
    whole = module.path.read_bytes()
    module.path.write_bytes(damage(whole))
    again = Module(TEXT.replace("VALUE", "5"))
    assert again.signature("k")[0].pointer and again.path == module.path
    assert build._sound(module.path)


def test_a_library_damaged_inside_is_made_anew(cache):
    """What the loader refuses is thrown away and compiled again."""
    module = Module(TEXT.replace("VALUE", "6"))
    whole = module.path.read_bytes()
    module.path.write_bytes(whole[:18] + b"\xff\x7f" + whole[20:])  # made for another processor
    again = Module(TEXT.replace("VALUE", "6"))
    assert again.signature("k") and again.path.read_bytes()[18:20] == whole[18:20]


def test_old_libraries_are_deleted(cache, monkeypatch):
    """The cache does not grow for ever; what was used last stays."""
    monkeypatch.setattr(build, "KEPT", 3)
    fake = "int f() { return 1; }"
    made = []
    for i in range(3):
        made.append(build.library("old", {"a.cpp": f"{fake}  // {i}"}, ("-O0",)))
        os.utime(made[-1], (i, i))
    build.library("old", {"a.cpp": f"{fake}  // 0"}, ("-O0",))  # used again, so no longer the oldest
    build.library("old", {"a.cpp": f"{fake}  // 3"}, ("-O0",))
    assert [path.exists() for path in made] == [True, False, True]


CHILD = """
import numpy as np
from minicnn.kernels import sim
y = np.zeros(4, np.float32)
text = 'extern "C" __global__ void k(float* y) { y[threadIdx.x] = %d; }'
for value in range(3):
    sim.launch(text % value, "k", 1, 4, [y], check=value == 1)
    assert y.tolist() == [value] * 4
print("fine")
"""


def test_processes_at_once_on_an_empty_cache(cache):
    """All build the runtime and the same kernels at the same time; none sees half of a file."""
    with ThreadPoolExecutor(3) as pool:
        done = list(pool.map(lambda _: in_a_process(CHILD, XDG_CACHE_HOME=str(cache.parent.parent)), range(3)))
    assert [(d.returncode, d.stdout.strip()) for d in done] == [(0, "fine")] * 3, done[0].stderr
    assert not [path for path in cache.iterdir() if path.suffix != ".so"]


def test_a_cache_that_cannot_be_written(tmp_path):
    """One warning, and it works all the same."""
    (tmp_path / "minicnn").write_text("a file where a folder should be")
    done = in_a_process(CHILD, XDG_CACHE_HOME=str(tmp_path))
    assert done.returncode == 0 and done.stdout.strip() == "fine", done.stderr
    assert done.stderr.count("compiled CUDA kernels cannot be kept between runs") == 1
    assert "XDG_CACHE_HOME" in done.stderr


def test_messages_are_english_everywhere(monkeypatch):
    """A compiler that speaks another language would not be understood by what reads it."""
    monkeypatch.setenv("LANGUAGE", "de")
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    with pytest.raises(sim.CompileError, match="error: 'nobody' was not declared"):
        run('extern "C" __global__ void k(float* y) { y[0] = nobody; }')


def test_without_a_compiler():
    """One sentence with the remedy, from `why_not` and from an attempt; importing says nothing."""
    code = """
        import numpy as np
        from minicnn.kernels import sim
        print(sim.why_not())
        try:
            sim.launch('extern "C" __global__ void k(float* y) {}', "k", 1, 1, [np.zeros(1, np.float32)])
        except sim.CompileError as error:
            print(error)
    """
    sentence = "the simulator of CUDA compiles kernels with g++, which is not there: apt install g++"
    done = in_a_process(code, PATH="")
    assert done.stdout.splitlines() == [sentence] * 2 and not done.stderr, done
    assert sim.why_not() is None


def test_on_another_system(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(build.platform, "system", lambda: "Darwin")
    assert sim.why_not() == "the simulator of CUDA runs on Linux only, and this is Darwin; WSL2 and Colab are Linux"
    with pytest.raises(sim.CompileError, match="runs on Linux only"):
        build.library("kernels", {"a.cpp": ""}, ())


def test_importing_does_nothing(tmp_path):
    """No compiling, no cache folder, no NumPy warning: nothing happens before the first launch."""
    done = in_a_process("import minicnn.kernels.sim", XDG_CACHE_HOME=str(tmp_path))
    assert done.returncode == 0 and not done.stderr and not list(tmp_path.iterdir())


def test_check_mode_is_chosen(monkeypatch):
    """By call, by with block, by environment; the innermost counts."""
    monkeypatch.setattr(mode, "_chosen", None)
    monkeypatch.setenv("MINICNN_SIM_CHECK", "1")
    assert mode.is_checking()
    with sim.checking(False):
        assert not mode.is_checking()
        with sim.checking(True):
            assert mode.is_checking()
        assert not mode.is_checking()
    assert mode.is_checking()
    monkeypatch.setenv("MINICNN_SIM_CHECK", "0")
    assert not mode.is_checking()
    sim.checking(True)
    assert mode.is_checking()
