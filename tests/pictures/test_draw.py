"""Drawing a graph as a picture, which needs the package graphviz and its program dot (`make check` runs this)."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

import minicnn as mc

graphviz = pytest.importorskip("graphviz")
if shutil.which("dot") is None:
    pytest.skip("the program dot is not installed (apt install graphviz)", allow_module_level=True)


def graph() -> mc.Tensor:
    x = mc.tensor(np.ones((2, 3)), requires_grad=True)
    return (x * x).sum()


def test_a_notebook_shows_a_picture():
    """draw() returns what Jupyter renders as SVG, with operations and shapes in it."""
    svg = graph().draw()._repr_image_svg_xml()
    assert "<svg" in svg and "Mul" in svg and "2x3" in svg


@pytest.mark.parametrize("suffix, start", [(".svg", b"<?xml"), (".png", b"\x89PNG"), (".pdf", b"%PDF")])
def test_draw_writes_picture_files(tmp_path, suffix, start):
    """The file's kind follows its name, and nothing else is left in the folder."""
    graph().draw(tmp_path / f"graph{suffix}")
    assert (tmp_path / f"graph{suffix}").read_bytes().startswith(start)
    assert len(list(tmp_path.iterdir())) == 1
