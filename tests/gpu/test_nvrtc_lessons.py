"""The kernels of the lessons through NVIDIA's compiler for every architecture; what their heads say of registers."""

from __future__ import annotations

from pathlib import Path

import pytest

from minicnn.kernels import sim
from minicnn.kernels.lessons import LESSONS, declared
from minicnn.kernels.lessons.launches import record_launches
from minicnn.kernels.nvrtc import baseline, library
from minicnn.kernels.nvrtc.gate import compile_all, findings, programs

STORED = Path(__file__).with_name("lessons.json")


@pytest.fixture(scope="module")
def table():
    """All kernels of all lessons for all architectures."""
    return compile_all(programs(declared()))


def test_all_versions_pass(table):
    """No warnings, no spills, no local memory, no occupancy below the stored one; for 13 architectures."""
    assert findings(table, baseline.launches(STORED), baseline.occupancies(STORED)) == []
    assert {file for file, _ in table} == {v.file for lesson in LESSONS.values() for v in lesson.versions}
    assert len(table) == 2 * len(declared())
    assert all(tuple(by_arch) == library.architectures() for by_arch in table.values())


def test_stored_figures_are_of_this_compiler(table):
    """Registers are as stored."""
    assert baseline.compiled_with(STORED) == ".".join(map(str, library.version()))
    now = {key: {arch: used.registers for arch, used in by_arch.items()} for key, by_arch in table.items()}
    remedy = "python -m minicnn.kernels.nvrtc tests/gpu/lessons.json --lessons --write"
    assert now == baseline.registers(STORED), f"if this is wanted: {remedy}"


@pytest.mark.no_compiler
def test_stored_launches_are_what_the_versions_do():
    """The stored sizes of blocks are those of the launches that the simulator records."""
    if why := sim.why_not():
        pytest.skip(why)
    assert record_launches() == baseline.launches(STORED)


@pytest.mark.parametrize("kernel", ["matmul<float>", "matmul<double>"])
def test_results_in_registers_cost_occupancy(table, kernel):
    """What the head of version 3 calls its price: more registers on every architecture, fewer threads at once."""
    tiled, blocked = (table[f"matmul/{file}.cu", kernel] for file in ("2_tiled", "3_register_blocked"))
    assert all(blocked[arch].registers > tiled[arch].registers for arch in blocked)
    stored = baseline.occupancies(STORED)
    fuller, emptier = (stored[f"matmul/{file}.cu", kernel] for file in ("2_tiled", "3_register_blocked"))
    assert all(emptier[arch] <= fuller[arch] for arch in emptier) and emptier["sm_90"] < fuller["sm_90"]
