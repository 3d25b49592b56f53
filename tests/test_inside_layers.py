"""Looking inside: what layers give, which pixels a unit sees, and the patches of a data set that excite it."""

from __future__ import annotations

import numpy as np
import pytest
from small_network import small

import minicnn as mc
from minicnn import functional as F
from minicnn import inside, models, nn
from minicnn.inside.activations import stages


@pytest.fixture
def image(rng):
    return rng.standard_normal((3, 8, 8))


# Activations ----------------------------------------------------------------------------------------------------------
def test_activations_by_path(image):
    """One, several, or all, in the order in which they finish; copies in C order; equal to what the layers give."""
    model = small()
    model.eval()
    by_hand = F.relu(model.bn(model.conv1(mc.tensor(image[None]))))
    found = inside.activations(model, image)
    assert list(found) == ["conv1", "bn", "pool", "conv2", "drop", "fc"]
    np.testing.assert_array_equal(F.relu(mc.tensor(found["bn"][None])).data, by_hand.data)
    assert found["conv1"].flags.c_contiguous and found["conv1"].shape == (6, 8, 8) and found["fc"].shape == (4,)
    assert list(inside.activations(model, image, ["fc", "pool"])) == ["fc", "pool"]
    twice = nn.Sequential(layer := nn.Conv2d(1, 1, 1, bias=False), nn.ReLU(), layer)
    layer.weight.data[...] = 3
    found = inside.activations(twice, np.ones((1, 1, 1)))
    assert found["0"].item() == 9 and list(found) == ["1", "0"], "the last of several calls"


def test_stages():
    """One layer for each size of the maps, from the outside of the nesting, first and last among them."""
    shapes = {"stem": (8, 16, 16), "bn": (8, 16, 16), "layer1.0.conv": (8, 16, 16), "layer1.0": (8, 8, 8),
              "layer1": (8, 8, 8), "layer2.0": (9, 4, 4), "layer2": (9, 4, 4), "last": (9, 2, 2), "pool": (9, 1, 1),
              "fc": (5,)}  # fmt: skip
    maps = {path: np.empty(shape) for path, shape in shapes.items()}
    assert stages(maps, 9) == ["bn", "layer1", "layer2", "last"]
    assert stages(maps, 3) == ["bn", "layer2", "last"]
    assert stages(maps, 1) == ["bn"] and stages({"fc": np.empty(5)}) == []


def test_top_classes(image):
    model = small()
    found = inside.top_classes(model, image)
    assert len(found) == 4 and abs(sum(p for _, p in found) - 1) < 1e-12
    assert [p for _, p in found] == sorted((p for _, p in found), reverse=True)
    assert found[0][0] == inside.activations(model, image, "fc")["fc"].argmax()


# Sight ----------------------------------------------------------------------------------------------------------------
class Many(nn.Module):
    """Everything that moves or widens a receptive field."""

    def __init__(self, dilation: int) -> None:
        super().__init__()
        self.far = nn.Conv2d(2, 3, 3, stride=2, padding=(1, 2, 0, 3), dilation=dilation)
        self.near = nn.Conv2d(2, 3, (1, 3), stride=2, padding=(0, 1))
        self.pool = nn.AvgPool2d(2, stride=1, padding=1)
        self.joined, self.end = nn.Identity(), nn.AdaptiveAvgPool2d((3, 2))

    def forward(self, x):
        a = self.far(x)
        b = self.near(F.pad(x, (0, 2, 3, 0)))[:, :, 1:, :]
        h, w = min(a.shape[2], b.shape[2]), min(a.shape[3], b.shape[3])
        return self.end(self.joined(self.pool(a[:, :, :h, :w] + b[:, :, :h, :w])))


@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("layer", ["far", "near", "pool", "joined", "end"])
def test_sight_is_where_the_gradient_is(layer, dilation):
    """The box of every unit is the bounding box of the pixels that its gradient reaches (weights all positive). At the
    edge, a dilated window may see less than the box: the pixels between its taps count as seen."""
    model, shape = Many(dilation).to("float64"), (2, 13, 15)
    for parameter in model.parameters():
        parameter.data[...] = 1
    sight = inside.Sight(model, shape, layer)
    x = mc.tensor(np.ones((1, *shape)), requires_grad=True)
    kept = {}
    with dict(model.named_modules())[layer].register_forward_hook(lambda m, i, o: kept.update(out=o)):
        model(x)
    assert sight.output_shape == kept["out"].shape[1:]
    for unit in np.ndindex(sight.output_shape[1:]):
        x.grad, start = None, np.zeros(kept["out"].shape)
        start[(0, 0, *unit)] = 1
        kept["out"].backward(start, retain_graph=True)
        rows, columns = np.nonzero(np.abs(x.grad[0]).sum(0))
        top, left, bottom, right = sight.box(*unit)
        if len(rows) == 0:  # sees nothing but padding
            assert (bottom - top) * (right - left) == 0
            continue
        reached = rows.min(), columns.min(), rows.max() + 1, columns.max() + 1
        for side, end, edge in zip((top, left, bottom, right), reached, (0, 0, *shape[1:])):
            assert side == end or (dilation > 1 and side == edge and abs(end - edge) < dilation), unit


def test_sight_agrees_with_the_summary_s_receptive_field():
    """In the middle of an image that is large enough, size and distance are the table's; a vector sees everything."""
    model, size = models.get_model("resnet20", num_classes=10), (3, 160, 160)
    rows = {r.name: r for r in mc.summary(model, size, show=False).rows}
    convs = [r for r in rows.values() if r.kind == "conv"]
    for row in (convs[0], convs[6], convs[10]):
        sight = inside.Sight(model, size, row.name)
        middle = sight.output_shape[1] // 2
        top, left, bottom, right = sight.box(middle, middle)
        assert (bottom - top, right - left) == (row.rf, row.rf)
        assert sight.box(middle + 1, middle) == (top + row.jump, left, bottom + row.jump, right)
    assert inside.Sight(model, (3, 32, 32), "fc").box() == (0, 0, 32, 32)


# Patches --------------------------------------------------------------------------------------------------------------
def test_patches_are_where_they_should_be(rng):
    """A bright dot in each image: the strongest unit sees it, the box is its window, the brightest come first."""
    images = np.zeros((7, 1, 12, 12), np.float32)
    dots = [(5, 6, 3.0), (2, 9, 5.0), (7, 7, 1.0), (9, 3, 4.0), (4, 4, 2.0), (0, 0, 6.0), (3, 3, 2.0)]
    for picture, (row, column, bright) in zip(images, dots):
        picture[0, row, column] = bright
    model = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1, bias=False), nn.ReLU())
    model[0].weight.data[...] = 0
    model[0].weight.data[0, 0, 1, 1] = 1  # the dot itself
    model[0].weight.data[1, 0, 0, 1] = 2  # a dot one pixel above
    found = inside.strongest_patches(model, images, "1", [0, 1], n=4, batch_size=3)
    assert [(p.index, p.value, p.unit) for p in found[0]] == [
        (5, 6, (0, 0)), (1, 5, (2, 9)), (3, 4, (9, 3)), (0, 3, (5, 6)),
    ]  # fmt: skip
    assert [(p.index, p.value, p.unit) for p in found[1]][1:] == [(1, 10, (3, 9)), (3, 8, (10, 3)), (0, 6, (6, 6))]
    assert found[0][1].box == (1, 8, 4, 11) and found[0][0].box == (0, 0, 2, 2), "cut off at the edge"
    np.testing.assert_array_equal(found[0][1].pixels, images[1, :, 1:4, 8:11])
    ties = inside.strongest_patches(model, images, "1", 0, n=6)[0]
    assert [p.index for p in ties[-2:]] == [4, 6], "of equal ones the earlier image"


def test_patches_of_a_data_set_with_a_transform():
    """Activations are of what the model is given, pixels of what the data set holds."""
    dataset = mc.data.get_dataset("digits", "val")
    normalize = mc.data.transforms.Normalize(*dataset.statistics())
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.Flatten(), nn.Linear(3 * 36, 10))
    best = inside.strongest_patches(model, dataset, "0", [2], n=3, transform=normalize)[2]
    values = [inside.activations(model, normalize(dataset[i][0]), "0")["0"][2].max() for i in range(len(dataset))]
    assert [p.index for p in best] == np.argsort(-np.array(values), kind="stable")[:3].tolist()
    np.testing.assert_allclose([p.value for p in best], np.sort(values)[::-1][:3], rtol=1e-6)
    for p in best:
        top, left, bottom, right = p.box
        assert (bottom - top, right - left) == (3, 3)
        np.testing.assert_array_equal(p.pixels, dataset[p.index][0][:, top:bottom, left:right])
    whole = inside.strongest_patches(model, dataset, "2", 4, n=1)[4][0]
    assert whole.unit == (0, 0) and whole.box == (0, 0, 8, 8)
