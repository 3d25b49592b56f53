"""Models in files of one's own, by name on the command line and in get_model."""

from __future__ import annotations

import numpy as np
import pytest
from command_line import command

import minicnn as mc
from minicnn import models

NET = """
from minicnn import nn

class Net(nn.Module):
    def __init__(self, num_classes, in_channels=3):
        super().__init__()
        self.conv, self.pool = nn.Conv2d(in_channels, 4, 3, padding=1), nn.AdaptiveAvgPool2d(2)
        self.fc = nn.Linear(16, num_classes)

    def forward(self, x):
        return self.fc(self.pool(self.conv(x)).flatten(1))
"""
SMALL = """
def small(num_classes):
    return Net(num_classes, 1)
"""


@pytest.fixture(autouse=True)
def forgotten():
    known = set(models.list_models())
    yield
    for name in set(models.list_models()) - known:
        del models.registry._MODELS[name]


def test_table_and_training_of_ones_own_model(tmp_path, capsys):
    file = tmp_path / "mynet.py"
    file.write_text(NET)
    assert command("table", f"{file}:Net", "--input", "3x8x8") == 0
    assert f"{3 * 4 * 9 + 4 + 170:,} parameters, {4 * 64 * 27 + 160:,} multiply-adds" in capsys.readouterr().out
    assert command("train", "--model", file, "--epochs", 1, "--out", tmp_path / "r") == 0
    assert "test accuracy" in capsys.readouterr().out
    assert command("train", "--resume", "--out", tmp_path / "r") == 0


def test_one_of_several(tmp_path):
    file = tmp_path / "mynet.py"
    file.write_text(NET + SMALL)
    assert models.get_model(f"{file}:small", 3)(np.zeros((1, 1, 8, 8), np.float32)).shape == (1, 3)
    with pytest.raises(mc.ArgumentError, match="has no model ''; there are Net, small"):
        models.get_model(str(file))


@pytest.mark.parametrize("text, name, says", [
    (NET, "mynet.py:Nut", ("no model 'Nut'", "Net")),
    ("x = 1", "mynet.py:Net", ("has no class or function that takes num_classes",)),
    ("import minicnn\nraise KeyError('oh')", "mynet.py:Net", ("mynet.py, line 2", "KeyError: 'oh'")),
    ("def f(:", "mynet.py:Net", ("mynet.py, line 1", "SyntaxError")),
    (NET, "yournet.py:Net", ("there is no file", "yournet.py", "FILE.py:NAME")),
])  # fmt: skip
def test_mistakes(text, name, says, tmp_path, monkeypatch, capsys):
    """One line, exit status 2, and the line of the file that is at fault."""
    (tmp_path / "mynet.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    assert command("table", name) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1 and all(words in line for words in says)
