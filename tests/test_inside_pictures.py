"""The figures of a network's inside, and ``minicnn explain``: what is drawn, what is written, what is complained of."""

from __future__ import annotations

import json

import numpy as np
import pytest
from command_line import command
from mistakes import case, complaint
from PIL import Image
from small_network import small

import minicnn as mc
from minicnn import data, inside, models, nn, plots, recognition
from minicnn.cli_explain import class_number, seen
from minicnn.inside import panels


@pytest.fixture
def image(rng):
    return rng.standard_normal((3, 8, 8))


FIGURES = {
    "filters": lambda m, x, path: plots.filters(m, path),
    "filters of grey": lambda m, x, path: plots.filters(nn.Conv2d(1, 7, 5), path),
    "filters further in": lambda m, x, path: plots.filters(m.conv2, path),
    "feature_maps": lambda m, x, path: plots.feature_maps(m, x, "conv2", path),
    "saliency": lambda m, x, path: plots.saliency(m, x, 1, path),
    "guided_backprop": lambda m, x, path: plots.guided_backprop(m, x, path=path, rule="deconvnet"),
    "grad_cam": lambda m, x, path: plots.grad_cam(m, x, path=path, classes="abcd", layer="conv1"),
    "occlusion": lambda m, x, path: plots.occlusion(m, x, path=path, photo=np.zeros((3, 8, 8), np.uint8), stride=4),
    "strongest_patches": lambda m, x, path: plots.strongest_patches(m, np.stack([x, -x]), "conv2", [0, 4], path, n=5),
    "patches only": lambda m, x, path: plots.strongest_patches(m, x[None], "fc", 3, path, rule=None),
    "explain": lambda m, x, path: plots.explain(m, x, path=path, classes=["cat", "dog", "cow", "hen"]),
    "explain of a layer": lambda m, x, path: plots.explain(m, x, 2, path, layer="conv1", title="a title"),
}


@pytest.mark.parametrize("draw", FIGURES.values(), ids=FIGURES)
def test_figures_are_written_and_returned(draw, image, tmp_path):
    """A PNG of the figure's size, the same figure without a path; the model in its mode, no gradients."""
    from matplotlib.figure import Figure

    model = small()
    figure = draw(model, image, tmp_path / "x.png")
    assert isinstance(figure, Figure)
    with Image.open(tmp_path / "x.png") as picture:
        assert picture.format == "PNG"
        assert np.abs(np.array(picture.size) - 120 * figure.get_size_inches()).max() < 1
    assert isinstance(draw(model, image, None), Figure)
    assert [p.name for p in tmp_path.iterdir()] == ["x.png"]
    assert model.training and all(p.grad is None for p in model.parameters())


def texts(figure) -> str:
    from matplotlib.text import Text

    return "\n".join(t.get_text() for t in figure.findobj(Text))


def test_figures_say_what_they_show(image):
    """Class with its name and probability, layers with their sizes; the explained class is added to the best five."""
    model = small()
    best, probability = inside.top_classes(model, image)[0]
    assert f"class {best}: {100 * probability:.1f} %" in texts(plots.saliency(model, image))
    assert f"{'abcd'[best]} ({best}): " in texts(plots.saliency(model, image, classes="abcd"))
    assert "conv1: 6 filters of 3x3x3" in texts(plots.filters(model))
    assert "5 filters of 6x3x3\nrows: 5 of them, columns: what they do to 6 channels" in texts(
        plots.filters(model.conv2)
    )
    assert "conv1: the 2 most active of 6 maps, 8x8" in texts(plots.feature_maps(model, image, "conv1", n=2))
    page = texts(plots.explain(model, image, title="a title"))
    for words in ("a title", f"class {best}", "conv1: 6 of 3x3", "bn: all 6 maps, 8x8", "conv2: all 5 maps, 4x4"):
        assert words in page
    many = nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten(), nn.Linear(72, 30)).to("float64")
    last = inside.top_classes(many, image, 30)[-1][0]
    assert f"class {last}\n" in texts(plots.explain(many, image, last))


def test_maps_are_drawn_where_they_are():
    """A heat map of one hot cell colours that part of the photo and no other."""
    figure = plots.new_figure(2, 2)
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1))
    heat = np.zeros((4, 4))
    heat[0, 3] = 5
    panels.draw_heat(axes, np.full((3, 8, 8), 0.5), heat)
    figure.canvas.draw()
    rgb = np.asarray(figure.canvas.buffer_rgba())[..., :3].astype(int)
    colour = np.ptp(rgb, axis=2)  # grey is 0
    h, w = colour.shape
    assert colour[: h // 8, -w // 8 :].mean() > 80
    assert colour[h // 2 :].max() < 3 and colour[:, : w // 2].max() < 3


def test_filters_as_pictures():
    """Grey is 0; each filter by its own largest weight; all of them in rows with white lines between."""
    weight = np.zeros((5, 3, 2, 2))
    weight[0, 0], weight[1] = 4, -2
    pictures, columns = panels.as_filters(weight, most=4)
    assert len(pictures) == 4 and columns == 3
    assert (pictures[0][0] == 1).all() and (pictures[0][1:] == 0.5).all() and (pictures[1] == 0).all()
    assert (pictures[2] == 0.5).all()
    sheet = panels.tiles(pictures, columns)  # 64 pixels and a line of 4
    assert sheet.shape == (3, 2 * 68 - 4, 3 * 68 - 4)
    assert (sheet[:, :64, 64:68] == 1).all() and (sheet[:, :64, 68:132] == 0).all() and (sheet[:, 68:, 68:] == 1).all()


def test_names_of_the_figures_are_found_without_loading_them():
    assert {"grad_cam", "explain", "curves"} <= set(dir(plots))
    with pytest.raises(AttributeError, match="grad_can"):
        plots.grad_can  # noqa: B018


A, S = mc.ArgumentError, mc.ShapeError
MISTAKES = [
    case("ending", lambda m, x: plots.saliency(m, x, path="x.doc"), mc.FileError, "x.doc", ".png"),
    case("photo of another size", lambda m, x: plots.grad_cam(m, x, photo=x[:, 1:]), S, "(3, 7, 8)", "(3, 8, 8)"),
    case("maps of fc", lambda m, x: plots.feature_maps(m, x, "fc"), S, "'fc'", "(4,)"),
    case("no maps", lambda m, x: plots.feature_maps(m, x, "conv1", n=0), A, "n must be", ">= 1"),
    case("no filters", lambda m, x: plots.filters(nn.Linear(2, 2)), A, "Linear has no convolution"),
    case("layer of the page", lambda m, x: plots.explain(m, x, layer="fc"), S, "'fc'"),
]


@pytest.mark.parametrize("call, error, says", MISTAKES)
def test_mistakes(call, error, says, image, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    complaint(lambda: call(small(), image), error, says)
    assert list(tmp_path.iterdir()) == []


# minicnn explain ------------------------------------------------------------------------------------------------------
@pytest.fixture
def weights(tmp_path, monkeypatch):
    """A file as ``minicnn train`` writes it, of an untrained network for grey digits; its folder is the current one."""
    monkeypatch.chdir(tmp_path)
    model = models.get_model("resnet20", num_classes=10, in_channels=1)
    described = {
        "model": "resnet20", "variant": None, "options": {}, "classes": ["zero", *"123456789"], "run": {},
        "input_size": [1, 8, 8], "mean": [0.3], "std": [0.4],
    }  # fmt: skip
    mc.save(model, "w.safetensors", {"run": json.dumps(described)})
    Image.new("RGB", (30, 20), (200, 100, 0)).save("photo.jpg")
    return "w.safetensors"


def test_explain_writes_one_page(weights, tmp_path, capsys):
    """Here, numbered if there is one already, or where it is asked for; never over the first."""
    assert command("explain", "photo.jpg", "--weights", weights) == 0
    first = (tmp_path / "photo-explained.png").read_bytes()
    assert "\npage: photo-explained.png\n" in capsys.readouterr().out
    assert command("explain", "photo.jpg", "--weights", weights, "--class", "ZERO", "--layer", "layer1") == 0
    assert capsys.readouterr().out.startswith("zero: ")
    assert command("explain", "photo.jpg", "--weights", weights, "--out", "deep/page.pdf") == 0
    made = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file())
    assert made == ["deep/page.pdf", "photo-explained-2.png", "photo-explained.png", "photo.jpg", "w.safetensors"]
    assert (tmp_path / "photo-explained.png").read_bytes() == first
    assert (tmp_path / "photo-explained-2.png").read_bytes() != first


def test_the_photo_is_what_the_network_is_given(weights):
    """Prepared as for classify; and the same un-normalised, for the eye."""
    digit = data.digits("test")[3][0]
    recogniser = recognition.load(weights)
    image, shown = seen(recogniser, digit)
    np.testing.assert_allclose(image, (digit - 0.3) / 0.4, atol=1e-6)
    np.testing.assert_allclose(shown, digit, atol=1e-6)
    expected = recogniser.probabilities(digit)
    best, probability = inside.top_classes(recogniser.model, image)[0]
    assert best == expected.argmax() and probability == pytest.approx(expected.max(), rel=1e-5)


def test_classes_by_number_or_name():
    names = ["tench, Tinca tinca", "cat", "7", "big cat, cat"]
    wanted = {"tench": 0, "TINCA TINCA": 0, "cat": 1, "7": 2, "0": 0, "3": 3, "big cat": 3}
    assert {word: class_number(word, names) for word in wanted} == wanted


@pytest.mark.parametrize("options, says", [
    ("no.jpg", ("no.jpg",)),
    ("w.safetensors", ("w.safetensors", "cannot be read as a picture")),
    ("photo.jpg --out page.txt", ("page.txt", ".png, .svg, .pdf")),
    ("photo.jpg --class 10", ("--class 10", "0 to 9")),
    ("photo.jpg --class zeroo", ("'zeroo'", "did you mean zero?")),
    ("photo.jpg --layer layer4", ("'layer4'", "layer1")),
    ("photo.jpg --layer fc", ("'fc'", "no feature maps")),
    ("photo.jpg --model resnet18", ("resnet20", "resnet18")),
    ("photo.jpg --out w.safetensors/page.png", ("cannot write", "choose another path")),
    ("", ("PICTURE",)),
])  # fmt: skip
def test_mistakes_cost_one_line(options, says, weights, tmp_path, capsys):
    before = sorted(p.name for p in tmp_path.iterdir())
    assert command("explain", *options.split(), "--weights", weights) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("minicnn: ")]
    assert len([line for line in lines if "compiling" not in line]) == 1
    for words in says:
        assert words in lines[-1]
    assert sorted(p.name for p in tmp_path.iterdir()) == before
