"""Strange names of layers, models and networks in every picture; folders and numbers that no one can mean."""

from __future__ import annotations

import dataclasses
import pathlib

import numpy as np
import pytest
from command_line import command
from mistakes import case, complaint
from PIL import Image

import minicnn as mc
from minicnn import cli_explain, comparison, data, inside, judgement, models, nn, plots, recognition
from minicnn.data import pictures as grids

STRANGE = "cost $5 \\frac{$ 猫"
ENDLESS = "a" * 5000


class Odd(nn.Module):
    """Its layer has a name that matplotlib would read as a broken formula."""

    def __init__(self) -> None:
        super().__init__()
        setattr(self, STRANGE, nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()))
        self.fc = nn.Linear(4, 3)

    def forward(self, x):
        return self.fc(getattr(self, STRANGE)(x).mean((2, 3)))


@pytest.fixture
def image(rng):
    return rng.random((3, 16, 16)).astype(np.float32)


# Pictures -------------------------------------------------------------------------------------------------------------
class Strange:
    def __call__(self, image, rng):
        return image

    def __repr__(self) -> str:
        return STRANGE


def network():
    row = next(iter(comparison.compare(["resnet20"])))
    return dataclasses.replace(row, name=STRANGE, family="other", top1=10.0, data="ImageNet")


DRAWN = {
    "filters": lambda x, path: plots.filters(Odd(), path),
    "feature maps": lambda x, path: plots.feature_maps(Odd(), x, STRANGE, path),
    "patches": lambda x, path: plots.strongest_patches(Odd(), x[None], STRANGE, 0, path),
    "page": lambda x, path: plots.explain(Odd(), x, 0, path),
    "page of a layer": lambda x, path: plots.explain(Odd(), x, 0, path, layer=STRANGE),
    "architecture": lambda x, path: plots.architecture(Odd(), (3, 16, 16), path, title=STRANGE),
    "complexity": lambda x, path: plots.complexity([network()], path),
    "preview": lambda x, path: grids.preview(Strange(), x, n=2, path=path),
}


@pytest.mark.parametrize("draw", DRAWN.values(), ids=DRAWN)
def test_names_of_layers_and_networks_are_drawn_letter_by_letter(draw, image, tmp_path):
    """In each kind of file; a formula would be an error, a letter that the font lacks a warning."""
    for ending in ("png", "svg", "pdf"):
        draw(image, tmp_path / f"x.{ending}")
    text = (tmp_path / "x.svg").read_text(encoding="utf-8")
    assert "$5" in text and "frac{$" in text and "猫" not in text


def test_gradient_maps_say_what_an_argument_is_called(tmp_path):
    error = mc.errors.GradcheckError("off", STRANGE, f"factor 2: {STRANGE}")
    error.errors = error.analytic_gradient = error.numeric_gradient = np.ones((2, 2))
    error.index = (0, 0)
    error.plot(tmp_path / "x.png")


def test_an_improbable_class_is_coloured_by_its_name(image):
    """Its bar is too short to be seen."""
    certain = nn.Sequential(nn.Conv2d(3, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    certain[0].bias.data[...] = 0, 99
    figure = plots.explain(certain, image, 0, classes=["cat", "dog"])
    axes = next(axes for axes in figure.subfigs[0].axes if axes.patches)
    colours = {label.get_text(): label.get_color() for label in axes.get_yticklabels()}
    assert colours == {"cat (0)": "tab:orange", "dog (1)": "black"}


def test_what_stands_above_single_patches_fits(rng):
    """Five channels, one patch each, and what excites it: no title leaves its block."""
    model = nn.Sequential(nn.Conv2d(3, 5, 3, padding=1), nn.ReLU())
    images = rng.random((12, 3, 16, 16)).astype(np.float32)
    figure = plots.strongest_patches(model, images, "0", [0, 1, 2, 3, 4], n=1)
    figure.canvas.draw()
    for block in figure.subfigs:
        if block._suptitle is not None:
            title = block._suptitle.get_window_extent()
            assert block.bbox.x0 <= title.x0 and title.x1 <= block.bbox.x1, block._suptitle.get_text()


def test_a_line_break_in_a_class_s_name_is_no_new_line(tmp_path):
    recogniser = recognition.Recogniser(nn.Flatten(), "m", ["two\nlines", "dog"], 1, lambda image: image)
    dataset = data.ArrayDataset(np.zeros((1, 1, 8, 8), np.float32), [1], ["two\nlines", "dog"])
    sure = np.array([[0.9, 0.1]])
    figure = judgement.draw_mistakes(recogniser, dataset, sure, np.array([1]), np.array([0]), tmp_path / "m.png")
    assert figure.axes[0].get_title() == "dog\nnot two lines, 90 %"


# Arguments ------------------------------------------------------------------------------------------------------------
A, D, F = mc.ArgumentError, mc.errors.DataError, mc.FileError
MODEL = nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
MISTAKES = [
    case("number of names", lambda x: plots.explain(MODEL, x, classes=5), A, "2 names", "5"),
    case("rules", lambda x: plots.guided_backprop(MODEL, x, rule=["guided"]), A, "rule must be one of", "['guided']"),
    case("photo of letters", lambda x: plots.saliency(MODEL, x, photo=np.full((3, 16, 16), "a")), A, "numbers", "<U1"),
    case("names missing", lambda x: plots.confusion(np.eye(3), ["a"]), A, "3 rows", "got 1"),
    case("a head of 5 PiB", lambda x: models.get_model("efficientnet_lite0", 10**12), A, "num_classes", "1,000,000"),
    case("a head beyond numbers", lambda x: models.get_model("resnet20", 10**30), A, "num_classes", "1,000,000"),
    case("endless folder", lambda x: data.get_dataset(f"folder:{ENDLESS}"), D, "there is no folder aaa", "..."),
    case("no folder", lambda x: data.get_dataset("folder:"), D, "there is no folder ''"),
    case("nobody's home", lambda x: data.FolderDataset("~nobody-of-this-name/x"), D, "there is no folder ~nobody"),
    case("endless file", lambda x: mc.save(MODEL, f"{ENDLESS}.npz"), F, "cannot write aaa", "too long"),
    case("few classes wanted", lambda x: data.FolderDataset(".", least_classes=0), A, "least_classes must be"),
    case("endless class", lambda x: cli_explain.class_number(ENDLESS, ["cat", "dog"]), A, "--class 'aaa", "0 to 1"),
]


@pytest.mark.parametrize("call, error, says", MISTAKES)
def test_mistakes(call, error, says, image):
    assert len(str(complaint(lambda: call(image), error, says))) < 400


def test_one_channel_as_an_array(image):
    assert list(inside.strongest_patches(MODEL, image[None], "0", np.array(1))) == [1]


# Evaluation -----------------------------------------------------------------------------------------------------------
@pytest.fixture
def weights(tmp_path, monkeypatch):
    """Of a network that finds all pictures to be of class 1; the current folder is an empty one."""

    @models.register_model("sure-of-one-test", num_classes=3)
    class Sure(nn.Module):
        def __init__(self, num_classes):
            super().__init__()
            self.fc = nn.Linear(3, num_classes)
            self.fc.weight.data[...] = 0
            self.fc.bias.data[...] = np.arange(num_classes) == 1

        def forward(self, x):
            return self.fc(x.mean((2, 3)))

    monkeypatch.chdir(tmp_path)
    mc.save(models.get_model("sure-of-one-test"), "w.npz")
    yield ("--model", "sure-of-one-test", "--weights", "w.npz")
    del models.registry._MODELS["sure-of-one-test"]


def folder_of(name: str, size: tuple[int, int], count: int = 10) -> None:
    pathlib.Path("p", name).mkdir(parents=True)
    for i in range(count):
        Image.new("RGB", size, (9 * i,) * 3).save(pathlib.Path("p", name, f"{i}.png"))


def test_pictures_of_one_class_are_judged_but_not_learnt(weights, capsys):
    folder_of("1", (20, 20))
    assert command("evaluate", *weights, "--data", "folder:p", "--out", "e") == 0
    assert "top-1 accuracy: 100.00 %" in capsys.readouterr().out
    assert command("train", "--model", "resnet20", "--data", "folder:p") == 2
    assert "p has one class only, 1: with nothing to tell apart" in capsys.readouterr().err


def test_a_thread_of_pixels_is_named(weights, tmp_path, capsys):
    """By its file, whichever command meets it; nothing is left behind."""
    folder_of("1", (3000, 1))
    for arguments in (
        ("classify", "p/1/4.png"),
        ("classify", "p/1/4.png", "p/1/9.png"),
        ("explain", "p/1/4.png"),
        ("evaluate", "--data", "folder:p"),
    ):
        assert command(arguments[0], *weights, *arguments[1:]) == 2
        assert "p/1/4.png: Resize: an image 1 high and 3000 wide" in capsys.readouterr().err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["p", "w.npz"]
