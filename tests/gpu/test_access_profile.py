"""What the simulator counts of accesses to memory, on tiny kernels whose counts are known from the hardware's rules."""

from __future__ import annotations

import numpy as np
import pytest

from minicnn.kernels import sim
from minicnn.kernels.sim import standin
from minicnn.kernels.sim.profile import parameter_names

pytestmark = pytest.mark.skipif(sim.why_not() is not None, reason=str(sim.why_not()))

COPY = """
template <typename T> __global__ void copy(const T* x, T* y, int stride, int first)
{
    int i = (blockIdx.x * blockDim.x + threadIdx.x) * stride + first;
    y[i] = x[i];
}"""


def profiled(source: str, name: str, grid, block, args, **options):
    """The profile of one launch."""
    with sim.profiling() as launches:
        sim.launch(source, name, grid, block, args, **options)
    (launch,) = launches
    return launch


def lines(launch) -> dict[tuple, object]:
    """(line, space, kind) -> LineAccess"""
    return {(line.line, line.space, line.kind): line for line in launch.lines}


@pytest.mark.parametrize(
    "stride, first, sectors, efficiency",
    [
        (1, 0, 4, 1.0),
        (2, 0, 8, 0.5),
        (32, 0, 32, 0.125),
        (0, 7, 1, 1.0),
        (1, 1, 5, 0.8),
        (1, 8, 4, 1.0),
        (8, 3, 32, 0.125),
    ],
)
def test_sectors_of_a_strided_copy(stride, first, sectors, efficiency):
    """Neighbours fill 4 sectors; a stride wastes them; one element off its place costs one more; one word is one."""
    x = np.arange(4096, dtype=np.float32)
    found = lines(profiled(COPY, "copy<float>", 2, 64, [x, x.copy(), stride, first]))
    for kind, array in (("load", "x"), ("store", "y")):
        line = found[5, "global", kind]
        assert (line.requests, line.lanes, line.bytes) == (4, 128, 512)
        assert line.sectors == 4 * sectors and line.efficiency == efficiency
        assert line.arrays == (array,) and line.source == "y[i] = x[i];"
        assert len(line.example.sectors) == sectors and line.example.array == array


def test_doubles_need_twice_the_sectors():
    """32 neighbours of 8 bytes fill 8 sectors."""
    x = np.arange(64, dtype=np.float64)
    line = lines(profiled(COPY, "copy<double>", 1, 64, [x, x.copy(), 1, 0]))[5, "global", "load"]
    assert (line.size, line.requests, line.sectors, line.efficiency) == (8, 2, 16, 1.0)


def test_a_warp_that_is_not_full_needs_what_its_lanes_ask_for():
    """40 threads: a full warp and one of 8 lanes, whose 32 bytes are one sector."""
    x = np.arange(64, dtype=np.float32)
    line = lines(profiled(COPY, "copy<float>", 1, 40, [x, x.copy(), 1, 0]))[5, "global", "load"]
    assert (line.requests, line.lanes, line.sectors, line.efficiency) == (2, 40, 5, 1.0)


def test_vectors_of_four_are_one_request():
    """A float4 for each lane: 512 bytes, 16 sectors, all used; one component of each: a quarter of them."""
    source = """
    extern "C" __global__ void k(const float4* x, float4* y, float* z)
    {
        int i = threadIdx.x;
        float4 v = x[i];
        y[i] = make_float4(2 * v.x, 2 * v.y, 2 * v.z, 2 * v.w);
        z[i] = y[i].w;
    }"""
    x = np.arange(128, dtype=np.float32)
    found = lines(profiled(source, "k", 1, 32, [x, np.zeros_like(x), x.copy()]))
    for key in ((5, "global", "load"), (6, "global", "store")):
        assert (found[key].size, found[key].requests, found[key].sectors, found[key].efficiency) == (16, 1, 16, 1.0)
    assert (found[7, "global", "load"].sectors, found[7, "global", "load"].efficiency) == (16, 0.25)


TRANSPOSE = """
extern "C" __global__ void transpose(const float* x, float* y)
{
    __shared__ float tile[32][WIDTH];
    tile[threadIdx.y][threadIdx.x] = x[threadIdx.y * 32 + threadIdx.x];
    __syncthreads();
    y[threadIdx.y * 32 + threadIdx.x] = tile[threadIdx.x][threadIdx.y];
}"""


@pytest.mark.parametrize("width, conflict", [(32, 32), (33, 1), (34, 2), (36, 4)])
def test_columns_of_a_tile_in_shared_memory(width, conflict):
    """All 32 words of a column lie in one bank, unless the rows are padded by one word."""
    x = np.arange(1024, dtype=np.float32)
    found = lines(profiled(TRANSPOSE.replace("WIDTH", str(width)), "transpose", 1, (32, 32), [x, x.copy()]))
    row, column = found[5, "shared", "store"], found[7, "shared", "load"]
    assert (row.worst_conflict, row.conflict) == (1, 1.0)
    assert (column.worst_conflict, column.conflict) == (conflict, conflict)
    assert np.isnan(column.efficiency) and column.example.array == ""
    assert found[5, "global", "load"].efficiency == found[7, "global", "store"].efficiency == 1.0


@pytest.mark.parametrize(
    "type_, index, conflict",
    [
        ("float", "0", 1), ("float", "i / 2", 1), ("float", "2 * i", 2), ("float", "i * 32", 32), ("char", "i", 1),
        ("double", "i", 1), ("double", "2 * i", 2), ("double", "i % 16", 1), ("float4", "i", 1), ("float4", "2 * i", 2),
    ],
)  # fmt: skip
def test_bank_conflicts_by_type(type_, index, conflict):
    """The same word is shared; 8-byte accesses are served in halves, 16-byte ones in quarters of a warp."""
    source = f"""
    extern "C" __global__ void k(int* y)
    {{
        extern __shared__ {type_} words[];
        int i = threadIdx.x;
        {type_} v = words[{index}];
        y[i] = int(sizeof v) + *(int*)&v;
    }}"""
    found = lines(profiled(source, "k", 1, 32, [np.zeros(32, np.int32)], shared_mem=32 * 1024))
    assert found[6, "shared", "load"].worst_conflict == conflict


def test_atomics_are_told_apart():
    """They load and store what they change, and are no race to the profile."""
    source = """
    extern "C" __global__ void count(const int* x, int* bins)
    {
        atomicAdd(&bins[x[threadIdx.x]], 1);
    }"""
    bins = np.zeros(16, np.int32)
    launch = profiled(source, "count", 1, 64, [np.arange(64, dtype=np.int32) % 16, bins])
    assert bins.tolist() == [4] * 16
    line = lines(launch)[4, "global", "atomic"]
    assert (line.requests, line.sectors, line.arrays) == (2, 4, ("bins",))
    assert {a.name: (a.loaded, a.stored) for a in launch.arrays} == {"x": (256, 0), "bins": (64, 64)}


def test_traffic_counts_a_sector_once_for_a_launch_or_for_each_block():
    """Four blocks that read the same 32 numbers; what a launch has stored, it loads from the cache."""
    source = """
    extern "C" __global__ void k(const float* x, float* y)
    {
        int i = blockIdx.x * blockDim.x + threadIdx.x;
        y[i] = x[threadIdx.x];
        __syncthreads();
        y[i] += x[31 - threadIdx.x];
    }"""
    launch = profiled(source, "k", 4, 32, [np.ones(32, np.float32), np.zeros(128, np.float32)])
    x, y = sorted(launch.arrays, key=lambda array: array.name)
    assert (x.loaded, x.loaded_by_blocks, x.stored) == (128, 4 * 128, 0)
    assert (y.loaded, y.loaded_by_blocks, y.stored, y.stored_by_blocks) == (0, 0, 512, 512)
    assert launch.bytes_moved == 128 + 512 and launch.bytes_by_blocks == 4 * 128 + 512
    assert launch.bytes_requested == 128 * 4 * 5  # three loads and two stores for each thread


@pytest.mark.parametrize("meeting", ["__syncthreads();", "__syncwarp();", "__shfl_xor_sync(0xffffffffu, i, 1);"])
def test_lanes_that_meet_are_together_again(meeting):
    """Every second lane loads once more; behind the meeting, the same instruction is one request of all lanes again."""
    source = f"""
    __device__ float get(const float* x, int i) {{ return x[i]; }}
    extern "C" __global__ void k(const float* x, float* y)
    {{
        int i = threadIdx.x;
        float sum = 0;
        if (i % 2) sum += get(x, i);
        {meeting}
        for (int j = 0; j < 4; ++j) sum += get(x, i + 32 * j);
        y[i] = sum;
    }}"""
    source = source.replace("__device__", "__device__ __noinline__")
    launch = profiled(source, "k", 1, 32, [np.ones(128, np.float32), np.zeros(32, np.float32)])
    line = lines(launch)[2, "global", "load"]
    assert (line.requests, line.lanes, line.sectors) == (5, 16 + 128, 4 * 5)


@pytest.mark.parametrize(
    "guard", ["if (inside) sum += x[j];", "if (!inside) continue; sum += x[j];", "sum += inside ? x[j] : 0;"]
)
@pytest.mark.parametrize("noinline", [False, True])
def test_lanes_that_skip_a_load_wait_behind_it(guard, noinline):
    """A window of 3 over rows of 48 numbers: at a border one lane skips one load, and the others' loads stay together.

    Per row and tap: what the warps' lanes see lies side by side, 32 + 16 numbers, moved by one to either side.
    """
    source = f"""
    __device__ ATTRIBUTE float window(const float* x, int i)
    {{
        float sum = 0;
        for (int row = 0; row < 2; ++row)
            for (int tap = -1; tap < 2; ++tap) {{
                const int j = row * 48 + i + tap;
                const bool inside = i + tap >= 0 && i + tap < 48;
                {guard}
            }}
        return sum;
    }}
    extern "C" __global__ void k(const float* x, float* y) {{ y[threadIdx.x] = window(x, threadIdx.x); }}"""
    source = source.replace("ATTRIBUTE", "__noinline__" if noinline else "inline")
    x, y = np.arange(96, dtype=np.float32), np.zeros(48, np.float32)
    found = lines(profiled(source, "k", 1, 48, [x, y]))
    load = next(line for (_, _, kind), line in found.items() if kind == "load")
    assert y[1] == 0 + 1 + 2 + 48 + 49 + 50
    assert (load.requests, load.lanes) == (2 * 2 * 3, 2 * 3 * 48 - 4)
    # first warp: 31 numbers from 0, 32 from 0, 32 from 1; second: 16 from 31, 16 from 32, 15 from 33
    assert load.sectors == 2 * (4 + 4 + 5 + 3 + 2 + 2)


def test_lanes_that_leave_a_loop_early_wait_behind_it():
    """Lane i goes around i + 1 times; the load behind the loop is one request of all."""
    source = """
    extern "C" __global__ void k(const float* x, float* y)
    {
        float sum = 0;
        for (int j = 0; j <= threadIdx.x; ++j)
            sum += x[32 * j + threadIdx.x];
        sum += x[threadIdx.x];
        y[threadIdx.x] = sum;
    }"""
    found = lines(profiled(source, "k", 1, 32, [np.ones(1024, np.float32), np.zeros(32, np.float32)]))
    around, behind = found[6, "global", "load"], found[7, "global", "load"]
    assert (around.requests, around.lanes, around.sectors) == (32, 32 * 33 // 2, sum(4 - j // 8 for j in range(32)))
    assert (behind.requests, behind.sectors, behind.efficiency) == (1, 4, 1.0)


def test_a_part_of_an_array_keeps_its_place():
    """A GPU's arrays begin at multiples of 256 bytes, so a view that begins one element later is misaligned."""
    module = standin.RawModule(code=COPY, options=("--std=c++17",), name_expressions=("copy<float>",))
    x = standin.zeros(65, "float32")
    y = standin.empty(64, "float32")
    with sim.profiling() as launches:
        module.get_function("copy<float>")((1,), (64,), (x[1:], y, np.int32(1), np.int32(0)))
    found = lines(launches[0])
    assert (found[5, "global", "load"].sectors, found[5, "global", "store"].sectors) == (10, 8)


def test_several_blocks_and_launches_are_kept_apart():
    """One entry for each launch, with its own numbers; nested profiles see the same; outside nothing is counted."""
    x = np.arange(4096, dtype=np.float32)
    with sim.profiling() as outer:
        sim.launch(COPY, "copy<float>", 2, 64, [x, x.copy(), 1, 0])
        with sim.profiling() as inner:
            sim.launch(COPY, "copy<float>", 3, 64, [x, x.copy(), 2, 0])
    sim.launch(COPY, "copy<float>", 2, 64, [x, x.copy(), 1, 0])
    assert [launch.grid for launch in outer] == [(2,), (3,)] and [launch.grid for launch in inner] == [(3,)]
    assert [launch.lines[0].sectors for launch in outer] == [16, 48]


def test_profiled_kernels_compute_the_same():
    """They are compiled with other options, and checking rests meanwhile."""
    x, y, z = (np.random.default_rng(0).standard_normal(4096).astype(np.float32) for _ in range(3))
    sim.launch(COPY, "copy<float>", 4, 128, [x, y, 3, 1])
    with sim.checking(), sim.profiling():
        z[...] = 0
        before = z.copy()
        sim.launch(COPY, "copy<float>", 4, 128, [x, z, 3, 1])
    touched = 3 * np.arange(512) + 1
    assert (z[touched] == x[touched]).all() and (np.delete(z, touched) == np.delete(before, touched)).all()
    assert (y[touched] == z[touched]).all()


def test_a_fault_is_still_a_fault():
    """A kernel that leaves its arrays ends with a report of where, not with a profile; the next one is counted."""
    x = np.arange(64, dtype=np.float32)
    with sim.profiling() as launches:
        with pytest.raises(sim.KernelFault, match="kernel.cu:5: out of bounds"):
            sim.launch(COPY, "copy<float>", 1, 64, [x, x.copy(), 100000, 0])
        sim.launch(COPY, "copy<float>", 1, 64, [x, x.copy(), 1, 0])
    assert len(launches) == 1 and launches[0].efficiency == 1.0


def test_names_of_parameters_are_read_off_the_text():
    """For messages: arrays are called what the kernel calls them; comments and qualifiers do not matter."""
    text = "__global__ void __launch_bounds__(256)\nk(const T* __restrict__ x, // (in)\n float y[], int n) {"
    assert parameter_names(text, "k<float>") == ["x", "y", "n"]
    assert parameter_names("namespace a { __global__ void k(float* x) {} }", "a::k") == ["x"]
    assert parameter_names("nothing here", "k") == []


@pytest.mark.parametrize("filename", ["kernel.cu", "my kernel.cu", "a/b.cu", 'o"d|d#.cu'])
def test_lines_are_found_whatever_the_file_is_called(filename):
    """Every access has its line and that line's text."""
    x = np.ones(64, np.float32)
    launch = profiled(COPY, "copy<float>", 1, 64, [x, x.copy(), 1, 0], filename=filename)
    assert [(line.line, line.source) for line in launch.lines] == [(5, "y[i] = x[i];")] * 2
