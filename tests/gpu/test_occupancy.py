"""How full a multiprocessor gets: against figures worked out by hand, and against NVIDIA's own headers."""

from __future__ import annotations

import ctypes
import importlib.util
import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from minicnn.kernels.nvrtc import library
from minicnn.kernels.nvrtc.gpus import GPUS, gpu
from minicnn.kernels.nvrtc.occupancy import LIMITS, PER_THREAD, REGISTERS, occupancy
from minicnn.kernels.nvrtc.resources import Resources, read

pytestmark = pytest.mark.no_compiler


@pytest.mark.parametrize(
    "registers, static, block, dynamic, arch, blocks, warps, limited_by",
    [
        # 32 x 32 = 1024 registers for a warp, 64 warps in 65536: as many as 2048 threads are
        (32, 0, 256, 0, "sm_80", 8, 64, ("threads", "registers")),
        # 40 x 32 = 1280; a scheduler has 16384, so 12 warps; 48 in all, 6 blocks of 8 of the 64 that fit
        (40, 0, 256, 0, "sm_90", 6, 48, ("registers",)),
        # the same 48 warps are all that a multiprocessor of 8.6 holds
        (40, 0, 256, 0, "sm_86", 6, 48, ("threads", "registers")),
        # 64 x 32 = 2048, 8 warps for each of 4 schedulers: one block of 32
        (64, 0, 1024, 0, "sm_75", 1, 32, ("threads", "registers")),
        # 65 x 32 = 2080, rounded up to 2304: 32 warps need 73728 registers, and there are 65536
        (65, 0, 1024, 0, "sm_90", 0, 0, ("registers",)),
        # 1536 threads hold one block of 1024
        (16, 0, 1024, 0, "sm_89", 1, 32, ("threads",)),
        # 48 KB and 1 KB for the system: 50176 bytes, of 233472
        (32, 48 * 1024, 128, 0, "sm_90", 4, 16, ("shared memory",)),
        (32, 16 * 1024, 128, 32 * 1024, "sm_90", 4, 16, ("shared memory",)),
        # 7.5 keeps nothing for the system: 48 KB of 64 KB
        (32, 48 * 1024, 128, 0, "sm_75", 1, 4, ("shared memory",)),
        # more than any block is given
        (32, 0, 128, 100 * 1024, "sm_120", 0, 0, ("shared memory",)),
        # blocks of one warp: 32 of them, not 64
        (16, 0, 32, 0, "sm_80", 32, 32, ("blocks",)),
        # 100 x 32 = 3200, rounded up to 3328; 4 warps for each scheduler: 16 warps, 5 blocks of 3
        (100, 0, 96, 0, "sm_80", 5, 15, ("registers",)),
        # a block of 33 threads has two warps
        (16, 0, 33, 0, "sm_75", 16, 32, ("threads", "blocks")),
    ],
)
def test_by_hand(registers, static, block, dynamic, arch, blocks, warps, limited_by):
    """Blocks, warps and what there is too little of."""
    found = occupancy(Resources(registers, static), block, dynamic, arch)
    assert (found.blocks, found.warps, found.limited_by) == (blocks, warps, limited_by)
    assert found.fraction == warps / LIMITS[arch].warps
    assert f"{blocks} blocks" in str(found)


def test_refusals():
    """An architecture without known limits, and a block that no GPU takes."""
    with pytest.raises(ValueError, match="limits of sm_107 are not known"):
        occupancy(Resources(32), 256, 0, "sm_107")
    with pytest.raises(ValueError, match="1 to 1024 threads, not 1025"):
        occupancy(Resources(32), 1025, 0, "sm_90")


ORACLE = """
#include "cuda_occupancy.h"
extern "C" int blocks(int major, int minor, int threads, int shared, int reserved, int registers, int used, int block,
                      int dynamic)
{
    cudaOccDeviceProp gpu;
    gpu.computeMajor = major, gpu.computeMinor = minor, gpu.maxThreadsPerBlock = 1024, gpu.warpSize = 32;
    gpu.maxThreadsPerMultiprocessor = threads, gpu.regsPerBlock = gpu.regsPerMultiprocessor = 65536, gpu.numSms = 1;
    gpu.sharedMemPerBlock = 49152, gpu.sharedMemPerMultiprocessor = shared;
    gpu.sharedMemPerBlockOptin = shared - reserved, gpu.reservedSharedMemPerBlock = reserved;
    cudaOccFuncAttributes kernel;
    kernel.maxThreadsPerBlock = 1024, kernel.numRegs = registers, kernel.sharedSizeBytes = used;
    kernel.shmemLimitConfig = FUNC_SHMEM_LIMIT_OPTIN, kernel.maxDynamicSharedSizeBytes = dynamic;
    kernel.numBlockBarriers = 1;
    cudaOccDeviceState state;
    cudaOccResult result;
    if (cudaOccMaxActiveBlocksPerMultiprocessor(&result, &gpu, &kernel, &state, block, dynamic)) return -1;
    return result.activeBlocksPerMultiprocessor;
}
"""


@pytest.fixture(scope="module")
def nvidias(tmp_path_factory):
    """NVIDIA's own formula, cuda_occupancy.h, compiled."""
    folder, work = library.headers(), tmp_path_factory.mktemp("occupancy")
    if folder is None or shutil.which("g++") is None:
        pytest.skip("nvidia-cuda-runtime, which has cuda_occupancy.h, or g++ is not installed")
    (work / "oracle.cpp").write_text(ORACLE)
    command = ["g++", "-shared", "-fPIC", f"-I{folder}", "-o", "oracle.so", "oracle.cpp"]
    subprocess.run(command, cwd=work, check=True)
    return ctypes.CDLL(str(work / "oracle.so")).blocks


@pytest.mark.parametrize("arch", LIMITS)
def test_nvidias_formula(nvidias, arch):
    """The same number of blocks as NVIDIA's header, for drawn kernels."""
    draw, limits, number = random.Random(arch), LIMITS[arch], int(arch[3:])
    for _ in range(2000):
        registers, block = draw.randint(1, PER_THREAD), draw.choice((draw.randint(1, 1024), 32 * draw.randint(1, 32)))
        static, dynamic = draw.choice((0, draw.randint(0, 48 * 1024))), draw.choice((0, draw.randint(0, limits.shared)))
        given = registers, static, block, dynamic
        expected = nvidias(
            number // 10, number % 10, limits.threads, limits.shared, limits.reserved, registers, static, block, dynamic
        )
        assert expected >= 0
        assert occupancy(Resources(registers, static), block, dynamic, arch).blocks == expected, given


def test_limits_are_nvidias():
    """Blocks, threads and shared memory of each architecture as in NVIDIA's arch_traits.h, which CuPy brings."""
    found = importlib.util.find_spec("cupy")
    if found is None:
        pytest.skip("CuPy is not installed; NVIDIA's arch_traits.h comes with it")
    folder = Path(found.submodule_search_locations[0]) / "_core/include/cupy/_cccl/libcudacxx"
    text = (folder / "cuda/__device/arch_traits.h").read_text()
    published = {}
    for arch, body in re.findall(r"arch_traits<arch_id::(sm_\d+)>\(\) noexcept\n\{(.*?)\n\}", text, re.S):
        base = re.search(r"arch_traits<arch_id::(sm_\d+)>", body)  # "the same as that one, but"
        numbers = dict(published[base[1]]) if base else {}
        said = r"max_(blocks|threads|shared_memory)_per_multiprocessor\s*= ([\d* ]+);"
        numbers |= {what: eval(number) for what, number in re.findall(said, body)}  # "100 * 1024"
        published[arch] = numbers
    assert published.keys() >= LIMITS.keys()
    for arch, limits in LIMITS.items():
        ours = {"blocks": limits.blocks, "threads": limits.threads, "shared_memory": limits.shared}
        assert ours == published[arch], arch
    assert REGISTERS == 64 * 1024 and "max_registers_per_multiprocessor = 64 * 1024" in text


def test_gpus_are_plausible():
    """Every GPU's figures are of the right size and order: a slip in a unit would show in every roofline."""
    for name, found in GPUS.items():
        assert found.name == name and found.arch in LIMITS and found.sheet.startswith(("NVIDIA", "Compare"))
        cores = 64 if found.arch in ("sm_75", "sm_80") else 128  # of a multiprocessor, for float32
        clock = found.flops32 / (2 * cores * found.sms)
        assert 1.2e9 < clock < 2.7e9, (name, clock)
        assert 1e11 < found.bandwidth < 1e13 and 2**21 <= found.l2 <= 2**28
        assert found.flops32 / found.flops64 == pytest.approx(
            {"sm_75": 32, "sm_80": 2, "sm_90": 2}.get(found.arch, 64), rel=0.02
        )


def test_gpu_by_name():
    """Capitals do not matter; an unknown name is answered with those that there are."""
    assert gpu(" rtx 4090") is GPUS["RTX 4090"]
    with pytest.raises(ValueError, match="no figures are known of a GPU 'RTX 9999'; there are some of T4, "):
        gpu("RTX 9999")


def test_log_of_ptxas():
    """Each kernel's numbers, also where ptxas leaves some out; a log without them is no log of ours."""
    log = (
        "ptxas info    : 8 bytes gmem\n"
        "ptxas info    : Compiling entry function '_Z1aPf' for 'sm_90'\n"
        "ptxas info    : Function properties for _Z1aPf\n"
        "ptxas         .     48 bytes stack frame, 40 bytes spill stores, 44 bytes spill loads\n"
        "ptxas info    : Used 32 registers, used 2 barriers, 48 bytes cumulative stack size, 2048 bytes smem\n"
        "ptxas info    : Compiling entry function 'b' for 'sm_90'\n"
        "ptxas         .     0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads\n"
        "ptxas info    : Used 8 registers\n"
    )
    assert read(log) == {"_Z1aPf": Resources(32, 2048, 40, 44, 48, 2), "b": Resources(8)}
    with pytest.raises(ValueError, match="does not say how many registers b uses"):
        read(log.replace("Used 8 registers", "done"))
