"""Lessons: every version computes what the lesson says, cleanly, however it is launched and in whatever order threads
come; and each is better than the one before in just what its file says."""

from __future__ import annotations

import functools
import re

import numpy as np
import pytest
from command_line import command

from minicnn import kernel_lessons
from minicnn.errors import ArgumentError
from minicnn.kernels import cuda, lessons, sim
from minicnn.kernels.cuda import launcher
from minicnn.kernels.lessons import LESSONS
from minicnn.kernels.sim.module import Module
from minicnn.kernels.sim.text import kernel_names, without_comments

VERSIONS = [(name, version.number) for name, lesson in LESSONS.items() for version in lesson.versions]
each_version = pytest.mark.parametrize("name, number", VERSIONS, ids=[f"{name}/{number}" for name, number in VERSIONS])
DTYPES = [np.float32, np.float64]


def version_of(name: str, number: int):
    return kernel_lessons.find_version(LESSONS[name], number)


def run(xp, version, arguments: tuple, **geometry) -> np.ndarray:
    moved = [xp.asarray(a) if isinstance(a, np.ndarray) else a for a in arguments]
    return version.run(*moved, **geometry).get()


@each_version
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_version_computes_the_definition(xp, name, number, dtype):
    """All trials, all geometries, as on a GPU: blocks side by side, nothing checked."""
    version = version_of(name, number)
    for arguments in LESSONS[name].trials(dtype):
        wanted = LESSONS[name].definition(*arguments)
        scale = np.abs(wanted).max(initial=1)
        for geometry in version.geometries:
            got = run(xp, version, arguments, **geometry)
            assert got.dtype == dtype and got.shape == wanted.shape
            np.testing.assert_allclose(got, wanted, rtol=0, atol=scale * (1e-5 if dtype == np.float32 else 1e-13))


@each_version
def test_the_checker_finds_nothing(name, number):
    """The same under the checker: no races, nothing out of bounds, nothing read before it is written."""
    verdicts = list(kernel_lessons.check(f"lesson:{name}/{number}"))
    assert len(verdicts) >= 14 and [v for v in verdicts if v.problem] == []


def in_order(monkeypatch, order: str) -> None:
    """Threads and blocks of all launches start in this order."""
    launch = Module.launch

    def ordered(self, name, grid, block, values, shared_mem=0, **options):
        return launch(self, name, grid, block, values, shared_mem=shared_mem, order=order, seed=3)

    monkeypatch.setattr(Module, "launch", ordered)


def results_in_order(xp, monkeypatch, name: str, version, order: str) -> list[np.ndarray]:
    with monkeypatch.context() as patch, sim.checking():  # the checker runs one block after the other
        in_order(patch, order)
        return [run(xp, version, arguments) for arguments in LESSONS[name].trials()]


@each_version
def test_order_of_threads(xp, monkeypatch, checked, name, number):
    """What ``repeats`` says: the same bits in any order; or, with atomics, a sum whose last bits depend on it."""
    version = version_of(name, number)
    forward, *others = (
        results_in_order(xp, monkeypatch, name, version, order) for order in ("forward", "backward", "shuffled")
    )
    same = [np.array_equal(a, b) for results in others for a, b in zip(forward, results, strict=True)]
    assert all(same) == version.repeats
    for results in others:
        for a, b in zip(forward, results, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def test_trials_are_awkward():
    """Sizes that are no multiples of a tile and not square, more than one tile, and nothing at all."""
    shapes = [(a.shape[0], b.shape[1]) for a, b in LESSONS["matmul"].trials()]
    assert any(m % 16 and n % 16 and m != n for m, n in shapes) and any(m > 64 and n > 64 for m, n in shapes)
    for lesson in LESSONS.values():
        assert any(lesson.definition(*arguments).size == 0 or arguments[0].size == 0 for arguments in lesson.trials())
        for first, second in zip(lesson.trials(np.float64), lesson.trials(np.float64), strict=True):
            assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_sum_is_exact_but_for_one_trial():
    """A number that is left out or counted twice shows in a sum of whole numbers none of which is 0."""
    *whole, (rough,) = LESSONS["reduction"].trials()
    assert all((x == np.round(x)).all() and (x != 0).all() for (x,) in whole) and (rough != np.round(rough)).any()


@pytest.mark.parametrize("name, arguments, says", [
    ("matmul", (np.ones((2, 3)), np.ones((4, 5))), "a (2, 3) has 3 columns, b (4, 5) has 4 rows"),
    ("conv", (np.ones((1, 5, 5, 2)), np.ones((4, 3, 3, 3)), (1, 1), (0, 0, 0, 0)), "has 2 channels, the weights"),
    ("conv", (np.ones((1, 2, 2, 1)), np.ones((4, 3, 3, 1)), (1, 1), (0, 0, 0, 0)), "does not fit into an image"),
    ("max_pool_backward", (np.ones((1, 2, 2, 1)), np.ones((1, 2, 3, 1), np.int32), (4, 4), (2, 2), (2, 2), (0,) * 4),
     "must be equal"),
])  # fmt: skip
def test_shapes_that_do_not_fit(xp, name, arguments, says):
    """Kernels do not look before they read: no version is launched on them."""
    for version in LESSONS[name].versions:
        with pytest.raises(ValueError, match=re.escape(says)):
            run(xp, version, arguments)


# ---- the files

HEAD = ("Threads", "Launch", "Moves", "Improves")


@each_version
def test_files_say_what_they_do(name, number):
    """Each opens with shapes, the map of threads, the launch, what it moves and what it improves, and stands alone."""
    version = version_of(name, number)
    first = version.text.splitlines()[0]
    assert f"version {number} of {len(LESSONS[name].versions)}" in first
    assert [f for f in HEAD if len(version.field(f)) < 20] == []
    assert "<<<" in version.field("Launch") and "#include" not in version.text and "printf" not in version.text
    if number == 1:
        assert version.field("Improves").startswith("nothing yet")
    assert max(map(len, version.text.splitlines())) <= 120


def test_field_of_a_head():
    """Its lines joined, up to the next field or the end of the paragraph."""
    version = version_of("matmul", 1)
    assert version.field("Launch") == "<<<(ceil(N / 32), ceil(M / 8)), (32, 8)>>>; any block will do."
    assert version.field("Improves").endswith("of each sector of 32 bytes that comes, 4 are used.")
    assert version.field("Nothing") == ""


def test_all_files_are_declared():
    """Every .cu file of a lesson is one of its versions, numbered from 1, with all of its kernels."""
    folder = lessons.catalogue.FOLDER
    files = {p.relative_to(folder).as_posix() for p in folder.rglob("*.cu")}
    assert files == {version.file for lesson in LESSONS.values() for version in lesson.versions}
    for name, lesson in LESSONS.items():
        assert name == lesson.name and [v.number for v in lesson.versions] == list(range(1, len(lesson.versions) + 1))
        for version in lesson.versions:
            text = re.sub(r"template\s*<[^>]*>", "", version.text)
            assert set(kernel_names(text)) == {k.function for k in version.kernels}


@pytest.mark.parametrize("kernel", lessons.declared(), ids=lambda k: f"{k.file}:{k.function}")
@pytest.mark.parametrize("dtype", DTYPES)
def test_signatures_are_those_of_the_files(kernel, dtype):
    """The declaration says what C++ says."""
    element = np.dtype(dtype)
    names = [k.instance(element) for k in lessons.declared() if k.file == kernel.file]
    found = Module(launcher.source(kernel.file), names=names).signature(kernel.instance(element))
    wanted = [(p.pointer, p.const, p.dtype(element).kind, p.dtype(element).itemsize) for p in kernel.parameters]
    assert wanted == [(p.pointer, p.pointer and p.const, p.kind, p.size) for p in found]


def test_lessons_are_not_the_room():
    """The cuda room is what the framework computes with; lessons are declared beside it."""
    assert not {k.file for k in cuda.declared()} & {k.file for k in lessons.declared()}
    assert "kernels/lessons/matmul/2_tiled.cu" in repr(lessons.matmul.TILED)


def test_a_file_has_one_folder(tmp_path):
    """Two files of one name would be taken for each other."""
    with pytest.raises(ValueError, match="is declared in .* and others of matmul/2_tiled.cu in"):
        launcher.Kernel("matmul/2_tiled.cu", "other<T>", "T* x", tmp_path)


# ---- what the heads claim, in the model


@functools.cache
def figures(name: str, number: int, dtype: str = "float32") -> kernel_lessons.Figures:
    return kernel_lessons.figures_of(LESSONS[name], version_of(name, number), np.dtype(dtype))


def lines(name: str, number: int, space: str, kind: str, array: str = "", dtype: str = "float32") -> list:
    """Lines that use one kind of memory in one way; of global memory, one array."""
    found = [line for launch in figures(name, number, dtype).report.launches for line in launch.lines]
    return [f for f in found if (f.space, f.kind) == (space, kind) and (not array or array in f.arrays)]


@each_version
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_no_conflict_above_two_way(name, number, dtype):
    """Two words of one bank at the most, and none at all where the head says so."""
    worst = figures(name, number, dtype).report.worst_conflict
    assert worst <= 2 and (worst <= 1 or name == "conv")


def gigabytes_for_1024(name: str, number: int) -> float:
    """Bytes that a product of 1024 x 1024 x 1024 asks for: loads grow with the cube of 256, stores with the square."""
    found = figures(name, number)
    stored = 256 * 256 * 4
    return ((found.bytes_asked - stored) * 4**3 + stored * 4**2) / 1e9


def test_matmul_asks_for_fewer_bytes_each_time():
    """A sixteenth of a number for a multiply-add instead of one and a quarter, then a quarter of that."""
    naive, tiled, blocked = (figures("matmul", number) for number in (1, 2, 3))
    assert 9 < naive.bytes_asked / tiled.bytes_asked < 11
    loads = [sum(f.sectors for f in lines("matmul", number, "global", "load")) for number in (2, 3)]
    assert loads[0] == 4 * loads[1]
    for number in (1, 2, 3):
        said = float(re.search(r"asks for ([\d.]+) GB", version_of("matmul", number).text)[1])
        assert gigabytes_for_1024("matmul", number) == pytest.approx(said, abs=0.006 if number > 1 else 0.06)
    assert naive.report.efficiency == tiled.report.efficiency == blocked.report.efficiency == 1


def test_matmul_reads_shared_memory_less():
    """A quarter of the reads, each without a conflict."""
    reads = [sum(f.requests for f in lines("matmul", number, "shared", "load")) for number in (2, 3)]
    assert reads[0] == 4 * reads[1] > 0


def changed_figures(name: str, number: int, changes: dict[str, str]) -> kernel_lessons.Figures:
    """Those of a changed text."""
    version = version_of(name, number)
    text = version.text
    for before, after in changes.items():
        assert before in text
        text = text.replace(before, after)
    with launcher.replaced(version.file, text):
        return kernel_lessons.figures_of(LESSONS[name], version)


def test_matmul_with_rows_along_x_wastes_sectors():
    """What the head of version 1 says: 4 of the 32 bytes of a sector are used."""
    swap = {"blockIdx.y * blockDim.y + threadIdx.y": "blockIdx.x * blockDim.x + threadIdx.x"}
    back = {"column = blockIdx.x * blockDim.x + threadIdx.x": "column = blockIdx.y * blockDim.y + threadIdx.y"}
    found = [f for launch in changed_figures("matmul", 1, back | {"row = " + k: "row = " + v for k, v in swap.items()})
             .report.launches for f in launch.lines]  # fmt: skip
    store = next(f for f in found if f.kind == "store")
    assert store.efficiency == pytest.approx(1 / 8)


def test_matmul_needs_its_padding_and_its_stride():
    """Rows of b_tile that are no longer than the tile: a conflict when they are written."""
    assert changed_figures("matmul", 3, {"[TILE + SIDE]": "[TILE]"}).report.worst_conflict == 2
    side_by_side = {"b_tile[l][tx + i * SIDE]": "b_tile[l][tx * EACH + i]"}
    assert changed_figures("matmul", 3, side_by_side).report.worst_conflict == 2  # of 16 different threads


def test_conv_picks_single_weights_then_whole_sectors():
    """Version 1: 33 sectors for a warp's multiply-adds, of the weights' an eighth is used. Then all are."""
    weights, x = lines("conv", 1, "global", "load", "weight"), lines("conv", 1, "global", "load", "x")
    assert [f.efficiency for f in weights] == [pytest.approx(1 / 8)]
    assert (sum(f.sectors for f in weights + x)) == 33 * weights[0].requests
    direct, columns, implicit = (figures("conv", number) for number in (1, 2, 3))
    assert direct.report.efficiency < 0.2 and columns.report.efficiency == implicit.report.efficiency == 1
    assert direct.bytes_asked > 50 * columns.bytes_asked


def test_conv_without_columns_moves_the_least():
    """Version 2 writes the columns and reads them back; version 3 moves what has to be moved and no more."""
    columns, implicit = figures("conv", 2), figures("conv", 3)
    x, weight, _, _ = LESSONS["conv"].report_arguments()
    size = x.size * weight.shape[1] * weight.shape[2] * x.itemsize  # stride 1: a row of 9 * C for each pixel
    assert columns.report.bytes_moved - implicit.report.bytes_moved in range(size, 2 * size + 4 * x.nbytes)
    assert implicit.report.ratio == pytest.approx(1, abs=0.01) and columns.report.ratio > 2
    assert implicit.bytes_asked < columns.bytes_asked


def test_conv_needs_its_padding():
    """Rows of 16 instead of 17: a queue of 8."""
    for number in (2, 3):
        assert changed_figures("conv", number, {"[SIDE + 1]": "[SIDE]"}).report.worst_conflict == 8


def test_gather_moves_half_of_the_scatter():
    """dx crosses to memory once, in whole sectors, without atomics; more is asked for."""
    scatter, gather = figures("max_pool_backward", 1), figures("max_pool_backward", 2)
    grad = LESSONS["max_pool_backward"].report_arguments()[0]
    assert scatter.atomic_additions == grad.size and gather.atomic_additions == 0
    assert scatter.report.bytes_moved == pytest.approx(2 * gather.report.bytes_moved, rel=0.02)
    assert gather.report.ratio == pytest.approx(1, abs=0.01)
    assert [f.efficiency for f in lines("max_pool_backward", 2, "global", "store")] == [1]
    assert max(f.efficiency for f in lines("max_pool_backward", 1, "global", "atomic")) < 0.3
    assert gather.bytes_asked > scatter.bytes_asked


def test_each_pixel_asks_two_and_a_quarter_windows():
    """The mean of 1, 2, 2 and 4, a little less at the border."""
    grad, _, (h, w), *_ = LESSONS["max_pool_backward"].report_arguments()
    asked = sum(f.lanes for f in lines("max_pool_backward", 2, "global", "load", "index"))
    assert 2.15 < asked / (h * w * grad.shape[3]) <= 2.25


def test_reduction_leaves_the_queue_then_shared_memory():
    """One atomic for each number; then 256 numbers of a block in shared memory; then 8. Bytes stay the same."""
    (x,) = LESSONS["reduction"].report_arguments()
    atomics, shared, shuffle = (figures("reduction", number) for number in (1, 2, 3))
    assert (atomics.atomic_additions, shared.atomic_additions, shuffle.atomic_additions) == (x.size, 0, 0)
    assert atomics.shared_requests == 0 and shared.shared_requests > 4 * shuffle.shared_requests > 0
    blocks = sum(launch.grid[0] for launch in shared.report.launches)
    for number, each in ((2, 256), (3, 8)):
        first = lines("reduction", number, "shared", "store")[0]
        stored = sum(f.lanes for f in lines("reduction", number, "shared", "store") if f.line == first.line)
        assert stored == each * blocks
    assert shared.bytes_asked == shuffle.bytes_asked and shared.report.ratio == pytest.approx(1, abs=0.02)


def test_barriers_that_the_heads_count():
    """9 barriers of version 2: one, and one for each of the 8 steps. One of version 3."""
    shared, shuffle = (without_comments(version_of("reduction", number).text) for number in (2, 3))
    assert shared.count("__syncthreads()") == 2 and np.log2(256) + 1 == 9
    assert shuffle.count("__syncthreads()") == 1


# ---- mistakes

BARRIER, OUTSIDE, WRONG = "__syncthreads();", "out of bounds", "numbers are wrong"
COMPLETE, OVER = f"{BARRIER}  // the tiles are complete", f"{BARRIER}  // the tiles may be written over"
MISTAKES = {  # lesson and version, what stands there, what a student wrote, the finding
    "tiles are read too early": ("matmul/2", COMPLETE, "", "race"),
    "tiles are overwritten too early": ("matmul/2", OVER, "", "race"),
    "no barrier before the registers": ("matmul/3", COMPLETE, "", "race"),
    "no barrier after the registers": ("matmul/3", OVER, "", "race"),
    "no barrier in the product": ("conv/2", OVER, "", "race"),
    "no barrier in the implicit product": ("conv/3", OVER, "", "race"),
    "no guard": ("matmul/1", "if (row < m && column < n)", "", OUTSIDE),
    "no guard for the tile's columns": ("matmul/2", "row < m && l < k ?", "row < m ?", OUTSIDE),
    "a return before the barrier": ("matmul/2", "    T sum = T(0);", "    if (row >= m) return;\n    T sum = T(0);",
                                    "divergent barrier"),
    "a row too many": ("matmul/3", "if (row < m &&", "if (row <= m &&", OUTSIDE),
    "padding is read": ("conv/1", "0 <= iw && iw < w", "iw < w", OUTSIDE),
    "a row beyond the columns": ("conv/2", "row < rows && l", "row <= rows && l", OUTSIDE),
    "padding is gathered": ("conv/3", "0 <= ih && ih < h", "0 <= ih && ih <= h", OUTSIDE),
    "an ordinary addition": ("max_pool_backward/1", "atomicAdd(&dx[((n * h + ih) * w + iw) * channels + c], grad[i])",
                             "dx[((n * h + ih) * w + iw) * channels + c] += grad[i]", "race"),
    "windows without a winner": ("max_pool_backward/1", "if (index[i] >= 0)", "if (true)", WRONG),
    "no zeros": ("max_pool_backward/1", "        dx[i] = T(0);", "", "uninitialised"),
    "a window too many": ("max_pool_backward/2", "o < size ? o", "o <= size ? o", OUTSIDE),
    "one total, no atomics": ("reduction/1", "atomicAdd(total, x[i])", "*total += x[i]", "race"),
    "no barrier in the tree": ("reduction/2", "        __syncthreads();  // outside", "  // outside", "race"),
    "the barrier inside the if": ("reduction/2", "sums[thread + half];", f"sums[thread + half]; {BARRIER}",
                                  "divergent barrier"),
    "no barrier between the warps": ("reduction/3", BARRIER, "", "race"),
    "warps that there are not": ("reduction/3", "lane < warps ? sums[lane] : T(0)", "sums[lane]", "uninitialised"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_found(checked, mistake):
    """That the checker finds nothing in ours means something only if it finds what is there."""
    what, before, after, kind = MISTAKES[mistake]
    _, version = kernel_lessons.named(what)
    assert before in version.text
    with launcher.replaced(version.file, version.text.replace(before, after)):
        problems = [v.problem for v in kernel_lessons.check(f"lesson:{what}") if v.problem]
    words = kind if kind == WRONG else f": {kind} in "
    assert any(words in problem for problem in problems), problems


# ---- the command


def test_list_of_lessons(capsys):
    assert command("kernels", "lesson") == 0
    said = capsys.readouterr().out
    assert all(name in said for name in LESSONS) and "3 register blocked" in said


def test_page_of_a_lesson(capsys):
    """What each version improves, and all figures in one table that says what it is."""
    assert command("kernels", "lesson", "reduction", "--gpu", "A100") == 0
    said = capsys.readouterr().out
    for words in ("Improves: nothing yet", "kernels/lessons/reduction/3_shuffle.cu", "model, not measurement", "A100"):
        assert words in said
    rows = {line[:46].strip(): re.split(r"\s{2,}", line[46:].strip()) for line in said.splitlines()}
    assert rows["atomic additions"] == ["262,144", "0", "0"]
    assert rows["worst bank conflict"] == ["-", "1-way", "1-way"]
    assert {"sector efficiency, global memory", "bytes asked for, per least byte", "FLOPs per byte asked for",
            "registers of a thread", "occupancy", "floor, microseconds"} <= rows.keys()  # fmt: skip


def test_show_one_file(capsys):
    assert command("kernels", "lesson", "matmul", "--show", "2") == 0
    said = capsys.readouterr().out
    assert version_of("matmul", 2).text.rstrip() in said and "\x1b[" not in said
    coloured = kernel_lessons.shown(LESSONS["matmul"], 2, colour=True)
    assert "\x1b[" in coloured and re.sub("\x1b\\[[0-9;]*m", "", coloured) == kernel_lessons.shown(LESSONS["matmul"], 2)


def test_report_line_by_line(capsys, tmp_path):
    """The lines of one version, also of a student's own in its place: here one that reads weights crosswise."""
    assert command("kernels", "lesson", "conv", "--report", "1") == 0
    said = capsys.readouterr().out
    assert "model, not measurement" in said and re.search(r"conv/1_direct.cu:\d+ +weight +load of 4 B .* 1[23]%", said)
    version = version_of("matmul", 2)
    (tmp_path / "mine.cu").write_text(version.text.replace("b_tile[i][tx]", "b_tile[tx][i]"), encoding="utf-8")
    assert command("kernels", "lesson", "matmul", "--report", "2", "--own", tmp_path / "mine.cu") == 0
    said = capsys.readouterr().out
    assert "mine.cu:" in said and "worst 8" in said and "2_tiled.cu:" not in said


def test_picture_of_a_version(capsys, tmp_path):
    """What a warp touches, drawn."""
    assert command("kernels", "lesson", "matmul", "--report", "1", "--plot", tmp_path / "warp.png") == 0
    assert "matrix product, version 1 naive" in capsys.readouterr().out
    assert (tmp_path / "warp.png").read_bytes()[:4] == b"\x89PNG"


def test_a_version_of_ones_own(tmp_path, capsys):
    """Right under another tile's launch; with a mistake, the line in the student's own file."""
    version = version_of("matmul", 2)
    (tmp_path / "mine.cu").write_text(version.text.replace("a_tile", "tile_of_a"), encoding="utf-8")
    assert command("kernels", "check", tmp_path / "mine.cu", "--as", "lesson:matmul/2") == 0
    assert "lesson:matmul/2: right in 18 calls, no finding" in capsys.readouterr().out
    (tmp_path / "mine.cu").write_text(version.text.replace(OVER, ""), encoding="utf-8")
    assert command("kernels", "check", tmp_path / "mine.cu", "--as", "lesson:matmul/2") == 1
    said = capsys.readouterr().out
    assert "mine.cu:" in said and "race" in said and "__syncthreads()" in said
    (tmp_path / "mine.cu").write_text(version.text.replace("sum +=", "sum -="), encoding="utf-8")
    assert command("kernels", "check", tmp_path / "mine.cu", "--as", "lesson:matmul/2") == 1
    assert "numbers are wrong" in capsys.readouterr().out


def test_a_version_with_other_parameters(tmp_path, capsys):
    """The answer shows what it must take and how it is launched."""
    text = "template <typename T> __global__ void matmul(const T* a, const T* b, T* c, int n) { c[0] = a[0] * b[0]; }\n"
    (tmp_path / "mine.cu").write_text(text, encoding="utf-8")
    assert command("kernels", "check", tmp_path / "mine.cu", "--as", "lesson:matmul/2") == 1
    said = capsys.readouterr().out
    assert "int m, int n, int k" in said and "<<<(ceil(N / 16), ceil(M / 16)), (16, 16)>>>" in said


@pytest.mark.parametrize("arguments, says", [
    (("lesson", "matmull"), "did you mean matmul"),
    (("lesson", "matmul", "--show", "4"), "the lesson matmul has no version 4; it has 1, 2, 3"),
    (("lesson", "matmul", "--gpu", "H1000"), "H100"),
    (("lesson", "--show", "1"), "--show and --report go with the name of a lesson"),
    (("lesson", "matmul", "--plot", "a.png"), "--plot and --own go with --report N"),
    (("lesson", "matmul", "--report", "2", "--own", "nothing.cu"), "nothing.cu"),
    (("check", "lesson:matmul"), "names no version; lesson:matmul/1 does"),
    (("check", "lesson:nothing/1"), "there is no lesson"),
    (("check", "lesson:conv/9"), "has no version 9"),
])  # fmt: skip
def test_mistakes_at_the_command_line(arguments, says, capsys):
    assert command("kernels", *arguments) == 2
    error = capsys.readouterr().err
    assert says in error and error.count("\n") == 1


def test_a_version_is_found_by_number():
    assert kernel_lessons.find_version(LESSONS["conv"], "3").title == "3 implicit gemm"
    with pytest.raises(ArgumentError):
        kernel_lessons.find_version(LESSONS["conv"], "x")
