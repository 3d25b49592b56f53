"""Every kernel through NVIDIA's compiler for every architecture; and kernels made worse on purpose must not pass."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from minicnn.kernels import sim
from minicnn.kernels.cuda import declared
from minicnn.kernels.cuda.launcher import source
from minicnn.kernels.nvrtc import __main__ as command
from minicnn.kernels.nvrtc import baseline, library
from minicnn.kernels.nvrtc.gate import Geometry, Program, compile_all, findings, programs, read_text

STORED = Path(__file__).with_name("resources.json")
#: kernels that may use local memory, and why
EXCUSED: dict[tuple[str, str], str] = {}
JOIN = "batch_norm.cu", "join_stats"


@pytest.fixture(scope="module")
def table():
    """All kernels for all architectures."""
    return compile_all(programs(declared()))


def test_all_kernels_pass(table):
    """No spills, no local memory, blocks get their registers, no occupancy below the stored one."""
    assert findings(table, baseline.launches(STORED), baseline.occupancies(STORED), EXCUSED) == []


def test_everything_is_compiled(table):
    """Every declared kernel in float32 and float64, for the 13 architectures of CUDA 13."""
    instances = sum(2 if kernel.takes_t else 1 for kernel in declared())
    assert len(table) == instances > 60
    assert all(tuple(by_arch) == library.architectures() for by_arch in table.values())
    assert len(library.architectures()) == 13
    assert {name for _, name in table} >= {"im2col<float>", "im2col<double>", "join_stats", "adam<float>"}


def test_stored_figures_are_of_this_compiler(table):
    """Registers are as stored: else the stored occupancies are of other kernels, or of another NVRTC."""
    version = ".".join(map(str, library.version()))
    assert baseline.compiled_with(STORED) == version
    now = {key: {arch: used.registers for arch, used in by_arch.items()} for key, by_arch in table.items()}
    changed = {key for key in now if now[key] != baseline.registers(STORED)[key]}
    remedy = "python -m minicnn.kernels.nvrtc tests/gpu/resources.json --write"
    assert not changed, f"if this is wanted: {remedy}"


@pytest.mark.no_compiler
def test_stored_launches_are_what_the_wrappers_do():
    """The stored sizes of blocks are those of the launches that the simulator records."""
    if why := sim.why_not():
        pytest.skip(why)
    assert baseline.record_launches() == baseline.launches(STORED)


def judged(text: str, name: str, threads: int = 1024, before: float = 0.5, excused: dict | None = None) -> list[str]:
    """What the gate says of one kernel of another text in the place of batch_norm.cu, on a GPU of 9.0."""
    all_of_it = programs(kernel for kernel in declared() if kernel.file == JOIN[0])[0].names
    names = all_of_it if name in all_of_it else (name,)  # NVRTC warns of constants that only the others use
    key = JOIN[0], name
    compiled = compile_all([Program(JOIN[0], text, names)], ["sm_90"])
    return findings({key: compiled[key]}, {key: [Geometry(threads)]}, {key: {"sm_90": before}}, excused)


def test_a_wrong_launch_bound_spills():
    """Two blocks of 1024 threads at once leave 32 registers for each thread, and join_stats needs more: it spills."""
    text = source(JOIN[0])
    assert judged(text, JOIN[1]) == []
    bound = r"__launch_bounds__\(32 \* MANY_WARPS\)(\s+join_stats)"
    worse, count = re.subn(bound, r"__launch_bounds__(32 * MANY_WARPS, 2)\1", text)
    assert count == 1
    (found,) = judged(worse, JOIN[1])
    assert re.search(
        r"join_stats of batch_norm.cu on sm_90: \d+ bytes of registers are spilled to device memory", found
    )


def holding(n: int, bound: str = "") -> str:
    """A kernel that has ``n`` float64 numbers at hand at once, each of which takes two registers."""
    return f"""
extern "C" __global__ void {bound} hold(const double* x, double* y)
{{
    double kept[{n}];
    #pragma unroll
    for (int i = 0; i < {n}; ++i) kept[i] = x[threadIdx.x + i];
    #pragma unroll
    for (int i = 0; i < {n}; ++i)
        #pragma unroll
        for (int k = 0; k < {n}; ++k) kept[k] = kept[k] * kept[(k + i + 1) % {n}] + 1;
    #pragma unroll
    for (int i = 0; i < {n}; ++i) y[threadIdx.x + i] = kept[i];
}}"""


def test_too_many_registers_for_a_block():
    """Over 64 registers, a block of 1024 threads cannot be launched at all; a launch bound makes it spill instead."""
    assert judged(holding(16), "hold") == []
    cannot, empty = judged(holding(32), "hold")
    assert re.search(r"a block of 1024 threads with \d+ registers each .* so its launch fails; add __launch", cannot)
    assert "occupancy was 50% and is 0% (0 blocks, 0 warps; registers)" in empty
    (found,) = judged(holding(32, "__launch_bounds__(1024)"), "hold")
    assert "bytes of registers are spilled" in found


def test_more_registers_lower_the_occupancy():
    """In small blocks it runs, but a multiprocessor holds fewer of them than it did."""
    (found,) = judged(holding(32), "hold", threads=128, before=0.5)
    assert re.search(r"hold of batch_norm.cu on sm_90: occupancy was 50% and is 4\d% .* registers\)", found)
    assert judged(holding(16), "hold", threads=128, before=0.5) == []


def test_an_array_in_local_memory():
    """An index that is not known when compiling puts the array into device memory, unless that is excused."""
    text = """
extern "C" __global__ void turn(const int* at, float* y)
{
    float own[64] = {};
    for (int i = 0; i < 32; ++i) own[at[i] & 63] += y[i];
    y[threadIdx.x] = own[at[threadIdx.x] & 63];
}"""
    (found,) = judged(text, "turn")
    assert "each thread uses 256 bytes of local memory" in found
    assert judged(text, "turn", excused={(JOIN[0], "turn"): "a test of it"}) == []


@pytest.mark.no_compiler
def test_kernels_that_are_not_stored_or_gone():
    """A new kernel needs stored figures and a trial; figures of a kernel that is gone are dead."""
    from minicnn.kernels.nvrtc.resources import Resources

    used = {("a.cu", "a"): {"sm_90": Resources(16)}}
    launches = {("a.cu", "a"): [Geometry(256)]}
    assert findings(used, {}, {}) == [
        "a of a.cu: it is not known how it is launched; no trial in kernels/trials.py reaches it"
    ]
    (found,) = findings(used, launches, {})
    assert "there is no stored occupancy; it has 100% (8 blocks, 64 warps; threads" in found
    assert findings(used, launches, {("a.cu", "a"): {"sm_90": 1.0}, ("b.cu", "b"): {"sm_90": 1.0}}) == [
        "b of b.cu: stored, and there is no such kernel"
    ]


def test_command_writes_and_compares(tmp_path, monkeypatch, capsys):
    """`python -m minicnn.kernels.nvrtc FILE --write` stores what the next run finds nothing wrong with."""
    if why := sim.why_not():
        pytest.skip(why)
    relu = [kernel for kernel in declared() if kernel.function == "relu"]
    monkeypatch.setattr("minicnn.kernels.cuda.declared", lambda: relu)
    seen = {key: found for key, found in baseline.launches(STORED).items() if key[1].startswith("relu<")}
    monkeypatch.setattr(baseline, "record_launches", lambda: seen)
    file = tmp_path / "stored.json"
    monkeypatch.setattr("sys.argv", ["nvrtc", str(file), "--write"])
    assert command.main() == 0
    assert baseline.occupancies(file) == {k: v for k, v in baseline.occupancies(STORED).items() if k in seen}
    monkeypatch.setattr("sys.argv", ["nvrtc", str(file)])
    assert command.main() == 0
    assert capsys.readouterr().out == "2 kernels, 13 architectures: no findings\n" * 2
    file.write_text(file.read_text().replace('"sm_75": 1.0', '"sm_75": 2.0'))
    assert command.main() == 1
    assert "relu<float> of relu.cu on sm_75: occupancy was 200% and is 100%" in capsys.readouterr().out


def test_a_file_from_anywhere(tmp_path):
    """A student's own file goes through the same gate, under its own name."""
    (tmp_path / "mine.cu").write_text('extern "C" __global__ void mine(float* x) { x[threadIdx.x] = 1; }')
    compiled = compile_all([read_text(tmp_path / "mine.cu", ["mine"])], ["sm_75", "sm_120"])
    assert list(compiled["mine.cu", "mine"]) == ["sm_75", "sm_120"]
