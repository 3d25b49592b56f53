"""The light networks: MobileNet V1 and V2, ShuffleNet V1 and V2, EfficientNet-Lite0."""

from __future__ import annotations

import mistakes
import numpy as np
import pytest

import minicnn as mc
from minicnn import functional as F
from minicnn import models, nn, optim
from minicnn.models import efficientnet_lite, mobilenet_v1, mobilenet_v2, shufflenet_v1, shufflenet_v2

# Whole networks, some on 224 pixels: as plain Python they would take minutes. test_exactness.py runs them there.
pytestmark = pytest.mark.compiled

#: the smallest of each family
NARROW = {
    "mobilenet_v1": {"width": 0.25},
    "mobilenet_v2": {"width": 0.35},
    "shufflenet_v1": {"width": 0.25, "groups": 2},
    "shufflenet_v2": {"width": 0.5},
    "efficientnet_lite0": {},
}


def narrow(name: str, num_classes: int = 4, **options) -> nn.Module:
    return models.get_model(name, num_classes, **NARROW[name], **options)


def images(n: int, size: int, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((n, channels, size, size)).astype(np.float32)


def test_shallow_mobilenet_costs_what_the_paper_prints():
    """Howard et al. 2017, table 5: 307 million multiply-adds, 2.9 million parameters."""
    table = mc.summary(models.get_model("mobilenet_v1", shallow=True), (3, 224, 224), show=False)
    assert (round(table.total_macs / 1e6), round(table.total_params / 1e6, 1)) == (307, 2.9)
    assert len([r for r in table.rows if r.layer == "Conv2d"]) == 1 + 2 * 8


@pytest.mark.parametrize("groups", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("width", [0.25, 0.5, 0.75, 1.5])
def test_shufflenet_v1_widths(width, groups):
    """Groups divide all channels; stage 2 is as near to ``width`` times table 1 as they allow."""
    stem, stage2 = shufflenet_v1.channels_at(width, groups)
    assert stem % groups == 0 and stage2 % (4 * groups) == 0
    assert abs(stage2 - width * shufflenet_v1.STAGE2[groups]) <= 2 * groups


# torchvision ----------------------------------------------------------------------------------------------------------
def test_mobilenet_v2_paper_is_torchvisions():
    states = []
    for variant in ("paper", "torchvision"):
        mc.manual_seed(0)
        states.append(narrow("mobilenet_v2", variant=variant).state_dict())
    assert list(states[0]) == list(states[1])
    for name, array in states[0].items():
        np.testing.assert_array_equal(array, states[1][name])


def test_starting_weights():
    """He et al.'s rule with fan_out, small linear weights; PyTorch's default (std 1 / sqrt(3 fan_in)) in torchvision's
    ShuffleNet V2."""
    paper, torchvision = (narrow("shufflenet_v2", variant=v).conv5[0].weight.data for v in ("paper", "torchvision"))
    assert paper.std() == pytest.approx(np.sqrt(2 / 1024), rel=0.02)
    assert torchvision.std() == pytest.approx(np.sqrt(1 / (3 * 192)), rel=0.02)
    linear = narrow("mobilenet_v2").classifier[1]
    assert linear.weight.data.std() == pytest.approx(0.01, rel=0.05) and not linear.bias.data.any()


# Blocks ---------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "block, shape",
    [
        pytest.param(lambda: mobilenet_v1.SeparableBlock(3, 4, 2), (2, 3, 3, 4), id="separable"),
        pytest.param(lambda: mobilenet_v1.ConvBlock(3, 4, 2), (2, 3, 3, 4), id="full"),
        pytest.param(lambda: mobilenet_v2.InvertedResidual(3, 3, 1, 2), (2, 3, 3, 4), id="inverted-shortcut"),
        pytest.param(lambda: mobilenet_v2.InvertedResidual(3, 4, 2, 2), (2, 3, 4, 3), id="inverted-stride-2"),
        pytest.param(lambda: mobilenet_v2.InvertedResidual(3, 2, 1, 1), (2, 3, 3, 4), id="inverted-no-expansion"),
        pytest.param(lambda: shufflenet_v1.ShuffleUnit(16, 16, 1, 2), (2, 16, 2, 3), id="shuffle-v1"),
        pytest.param(lambda: shufflenet_v1.ShuffleUnit(4, 16, 2, 2, 1), (2, 4, 4, 3), id="shuffle-v1-stride-2"),
        pytest.param(lambda: shufflenet_v2.Unit(8), (2, 8, 2, 3), id="shuffle-v2"),
        pytest.param(lambda: shufflenet_v2.DownUnit(3, 8, short=3), (2, 3, 4, 3), id="shuffle-v2-stride-2-paper"),
        pytest.param(lambda: shufflenet_v2.DownUnit(3, 8, short=4), (2, 3, 4, 3), id="shuffle-v2-stride-2-equal"),
        pytest.param(lambda: efficientnet_lite.Block(3, 3, 5, 1, 2), (2, 3, 3, 4), id="lite-shortcut"),
        pytest.param(lambda: efficientnet_lite.Block(3, 4, 5, 2, 2), (2, 3, 4, 3), id="lite-stride-2"),
    ],
)
def test_gradients(block, shape):
    """Of every parameter and of the input, with the batch's statistics."""
    x = np.random.default_rng(1).standard_normal(shape)
    assert mc.gradcheck(block(), [x])


def test_mobilenet_v2_bottleneck_is_linear():
    """No ReLU at the narrow end; the shortcut only where neither size nor channels change."""
    x = mc.tensor(images(2, 8)[:, :1].repeat(4, axis=1))
    y = mobilenet_v2.InvertedResidual(4, 6, 1, 6)(x)
    assert y.data.min() < 0
    for out_channels, stride, shortcut in ((4, 1, True), (6, 1, False), (4, 2, False)):
        block = mobilenet_v2.InvertedResidual(4, out_channels, stride, 6)
        nn.init.zeros_(block.conv[-1].weight)
        y = block(x).data
        np.testing.assert_array_equal(y, x.data if shortcut else np.zeros_like(y))


@pytest.mark.parametrize("shuffle, seen", [(False, 1), (True, 4)])
def test_shuffle_lets_groups_see_each_other(shuffle, seen):
    """How many of the 4 groups of inputs reach one output channel."""
    unit = shufflenet_v1.ShuffleUnit(64, 64, 1, groups=4, shuffle=shuffle).eval()
    x = mc.tensor(np.abs(images(1, 4, channels=64)), requires_grad=True)
    unit(x)[:, 0].sum().backward()
    assert sum(bool(x.grad[0, 16 * g : 16 * (g + 1)].any()) for g in range(4)) == seen


def test_shufflenet_v1_first_pointwise_has_no_groups():
    model = narrow("shufflenet_v1")
    groups = [m.pointwise1.groups for m in model.modules() if isinstance(m, shufflenet_v1.ShuffleUnit)]
    assert groups == [1] + [2] * 15


def test_shufflenet_v2_unit_keeps_half_of_the_channels():
    """They come out at the even places, as the shuffle deals out the two halves in turn."""
    x = images(1, 5, channels=8)
    y = shufflenet_v2.Unit(8)(mc.tensor(x)).data
    np.testing.assert_array_equal(y[:, ::2], x[:, :4])


@pytest.mark.parametrize(
    "kernel_size, stride, size", [(3, 1, 7), (3, 2, 8), (3, 2, 7), (5, 2, 8), (5, 2, 7), (5, 2, 1)]
)
def test_same_padding_is_tensorflows(kernel_size, stride, size):
    """ceil(size / stride) outputs; of an odd number of zeros the larger half stands right and below."""
    conv = efficientnet_lite.SameConv2d(2, 3, kernel_size, stride)
    x = images(1, size, channels=2)
    outputs = -(-size // stride)
    total = max((outputs - 1) * stride + kernel_size - size, 0)
    first, last = total // 2, (total + 1) // 2
    y = conv(mc.tensor(x))
    padded = np.pad(x, ((0, 0), (0, 0), (first, last), (first, last)))
    np.testing.assert_allclose(y.data, F.conv2d(padded, conv.weight, stride=stride).data, rtol=1e-6)
    assert y.shape == (1, 3, outputs, outputs)


# Whole networks -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", NARROW)
def test_loss_falls(name):
    """15 steps on 8 images of 4 classes."""
    model = narrow(name)
    optimizer = optim.Adam(model.parameters(), lr=2e-3)
    x, labels = images(8, 32), [0, 1, 2, 3] * 2
    losses = []
    for _ in range(15):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 4, losses


@pytest.mark.parametrize("name", NARROW)
def test_evaluation_changes_nothing(name, tmp_path):
    """No array changes through eval, a forward and train; a saved and loaded model gives the same logits."""
    model = narrow(name)
    model(images(4, 32))  # running statistics that are no longer those of the start
    before = {k: a.copy() for k, a in model.state_dict().items()}
    logits = model.eval()(images(2, 32)).data
    for k, a in model.train().state_dict().items():
        np.testing.assert_array_equal(a, before[k], err_msg=k)
    mc.save(model, tmp_path / "w.safetensors")
    mc.manual_seed(1)
    other = models.get_model(name, 4, weights=tmp_path / "w.safetensors", **NARROW[name]).eval()
    np.testing.assert_array_equal(other(images(2, 32)).data, logits)


@pytest.mark.parametrize("name", NARROW)
def test_images_of_any_size_and_depth(name):
    """One grey pixel, and an image that is neither square nor even."""
    model = narrow(name, in_channels=1).eval()
    for shape in ((2, 1, 1, 1), (1, 1, 33, 50)):
        assert model(np.zeros(shape, np.float32)).shape == (shape[0], 4)


FACTOR = "must be a factor from 0.1 to 4"


@pytest.mark.parametrize(
    "name, options, says",
    [
        ("mobilenet_v1", {"width": 0}, (f"mobilenet_v1: width {FACTOR}", "got 0")),
        ("mobilenet_v1", {"width": "wide"}, (f"mobilenet_v1: width {FACTOR}", "got 'wide'")),
        ("mobilenet_v1", {"full_conv": "yes"}, ("mobilenet_v1: full_conv must be True or False", "got 'yes'")),
        ("mobilenet_v1", {"shallow": 1}, ("mobilenet_v1: shallow must be True or False", "got 1")),
        ("mobilenet_v1", {"variant": "torchvision"}, ("no variant 'torchvision'", "paper")),
        ("mobilenet_v2", {"width": -1}, (f"mobilenet_v2: width {FACTOR}", "got -1")),
        ("mobilenet_v2", {"variant": "lite"}, ("no variant 'lite'", "paper, torchvision")),
        ("shufflenet_v1", {"groups": 5}, ("shufflenet_v1: groups must be one of 1, 2, 3, 4, 8", "got 5")),
        ("shufflenet_v1", {"groups": True}, ("shufflenet_v1: groups must be one of", "got True")),
        ("shufflenet_v1", {"groups": [3]}, ("shufflenet_v1: groups must be one of 1, 2, 3, 4, 8", "got [3]")),
        ("shufflenet_v1", {"width": float("nan")}, (f"shufflenet_v1: width {FACTOR}", "got nan")),
        ("shufflenet_v1", {"shuffle": None}, ("shufflenet_v1: shuffle must be True or False", "got None")),
        ("shufflenet_v2", {"width": 0.75}, ("shufflenet_v2: width must be one of 0.5, 1.0, 1.5, 2.0", "got 0.75")),
        ("shufflenet_v2", {"width": "1x"}, ("shufflenet_v2: width must be one of", "got '1x'")),
        ("efficientnet_lite0", {"width": 2}, ("efficientnet_lite0 has no option 'width'", "in_channels")),
    ],
)
def test_wrong_options(name, options, says):
    mistakes.complaint(lambda: models.get_model(name, **options), mc.ArgumentError, says)


@pytest.mark.parametrize(
    "name, path",
    [
        ("mobilenet_v1", "stem.conv"),
        ("mobilenet_v2", "features.0.0"),
        ("shufflenet_v1", "conv1"),
        ("shufflenet_v2", "conv1.0"),
        ("efficientnet_lite0", "_conv_stem"),
    ],
)
def test_wrong_images_name_the_layer(name, path):
    error = mistakes.complaint(lambda: narrow(name)(images(1, 8, channels=4)), mc.ShapeError, ("4 channels",))
    assert error.path == path and "\n" not in str(error)
