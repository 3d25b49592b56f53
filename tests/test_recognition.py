"""Using a trained network: classify, evaluate, names of classes, ten crops, and what goes wrong with them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from command_line import command
from PIL import Image

import minicnn as mc
from minicnn import data, judgement, models, nn, recognition
from minicnn.data import transforms

GREYS = {"dark": 40, "light": 210, "middle": 120}


@pytest.fixture
def mean_grey():
    """A network that tells greys apart: its logits grow as the picture's mean comes near to each class's."""

    @models.register_model("grey-recognition-test", num_classes=3)
    class Grey(nn.Module):
        def __init__(self, num_classes, in_channels=3):
            super().__init__()
            self.pool, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(in_channels, num_classes)

        def forward(self, x):
            return self.fc(self.pool(x).flatten(1))

    yield "grey-recognition-test"
    del models.registry._MODELS["grey-recognition-test"]


def pictures(folder, sizes=((12, 8),)):
    for name, grey in GREYS.items():
        (folder / name).mkdir(parents=True)
        for i in range(10):
            Image.new("RGB", sizes[i % len(sizes)], (grey + i,) * 3).save(folder / name / f"{i}.png")
    return folder


@pytest.fixture
def run(mean_grey, tmp_path, capsys):
    """A run folder: trained on three greys."""
    options = ("--epochs", 60, "--batch-size", 8, "--lr", 0.5, "--augment", "none")
    source = f"folder:{pictures(tmp_path / 'p')}"
    assert command("train", "--model", mean_grey, "--data", source, *options, "--out", tmp_path / "run") == 0
    capsys.readouterr()
    return tmp_path / "run"


def test_classify_with_a_runs_weights(run, tmp_path, capsys):
    """Pictures of another size and shape, a file and a folder; the right name first, as text and as JSON."""
    (tmp_path / "more" / "deep").mkdir(parents=True)
    Image.new("L", (50, 90), 215).save(tmp_path / "more" / "deep" / "a.png")
    Image.new("RGBA", (30, 30), (40, 42, 41, 255)).save(tmp_path / "b.png")
    assert command("classify", tmp_path / "b.png", tmp_path / "more", "--weights", run, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [f["file"].rsplit("/", 1)[1] for f in found] == ["b.png", "a.png"]
    assert [f["top"][0]["name"] for f in found] == ["dark", "light"]
    assert all(sum(t["probability"] for t in f["top"]) == pytest.approx(1, abs=1e-5) for f in found)
    assert command("classify", tmp_path / "b.png", "--weights", run / "last.safetensors", "--top", 2) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 and lines[1].split()[0] == "dark" and lines[1].split()[3].startswith("█")


def test_of_several_pictures_a_bad_one_is_left_out(run, tmp_path, capsys):
    Image.new("RGB", (9, 9), (40,) * 3).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"no picture")
    assert command("classify", tmp_path / "a.png", tmp_path / "b.png", "--weights", run, "--json") == 0
    told = capsys.readouterr()
    assert len(json.loads(told.out)) == 1 and "left out:" in told.err and "b.png" in told.err


def test_evaluate_a_run_repeats_its_own_test(run, tmp_path, capsys):
    """The same accuracy as the run found at its end, by the same pipeline; pictures and figures in a folder."""
    assert float(mc.weights.load_metadata(run / "best.safetensors")["accuracy"]) == 1.0
    assert command("evaluate", "--weights", run, "--out", tmp_path / "e") == 0
    assert "top-1 accuracy: 100.00 %" in capsys.readouterr().out
    written = json.loads((tmp_path / "e" / "evaluation.json").read_text())
    assert (written["top1"], written["images"], written["crops"]) == (1.0, 6, 1)
    assert sorted(p.name for p in (tmp_path / "e").iterdir()) == ["confusion.png", "evaluation.json"]


def test_evaluate_on_other_pictures_and_draw_mistakes(run, tmp_path, capsys):
    """Pictures of several sizes in folders named as the classes; those in the wrong folder are the mistakes."""
    other = pictures(tmp_path / "other", sizes=((20, 9), (9, 20)))
    Image.new("RGB", (9, 9), (212,) * 3).save(other / "dark" / "4.png")  # of ten, the fifth is tested
    assert command("evaluate", "--weights", run, "--data", f"folder:{other}", "--out", tmp_path / "e") == 0
    assert "top-1 accuracy: 83.33 %" in capsys.readouterr().out
    assert (tmp_path / "e" / "mistakes.png").read_bytes().startswith(b"\x89PNG")


def test_folders_may_be_named_by_numbers(run, tmp_path, capsys):
    other = pictures(tmp_path / "other")
    for i, name in enumerate(GREYS):  # sorted already
        (other / name).rename(other / str(i))
    assert command("evaluate", "--weights", run, "--data", f"folder:{other}", "--out", tmp_path / "e") == 0
    assert "top-1 accuracy: 100.00 %" in capsys.readouterr().out


def test_mistakes_of_a_user(run, mean_grey, tmp_path, monkeypatch, capsys):
    """One line each, exit status 2, no folder left."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.png").write_bytes(b"no picture")
    mc.save(models.get_model(mean_grey), "w.npz")
    other = pictures(tmp_path / "other")
    (other / "dark").rename(other / "black")
    before = sorted(p.name for p in tmp_path.iterdir())
    for arguments, says in (
        (("classify", "no.png", "--weights", run), "there is no file no.png"),
        (("classify", "empty", "--weights", run), "there are no pictures in empty"),
        (("classify", "bad.png", "--weights", run), "bad.png cannot be read as a picture"),
        (("classify",), "PICTURE"),
        (("classify", "bad.png", "--weights", "w.npz"), "does not say which model it belongs to"),
        (("classify", "bad.png", "--weights", "none.pth"), "none.pth"),
        (("classify", "bad.png", "--weights", run, "--model", "resnet18"), f"holds weights of {mean_grey}"),
        (("evaluate", "--weights", run, "--crops", "10"), "ten crops are cut out of larger pictures"),
        (("classify", "bad.png", "--weights", "nowhere"), "there is no file nowhere"),
        (("classify", "bad.png", "--weights", "empty"), "there is no file empty/best.safetensors"),
        (("classify", "bad.png", "--weights", run, "--variant", "lecture"), "not 'lecture'"),
        (("evaluate", "--weights", run, "--size", "4"), "--data folder:DIR"),
        (("evaluate", "--weights", run, "--data", "digits"), "no class '0'"),
        (("evaluate", "--weights", run, "--data", "folder:other"), "the network has no class 'black'"),
        (("evaluate", "--weights", "w.npz", "--model", mean_grey), "do not say what to test them on"),
    ):
        assert command(*arguments) == 2, arguments
        told = capsys.readouterr().err
        assert told.count("\n") == 1 and says in told, told
    assert sorted(p.name for p in tmp_path.iterdir()) == before


def test_ten_crops_are_the_mean_of_ten(mean_grey, tmp_path):
    """Weights without a word about their training: resize to 256, ten windows of 224, normalise, softmax, average."""
    mc.manual_seed(0)
    mc.save(models.get_model(mean_grey), tmp_path / "w.npz")
    recogniser = recognition.load(tmp_path / "w.npz", mean_grey)
    image = np.random.default_rng(0).random((3, 300, 260)).astype(np.float32)
    crops = transforms.ten_crops(transforms.Resize(256)(image), 224)
    normalize = transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    single = np.stack([normalize(crop) for crop in crops])
    logits = recogniser.model(single).data
    softmax = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(recogniser.probabilities(image, ten_crops=True), softmax.mean(0), rtol=1e-5)
    np.testing.assert_allclose(recogniser.probabilities(image), softmax[4], rtol=1e-5)  # the centre


def test_names_and_their_synonyms():
    """A class is known by its whole name and by each of its synonyms."""
    classes = ["tench, Tinca tinca", "crane", "crane, bird"]
    dataset = data.ArrayDataset(np.zeros((1, 1, 2, 2), np.float32), [0], ["Tinca_tinca", "bird", "crane"])
    assert recognition.labels_for(classes, dataset).tolist() == [0, 2, 1]
    assert recognition.class_names(3) == ["class 0", "class 1", "class 2"]


def test_worst_mistakes_come_in_the_order_of_sureness():
    p = np.array([[0.6, 0.4], [0.05, 0.95], [0.9, 0.1], [0.3, 0.7]])
    assert judgement.worst_mistakes(p, np.array([1, 0, 0, 0]), most=2).tolist() == [1, 3]
    assert judgement.evaluation(p, np.array([1, 0, 0, 0])).confusion.tolist() == [[1, 2], [1, 0]]


@pytest.mark.parametrize("kind", ["CMYK", "palette", "16-bit", "alpha", "turned", "animated", "1x1", "wide"])
def test_pictures_of_every_kind(kind, run, tmp_path, capsys):
    """All light: however the file stores it, the answer is the same."""
    path, light = tmp_path / "x.png", (212, 212, 212)
    if kind == "CMYK":
        path = tmp_path / "x.jpg"
        Image.new("CMYK", (20, 20), (0, 0, 0, 43)).save(path)
    elif kind == "palette":
        Image.new("RGB", (20, 20), light).convert("P", palette=Image.Palette.ADAPTIVE).save(path)
    elif kind == "16-bit":
        Image.fromarray(np.full((20, 20), 212 * 257, np.uint16)).save(path)
    elif kind == "alpha":
        Image.new("LA", (20, 20), (212, 255)).save(path)
    elif kind == "turned":
        path, exif = tmp_path / "x.jpg", Image.Exif()
        exif[0x0112] = 6
        Image.new("RGB", (30, 20), light).save(path, exif=exif)
    elif kind == "animated":
        path = tmp_path / "x.gif"
        Image.new("RGB", (20, 20), light).save(path, save_all=True, append_images=[Image.new("RGB", (20, 20), 0)])
    else:
        Image.new("RGB", (1, 1) if kind == "1x1" else (900, 3), light).save(path)
    assert command("classify", path, "--weights", run, "--json") == 0
    assert json.loads(capsys.readouterr().out)[0]["top"][0]["name"] == "light"
