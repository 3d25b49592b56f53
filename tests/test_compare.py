"""The comparison of all models: costs are those of the papers' tables, figures are what was published, names in the
picture do not collide."""

from __future__ import annotations

import csv
import io
import json
import math

import numpy as np
import pytest

import minicnn as mc
from minicnn import cli, cli_compare, comparison, models, plots
from minicnn.comparison import compare
from minicnn.label_placement import Box, Circle, Line, place_labels
from minicnn.models.published import FIGURES, ONE, PROTOCOLS, SOURCES
from minicnn.training_memory import training_memory

IMAGENET = {  # model and setting: parameters, multiply-adds, top-1 error, top-5 error, crops
    "alexnet torchvision": (61_100_840, 714_188_480, 43.478, 20.934, "1 crop"),
    "zfnet": (62_357_608, 1_168_032_896, 38.4, 16.5, "10 crops"),
    "zfnet 512-1024-512": (107_627_624, 2_476_704_896, 37.5, 16.0, "10 crops"),
    "vgg16 torchvision": (138_357_544, 15_470_264_320, 28.408, 9.618, "1 crop"),
    "vgg19_bn torchvision": (143_678_248, 19_632_062_464, 25.782, 8.158, "1 crop"),
    "googlenet torchvision": (6_624_904, 1_498_376_192, 30.222, 10.47, "1 crop"),
    "plain34": (21_623_848, 3_644_493_824, 28.54, 10.02, "10 crops"),
    "resnet18 torchvision": (11_689_512, 1_814_073_344, 30.242, 10.922, "1 crop"),
    "resnet50 torchvision": (25_557_032, 4_089_184_256, 23.87, 7.138, "1 crop"),
    "resnext50_32x4d torchvision": (25_028_904, 4_230_479_872, 22.382, 6.302, "1 crop"),
    "resnext101_64x4d": (83_455_272, 15_460_270_080, 20.4, 5.3, "1 crop"),
    "mobilenet_v1 width=0.25": (470_072, 41_030_272, 49.4, None, "1 crop"),
    "mobilenet_v2 width=1.4": (6_108_776, 582_195_824, 25.0, 7.5, "1 crop"),
    "shufflenet_v1 groups=3": (1_865_728, 137_460_672, 32.6, None, "1 crop"),
    "shufflenet_v2 width=2.0": (7_402_600, 590_783_000, 25.0, 7.6, "1 crop"),
    "efficientnet_lite0": (4_652_008, None, 24.9, None, "1 crop"),
}


@pytest.fixture(scope="module")
def short():
    return compare()


@pytest.fixture(scope="module")
def everything():
    return compare(every=True)


def named(rows) -> dict[str, comparison.Network]:
    return {f"{r.name} {r.setting}".strip(): r for r in rows}


# Rows -----------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", IMAGENET)
def test_costs_and_errors_by_hand(name, short):
    row = named(short)[name]
    params, macs, top1, top5, crops = IMAGENET[name]
    assert (row.params, row.top1, row.top5, row.protocol) == (params, top1, top5, crops)
    assert macs is None or row.macs == macs


def test_every_model_has_a_row_and_every_figure_too(short, everything):
    assert {r.name for r in short} == {r.name for r in everything} == set(models.list_models())
    figures = [(f.model, f.variant, f.options, f.top1, f.top5, f.source) for f in FIGURES]
    rows = [(r.name, r.variant, r.options, r.top1, r.top5, r.source) for r in everything if r.protocol]
    assert sorted(map(repr, figures)) == sorted(map(repr, rows))


def test_figures_name_their_crops_and_source():
    for figure in FIGURES:
        assert figure.protocol in PROTOCOLS and figure.source in SOURCES, figure
        errors = [e for e in (figure.top1, figure.top5) if e is not None]
        assert errors and all(0 < e < 60 for e in errors), figure
        assert len(errors) < 2 or errors[0] > errors[1], figure
    assert set(SOURCES) == {f.source for f in FIGURES} and set(PROTOCOLS) == {f.protocol for f in FIGURES}
    assert len({repr(f) for f in FIGURES}) == len(FIGURES)


def test_the_short_table_has_each_network_once_and_prefers_one_crop(short):
    keys = [(r.name, r.variant if r.variant != "torchvision" else "paper", repr(r.options)) for r in short]
    assert len(set(keys)) == len(keys)
    measured = {(f.model, repr(f.options)) for f in FIGURES if f.protocol == ONE and f.main and f.top1}
    for row in short:
        if row.data == "ImageNet" and (row.name, repr(row.options)) in measured:
            assert row.one_crop and row.top1 is not None, row.label


def test_named_models_come_with_all_that_is_known():
    rows = compare(["alexnet", "resnet152"])
    assert [(r.name, r.variant, r.protocol, r.input_size[1]) for r in rows] == [
        ("alexnet", "torchvision", "1 crop", 224), ("alexnet", "paper", "1 crop", 227),
        ("alexnet", "paper", "10 crops", 227), ("alexnet", "lecture", "", 227),
        ("resnet152", "torchvision", "1 crop", 224), ("resnet152", "paper", "1 crop", 224),
        ("resnet152", "paper", "10 crops", 224), ("resnet152", "paper", "1 crop 320", 320),
    ]  # fmt: skip
    by_size = {r.input_size[1]: r.macs for r in rows if r.variant == "paper" and r.name == "resnet152"}
    assert by_size[320] / by_size[224] == pytest.approx((320 / 224) ** 2, rel=1e-3)
    assert compare("alexnet") == compare(["alexnet", "alexnet"])


def test_memory_is_counted_by_summary_and_training_memory():
    row = compare("resnet20")[0]
    model = models.get_model("resnet20")
    assert row.memory == mc.summary(model, (3, 32, 32), show=False).total_memory
    assert row.training_memory == training_memory(model, (3, 32, 32)).activations
    assert row.training_memory > 2 * row.memory


def test_a_students_own_model_has_a_row(monkeypatch):
    monkeypatch.setattr(models.registry, "_MODELS", dict(models.registry._MODELS))

    @models.register_model("mine", num_classes=7, input_size=(3, 8, 8))
    def mine(num_classes, in_channels=3):
        return mc.nn.Sequential(mc.nn.Flatten(), mc.nn.Linear(in_channels * 64, num_classes))

    (row,) = compare("mine")
    assert (row.family, row.data, row.params, row.macs, row.top1) == ("other", "other", 192 * 7 + 7, 192 * 7, None)
    assert "Other models" in str(compare("mine")) and row.label == "mine"


def test_unknown_names_and_keys():
    with pytest.raises(mc.ArgumentError, match="no model 'resnet51'; did you mean resnet"):
        compare(["vgg16", "resnet51"])
    with pytest.raises(mc.ArgumentError, match="cannot sort by 'flops'; there are name, params, macs"):
        compare("lenet5").sort("flops")
    with pytest.raises(mc.ArgumentError, match="no form 'html'; there are text, csv, json, markdown"):
        compare("lenet5").to("html")


@pytest.mark.parametrize("key", comparison.KEYS)
@pytest.mark.parametrize("reverse", [False, True])
def test_sorting(key, reverse, short):
    """Within each data set; rows without a figure last, whichever way round."""
    rows = short.sort(key, reverse)
    assert sorted(map(id, rows)) == sorted(map(id, short))
    assert [comparison.DATA.index(r.data) for r in rows] == sorted(comparison.DATA.index(r.data) for r in rows)
    for data in ("ImageNet", "CIFAR-10"):
        values = [comparison.KEYS[key](r) for r in rows if r.data == data]
        known = [v for v in values if v is not None]
        assert values == sorted(known, reverse=reverse) + [None] * (len(values) - len(known))


def test_names_sort_by_their_numbers(short):
    names = [r.name for r in short.sort("name") if r.family == "ResNet" and r.data == "ImageNet"]
    assert names == ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"]


def test_forms_agree():
    rows = compare(["shufflenet_v1", "preact_resnet110", "lenet5"])
    lines = list(csv.DictReader(io.StringIO(rows.to("csv"))))
    data = json.loads(rows.to("json"))
    assert [int(x["macs"]) for x in lines] == [x["macs"] for x in data] == [r.macs for r in rows]
    assert [x["top1"] for x in lines] == ["" if r.top1 is None else str(r.top1) for r in rows]
    assert {"width=0.5 groups=8", "groups=3", "design=original"} <= {x["options"] for x in lines}
    assert lines[0]["input_size"] == "3x224x224" and data[0]["input_size"] == [3, 224, 224]
    text, markdown = rows.to("text"), rows.to("markdown")
    for title in ("ImageNet, 1000 classes", "CIFAR-10, error", "MNIST, error"):
        assert text.count(title) == 1 and markdown.count(f"**{title}") == 1
    assert sum(line.startswith("shufflenet_v1 ") for line in text.split("\n")) == 19
    assert sum(line.startswith("| shufflenet_v1 |") for line in markdown.split("\n")) == 19
    assert "Zhang 2017: arXiv 1707.01083" in text and "torchvision:" not in text, "only sources that occur"
    assert str(rows) == text


# The picture ----------------------------------------------------------------------------------------------------------
def drawn_boxes(figure):
    """Window boxes of the names, of the legends, and of the axes, in pixels."""
    (axes,) = figure.axes
    renderer = figure.canvas.get_renderer()
    names = {t.get_text(): t.get_window_extent(renderer) for t in axes.texts}
    legends = (axes.get_legend(), *axes.artists)
    return names, [legend.get_window_extent(renderer) for legend in legends], axes.get_window_extent(renderer)


@pytest.mark.parametrize("chosen", [(), ("resnet50", "vgg16", "lenet5"), ("preact_resnet110", "resnet110", "resnet20")])
def test_names_in_the_picture_do_not_collide(chosen, short):
    rows = compare(chosen) if chosen else short
    figure = plots.complexity(rows)
    names, legends, axes = drawn_boxes(figure)
    data = "ImageNet" if any(r.data == "ImageNet" for r in rows) else "CIFAR-10"
    assert len(names) == sum(r.data == data and r.top1 is not None for r in rows), "all bubbles have their own name"
    assert len(legends) == 2 and all(axes.x1 <= a.x0 and a.x1 <= figure.bbox.x1 for a in legends), "outside, not cut"
    boxes = [*names.values(), *legends]
    for i, a in enumerate(boxes):
        assert a in legends or axes.x0 <= a.x0 and a.x1 <= axes.x1 and axes.y0 <= a.y0 and a.y1 <= axes.y1
        for b in boxes[:i]:
            width, height = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
            assert width < 0.5 or height < 0.5, "names overlap"


def test_where_bubbles_are_and_how_large():
    figure = plots.complexity(compare("vgg16"))
    bubbles = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    found = sorted((round(b.get_xdata()[0], 2), round(b.get_ydata()[0], 2), b.get_markerfacecolor() == "none")
                   for b in bubbles)  # fmt: skip
    assert found == [(11.77, 71.9, True), (15.47, 71.59, False), (15.47, 71.93, True), (15.47, 73.0, True)]
    areas = {round(b.get_xdata()[0], 2): math.pi * (b.get_markersize() / 2) ** 2 for b in bubbles}
    assert areas[15.47] / areas[11.77] == pytest.approx(138_357_544 / 133_638_952)
    assert figure.axes[0].get_xscale() == "log" and "logarithmic" in figure.axes[0].get_xlabel()


def test_pictures_are_written_whole_or_not_at_all(tmp_path):
    rows = compare("resnet50")
    for name, begins in (("a.png", b"\x89PNG"), ("b.svg", b"<?xml")):
        plots.complexity(rows, tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(begins)
    with pytest.raises(mc.FileError, match="no kind of picture ends in 'xyz'"):
        plots.complexity(rows, tmp_path / "c.xyz")
    with pytest.raises(mc.ArgumentError, match="none of these rows has a published top-1 error"):
        plots.complexity(compare("plain20"), tmp_path / "d.png")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "b.svg"]


@pytest.mark.parametrize("seed", range(5))
def test_places_for_names(seed):
    """Of drawn bubbles: inside, off other names, bubbles and legends; lines cross neither names nor each other."""
    rng = np.random.default_rng(seed)
    bubbles = [Circle(*rng.uniform(50, 450, 2), rng.uniform(2, 25)) for _ in range(25)]
    sizes = [(rng.uniform(20, 70), 8.0) for _ in bubbles]
    area, legend = Box(0, 0, 500, 500), Box(400, 0, 500, 100)
    places = place_labels(bubbles, sizes, area, [legend])
    assert places == place_labels(bubbles, sizes, area, [legend])
    assert sum(p is not None for p in places) >= 23
    placed = [(i, p) for i, p in enumerate(places) if p]
    for i, place in placed:
        assert place.box.inside(area) and not place.box.overlaps(legend)
        assert (place.box.right - place.box.left, place.box.top - place.box.bottom) == pytest.approx(sizes[i])
        assert all(place.box.distance(b) >= 0 for b in bubbles)
        nearest = min(range(len(bubbles)), key=lambda j, box=place.box: box.distance(bubbles[j]))
        assert place.line is not None or nearest == i, "it would seem to be another's name"
        for j, other in placed:
            if j < i:
                assert not place.box.overlaps(other.box)
                assert not (place.line and other.line and place.line.crosses(other.line))
            if j != i and other.line:
                assert not other.line.cuts(place.box)


def test_no_room_for_a_name():
    crowded = [Circle(10, 10, 3)] * 3
    assert place_labels(crowded, [(15, 8)] * 3, Box(0, 0, 20, 20)) == [None] * 3
    assert place_labels([], [], Box(0, 0, 9, 9)) == []


def test_geometry_by_hand():
    box = Box(0, 0, 4, 2)
    assert box.distance(Circle(7, 6, 2)) == 3 and box.distance(Circle(5, 1, 2)) == -1
    assert box.overlaps(Box(3, 1, 5, 5)) and not box.overlaps(Box(4, 0, 5, 2))
    assert Line(-1, 1, 5, 1).cuts(box) and Line(1, 1, 2, 1).cuts(box)
    assert not Line(-1, 3, 5, 3).cuts(box) and not Line(-3, 1, -1, 1).cuts(box) and not Line(-2, 1, 1, 4).cuts(box)
    assert Line(0, 0, 2, 2).crosses(Line(0, 2, 2, 0)) and not Line(0, 0, 2, 2).crosses(Line(0, 1, 2, 3))
    assert Line(0, 0, 4, 0).distance(2, 3) == 3 and Line(0, 0, 4, 0).distance(7, 4) == 5


# The command ----------------------------------------------------------------------------------------------------------
def test_command_keys_are_the_comparisons():
    assert tuple(comparison.KEYS) == cli_compare.KEYS


def test_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    cli.main("compare resnet50 resnet18 --sort macs --csv --plot p.svg".split())
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("name,variant,options,family,input_size,params,macs,memory,training_memory,data,top1")
    assert lines[1].startswith("resnet18,") and lines[-1].startswith("resnet50,") and "picture" not in lines[-1]
    assert [p.name for p in tmp_path.iterdir()] == ["p.svg"]
    cli.main("compare resnet18 --plot q.png".split())
    out = capsys.readouterr().out
    assert "10 crops" in out and out.endswith("picture: q.png\n") and (tmp_path / "q.png").exists()


@pytest.mark.parametrize("command, says", [
    ("compare resnet51", ("'resnet51'", "did you mean", "resnet50")),
    ("compare --sort flops", ("'flops'", "'macs'", "--help")),
    ("compare lenet5 --reverse", ("--reverse", "--sort")),
    ("compare resnet18 --plot p.xyz", ("p.xyz", ".png, .svg")),
    ("compare resnet18 --plot file/p.png", ("file/p.png", "choose another path")),
    ("compare plain20 --plot p.png", ("published top-1 error",)),
    ("lecture --csv", ("--csv", "--help")),
    ("lecture alexnet", ("alexnet", "--help")),
])  # fmt: skip
def test_mistakes(command, says, tmp_path, monkeypatch, capsys):
    """One line, exit status 2, nothing printed and nothing written."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit) as stopped:
        cli.main(command.split())
    out, err = capsys.readouterr()
    assert stopped.value.code == 2 and out == ""
    assert len(err.splitlines()) == 1 and err.startswith("minicnn: ")
    for words in says:
        assert words in err
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
