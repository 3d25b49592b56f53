"""PTX on the simulator's runtime: its checker finds what is wrong, in hand-written PTX by the line of that text and in
PTX from NVRTC by the line of the .cu file; and the switch that lets the device "sim" run this way."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest

import minicnn as mc
from minicnn import functional as F
from minicnn import models, optim
from minicnn.device import to_numpy
from minicnn.kernels import sim
from minicnn.kernels.nvrtc import library
from minicnn.kernels.ptx import launching
from minicnn.kernels.ptx.module import NvidiaModule
from minicnn.kernels.sim import standin

pytestmark = pytest.mark.skipif(sim.why_not() is not None, reason=str(sim.why_not()))
without_nvrtc = pytest.mark.no_compiler


def kernels_of(file: str, name: str) -> dict:
    """The kernels that the simulator's own checker is tried on."""
    path = Path(__file__).parents[1] / "sim" / file
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, name)


BROKEN, RIGHT = kernels_of("broken_kernels.py", "BROKEN"), kernels_of("right_kernels.py", "RIGHT")
#: what C++ forbids and PTX does not know of, so that no run of PTX can find it
GONE = {
    "sum too large for an int": "whole numbers wrap around in PTX",
    "offset too large for an int": "whole numbers wrap around in PTX",
    "shift too far": "PTX says what comes of it",
    "shared memory of the block before": "what is set in one block, NVRTC takes as set in all",
    "a sum that begins with nothing": "a variable without a value has any that suits NVRTC",
    "sums of a local array": "a variable without a value has any that suits NVRTC",
    "a local set in one case only": "a variable without a value has any that suits NVRTC",
    "part of a float4": "a variable without a value has any that suits NVRTC",
}

HEAD = ".version 8.0\n.target sm_80\n.address_size 64\n"
REVERSE = """.shared .align 4 .b8 tile[256];
.visible .entry reverse(.param .u64 reverse_0) {
.reg .b32 %r<9>; .reg .f32 %f<3>; .reg .b64 %rd<3>;
ld.param.u64 %rd0, [reverse_0];
mov.u32 %r0, %tid.x;
mad.wide.u32 %rd1, %r0, 4, %rd0;
ld.global.f32 %f0, [%rd1];
mov.u32 %r1, tile;
mad.lo.s32 %r2, %r0, 4, %r1;
st.shared.f32 [%r2], %f0;
BARRIER
sub.s32 %r3, 63, %r0;
mad.lo.s32 %r4, %r3, 4, %r1;
ld.shared.f32 %f1, [%r4];
st.global.f32 [%rd1], %f1;
ret;
}
"""


@without_nvrtc
@pytest.mark.parametrize("check", [True, False])
def test_by_hand(check):
    """A block turns its numbers around through shared memory."""
    x = np.arange(64, dtype=np.float32)
    launching.launch(HEAD + REVERSE.replace("BARRIER", "bar.sync 0;"), "reverse", 1, 64, [x], check=check)
    np.testing.assert_array_equal(x, np.arange(64)[::-1])


@without_nvrtc
def test_a_race_in_ptx_is_found():
    """Without the barrier: which lines of the PTX, which variable, which threads."""
    x = np.arange(64, dtype=np.float32)
    with pytest.raises(sim.KernelFault, match=r"shared memory at byte \d+ of tile") as caught:
        launching.launch(HEAD + REVERSE.replace("BARRIER", ""), "reverse", 1, 64, [x], filename="mine.ptx")
    fault = caught.value
    assert fault.kind == "race" and fault.file == "mine.ptx"
    text = (HEAD + REVERSE).splitlines()
    assert {text[fault.line - 1].split()[0], text[fault.other_line - 1].split()[0]} == {
        "ld.shared.f32",
        "st.shared.f32",
    }


def one_kernel(*lines: str, space: str = "") -> str:
    begin = f"{HEAD}{space}\n.visible .entry k(.param .u64 k_0, .param .u32 k_1) {{\n"
    registers = ".reg .pred %p<3>; .reg .b32 %r<9>; .reg .f32 %f<9>; .reg .b64 %rd<9>;\n"
    return (
        begin
        + registers
        + "ld.param.u64 %rd0, [k_0]; ld.param.u32 %r1, [k_1]; mov.u32 %r0, %tid.x;\n"
        + ("mad.wide.u32 %rd1, %r0, 4, %rd0;\n" + "\n".join(lines) + "\nret;\n}\n")
    )


@without_nvrtc
@pytest.mark.parametrize(
    "kind, lines",
    [
        ("out of bounds", ["st.global.u32 [%rd1+4], %r0;"]),
        ("out of bounds", [".local .align 4 .b8 own[16];", "mov.u64 %rd2, own;", "st.local.u32 [%rd2+16], %r0;"]),
        ("out of bounds", ["st.shared.u32 [room+64], %r0;"]),
        ("misaligned", ["ld.global.v2.u32 {%r2, %r3}, [%rd0+4];", "st.global.u32 [%rd1], %r2;"]),
        ("uninitialised", ["ld.shared.u32 %r2, [room];", "st.global.u32 [%rd1], %r2;"]),
        ("divergent barrier", ["setp.eq.u32 %p1, %r0, 0;", "@%p1 bra $over;", "bar.sync 0;", "$over:"]),
        ("shuffle mask", ["shfl.sync.bfly.b32 %r2, %r0, 1, 31, 1;", "st.global.u32 [%rd1], %r2;"]),
        ("division", ["sub.s32 %r2, %r1, 32;", "div.s32 %r3, %r1, %r2;", "st.global.u32 [%rd1], %r3;"]),
        ("race", ["st.global.u32 [%rd0], %r0;"]),
        ("race", ["atom.global.add.u32 %r2, [%rd0], 1;", "add.u32 %r2, %r2, 1;", "st.global.u32 [%rd0], %r2;"]),
        ("assertion", ["trap;"]),
        ("hang", ["$again:", "bra $again;"]),
    ],
)
def test_faults_of_ptx(kind, lines):
    """Each kind of fault, at a line of the text, in a kernel of 32 threads with 64 bytes of dynamic shared memory."""
    text = one_kernel(*lines, space=".extern .shared .align 16 .b8 room[];")
    with pytest.raises(sim.KernelFault) as caught:
        launching.launch(text, "k", 1, 32, [np.zeros(32, np.uint32), np.uint32(32)], 64, seconds=0.3)
    assert caught.value.kind == kind
    assert caught.value.line is not None and 8 <= caught.value.line < 8 + len(lines) + 1


@without_nvrtc
def test_generic_pointers_and_dynamic_memory():
    """Shared memory by a generic pointer and back; numbers of several bytes at once; a variable with values."""
    text = one_kernel(
        "mad.lo.u32 %r2, %r0, 16, 0;",
        "mov.u32 %r3, room;",
        "add.u32 %r3, %r3, %r2;",
        "cvt.u64.u32 %rd2, %r3;",
        "cvta.shared.u64 %rd3, %rd2;",
        "st.v4.u32 [%rd3], {%r0, 1, %r1, 3};",
        "bar.sync 0;",
        "cvta.to.shared.u64 %rd4, %rd3;",
        "ld.shared.v2.u32 {%r4, %r5}, [%rd4+8];",
        "mov.b64 %rd5, {%r4, %r5};",
        "mov.b64 {%r6, %r7}, %rd5;",
        "ld.const.u32 %r8, [table+8];",
        "mad.lo.u32 %r6, %r6, %r8, %r7;",
        "st.global.u32 [%rd1], %r6;",
        space=".extern .shared .align 16 .b8 room[];\n.const .align 4 .u32 table[3] = {1, -1, 0x64};",
    )
    for check in (True, False):
        y = np.zeros(32, np.uint32)
        launching.launch(text, "k", 1, 32, [y, np.uint32(5)], 512, check=check)
        np.testing.assert_array_equal(y, np.full(32, 503))


@without_nvrtc
def test_calls_and_structs():
    """A function with a parameter and a result, called by some threads only; a parameter that is a struct."""
    text = (
        HEAD
        + """
.func (.param .b32 r) twice(.param .b32 a);
.visible .entry k(.param .u64 k_0, .param .align 8 .b8 k_1[16]) {
.reg .pred %p; .reg .b32 %r<9>; .reg .b64 %rd<9>;
ld.param.u64 %rd0, [k_0];
ld.param.v2.u32 {%r1, %r2}, [k_1+4];
mov.u32 %r0, %tid.x;
mad.wide.u32 %rd1, %r0, 4, %rd0;
setp.lt.u32 %p, %r0, %r1;
@!%p bra $done;
{
.param .b32 a; .param .b32 r;
st.param.b32 [a+0], %r2;
call.uni (r), twice, (a);
ld.param.b32 %r2, [r+0];
}
$done:
st.global.u32 [%rd1], %r2;
ret;
}
.func (.param .b32 r) twice(.param .b32 a) {
.reg .b32 %r<3>;
ld.param.b32 %r1, [a]; add.s32 %r2, %r1, %r1; st.param.b32 [r+0], %r2; ret;
}
"""
    )
    y, numbers = np.zeros(4, np.uint32), np.array([(1, 3, 50, 7)], "u4,u4,u4,u4")[0]
    launching.launch(text, "k", 1, 4, [y, numbers])
    np.testing.assert_array_equal(y, [100, 100, 100, 50])


@without_nvrtc
def test_votes():
    """ballot, any, all, and the same of a whole block; the mask of lanes below."""
    text = one_kernel(
        "setp.lt.u32 %p1, %r0, 5;",
        "vote.sync.ballot.b32 %r2, %p1, -1;",
        "vote.sync.any.pred %p2, %p1, -1;",
        "@!%p2 trap;",
        "vote.sync.all.pred %p2, %p1, -1;",
        "@%p2 trap;",
        "bar.red.popc.u32 %r3, 0, %p1;",
        "mov.u32 %r4, %lanemask_lt;",
        "popc.b32 %r4, %r4;",
        "mad.lo.u32 %r4, %r3, 1000, %r4;",
        "mad.lo.u32 %r4, %r2, 100000, %r4;",
        "st.global.u32 [%rd1], %r4;",
    )
    y = np.zeros(32, np.uint32)
    launching.launch(text, "k", 1, 32, [y, np.uint32(0)])
    np.testing.assert_array_equal(y, 3105000 + np.arange(32))


@without_nvrtc
def test_matches_and_reductions():
    """Who has the same number; whether all have; sums and maxima over a warp; sums with signs."""
    text = one_kernel(
        "shr.u32 %r2, %r0, 2;",
        "match.any.sync.b32 %r3, %r2, -1;",
        "match.all.sync.b32 %r4|%p1, %r1, -1;",
        "@!%p1 trap;",
        "match.all.sync.b32 _|%p1, %r0, -1;",
        "@%p1 trap;",
        "redux.sync.add.s32 %r5, %r0, -1;",
        "redux.sync.max.u32 %r6, %r0, -1;",
        "redux.sync.xor.b32 %r7, %r0, -1;",
        "xor.b32 %r3, %r3, %r4;",
        "add.u32 %r5, %r5, %r6;",
        "add.u32 %r5, %r5, %r7;",
        "xor.b32 %r3, %r3, %r5;",
        "st.global.u32 [%rd1], %r3;",
    )
    y = np.zeros(32, np.uint32)
    launching.launch(text, "k", 1, 32, [y, np.uint32(7)])
    np.testing.assert_array_equal(y, [(15 << i // 4 * 4) ^ 0xFFFFFFFF ^ (496 + 31) for i in range(32)])


@without_nvrtc
def test_arguments_of_ptx():
    """Their bytes must be those of the parameters; a kernel that is not there; a Python number has no size."""
    text, y = one_kernel("st.global.u32 [%rd1], %r1;"), np.zeros(4, np.uint32)
    for arguments, said in (
        ([y], "takes 2 arguments, got 1"),
        ([y, 3], "argument 1: an array or a NumPy scalar is needed"),
        ([y, np.float64(3)], "argument 1: a float64 has 8 bytes, and the parameter has 4"),
        ([y, y], "argument 1: an array's address has 8 bytes, and the parameter has 4"),
    ):
        with pytest.raises(TypeError, match=said):
            launching.launch(text, "k", 1, 4, arguments)
    with pytest.raises(ValueError, match="kernel.ptx has no kernel nothing; it has k"):
        launching.launch(text, "nothing", 1, 4, [y])


@pytest.mark.parametrize("what", [what for what in BROKEN if what not in GONE])
def test_broken_kernels_are_found_in_ptx(what):
    """What the checker finds in a .cu text, it finds in what NVIDIA made of it: the kind, and the line of the .cu."""
    kind, text, grid, block, arguments, *shared = BROKEN[what]
    with sim.ptx("sm_90"), pytest.raises(sim.KernelFault) as caught:
        seconds = 0.3 if kind == "hang" else None
        sim.launch(text, "k", grid, block, arguments(), *shared, filename="mine.cu", seconds=seconds)
    assert caught.value.kind == kind and caught.value.file == "mine.cu"
    if kind != "stack":  # there is no room left to find out where
        lines = text.splitlines()
        assert "HERE" in lines[caught.value.line - 1] or not any("HERE" in line for line in lines), caught.value


@pytest.mark.parametrize("arch", ["sm_75", "sm_121"])
@pytest.mark.parametrize("what", RIGHT)
def test_right_kernels_pass_in_ptx(what, arch):
    """No false alarm, and the right numbers, for the oldest and the newest architecture."""
    text, grid, block, arguments, result, expected, *shared = RIGHT[what]
    if "cuda_fp16.h" in text and library.headers() is None:
        pytest.skip("nvidia-cuda-runtime is not installed")
    with sim.ptx(arch):
        given = arguments()
        sim.launch(text, "k", grid, block, given, *shared, order="shuffled", seed=3)
    np.testing.assert_array_equal(result(*given), expected)


TWICE = 'extern "C" __global__ void twice(float* x, int n)\n{\n    int i = threadIdx.x;\n    if (i < n) x[i] *= 2;\n}'


def test_switch_of_the_device(monkeypatch):
    """Inside `sim.ptx` and with MINICNN_SIM_PTX, kernels of the device "sim" are NVRTC's; afterwards g++'s again."""
    module, x = standin.RawModule(code=TWICE), standin.ones(5, "float32")

    def launch() -> type:
        module.get_function("twice")((1,), (32,), (x, np.int32(5)))
        return type(module._module())

    assert launch() is sim.module.Module
    with sim.ptx("sm_80"):
        assert launch() is NvidiaModule and module._module().arch == "sm_80"
        with sim.ptx("sm_120"), sim.checking():
            assert launch() is NvidiaModule and module._module().arch == "sm_120" and module._module().check
        with sim.ptx(""):
            assert launch() is sim.module.Module
    monkeypatch.setenv("MINICNN_SIM_PTX", "sm_90")
    assert launch() is NvidiaModule
    np.testing.assert_array_equal(x.get(), np.full(5, 32))


def test_ptx_is_what_runs():
    """__CUDA_ARCH__, which only NVIDIA's compiler sets, is the one that was asked for."""
    text = 'extern "C" __global__ void arch(int* y)\n{\n#ifdef __CUDA_ARCH__\n    *y = __CUDA_ARCH__;\n#endif\n}'
    for arch, expected in (("", 0), ("sm_75", 750), ("sm_121", 1210)):
        y = np.zeros(1, np.int32)
        with sim.ptx(arch):
            sim.launch(text, "arch", 1, 1, [y])
        assert y[0] == expected


def test_errors_are_the_simulators(monkeypatch):
    """What NVRTC refuses, an unknown architecture, an instruction that is not known: CompileError, each by its name."""
    x = np.zeros(1, np.float32)
    for body, arch, said in (
        ("*x = INFINITY;", "sm_90", 'k.cu(1): error: identifier "INFINITY" is undefined'),
        ("*x = 1;", "sm_70", "does not compile for 'sm_70'"),
        ('asm volatile("nanosleep.u32 5;");', "sm_90", "the instruction nanosleep.u32 is not known"),
    ):
        text = f'extern "C" __global__ void k(float* x) {{ {body} }}'
        with pytest.raises(sim.CompileError, match=re.escape(said)):
            NvidiaModule(text, "k.cu", arch=arch).ptx.compile()
    monkeypatch.setattr(library, "_folders", list)
    library.load.cache_clear()
    try:
        with sim.ptx("sm_90"), pytest.raises(sim.CompileError, match="NVRTC, .*, is not installed"):
            sim.launch(TWICE.replace("twice", "thrice"), "thrice", 1, 1, [x, 1])
    finally:
        library.load.cache_clear()


@pytest.mark.parametrize("arch", ["sm_80", "sm_120"])
def test_a_training_step_on_ptx(arch):
    """LeNet: forward, backward and the optimiser's step on what NVIDIA compiled, under the checker, as on the CPU."""

    def step(device: str) -> list[np.ndarray]:
        mc.manual_seed(0)
        model = models.get_model("lenet5", variant="modern").to(device)
        optimizer = optim.SGD(model.parameters(), 0.05, momentum=0.9, weight_decay=1e-3)
        rng = np.random.default_rng(1)
        images, labels = rng.standard_normal((4, 1, 32, 32)).astype(np.float32), rng.integers(0, 10, 4)
        for _ in range(2):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(mc.tensor(images).to(device)), labels)
            loss.backward()
            optimizer.step()
        return [np.array(loss.item()), *(to_numpy(p.data) for p in model.parameters())]

    with sim.ptx(arch), sim.checking():
        found = step("sim")
    for wanted, got in zip(step("cpu"), found, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5 * float(np.abs(wanted).max()))
