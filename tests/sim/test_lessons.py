"""Lessons: every version computes what the lesson says, cleanly, however it is launched and in whatever order threads
come."""

from __future__ import annotations

import re

import numpy as np
import pytest
from every_version import each_version, version_of

from minicnn import kernel_lessons
from minicnn.kernels import cuda, lessons, sim
from minicnn.kernels.cuda import launcher
from minicnn.kernels.lessons import LESSONS
from minicnn.kernels.sim.module import Module
from minicnn.kernels.sim.text import kernel_names

DTYPES = [np.float32, np.float64]


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
