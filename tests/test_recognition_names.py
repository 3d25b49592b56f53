"""What users write where a class, a picture or a file is named: dollars, commas, nonsense, far too much."""

from __future__ import annotations

import numpy as np
import pytest
from command_line import command
from mistakes import complaint
from PIL import Image

import minicnn as mc
from minicnn import cli_explain, data, models, nn, plots, recognition
from minicnn.data import transforms

STRANGE = ["cost $5 \\frac{$", "$a_b$", "two\nlines", "猫 cat", "x" * 200, "a_{b"]


def test_names_are_drawn_letter_by_letter(tmp_path):
    """No formula, no warning of a missing letter (warnings are errors here), nothing that is cut off by a long name."""
    plots.confusion(np.eye(6), STRANGE, tmp_path / "confusion.png")
    data.show(np.zeros((6, 1, 4, 4)), range(6), STRANGE, path=tmp_path / "show.png", title=STRANGE[0])
    plots.curves([{"epoch": 1, "train_loss": 1.0, "train_accuracy": 0.5}], tmp_path / "curves.png", STRANGE[0])
    mc.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 6)
    )
    image = np.random.default_rng(0).random((3, 16, 16)).astype(np.float32)
    for target in range(6):
        plots.saliency(model, image, target, tmp_path / "saliency.png", classes=STRANGE)
    figure = plots.explain(model, image, 0, tmp_path / "page.png", classes=STRANGE, title=f"net on {'y' * 210}.png")
    width = figure.get_figwidth() * figure.dpi
    box = figure._suptitle.get_window_extent()
    assert box.x0 >= 0 and box.x1 <= width


def test_titles_fit_their_figures():
    """Also beside a single map or patch."""
    model = nn.Sequential(nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    images = np.random.default_rng(0).random((12, 3, 16, 16)).astype(np.float32)
    for figure in (
        plots.feature_maps(model, images[0], "0", n=1),
        plots.strongest_patches(model, images, "0", [0, 1, 2, 3, 4], n=1, rule=None),
        plots.strongest_patches(model, images, "0", 0, n=1, rule=None),
    ):
        figure.canvas.draw()
        box = figure._suptitle.get_window_extent()
        assert box.x0 >= 0 and box.x1 <= figure.get_figwidth() * figure.dpi


def test_confusion_names_every_class():
    """Forty classes by name, hundreds by every fifth; a position never passes for a class's number."""
    for count, every in ((40, 1), (300, 5)):
        names = [f"s{i}" for i in range(count)]
        axes = plots.confusion(np.eye(count), names).axes[0]
        assert [t.get_text() for t in axes.get_yticklabels()] == names[::every]


def test_one_patch_for_each_image_there_is():
    """A hundred patches of twelve images fill a grid of twelve."""
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    images = np.random.default_rng(0).random((12, 1, 8, 8)).astype(np.float32)
    figure = plots.strongest_patches(model, images, "0", 0, n=100, rule=None)
    assert sum(len(sub.axes) for sub in figure.subfigs) <= 16


def test_what_guided_backprop_is_called():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    image = np.random.default_rng(0).random((1, 8, 8)).astype(np.float32)
    titles = [plots.guided_backprop(model, image, 0, rule=r).axes[1].get_title() for r in ("guided", "deconvnet")]
    assert titles == ["guided backprop", "deconvnet"]


# Names of classes -----------------------------------------------------------------------------------------------------
CLASSES = ["corgi, cardigan", "cardigan", "crane", "crane", "dog"]


def test_a_whole_name_wins():
    assert cli_explain.class_number("cardigan", CLASSES) == 1 and cli_explain.class_number("corgi", CLASSES) == 0
    dataset = type("D", (), {"classes": ["Cardigan", "corgi"], "name": "d"})
    assert recognition.labels_for(CLASSES, dataset).tolist() == [1, 0]


@pytest.mark.parametrize("wanted, says", [
    ("crane", "it may be 2 or 3"), ("--5", "no class is called that"), ("²", "no class is called that"),
    ("-1", "0 to 4"), ("5", "knows 5 classes"), ("9" * 5000, "no class is called"), ("", "no class is called that"),
])  # fmt: skip
def test_no_single_class(wanted, says):
    complaint(lambda: cli_explain.class_number(wanted, CLASSES), mc.errors.ArgumentError, ("--class", says))


def test_a_folder_that_may_be_two_classes():
    dataset = type("D", (), {"classes": ["crane"], "name": "d"})
    complaint(lambda: recognition.labels_for(CLASSES, dataset), mc.errors.ArgumentError, ("'crane'", "2 or 3"))


# Arguments of the pictures --------------------------------------------------------------------------------------------
MODEL = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
IMAGE = np.random.default_rng(0).random((1, 8, 8)).astype(np.float32)
A = mc.errors.ArgumentError
MISTAKES = {
    "too few names": (lambda: plots.explain(MODEL, IMAGE, classes=["a"]), "2 names"),
    "a name": (lambda: plots.saliency(MODEL, IMAGE, classes="abc"), "2 names"),
    "no layer": (lambda: plots.feature_maps(MODEL, IMAGE, None), "named by its path"),
    "a number": (lambda: plots.feature_maps(MODEL, IMAGE, 5), "got 5"),
    "a list": (lambda: plots.grad_cam(MODEL, IMAGE, layer=["0"]), "got ['0']"),
    "bytes": (lambda: plots.feature_maps(MODEL, IMAGE, b"0"), "got b'0'"),
    "no channels": (lambda: plots.strongest_patches(MODEL, IMAGE[None], "0", []), "channels is empty"),
    "half a channel": (lambda: plots.strongest_patches(MODEL, IMAGE[None], "0", 1.5), "1.5"),
    "None": (lambda: plots.strongest_patches(MODEL, IMAGE[None], "0", None), "None"),
    "photo to 255": (lambda: plots.saliency(MODEL, IMAGE, photo=255 * IMAGE), "0 to 1"),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_arguments(what):
    call, says = MISTAKES[what]
    complaint(call, A, (says,))


def test_a_list_of_layers_is_no_layer():
    """A ModuleList is never called, so it gives nothing; those that can be shown are named instead."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.blocks = nn.ModuleList([nn.Conv2d(1, 2, 3)])

        def forward(self, x):
            return self.blocks[0](x)

    error = complaint(lambda: plots.feature_maps(Net(), IMAGE, "blocks"), A, ("no layer 'blocks'",))
    assert "blocks.0" in str(error)


# Files and pictures ---------------------------------------------------------------------------------------------------
def test_impossible_file_names(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a" * 5000 + ".png", "", "\0"):
        complaint(lambda name=name: mc.load(name), mc.FileError, ("there is no file",))
        complaint(lambda name=name: list(recognition.pictures([name])), mc.errors.DataError, ("there is no file",))
        if "\0" not in name:
            assert (
                command("explain", name)
                == command("classify", name)
                == command("classify", ".", "--weights", name)
                == 2
            )
    for line in capsys.readouterr().err.splitlines():
        assert line.startswith("minicnn: ") and len(line) < 400


def test_a_picture_like_a_thread(tmp_path):
    """A row of 30,000 pixels would become 7 million pixels wide: refused before memory is asked for."""
    resize = transforms.Resize(256)
    complaint(
        lambda: resize(np.zeros((3, 1, 30_000), np.float32)), mc.errors.DataError, ("1 high and 30000 wide", "256")
    )
    assert resize(np.zeros((1, 2, 1000), np.float32)).shape == (1, 256, 128_000)


def test_nothing_that_can_be_read(tmp_path, capsys):
    """Several pictures, all bad: no success."""

    @models.register_model("blind-test", num_classes=2)
    class Blind(nn.Module):
        def __init__(self, num_classes):
            super().__init__()
            self.fc = nn.Linear(3, num_classes)

        def forward(self, x):
            return self.fc(x.mean((2, 3)))

    try:
        mc.save(models.get_model("blind-test"), tmp_path / "w.npz")
        for name in ("a.png", "b.png"):
            (tmp_path / name).write_bytes(b"no picture")
        options = ("--model", "blind-test", "--weights", tmp_path / "w.npz")
        assert command("classify", tmp_path / "a.png", tmp_path / "b.png", *options) == 2
        assert "none of the 2 pictures" in capsys.readouterr().err
        Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
        assert command("classify", tmp_path / "a.png", *options) == 0
        assert "note: nobody knows how pictures were prepared" in capsys.readouterr().err
    finally:
        del models.registry._MODELS["blind-test"]


def test_unknown_weights_of_a_model_that_is_published_once(tmp_path):
    """Saved and read back, they see pictures as the published file does."""
    mc.save(models.get_model("efficientnet_lite0"), tmp_path / "w.npz")
    own = models.get_model("efficientnet_lite0", weights=tmp_path / "w.npz").loaded_weights
    published = next(p for p in models.pretrained.PUBLISHED if p.model == "efficientnet_lite0")
    assert own.published is None and own.preprocessing == published.preprocessing
    assert recognition.load(tmp_path / "w.npz", "efficientnet_lite0").note == ""
