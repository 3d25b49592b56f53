"""``minicnn kernels``: the list, the page, and the check, as a student uses them on a changed copy of a .cu file."""

from __future__ import annotations

import re

import pytest
from command_line import command

from minicnn import kernel_check, kernel_pages, kernels
from minicnn.kernels.cuda import launcher


def test_list_names_every_kernel_and_what_it_launches(capsys):
    """Each kernel but the product has CUDA kernels of ours behind it; convolutions multiply, too."""
    assert command("kernels", "list") == 0
    rows = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()[3:-1]}
    assert rows.keys() == kernels.KERNELS.keys()
    for name, row in rows.items():
        assert ".cu: " in row or name == "matmul"
    assert "im2col.cu: im2col<T>" in rows["conv2d"] and "cupy.matmul" in rows["conv2d"]
    assert "depthwise.cu" in rows["conv2d"] and "matmul" not in rows["relu"].replace("relu", "")


@pytest.mark.parametrize("width", [60, 80, 100, 130, 200])
def test_list_fits_the_terminal(width):
    """In any width nothing is left out: the launches go on below."""
    narrow, full = kernel_pages.listing(width), kernel_pages.listing()
    assert max(map(len, narrow.splitlines())) <= width < max(map(len, full.splitlines())) or width == 200
    words = [sorted(re.findall(r"\w+\.\w+:?|\w+<T>|\w+_\w+", text)) for text in (narrow, full)]
    assert words[0] == words[1] and len(words[0]) > 100
    assert narrow.startswith("---") == (width > 100)  # a table, where there is room for one


def test_show_has_the_rooms_beside_or_below_each_other(capsys):
    """Definition, Numba loop and .cu text; the same words in both forms, coloured or not."""
    wide, narrow = (kernel_pages.page("relu", width=width) for width in (400, 100))
    assert " │ " in wide.splitlines()[0] and " │ " not in narrow
    for text in (wide, narrow):
        for words in ("return np.maximum(x, 0)", "for i in", "__global__ void relu(const T*"):
            assert words in text
    coloured = kernel_pages.page("relu", "cuda", colour=True)
    assert "\x1b[" in coloured and re.sub("\x1b\\[[0-9;]*m", "", coloured) == kernel_pages.page("relu", "cuda")
    assert command("kernels", "show", "max_pool2d", "--room", "plain") == 0
    assert "argmax" in capsys.readouterr().out


@pytest.mark.parametrize("name", kernels.KERNELS)
def test_check_finds_nothing_in_ours(name):
    """Right in every trial, in float32 and float64, under the checker."""
    assert [v for v in kernel_check.check(name) if v.problem] == []


@pytest.mark.parametrize("block, blocks", [(32, 1), (64, 3), (1024, 7)])
def test_check_finds_nothing_with_other_grids(block, blocks):
    """Fewer threads than elements, one block, many: results do not depend on the launch."""
    with launcher.launched_with(block, blocks):
        for name in (
            "im2col",
            "col2im",
            "max_pool2d",
            "avg_pool2d_backward",
            "relu",
            "dropout",
            "adam_update",
            "conv2d",
        ):
            assert [v for v in kernel_check.check(name) if v.problem] == [], name


#: what a student does to a copy of a file, and what the answer must say: file, kernel, before, after, words
CHANGES = {
    "barrier removed": ("batch_norm.cu", "channel_sum", "__syncthreads();", "", ("race", "__syncthreads()")),
    "index shifted": ("pooling.cu", "max_pool2d", "ih >= h ||", "ih > h ||", ("mine.cu:", "behind the end")),
    "guard forgotten": ("relu.cu", "relu", "i < size", "i <= size", ("out of bounds", "guard", "mine.cu:")),
    "wrong number": ("relu.cu", "relu", "T(0) : x[i]", "T(1) : x[i]", ("numbers are wrong", "it should be 0, it is 1")),
    "does not compile": ("relu.cu", "relu", "x[i] <= T(0) ?", "z[i] <= T(0) ?", ("mine.cu:", "was not declared")),
}  # fmt: skip


@pytest.mark.parametrize("what", CHANGES)
def test_a_students_copy(what, tmp_path, capsys):
    file, kernel, before, after, words = CHANGES[what]
    text = launcher.source(file).partition("\n")[2]
    assert before in text
    (tmp_path / "mine.cu").write_text(text.replace(before, after, 1), encoding="utf-8")
    assert command("kernels", "check", tmp_path / "mine.cu", "--as", kernel) == 1
    said = capsys.readouterr().out
    for word in words:
        assert word in said, said
    assert "Traceback" not in said


RELU = "template <typename T> __global__ void relu(/* taken */ {}) {{ y[0] = x[0]; }}\n"


@pytest.mark.parametrize("parameters, says", [
    ("const T* x, T* __restrict__ y, int size",
     'mine.cu: parameter 3 of relu is "int size"; ours is "long long size". Its kernels must'),
    ("const float* __restrict__ x,\n    double *y, long size",
     'mine.cu: parameter 2 of relu is "double *y"; ours is "T* y". Its kernels must'),
    ("const T* x, T* y", "mine.cu: relu takes 2 parameters (const T* x, T* y); ours takes 3. Its kernels must"),
    ("T x[], T* y, unsigned long long size",
     'mine.cu: parameter 3 of relu is "unsigned long long size"; ours is "long long size". Its'),
])  # fmt: skip
def test_other_parameters_than_ours(parameters, says, tmp_path, capsys):
    """A kernel of the right name that takes something else: which parameter, what it is, and what it must be."""
    (tmp_path / "mine.cu").write_text(RELU.format(parameters), encoding="utf-8")
    assert command("kernels", "check", tmp_path / "mine.cu", "--as", "relu") == 1
    said = capsys.readouterr().out
    assert says in said and "relu<T>(const T* x, T* y, long long size)" in said, said
    assert "numpy" not in said and "argument" not in said


@pytest.mark.parametrize("arguments, says", [
    (("check", "im2cool"), "did you mean im2col"),
    (("check", "mine.cu"), "--as says which kernel"),
    (("check", "mine.cu", "--as", "relu"), "there is no file mine.cu"),
    (("check", "relu", "--as", "relu"), "--as goes with a file"),
    (("show", "reluu"), "did you mean relu"),
    (("show", "relu", "--room", "gpu"), "plain"),
])  # fmt: skip
def test_mistakes(arguments, says, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert command("kernels", *arguments) == 2
    error = capsys.readouterr().err
    assert says in error and error.count("\n") == 1


def test_a_file_with_one_kernel_of_ours(tmp_path, capsys):
    """What another operation launches need not be there."""
    text = """
template <typename T> __global__ void relu(const T* x, T* y, long long size)
{
    for (long long i = blockIdx.x * blockDim.x + threadIdx.x; i < size; i += blockDim.x * gridDim.x)
        y[i] = x[i] <= 0 ? 0 : x[i];
}"""
    (tmp_path / "mine.cu").write_text(text, encoding="utf-8")
    assert command("kernels", "check", tmp_path / "mine.cu", "--as", "relu") == 0
    assert command("kernels", "check", tmp_path / "mine.cu", "--as", "relu6") == 2
    said = capsys.readouterr()
    assert "no finding" in said.out and "has no kernel relu6. Its kernels" in said.err and "leaky" not in said.err


def test_a_file_without_the_kernel(tmp_path, capsys):
    (tmp_path / "mine.cu").write_text("// relu(\n", encoding="utf-8")
    assert command("kernels", "check", tmp_path / "mine.cu", "--as", "relu") == 2
    assert "has no kernel" in capsys.readouterr().err


def test_without_a_compiler(monkeypatch, capsys):
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr("minicnn.kernels.cuda.backend._usable", set())
    assert command("kernels", "check", "relu") == 2
    assert "apt install g++" in capsys.readouterr().err


def test_a_file_as_the_preprocessor_leaves_it(tmp_path, capsys):
    """A kernel behind `#if 0` is none; one that a macro makes counts, and its parameters are named as they come out."""
    text = """
#define EACH for (long long i = blockIdx.x * blockDim.x + threadIdx.x; i < size; i += blockDim.x * gridDim.x)
#define KERNEL(name, count) template <typename T> __global__ void name(const T* x, T* y, count size)
KERNEL(relu, long long) { EACH y[i] = x[i] <= 0 ? 0 : x[i]; }
#if 0
KERNEL(relu6, long long) { EACH y[i] = x[i]; }
KERNEL(leaky_relu, long long) { EACH y[i] = x[i]; }
#endif
"""
    mine = tmp_path / "mine.cu"
    mine.write_text(text, encoding="utf-8")
    assert command("kernels", "check", mine, "--as", "relu") == 0
    assert command("kernels", "check", mine, "--as", "relu6") == 2
    assert "mine.cu has no kernel relu6." in capsys.readouterr().err
    mine.write_text(text.replace("relu, long long", "relu, int"), encoding="utf-8")
    assert command("kernels", "check", mine, "--as", "relu") == 1
    assert 'parameter 3 of relu is "int size"; ours is "long long size"' in capsys.readouterr().out
