"""Architecture diagrams on the page: every model fits, texts do not collide, the same model gives the same file."""

from __future__ import annotations

import re

import numpy as np
import pytest

import minicnn as mc
from minicnn import diagram, models, nn, plots
from minicnn.diagram_shapes import Box, Frame
from minicnn.kernels import shapes


@pytest.mark.parametrize("name", models.list_models())
def test_every_model_fits_a_page(name):
    """Drawn from shapes alone; nothing beyond the edges, and no page larger than a readable one."""
    with shapes.shapes_only():
        model = models.get_model(name)
    figure = plots.architecture(model, models.input_size(name, model))
    width, height = figure.get_size_inches()
    assert width < 16 and height < 12
    axes = figure.axes[0]
    for patch in axes.patches:
        (left, top), (right, bottom) = (
            patch.get_path().transformed(patch.get_patch_transform()).get_extents().get_points()
        )
        assert 0 <= left <= right <= width and 0 <= top <= bottom <= height
    for text in axes.texts:
        box = text.get_window_extent()
        assert 0 <= box.x0 and box.x1 <= width * figure.dpi and 0 <= box.y0 and box.y1 <= height * figure.dpi


@pytest.mark.parametrize("name", ["googlenet", "resnet34", "shufflenet_v2", "preact_resnet164", "lenet5"])
def test_texts_do_not_collide(name):
    with shapes.shapes_only():
        model = models.get_model(name)
    figure = plots.architecture(model, models.input_size(name, model))
    boxes = np.array([text.get_window_extent().extents for text in figure.axes[0].texts])  # x0, y0, x1, y1
    overlap = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:]) - np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    clash = (overlap > 1).all(2) & ~np.eye(len(boxes), dtype=bool)
    said = [t.get_text() for t in figure.axes[0].texts]
    assert not [(said[i], said[j]) for i, j in zip(*np.nonzero(clash))]


def test_columns_are_even_and_keep_the_order():
    parts = [Box(str(i)) for i in range(30)]
    columns = diagram.break_columns(parts, tallest=5)
    assert [s for c in columns for s in c.shapes] == parts
    assert len(columns) == 3 and {len(c.shapes) for c in columns} == {10}
    tall = [Box("a"), Frame(diagram.Column(parts), ""), Box("b")]  # cannot be broken: no column need be lower
    assert max(c.height for c in diagram.break_columns(tall, tallest=5)) == tall[1].height


def test_the_same_model_gives_the_same_file(tmp_path):
    for name in ("a", "b"):
        mc.manual_seed(len(name))
        for kind in ("svg", "png", "pdf"):
            plots.architecture(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU()), (3, 16, 16), tmp_path / f"{name}.{kind}")
    for kind in ("svg", "png", "pdf"):
        assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()
    assert not re.search(r"20\d\d-\d\d-\d\d", (tmp_path / "a.svg").read_text())
