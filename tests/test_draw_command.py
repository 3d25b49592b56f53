"""``minicnn draw``: where it writes, a model of one's own, mistakes."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest

from minicnn import cli, models, nn
from minicnn.models import registry


def texts(path) -> set[str]:
    return {e.text for e in ElementTree.parse(path).iter("{http://www.w3.org/2000/svg}text")}


def test_command_writes_beside_what_is_there(tmp_path, monkeypatch, capsys):
    """MODEL.svg in this folder; a number is added rather than a file replaced; --out likewise."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.png").write_text("precious")
    for arguments in ("lenet5", "lenet5 --variant modern", "lenet5 --out mine.png", "resnet20 --option shortcut=B"):
        cli.main(["draw", *arguments.split()])
    assert capsys.readouterr().out.split() == [
        "wrote", "lenet5.svg", "wrote", "lenet5-2.svg", "wrote", "mine-2.png", "wrote", "resnet20.svg",
    ]  # fmt: skip
    assert (tmp_path / "mine.png").read_text() == "precious"
    assert "lenet5 modern" in texts("lenet5-2.svg") and "Squash" not in texts("lenet5-2.svg")
    assert "resnet20 shortcut=B" in texts("resnet20.svg") and "every 2nd pixel" not in texts("resnet20.svg")


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x):
        return x + self.conv(x)


def test_command_draws_a_model_of_ones_own(tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "_MODELS", dict(registry._MODELS))
    monkeypatch.chdir(tmp_path)

    @models.register_model("mine", num_classes=7, input_size=(3, 20, 20))
    def mine(num_classes):
        return nn.Sequential(Block(), Block(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, num_classes))

    cli.main("draw mine --classes 9 --input 3x10x12".split())
    assert {"mine", "2 ×", "fc, 9", "image 3x10x12", "global average pool"} <= texts("mine.svg")


def test_the_name_of_a_file_of_ones_own_is_cleaned(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "_FILES", {})
    (tmp_path / "net.py").write_text(
        "from minicnn import nn\n"
        "def Net(num_classes):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(12, num_classes))\n"
    )
    cli.main("draw net.py:Net --input 3x2x2".split())
    assert {p.name for p in tmp_path.glob("*.svg")} == {"net.py-Net.svg"}


@pytest.mark.parametrize("arguments, says", [
    ("", ("MODEL",)),
    ("rsnet50", ("'rsnet50'", "did you mean resnet50")),
    ("resnet50 --out a.foo", ("a.foo", "'foo'", ".svg")),
    ("resnet50 --out file/a.svg", ("file/a.svg", "choose another path")),
    ("resnet50 --out /", ("'/'", "name")),
    ("resnet50 --input 3x0x3", ("--input", "'3x0x3'")),
    ("alexnet --input 3x100x100", ("6x6", "224 to 255 pixels")),
    ("lenet5 --input 3x32x32", ("c1", "3 channels", "input_size=(3, 32, 32)")),
    ("resnet50 --variant lecture", ("'lecture'", "torchvision")),
    ("resnet50 --option shortcut=D", ("shortcut", "'D'")),
    ("resnet50 --classes 0", ("num_classes", ">= 1")),
    ("resnet50 --colour red", ("--colour", "--help")),
])  # fmt: skip
def test_command_line_mistakes(arguments, says, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit) as stopped:
        cli.main(["draw", *arguments.split()])
    lines = capsys.readouterr().err.splitlines()
    assert stopped.value.code == 2 and len(lines) == 1 and lines[0].startswith("minicnn: ")
    for words in says:
        assert words in lines[0]
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
