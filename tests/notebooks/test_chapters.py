"""Every chapter in notebooks/ runs, says what is saved in it, and reads well where nobody runs it."""

from __future__ import annotations

import functools
import json
import pathlib
import re
import shutil
import sys
import tempfile

import comparing
import pytest

nbformat = pytest.importorskip("nbformat")
pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

import execute  # noqa: E402

CHAPTERS = execute.chapters()
PLAIN = [path for path in CHAPTERS if path.name[:2] in ("00", "01")]
each = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
# Paths and addresses of a machine; "(python)/" and the like are what execute.py makes of some.
PRIVATE = re.compile(
    r"(?:^|[\s\"'(=:])(?:/(?:home|root|tmp|Users|usr|opt|var|work|mnt)/|[A-Z]:\\)|site-packages|0x[0-9a-f]{6,}"
)


@functools.cache
def saved(path: pathlib.Path):
    return nbformat.read(path, as_version=4)


@functools.cache
def done(path: pathlib.Path):
    """The chapter, run once in a copy of its folder: what it writes stays there."""
    with tempfile.TemporaryDirectory() as folder:
        copied = shutil.copytree(path.parent, pathlib.Path(folder) / "notebooks")
        return execute.execute(saved(path), copied)


def code(notebook) -> list:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def tags(cell) -> list[str]:
    return cell.metadata.get("tags", [])


def test_there_are_chapters():
    """A renamed folder would otherwise leave every test below without a case."""
    assert len(CHAPTERS) >= 3 and len(PLAIN) == 2


@each
def test_a_chapter_says_what_is_saved(path):
    """It runs from top to bottom in a fresh kernel in three minutes, and its text is the saved one, cell by cell."""
    now = execute.normalised(done(path))
    for number, (cell, again) in enumerate(zip(code(saved(path)), code(now)), 1):
        said, says = execute.texts(cell), execute.texts(again)
        assert len(execute.pictures(cell)) == len(execute.pictures(again)), f"cell {number}: pictures"
        assert bool(said) == bool(says), f"cell {number}: saved is {said!r}, now it says {says!r}"
        if execute.MACHINE not in tags(cell):
            found = comparing.difference(said, says, execute.ROUNDING in tags(cell))
            assert found is None, f"{path.name}, cell {number}: {found}; `make notebooks` saves what it says now"


@each
def test_a_chapter_holds_nothing_of_the_machine(path):
    """No paths, no addresses, no errors, nothing on stderr; no personal data in the file's own fields."""
    notebook = saved(path)
    assert notebook.metadata == execute.METADATA
    for cell in code(notebook):
        for kind, text in execute.texts(cell):
            assert kind not in ("error", "stderr"), f"{kind}: {text}"
            found = PRIVATE.search(text)
            assert found is None, f"{found.group()!r} in {text!r}"
    for cell in notebook.cells:
        found = PRIVATE.search(cell.source)
        assert found is None or cell.cell_type == "markdown", f"{found.group()!r} in {cell.source!r}"


@each
def test_a_chapter_was_saved_by_make_notebooks(path):
    """Cell names, metadata and outputs are in the one form that makes the next run's difference small."""
    text = path.read_text()
    assert nbformat.writes(execute.normalised(saved(path), saved(path))).strip() == text.strip()
    nbformat.validate(json.loads(text))


@each
def test_a_chapter_begins_with_the_doctor(path):
    """The first cell says whether the installation is well, and holds the switch for long computations."""
    first = code(saved(path))[0]
    assert execute.RERUN.match(first.source) and "doctor" in first.source and execute.MACHINE in tags(first)
    assert any("python" in text and "kernels" in text for _, text in execute.texts(first))


@each
def test_pictures_have_captions(path):
    """Behind each cell with a picture stands what one sees on it, in words."""
    cells = saved(path).cells
    for cell, behind in zip(cells, [*cells[1:], None]):
        if cell.cell_type == "code" and execute.pictures(cell):
            assert behind is not None and behind.cell_type == "markdown", f"no caption behind {cell.source!r}"
            assert re.match(r"\*Figure: [^*]{60,}\*", behind.source), f"no caption behind {cell.source!r}"


@each
def test_a_chapter_is_in_the_table_of_contents(path):
    """notebooks/README.md links to it."""
    assert f"({path.name})" in (path.parent / "README.md").read_text()


@pytest.mark.parametrize("path", PLAIN, ids=lambda path: path.stem)
def test_plain_chapters_need_neither_numba_nor_compiler_nor_network(path, tmp_path):
    """Chapters 00 and 01 run with NumPy alone: no Numba, no programs on the search path, no connections."""
    pathlib.Path(tmp_path, "sitecustomize.py").write_text(BARE)
    copied = shutil.copytree(path.parent, tmp_path / "notebooks")
    repository = path.parents[1]
    environment = {
        "MINICNN_ROOM": "plain", "MINICNN_OFFLINE": "1", "MINICNN_DATA": str(tmp_path / "nothing"),
        "PATH": str(tmp_path / "nothing"), "PYTHONPATH": f"{tmp_path}:{repository}",
    }  # fmt: skip
    proof = nbformat.v4.new_code_cell(PROOF)
    notebook = nbformat.from_dict({**saved(path), "cells": [*saved(path).cells, proof]})
    ran = execute.execute(notebook, copied, environment)
    assert execute.texts(ran.cells[-1]) == [("stdout", "no numba, no g++, no network\n")]
    doctor, *others = code(ran)
    assert "Numba is missing" in str(execute.texts(doctor))  # there, one warning says so
    for cell in others:
        assert not [text for kind, text in execute.texts(cell) if kind == "stderr"], cell.source


BARE = '''
import socket
import sys


class Missing:
    """Neither Numba nor anything that comes with it."""

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("numba", "llvmlite", "graphviz", "torch", "cupy"):
            raise ImportError(f"{name} is missing in this test")


def refused(self, address):
    if self.family != getattr(socket, "AF_UNIX", None):
        raise OSError("there is no network in this test")
    return connect(self, address)


sys.meta_path.insert(0, Missing())
connect, socket.socket.connect = socket.socket.connect, refused
'''
PROOF = """
import shutil, socket, sys
found = [name for name in ("numba", "llvmlite") if name in sys.modules]
try:
    socket.create_connection(("127.0.0.1", 9), 1)
except OSError as error:
    network = "no network" in str(error)
if not found and shutil.which("g++") is None and network:
    print("no numba, no g++, no network")
"""


def test_the_kernel_is_this_python(tmp_path):
    """A kernel that somebody registered under the name python3 is not taken for the environment under test."""
    cell = nbformat.v4.new_code_cell("import sys; print(sys.executable)")
    ran = execute.execute(nbformat.v4.new_notebook(cells=[cell]), tmp_path)
    assert execute.texts(ran.cells[0]) == [("stdout", f"{sys.executable}\n")]
