"""Beginning with trained weights: a new head, frozen layers, grey pictures for colour weights, normalisation."""

from __future__ import annotations

import json

import numpy as np
import pytest
from command_line import command
from PIL import Image

import minicnn as mc
from minicnn import data, finetune, models, nn, optim, runs, weights
from minicnn.data import transforms
from minicnn.recipe import Recipe
from minicnn.runs import Run
from minicnn.training import Trainer


@pytest.fixture
def tiny():
    """A model of one's own with features and a head."""

    @models.register_model("tiny-finetune-test", num_classes=10)
    class Tiny(nn.Module):
        def __init__(self, num_classes, in_channels=3):
            super().__init__()
            self.features = nn.Sequential(nn.Conv2d(in_channels, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5))
            self.pool, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(4, num_classes)

        def forward(self, x):
            return self.fc(self.pool(self.features(x)).flatten(1))

    yield "tiny-finetune-test"
    del models.registry._MODELS["tiny-finetune-test"]


def pictures(folder, mode="L"):
    for label, grey in (("dark", 40), ("light", 200), ("middle", 120)):
        (folder / label).mkdir(parents=True)
        for i in range(10):
            Image.new(mode, (8, 8), grey + i if mode == "L" else (grey + i, grey, grey)).save(
                folder / label / f"{i}.png"
            )
    return f"folder:{folder}"


def test_frozen_layers_neither_learn_nor_count(tiny):
    """Parameters and running statistics of frozen layers stay bit for bit, their dropout rests; the head learns."""
    mc.manual_seed(0)
    model = finetune.build(tiny, 10, 1, freeze=["features"])
    before = {k: v.copy() for k, v in model.state_dict().items()}
    loader = data.Loader(data.digits("val"), 64)
    Trainer(model, optim.SGD(model.parameters(), 0.1, weight_decay=0.1), loader, progress=False).fit(1)
    for name, array in model.state_dict().items():
        assert np.array_equal(array, before[name]) == name.startswith("features"), name
    assert model.training and not model.features[3].training and model.fc.training


def test_freezing_a_part_of_a_layer_leaves_the_rest_learning(tiny):
    model = finetune.build(tiny, 10, 1, freeze=["features.0"])
    assert [n for n, p in model.named_parameters() if not p.requires_grad] == ["features.0.weight", "features.0.bias"]
    nn.modes.train_mode(model)
    assert not model.features[0].training and model.features[1].training and model.features[3].training


@pytest.mark.parametrize("names, says", [
    (["feature"], "no layer 'feature'; did you mean features"),
    (["features", "fc"], "nothing is left to learn"),
])  # fmt: skip
def test_mistakes_of_freezing(tiny, names, says):
    with pytest.raises(mc.ArgumentError, match=says):
        finetune.build(tiny, 10, 1, freeze=names)


def test_from_one_data_set_to_another(tiny, tmp_path, capsys):
    """Weights of colour pictures and three classes begin a run on grey pictures of two: features are theirs and frozen,
    and images are normalised with the first run's figures; the head is new."""
    first, second = tmp_path / "first", tmp_path / "second"
    colour = pictures(tmp_path / "colour", "RGB")
    pictures(tmp_path / "grey")
    assert command("train", "--model", tiny, "--data", colour, "--epochs", 1, "--out", first) == 0
    old = mc.load(first / "best.safetensors")
    described = json.loads(weights.load_metadata(first / "best.safetensors")["run"])
    assert described["classes"] == ["dark", "light", "middle"] and described["input_size"] == [3, 8, 8]
    for name in ("dark", "light"):
        (tmp_path / "two").mkdir(exist_ok=True)
        (tmp_path / "grey" / name).rename(tmp_path / "two" / name)
    options = ("--model", tiny, "--data", f"folder:{tmp_path / 'two'}", "--epochs", 1)
    source = ("--weights", first / "best.safetensors", "--freeze", "features")
    assert command("train", *options, *source, "--out", second) == 0, capsys.readouterr().err
    new = mc.load(second / "best.safetensors")
    for name in old:
        assert np.array_equal(old[name], new[name]) == name.startswith("features"), name
    note = json.loads((second / "run.json").read_text())
    assert note["freeze"] == ["features"] and note["weights"] == str(first / "best.safetensors")
    again = json.loads(weights.load_metadata(second / "best.safetensors")["run"])
    assert again["mean"] == pytest.approx(described["mean"]) and again["input_size"] == [3, 8, 8]
    assert command("train", "--resume", "--out", second) == 0


def test_grey_runs_weights_begin_another_grey_run(tiny, tmp_path, capsys):
    """The file says that its network takes one channel; a run's folder stands for its best weights."""
    assert command("train", "--model", tiny, "--epochs", 1, "--out", tmp_path / "a") == 0
    assert command("train", "--model", tiny, "--epochs", 1, "--weights", tmp_path / "a", "--out", tmp_path / "b") == 0
    assert mc.load(tmp_path / "b" / "last.safetensors")["features.0.weight"].shape == (4, 1, 3, 3)
    assert command("train", "--model", tiny, "--option", "num_classes=3") == 2
    assert "has a place of its own" in capsys.readouterr().err


def test_unknown_weights_are_taken_for_imagenets(tiny, tmp_path):
    """A file without a word about its training: ImageNet's normalisation, grey pictures in three channels."""
    mc.save(models.get_model(tiny), tmp_path / "w.npz")
    run = Run(tiny, pictures(tmp_path / "grey"), Recipe(), weights=str(tmp_path / "w.npz"))
    model = finetune.build(run.model, 3, 1, weights=run.weights)
    loader = runs.loaders(run, model)["test"]
    normalize = next(t for t in loader.transform.transforms if isinstance(t, transforms.Normalize))
    np.testing.assert_allclose(normalize.mean.ravel(), (0.485, 0.456, 0.406), rtol=1e-6)
    assert loader.load([0], 0)[0].shape == (1, 3, 8, 8)


def test_a_run_on_grey_pictures_is_judged_on_any_split(tiny, tmp_path, capsys):
    """Weights of a colour network, grey pictures: each split gets its three channels, training pictures unaugmented."""
    mc.save(models.get_model(tiny), tmp_path / "w.npz")
    options = ("--model", tiny, "--weights", tmp_path / "w.npz", "--epochs", 1, "--out", tmp_path / "run")
    assert command("train", "--data", pictures(tmp_path / "grey"), *options) == 0
    for split in ("train", "val", "test"):
        assert command("evaluate", "--weights", tmp_path / "run", "--split", split, "--out", tmp_path / split) == 0
        assert "top-1 accuracy" in capsys.readouterr().out
