"""Architecture diagrams: what is found in a run, what is folded, what the picture says."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest

import minicnn as mc
from minicnn import diagram, models, nn, plots
from minicnn import diagram_labels as labels
from minicnn import functional as F
from minicnn.diagram_fold import fold
from minicnn.diagram_graph import Group, Op, Parallel, decompose
from minicnn.kernels import shapes
from minicnn.summary import watch

S, A = mc.ShapeError, mc.ArgumentError
SIZE = (3, 16, 16)


class Block(nn.Module):
    """relu(F(x) + x), or with a 1x1 convolution in place of x where the channels change."""

    def __init__(self, before: int, after: int, kernel: int = 3):
        super().__init__()
        self.conv = nn.Conv2d(before, after, kernel, padding=kernel // 2)
        self.bn = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 1)
        self.project = nn.Conv2d(before, after, 1) if before != after else nn.Identity()

    def forward(self, x):
        return F.relu(self.conv2(F.relu(self.bn(self.conv(x)))) + self.project(x))


class Of(nn.Module):
    """A model that is one function of one layer, to write graphs by hand."""

    def __init__(self, function, *layers):
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.function = function

    def forward(self, x):
        return self.function(x, *self.layers)


def conv(before=3, after=3, kernel=1):
    return nn.Conv2d(before, after, kernel, padding=kernel // 2)


def told(item) -> object:
    """An item in short: text for an operation, tuples for branches (the join last), (times, path, items) for groups."""
    if isinstance(item, Op):
        title = [labels.title(item.main)] if item.main else []
        return " ".join([*title, *item.notes])
    if isinstance(item, Group):
        return item.times, item.path, [told(i) for i in item.items]
    if isinstance(item, Parallel):
        return (*[[told(i) for i in branch] for branch in item.branches], item.join and told(item.join))
    names = [told(op) for op in item.ops] + ["join", "start"]  # positions len(ops) and -1
    return {(names[a], names[b]) for a, b in item.edges}


def found(model, size=SIZE, training=False) -> list:
    return [told(item) for item in fold(decompose(*watch("test", model, size, training)), model)]


def texts(path) -> list[str]:
    return [e.text for e in ElementTree.parse(path).iter("{http://www.w3.org/2000/svg}text")]


def drawn(model, tmp_path, size=SIZE, **options) -> list[str]:
    diagram.architecture(model, size, tmp_path / "a.svg", **options)
    return texts(tmp_path / "a.svg")


def test_small_operations_are_written_behind_the_one_before():
    layers = nn.Conv2d(3, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(), nn.MaxPool2d(2), nn.Flatten()
    assert found(nn.Sequential(*layers, nn.Linear(72, 5), nn.Tanh())) == [
        "conv 3x3, 8, /2 BN ReLU", "max pool 2x2, /2 flatten", "fc, 5 tanh",
    ]  # fmt: skip
    assert found(nn.Sequential(nn.BatchNorm2d(3), nn.ReLU(), conv())) == ["BN ReLU", "conv 1x1, 3"]


def test_equal_blocks_in_a_row_are_one():
    """Input channels and map sizes may differ; a projection, other channels or another kernel make a block unequal."""
    inside = [(["conv 3x3, 8 BN ReLU", "conv 1x1, 8"], [], "+ ReLU")]
    first = [(["conv 3x3, 8 BN ReLU", "conv 1x1, 8"], ["conv 1x1, 8"], "+ ReLU")]
    assert found(nn.Sequential(Block(3, 8), Block(8, 8), Block(8, 8), Block(8, 8))) == [
        (1, "0", first), (3, "1", inside),
    ]  # fmt: skip
    other = [(["conv 5x5, 8 BN ReLU", "conv 1x1, 8"], [], "+ ReLU")]
    blocks = found(nn.Sequential(conv(3, 8), Block(8, 8), Block(8, 8, kernel=5), Block(8, 8)))
    assert blocks == ["conv 1x1, 8", (1, "1", inside), (1, "2", other), (1, "3", inside)]
    pairs = nn.Sequential(*[nn.Sequential(conv(3, 3, 3), nn.ReLU(), nn.AvgPool2d(2)) for _ in range(3)])
    assert found(pairs) == [(3, "0", ["conv 3x3, 3 ReLU", "average pool 2x2, /2"])]
    assert found(nn.Sequential(conv(), nn.ReLU(), conv(), nn.ReLU())) == ["conv 1x1, 3 ReLU"] * 2  # layers, not blocks


def test_a_group_remembers_the_last_of_its_equals(tmp_path):
    said = drawn(nn.Sequential(*[Block(3, 3) for _ in range(4)]), tmp_path)
    assert "0 to 3" in said and "4 ×" in said and said.count("conv 3x3, 3") == 1


def test_containers_leave_their_contents():
    model = nn.Sequential(nn.Sequential(conv(), conv(3, 4)), nn.Sequential(nn.Sequential(conv(4, 5))))
    assert found(model) == ["conv 1x1, 3", "conv 1x1, 4", "conv 1x1, 5"]


def test_branches_nest():
    """A U-Net's shape: the inner way around is inside the outer one."""

    def unet(x, a, b, c, d, e):
        top = a(x)
        down = b(F.max_pool2d(top, 2))
        inner = mc.cat([down, c(down)], axis=1)
        up = d(inner)
        return e(mc.cat([top[:, :, ::2, ::2], up], axis=1))

    assert found(Of(unet, conv(3, 4), conv(4, 6), conv(6, 6), conv(12, 4), conv(8, 2))) == [
        "conv 1x1, 4",
        (
            ["max pool 2x2, /2", "conv 1x1, 6", (["conv 1x1, 6"], [], "concat, 12"), "conv 1x1, 4"],
            ["every 2nd pixel"],
            "concat, 8",
        ),
        "conv 1x1, 2",
    ]  # fmt: skip


def test_branches_of_branches_meet_at_one_join():
    """Two of three branches share their beginning: they fork once more, and the outer join takes them."""

    def split(x, a, b, c, d):
        y = a(x)
        return mc.cat([b(y), c(y), d(x)], axis=1)

    model = Of(split, conv(), conv(3, 4), conv(3, 5), conv(3, 6))
    assert found(model) == [
        (["conv 1x1, 3", (["conv 1x1, 4"], ["conv 1x1, 5"], None)], ["conv 1x1, 6"], "concat, 15"),
    ]  # fmt: skip


def test_sums_of_many_have_as_many_branches():
    assert found(Of(lambda x, *layers: sum(layer(x) for layer in layers), *[conv() for _ in range(5)])) == [
        (*[["conv 1x1, 3"]] * 5, "+"),
    ]  # fmt: skip


def test_ways_that_cross_stay_together():
    """Every layer sees all before it: inside the way around, no nesting fits, so arcs show where each result goes."""

    def dense(x, a, b, c):
        one = a(x)
        two = b(mc.cat([x, one], axis=1))
        return c(mc.cat([x, one, two], axis=1))

    one, two = "conv 1x1, 4", "conv 1x1, 5"
    ways = {
        ("start", one), ("start", "concat, 7"), (one, "concat, 7"), ("concat, 7", two), (one, "join"), (two, "join"),
    }  # fmt: skip
    assert found(Of(dense, conv(3, 4), conv(7, 5), conv(12, 2))) == [([ways], [], "concat, 12"), "conv 1x1, 2"]


def test_what_leads_nowhere_is_left_out():
    def split(x, a, b):
        kept, _ = F.split(x, 2, axis=2)[:2]
        b(x)
        return a(kept)

    assert found(Of(split, conv(), conv(3, 99))) == ["crop 2x16", "conv 1x1, 3"]


def test_several_outputs(tmp_path):
    def heads(x, a, b, c):
        y = a(x)
        return {"logits": b(y), "maps": [c(y), y]}

    model = Of(heads, conv(), conv(3, 4), conv(3, 5))
    assert found(model) == ["conv 1x1, 3", (["conv 1x1, 4"], ["conv 1x1, 5"], [], None)]
    assert drawn(model, tmp_path).count("output") == 3


def test_own_layers_and_functions_have_their_names():
    class Twice(mc.Function):
        @staticmethod
        def forward(ctx, x):
            return 2 * x

    class Scaled(nn.Module):
        def forward(self, x):
            return F.tanh(x * 2) * 3

    assert found(nn.Sequential(conv(), Scaled())) == ["conv 1x1, 3 Scaled"]
    assert found(Of(lambda x: Twice.apply(x))) == ["Twice"]


@pytest.mark.parametrize("name, says", [
    ("resnet50", ["conv 7x7, 64, /2", "layer1.1 to 2", "2 ×", "3 ×", "5 ×", "conv 1x1, 2048", "56x56", "7x7",
                  "25,557,032 parameters, 3.86 G multiply-adds", "shortcut: identity",
                  "shortcut that changes the maps"]),
    ("vgg16", ["conv 3x3, 512", "max pool 2x2, /2", "fc, 4096", "image 3x224x224", "features.28"]),
    ("googlenet", ["inception3a", "conv 5x5, 32", "concat, 256", "inception5b: concat, 1024",
                   "1x1 384  |  1x1 192, 3x3 384  |  1x1 48, 5x5 128  |  pool, 1x1 128"]),
    ("mobilenet_v2", ["depthwise 3x3, 960", "features.8 to 10", "3 ×", "conv 1x1, 1280"]),
    ("shufflenet_v1", ["channel shuffle, 3 groups", "conv 1x1, 240, 3 groups", "average pool 3x3, /2", "7 ×"]),
    ("shufflenet_v2", ["channels 0 to 57", "channels 58 to 115", "concat, 464"]),
    ("alexnet", ["conv 11x11, 96, /4", "response norm", "conv 5x5, 256, 2 groups", "55x55"]),
    ("resnet20", ["every 2nd pixel", "16 zero maps", "32 zero maps", "layer3.1 to 2"]),
    ("preact_resnet1001", ["layer3.1 to 110", "110 ×", "BN, ReLU"]),
    ("lenet5", ["conv 5x5, 16", "Squash", "scale, shift, Squash", "60,850 parameters, 326,520 multiply-adds"]),
])  # fmt: skip
def test_pictures_say(name, says, tmp_path):
    """The SVG is well-formed, and its text is text."""
    with shapes.shapes_only():
        model = models.get_model(name)
    said = drawn(model, tmp_path, models.input_size(name, model), title=name)
    assert said[0] == name and not set(says) - set(said)


def test_many_equal_branches_are_one(tmp_path):
    """ResNeXt's form (a): 32 paths in each block, and blocks are still folded."""
    with shapes.shapes_only():
        model = models.get_model("resnext50_32x4d", form="a")
    said = drawn(model, tmp_path, (3, 224, 224))
    assert said.count("32 ×") == 8 and {"2 ×", "3 ×", "5 ×", "layer1.0.paths.0"} <= set(said)


def test_training_draws_the_auxiliary_heads(tmp_path):
    with shapes.shapes_only():
        model = models.get_model("googlenet")
    size = (3, 224, 224)
    assert not {"aux1", "output"} & set(drawn(model, tmp_path, size))
    said = drawn(model, tmp_path, size, training=True)
    assert {"aux1", "aux2"} < set(said) and said.count("output") == 3 and model.training


MISTAKES = [
    (lambda: plots.architecture(Block), A, ("architecture takes a model", "Block(...)")),
    (lambda: plots.architecture(Block(3, 3), (16, 16)), S, ("architecture", "(channels, height, width)", "(16, 16)")),
    (lambda: plots.architecture(Block(3, 3), (1, 8, 8)), S, ("conv", "(1, 8, 8)")),
    (lambda: plots.architecture(nn.Identity(), SIZE), A, ("nothing to draw", "Identity")),
    (lambda: plots.architecture(Of(lambda x: x.numpy()), SIZE), A, ("nothing to draw", "forward must")),
    (lambda: plots.architecture(Block(3, 3), SIZE, "a.foo"), mc.FileError, ("a.foo", "'foo'", ".svg")),
    (
        lambda: plots.architecture(Of(lambda x, a: sum(a(x) for _ in range(1200)), conv()), SIZE), A,
        ("hundreds deep",),
    ),
]  # fmt: skip


@pytest.mark.parametrize("call, error, says", MISTAKES)
def test_mistakes(call, error, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error) as caught:
        call()
    for words in says:
        assert words in str(caught.value)
    assert not list(tmp_path.iterdir())
