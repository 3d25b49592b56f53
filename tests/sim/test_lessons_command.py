"""Lessons at the command line: a student's mistakes, and a student's own file."""

from __future__ import annotations

import re

import pytest
from command_line import command
from every_version import version_of

from minicnn import kernel_lessons
from minicnn.errors import ArgumentError
from minicnn.kernels.cuda import launcher
from minicnn.kernels.lessons import LESSONS

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
