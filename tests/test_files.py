"""Weights on disk, tables and drawings."""

from __future__ import annotations

import numpy as np
import pytest

import minicnn as mc
from minicnn import models, nn
from minicnn.draw import to_dot
from minicnn.files import fresh_folder, replacing


@pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
def test_weights_round_trip_bit_for_bit(tmp_path, suffix):
    """Every dtype and shape, also 0-d and channels-last memory, comes back as the same logical array."""
    arrays = {
        "a": np.random.default_rng(0).standard_normal((2, 3, 4, 5)).astype(np.float32).transpose(0, 3, 1, 2),
        "b": np.array(7), "c": np.arange(3.0), "d": np.array([True, False]), "file": np.ones(2),
        "empty": np.zeros((0, 3), np.float32),
    }  # fmt: skip
    mc.save({**arrays, "t": mc.tensor([1.0])}, tmp_path / f"w{suffix}")
    loaded = mc.load(tmp_path / f"w{suffix}")
    for name, array in arrays.items():
        assert loaded[name].dtype == array.dtype and loaded[name].shape == array.shape
        np.testing.assert_array_equal(loaded[name], array)
    assert loaded["t"].tolist() == [1.0]
    assert [p.name for p in tmp_path.iterdir()] == [f"w{suffix}"]


def test_metadata_round_trip(tmp_path):
    mc.save(nn.Linear(2, 2), tmp_path / "w.safetensors", {"model": "linear"})
    assert mc.weights.load_metadata(tmp_path / "w.safetensors") == {"model": "linear"}


def test_a_failed_write_leaves_the_old_file(tmp_path):
    """Files are written beside their place and renamed: an error half-way changes nothing."""
    path = tmp_path / "x.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), replacing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old" and len(list(tmp_path.iterdir())) == 1
    with replacing(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new" and path.stat().st_mode & 0o400


def test_run_folders_are_numbered(tmp_path):
    assert [fresh_folder(tmp_path / "r").name for _ in range(3)] == ["r", "r-2", "r-3"]


def test_summary_of_the_textbooks_lenet(capsys):
    """Shapes, parameters and multiply-adds per layer by hand for two layers; the table is printed."""
    table = mc.summary(models.get_model("lenet5", variant="modern"), (1, 32, 32))
    rows = {r.name: r for r in table.rows}
    assert rows["c1"].output_shape == (6, 28, 28) and rows["c1"].params == 156 and rows["c1"].macs == 6 * 28 * 28 * 25
    assert rows["f6"].params == 121 * 84 and rows["f6"].macs == 120 * 84 and rows["f6"].memory == 84 * 4
    assert table.total_params == 61706
    assert "61,706" in capsys.readouterr().out


def test_summary_counts_a_models_own_parameters_and_the_sparse_layer():
    """LeNet-5 of the paper: 60,000 + output, C3's 60 pairs of maps; and parameters beside submodules count."""
    table = mc.summary(models.get_model("lenet5"), (1, 32, 32), show=False)
    rows = {r.name: r for r in table.rows}
    assert table.total_params == 60_000 + 850 and rows["c3"].macs == 60 * 25 * 100 and rows["c3"].params == 1516

    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.scale = nn.Conv2d(1, 2, 1), nn.Parameter(np.ones((1, 2, 1, 1), np.float32))

        def forward(self, x):
            return self.conv(x) * self.scale

    assert mc.summary(Scaled(), (1, 4, 4), show=False).total_params == 6


def test_summary_leaves_the_model_as_it_was():
    """Mode, running statistics, hooks and dtype are untouched; a shared layer's parameters count once."""
    layer = nn.Conv2d(3, 3, 1)
    model = nn.Sequential(layer, nn.BatchNorm2d(3), layer, nn.Dropout()).to("float64")
    model[1].eval()
    before = {k: v.copy() for k, v in model.state_dict().items()}
    table = mc.summary(model, (3, 4, 4), show=False)
    assert [(r.name, r.params) for r in table.rows] == [("0", 12 + 6), ("0 (2)", 0)]
    assert table.total_macs == 2 * 9 * 16
    assert model.training and not model[1].training and not layer._forward_hooks
    for k, v in model.state_dict().items():
        np.testing.assert_array_equal(v, before[k])


def test_graph_as_dot_text():
    """Boxes for operations, ellipses for leaves, shapes on edges; a tensor used twice is drawn once."""
    w = mc.tensor(np.ones((2, 3)), requires_grad=True)
    y = ((w * w) + 1.0).sum()
    text = to_dot(y)
    assert text.startswith("digraph {") and text.endswith("}")
    assert text.count('label="Mul"') == text.count('label="Add"') == text.count('label="Sum"') == 1
    assert text.count("lightblue") == 1 and text.count("->") == 5 and '[label="2x3"]' in text


def test_the_same_graph_is_the_same_text():
    """Two graphs of one form get one text, so a drawing that is saved with a notebook does not change by itself."""
    graphs = []
    for _ in range(2):
        w = mc.tensor(np.ones((2, 3)), requires_grad=True)
        graphs.append(((w * w) + mc.tensor(np.ones(3), requires_grad=True)).sum())
    assert to_dot(graphs[0]) == to_dot(graphs[1])


def test_drawing_a_deep_graph_needs_no_recursion():
    y = x = mc.tensor(1.0, requires_grad=True)
    for _ in range(5000):
        y = y + x
    assert to_dot(y).count('label="Add"') == 5000


def test_draw_writes_dot_text(tmp_path):
    mc.tensor([1.0], requires_grad=True).draw(tmp_path / "g.dot")
    assert (tmp_path / "g.dot").read_text().startswith("digraph {")
