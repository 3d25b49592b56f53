"""The access report: our kernels are not worse than what is written down, misses are explained, and the command."""

from __future__ import annotations

import functools
import json
import math

import access_baseline
import numpy as np
import pytest
from command_line import command

from minicnn import costs, kernel_picture, kernel_report, kernels
from minicnn.kernels import formulas, sim
from minicnn.kernels.access import Report, report, report_on
from minicnn.kernels.access_notes import NOTES
from minicnn.kernels.cuda import launcher
from minicnn.kernels.nvrtc import library
from minicnn.kernels.nvrtc.gpus import GPUS
from minicnn.kernels.workloads import DEPTHWISE, Workload, workloads

pytestmark = pytest.mark.skipif(sim.why_not() is not None, reason=str(sim.why_not()))


@functools.cache
def measured(name: str) -> list[tuple[Workload, Report]]:
    return [(workload, report_on(workload)) for workload in workloads(name)]


@pytest.mark.parametrize("name", kernels.KERNELS)
def test_no_kernel_is_worse_than_written_down(name):
    """Sector efficiency, bank conflicts and bytes of every kernel on every workload: access.json."""
    now = {workload.title: access_baseline.figures(found) for workload, found in measured(name)}
    assert access_baseline.worse(name, now, access_baseline.read()[name]) == []


@pytest.mark.parametrize("name", kernels.KERNELS)
def test_what_misses_an_aim_is_explained(name):
    """There is a text for each kernel that misses one of the project's aims on some workload, and for no other."""
    missed = [text for _, found in measured(name) for text in kernel_report.misses(found)]
    assert bool(missed) == (name in NOTES), missed


@pytest.mark.parametrize("name", kernels.KERNELS)
def test_bytes_and_flops_are_plausible(name):
    """Nothing moves less than the least, and what a block's own cache holds is no less than what all caches hold."""
    assert len(measured(name)) >= 2
    for workload, found in measured(name):
        assert found.ratio > 0.995, workload  # a sector may hold numbers that nobody needs to read
        assert found.bytes_by_blocks >= found.bytes_moved
        assert (found.flops > 0) == (name != "im2col")
        assert bool(found.launches) == (name != "matmul")


# ---- made worse on purpose


def planted(name: str, file: str, *changes: tuple[str, str]) -> list[str]:
    """What is worse than written down, with a changed text in the place of a .cu file; its results are right."""
    text = launcher.source(file)
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    (first, *_) = workloads(name)
    before = access_baseline.read()[name]
    with launcher.replaced(file, text):
        found = report_on(first)
    expected = first()
    for one, other in zip(formulas.listed(expected), formulas.listed(found.results), strict=True):
        np.testing.assert_array_equal(one.get(), other.get())
    return access_baseline.worse(
        name, {first.title: access_baseline.figures(found)}, {first.title: before[first.title]}
    )


def test_an_uncoalesced_store_fails():
    """ReLU with each warp's lanes a thirty-second of the array apart: right numbers, an eighth of the efficiency."""
    scattered = "const long long j = i % 32 * (size / 32) + i / 32; y[j] = x[j] <= T(0) ? T(0) : x[j];"
    assert planted("relu", "relu.cu") == []  # as it is
    (worse, other) = planted("relu", "relu.cu", ("y[i] = x[i] <= T(0) ? T(0) : x[i];", scattered))
    assert "global load: efficiency is 0.125, it was 1.0" in worse
    assert "global store: efficiency is 0.125, it was 1.0" in other


def test_an_unpadded_tile_in_shared_memory_fails():
    """Batch normalisation's sums with warps and lanes swapped: lanes lie 8 doubles apart, 8 of 16 in one bank."""
    worse = planted(
        "channel_sum",
        "batch_norm.cu",
        ("sums[threadIdx.y][threadIdx.x] = v;", "sums[0][threadIdx.x * warps + threadIdx.y] = v;"),
        ("total += sums[warp][threadIdx.x];", "total += sums[0][threadIdx.x * warps + warp];"),
    )
    assert any("channel_sums: shared store: worst is 8, it was 1" in text for text in worse)
    assert any("channel_sums: shared load: conflict is 8.0, it was 1.0" in text for text in worse)


def test_a_second_pass_through_memory_fails():
    """The same LRN gradient with what channels send in an array of device memory: more bytes, and that is seen."""
    found = access_baseline.figures(measured("local_response_norm_backward")[0][1])
    more = {**found, "ratio": found["ratio"] * 7 / 3}
    (text,) = access_baseline.worse("lrn", {"a": more}, {"a": found})
    assert text.startswith("lrn on a: moves 2.3")
    assert access_baseline.worse("lrn", {"a": found}, {"a": more}) == []  # better is no complaint
    assert "workloads" in access_baseline.worse("lrn", {"a": found}, {})[0]


# ---- formulas


def test_flops_of_convolutions_agree_with_the_summary():
    """Two for each multiply-add that `minicnn summary` counts."""
    for workload, found in measured("conv2d"):
        x, weight, bias = workload.arguments[:3]
        out = found.results.shape
        macs = costs.MULTIPLY_ADDS["conv2d"]([x.shape, weight.shape], out)
        assert found.flops == 2 * macs + (0 if bias is None else math.prod(out)), workload


def test_bytes_by_hand():
    """ReLU reads and writes each number; a 1x1 convolution with stride 2 sees a quarter of its pixels; SGD updates."""
    assert measured("relu")[0][1].least_bytes == 2 * 4 * 64 * 112 * 112
    shortcut = next(found for workload, found in measured("im2col") if "shortcut" in workload.title)
    assert shortcut.least_bytes == shortcut.bytes_moved == 2 * 4 * 4 * 28 * 28 * 64
    size = 256 * 256 * 9
    assert measured("sgd_update")[0][1].least_bytes == 4 * size * 5  # p, g, v read; p, v written


def test_columns_inside_the_image_are_counted():
    """col2im needs the entries that are copies of pixels: as many ones as im2col makes of an image of ones."""
    for shape, options in (
        ((2, 3, 7, 9), ((3, 2), (2, 1), (1, 0, 2, 1), (1, 2))),
        ((1, 2, 5, 5), ((3, 3), (1, 1), (1,) * 4, (1, 1))),
    ):
        with kernels.use_room("plain"):
            columns = kernels.im2col(np.ones(shape, np.float32), *options)
        assert formulas.FLOPS["col2im"]((columns, shape, *options), ()) == columns.sum()


def test_depthwise_convolutions_need_no_library():
    """Only products by cuBLAS are counted as the library's, with both factors and the result."""
    found = {workload.title: found for workload, found in measured("conv2d")}
    assert found[DEPTHWISE[0][0]].library_bytes == 0
    assert found["ResNet-18 layer1"].library_bytes == 4 * (3136 * 576 + 576 * 64 + 3136 * 64)


# ---- report(): any call

TEXT = """
extern "C" __global__ void twice(const float* x, float* y)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    y[i] = 2 * x[i];
}"""


def test_report_on_any_call():
    """Bytes and FLOPs as given, the roofline of the GPU that was asked for; functions are given the results."""
    x = np.ones(1024, np.float32)

    def call():
        sim.launch(TEXT, "twice", 4, 256, [x, x.copy()])
        return "result"

    found = report(call, least_bytes=8192, flops=lambda results: 1024 * (results == "result"), gpu="a100")
    assert (found.bytes_moved, found.ratio, found.efficiency, found.worst_conflict) == (8192, 1.0, 1.0, 0)
    assert found.floor_us == pytest.approx(8192 / 1555e9 * 1e6) and found.bound == "memory"
    assert found.intensity == 0.125
    heavy = report(call, least_bytes=8192, flops=10**9, gpu="A100", in_double=True)
    assert heavy.floor_us == pytest.approx(10**9 / 9.7e12 * 1e6) and heavy.bound == "compute"
    with pytest.raises(ValueError, match="H100"):
        report(call, gpu="GTX 0")


def test_registers_are_known_if_nvrtc_is_there():
    """Else the reason is, with the extra to install."""
    ((_, found), *_) = measured("relu")
    (used,) = found.used
    if library.why_not():
        assert "minicnn-from-scratch[nvrtc]" in used.why_not and used.resources is None
    else:
        assert 0 < used.resources.registers < 64 and used.occupancy.fraction == 1.0


def test_without_nvrtc_the_report_says_what_to_install(monkeypatch):
    """The rest of it is there."""
    monkeypatch.setattr(library, "why_not", lambda: "NVRTC is missing: pip install it")
    text = "\n".join(kernel_report.page("channel_sum"))
    assert "registers and occupancy: NVRTC is missing: pip install it" in text and "sector" not in text.split("\n")[0]
    assert "add_shares<float>" in text and "floor on H100" in text


# ---- the command


def test_command_prints_lines_and_the_roofline(capsys):
    """It says that it is a model; every line has its access, efficiency or conflicts; misses are explained."""
    assert command("kernels", "report", "im2col", "--gpu", "rtx 3090") == 0
    text = capsys.readouterr().out
    sentences = " ".join(text.split())
    assert text.startswith("im2col: model, not measurement (RTX 3090: 936 GB/s, 35.6 TFLOP/s in float32)")
    for words in (
        "== ResNet-18 conv1: 1x3x224x224",
        "im2col.cu:",
        "store of 4 B",
        "29%",
        "misses the aim",
        NOTES["im2col"],
    ):
        assert words in sentences


@pytest.mark.parametrize("width", [110, 200])
def test_page_fits_the_terminal(width):
    """Texts of lines are cut, sentences go on in the next line; nothing else is lost."""
    text = "\n".join(kernel_report.page("im2col", width=width))
    assert max(map(len, text.splitlines())) <= width
    assert ("…" in text) == (width == 110) and " ".join(NOTES["im2col"].split()) in " ".join(text.split())


def test_command_as_json(capsys, monkeypatch):
    """One kernel, or all; numbers and nulls, no NaN."""
    assert command("kernels", "report", "channel_sum", "--json") == 0
    entries = json.loads(capsys.readouterr().out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert [entry["workload"] for entry in entries] == [w.title for w in workloads("channel_sum")]
    assert entries[0]["label"] == "model, not measurement" and entries[0]["misses"] == [] and entries[0]["why"] is None
    sums = entries[0]["launches"][0]
    assert sums["kernel"] == "channel_sums<float>" and sums["block"] == [32, 8]
    shared = next(line for line in sums["lines"] if line["space"] == "shared")
    assert (shared["efficiency"], shared["conflict"], shared["worst_conflict"]) == (None, 1.0, 1)
    monkeypatch.setattr(kernel_report, "KERNELS", ("relu", "matmul"))
    assert command("kernels", "report", "--json") == 0
    everything = json.loads(capsys.readouterr().out)
    assert {entry["kernel"] for entry in everything} == {"relu", "matmul"}
    assert everything[-1]["efficiency"] is None and everything[-1]["launches"] == []


@pytest.mark.parametrize(
    "arguments, words",
    [
        (("nonsense",), "there is no kernel 'nonsense'"),
        (("relu", "--gpu", "RTX 3091"), "RTX 3090"),
        ((), "name a kernel"),
        (("matmul", "--plot", "x.png"), "only cuBLAS"),
        (("relu", "--plot", "x.png", "--line", "1"), "line 1 loads and stores nothing; these do: 18"),
        (("relu", "--plot", "x.png", "--workload", "9"), "relu has no workload 9; it has 1 ResNet-18 conv1"),
        (("relu", "--plot", "x.doc"), "doc"),
    ],
)
def test_command_refuses_in_words(arguments, words, capsys, tmp_path, monkeypatch):
    """What is wrong, and what there is instead; no picture is left behind."""
    monkeypatch.chdir(tmp_path)
    assert command("kernels", "report", *arguments) != 0
    assert words in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_command_lists_gpus(capsys):
    """One a line."""
    assert command("kernels", "report", "--gpu", "list") == 0
    assert capsys.readouterr().out.split("\n")[:-1] == list(GPUS)


# ---- the picture


def test_picture_is_written(tmp_path, capsys):
    """Loads and stores beside each other."""
    file = tmp_path / "relu.png"
    assert command("kernels", "report", "relu", "--plot", file, "--workload", "2") == 0
    assert file.read_bytes()[:4] == b"\x89PNG" and "ResNet-18 layer2" in capsys.readouterr().out


def drawn(source: str, args: list, **options):
    """A figure of all lines, and the titles and the boxes of its axes."""
    with sim.profiling() as launches:
        sim.launch(source, "k", 1, 32, args, **options)
    figure = kernel_picture.picture("k", [("k", line) for line in launches[0].lines])
    bars, fields = figure.axes[::2], figure.axes[1::2]
    return [bar.get_title(loc="left") for bar in bars], fields


def test_picture_shows_coalescing():
    """A staircase through four sectors, and a cloud over 32: as many boxes, and what they waste in words."""
    source = """
    extern "C" __global__ void k(const float* x, float* y) { y[32 * threadIdx.x] = x[threadIdx.x]; }"""
    (load, store), fields = drawn(source, [np.ones(32, np.float32), np.zeros(1024, np.float32)])
    assert load == "4 sectors: 128 of 128 bytes used, 100%"
    assert store == "32 sectors: 128 of 1024 bytes used, 12%"
    for axes, sectors in zip(fields, (4, 32)):
        assert len(axes.collections[0].get_paths()) == sectors
        lanes = sorted((patch.get_y() + 0.5, patch.get_x()) for patch in axes.patches)
        assert [lane for lane, _ in lanes] == list(range(32))
        assert all(a < b for (_, a), (_, b) in zip(lanes, lanes[1:]))  # from left to right


def test_picture_shows_bank_conflicts():
    """32 lanes in one column of banks."""
    source = """
    extern "C" __global__ void k(float* y)
    {
        __shared__ float tile[32][32];
        tile[0][threadIdx.x] = 1;
        __syncthreads();
        y[threadIdx.x] = tile[threadIdx.x][0];
    }"""
    titles, fields = drawn(source, [np.zeros(32, np.float32)])
    assert titles[0] == "32-way bank conflict: a bank is asked for 32 words, one after the other"
    assert "no bank conflict: no bank is asked for two words at once" in titles[1:]
    boxes = [patch for patch in fields[0].patches if patch.get_height() == 1]
    assert len(boxes) == 32 and len({patch.get_x() for patch in boxes}) == 1
