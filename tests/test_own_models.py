"""Models in files of one's own, by name on the command line and in get_model."""

from __future__ import annotations

import sys

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
    yield
    models.registry._FILES.clear()


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
    with pytest.raises(mc.ArgumentError, match="several models; name one of: .*:Net, .*:small"):
        models.get_model(str(file))


@pytest.mark.parametrize("text, name, says", [
    (NET, "mynet.py:Nut", ("no model 'Nut'", "Net")),
    ("x = 1", "mynet.py:Net", ("has no class or function that takes num_classes",)),
    ("import minicnn\nraise KeyError('oh')", "mynet.py:Net", ("mynet.py, line 2", "KeyError: 'oh'")),
    ("def f(:", "mynet.py:Net", ("mynet.py, line 1", "SyntaxError")),
    ("raise SystemExit(3)", "mynet.py", ("mynet.py, line 1", "SystemExit(3)", "__main__")),
    ("import argparse\nargparse.ArgumentParser().parse_args(['--x'])", "mynet.py", ("line 2", "SystemExit(2)")),
    ("class NoClasses:\n    pass", "mynet.py:NoClasses", ("mynet.py: NoClasses must take num_classes",)),
    (NET.replace("num_classes", "classes"), "mynet.py", ("no class or function", "Net must take num_classes")),
    (NET.replace("self, ", "self, width, "), "mynet.py", ("needs the option width", "--option width=...")),
    (NET, "yournet.py:Net", ("there is no file", "yournet.py", "FILE.py:NAME")),
])  # fmt: skip
def test_mistakes(text, name, says, tmp_path, monkeypatch, capsys):
    """One line, exit status 2, and the line of the file that is at fault."""
    (tmp_path / "mynet.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    assert command("table", name) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1 and all(words in line for words in says)


@pytest.mark.parametrize("setting, says", [
    ("num_classes=5", "--classes"), ("variant=foo", "--variant"), ("name=3", "MODEL"), ("weights=x", "no weights"),
])  # fmt: skip
@pytest.mark.parametrize("what", ["table", "draw"])
def test_what_no_option_sets(what, setting, says, tmp_path, monkeypatch, capsys):
    """The option that does set it is named."""
    monkeypatch.chdir(tmp_path)
    assert command(what, "lenet5", "--option", setting) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1 and says in line and f"--option {setting.split('=')[0]}" in line


def test_any_options(tmp_path):
    """``**options`` takes every name; otherwise it must stand in the signature."""
    file = tmp_path / "mynet.py"
    file.write_text(NET + "def wide(num_classes, **options):\n    return Net(num_classes, **options)\n" + SMALL)
    assert models.get_model(f"{file}:wide", 3, in_channels=2).conv.weight.shape[1] == 2
    takes = {name: models.registry.takes(f"{file}:{name}", "in_channels") for name in ("wide", "Net", "small")}
    assert takes == {"wide": True, "Net": True, "small": False}
    assert models.registry.takes("resnet20", "shortcut") and not models.registry.takes("resnet20", "depth")
    with pytest.raises(mc.ArgumentError, match="small has no option 'in_channels'; it has none"):
        models.get_model(f"{file}:small", in_channels=2)


def test_an_edited_file_is_read_again(tmp_path):
    """In one process, as in a notebook; unedited it is not, and it is in no list."""
    file = tmp_path / "mynet.py"
    file.write_text(NET)
    first = models.get_model(str(file))
    assert type(models.get_model(str(file))) is type(first)
    file.write_text(NET.replace("in_channels, 4,", "in_channels, 12,").replace("Linear(16", "Linear(48"))
    assert models.get_model(str(file)).conv.weight.shape[0] == 12 and first.conv.weight.shape[0] == 4
    assert not any(".py" in name for name in models.list_models())


def test_a_neighbour_can_be_imported(tmp_path):
    """The folder is on the path while the file runs, and not afterwards."""
    (tmp_path / "blocks_beside.py").write_text("from minicnn import nn\nB = nn.ReLU\n")
    file = tmp_path / "mynet.py"
    file.write_text("from blocks_beside import B\n" + NET.replace("nn.AdaptiveAvgPool2d(2)", "B()"))
    before = list(sys.path)
    assert models.get_model(f"{file}:Net").pool(mc.tensor([-1.0])).item() == 0
    assert sys.path == before
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "blocks_beside.py").write_text("from minicnn import nn\nB = nn.Tanh\n")
    other = tmp_path / "other" / "mynet.py"
    other.write_text(file.read_text())
    assert models.get_model(f"{other}:Net").pool(mc.tensor([-50.0])).item() == -1
