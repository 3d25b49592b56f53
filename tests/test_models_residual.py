"""ResNet, pre-activation ResNet, ResNeXt: counts and outputs against the reference, gradients, forms, designs."""

from __future__ import annotations

import numpy as np
import pytest
from mistakes import case, complaint, image

import minicnn as mc
from minicnn import functional as F
from minicnn import models, nn
from minicnn.models import preact_resnet, residual, resnet, resnext
from minicnn.models.preact_resnet import BASIC, BOTTLENECK, DESIGNS
from minicnn.models.residual import BasicBlock, Bottleneck
from minicnn.models.resnext import FORMS

# Whole networks, some on 224 pixels: as plain Python they would take minutes. test_exactness.py runs them there.
pytestmark = pytest.mark.compiled

NARROW = ((4, 1), (8, 2), (8, 2), (16, 2))  # filters, stride


def narrow(kind: str, **options) -> nn.Module:
    """A whole network with few filters, for 3x32x32 images and 10 classes."""
    if kind == "preact":
        stem = preact_resnet.row("conv", 3, [nn.Conv2d(3, 4, 3, padding=1, bias=False)])
        return preact_resnet.PreActResNet(stem, NARROW, (2, 1, 1, 1), BOTTLENECK, "full_preactivation", "B", 10)
    block, more = {
        "plain": (BasicBlock, {"shortcut": None}),
        "basic": (BasicBlock, {}),
        "bottleneck": (Bottleneck, {"stride_in_3x3": True}),
        **{f"form {form}": (FORMS[form], {"cardinality": 2, "width": 32}) for form in FORMS},
    }[kind]
    return resnet.ResNet(block, (2, 1, 1, 1), 10, stages=NARROW, **more, **options)


@pytest.fixture
def blank(monkeypatch):
    """Large models are built without drawing their weights: counting needs none."""

    def zero(tensor, *_, **__):
        tensor.data.fill(0)
        return tensor

    monkeypatch.setattr(nn.init, "uniform_", zero)
    monkeypatch.setattr(nn.init, "normal_", zero)


# Against the reference ------------------------------------------------------------------------------------------------


def test_variants(blank):
    """Bottlenecks stride in the first 1x1 (paper) or in the 3x3 (torchvision); all else is the same."""
    strides = {}
    for variant in ("paper", "torchvision"):
        first = models.get_model("resnet50", variant=variant).layer2[0]
        strides[variant] = [conv.stride[0] for conv in (first.conv1, first.conv2, first.conv3, first.downsample[0])]
    assert strides == {"paper": [2, 1, 1, 2], "torchvision": [1, 2, 1, 2]}
    first = models.get_model("resnext50_32x4d").layer2[0]
    assert [first.conv1.stride[0], first.conv2.stride[0]] == [1, 2]
    assert not models.get_model("resnet50", shortcut="A").layer2[0].downsample.state_dict()


# The blocks -----------------------------------------------------------------------------------------------------------
BLOCKS = {
    "basic A": lambda: BasicBlock(3, 4, 2, "A"),
    "basic B": lambda: BasicBlock(3, 4, 2, "B"),
    "basic C": lambda: BasicBlock(3, 3, 1, "C"),
    "plain": lambda: BasicBlock(3, 2, 2, None),
    "bottleneck, paper": lambda: Bottleneck(3, 2, 2),
    "bottleneck, torchvision": lambda: Bottleneck(3, 2, 2, stride_in_3x3=True),
    **{f"ResNeXt, form {f}": lambda f=f: FORMS[f](3, 1, 2, cardinality=2, width=128) for f in FORMS},
    **{f"{d}, basic": lambda d=d: preact_resnet.Block(3, 4, 2, BASIC, d, "A", both=True) for d in DESIGNS},
    "full_preactivation, bottleneck": lambda: preact_resnet.Block(3, 2, 2, BOTTLENECK, both=True),
}


@pytest.mark.parametrize("block", BLOCKS)
def test_gradients(block):
    """By the image and by every weight, in training; the plain room is the faster one for so few numbers."""
    with mc.use_room("plain"):
        assert mc.gradcheck(BLOCKS[block](), np.random.default_rng(0).standard_normal((2, 3, 4, 3)))


def test_shortcut_a_of_an_odd_side():
    """Every second pixel of 5 are 3, as many as the 3x3 convolution with stride 2 makes."""
    x = np.random.default_rng(0).standard_normal((2, 3, 5, 7)).astype(np.float32)
    assert BasicBlock(3, 6, 2, "A")(x).shape == (2, 6, 3, 4)


def residual_of(block: preact_resnet.Block, x, words: str):
    """``words`` by hand, with the block's own layers: "conv1 bn1 relu conv2"."""
    layers = {**dict(block.before.named_children()), **dict(block.residual.named_children())}
    for word in words.split():
        x = F.relu(x) if word == "relu" else layers[word](x)
    return x


# figure 4, read off column by column: the activation before the split, the residual function, after the addition
FIGURE_4 = {
    "original": ("", "conv1 bn1 relu conv2 bn2", "relu"),
    "bn_after_addition": ("", "conv1 bn1 relu conv2", "bn relu"),
    "relu_before_addition": ("", "conv1 bn1 relu conv2 bn2 relu", ""),
    "relu_only_preactivation": ("relu", "conv1 bn1 relu conv2 bn2", ""),
    "full_preactivation": ("bn1 relu", "conv1 bn2 relu conv2", ""),
}


@pytest.mark.parametrize("both", [True, False], ids=["first block", "other block"])
@pytest.mark.parametrize("design", DESIGNS)
def test_designs_equal_figure_4(design, both):
    """The first block of a stage activates before the branches part, so that its shortcut sees the activation too."""
    block = preact_resnet.Block(4, 4, 1, BASIC, design, both=both)
    x = image(3, 4, 6, 6)
    activation, words, after = FIGURE_4[design]
    a = residual_of(block, x, activation)
    wanted = residual_of(block, a, words) + (a if both else x)
    if after:
        wanted = F.relu(block.after.bn1(wanted) if "bn" in after else wanted)
    np.testing.assert_array_equal(block(x).data, wanted.data)


@pytest.mark.parametrize("design", DESIGNS)
def test_designs_have_the_same_layers(design):
    """The same convolutions and batch-norms in another order: as many parameters; and each runs."""
    model = models.get_model("preact_resnet20", design=design)
    assert model.num_parameters() == 269722
    assert sum(isinstance(m, nn.BatchNorm2d) for m in model.modules()) == 19
    assert model(image(2, 3, 16, 16)).shape == (2, 10)
    deep = preact_resnet.Block(16, 16, 1, BOTTLENECK, design, both=True)
    projections = [type(m).__name__ for m in deep.downsample.modules() if not list(m.children())]
    assert projections == ["Conv2d"] + ["BatchNorm2d"] * (design != "full_preactivation")


def test_the_original_design_is_resnet20():
    ours, other = models.get_model("preact_resnet20", design="original"), models.get_model("resnet20")
    ours.load_state_dict(dict(zip(ours.state_dict(), other.state_dict().values(), strict=True)))
    x = image(2, 3, 32, 32)
    np.testing.assert_array_equal(ours(x).data, other(x).data)


def test_three_ways_to_write_the_bottleneck():
    """Bottleneck, the original design in words, ResNeXt's form c with one path of 64: the same numbers."""
    x = image(2, 3, 8, 8)
    for ours, other in (
        (preact_resnet.Block(3, 4, 2, BOTTLENECK, "original"), Bottleneck(3, 4, 2)),
        (resnext.FormC(3, 4, 2, cardinality=1, width=64), Bottleneck(3, 4, 2, stride_in_3x3=True)),
    ):
        ours.load_state_dict(dict(zip(ours.state_dict(), other.state_dict().values(), strict=True)))
        np.testing.assert_array_equal(ours(x).data, other(x).data)
        assert other(x).data.min() == 0  # the last ReLU


@pytest.mark.parametrize("design", ["relu_only_preactivation", "full_preactivation"])
def test_signal_and_gradient_pass_unchanged(design):
    """Nothing stands after the addition: with F = 0 four blocks are the identity, for negative numbers too."""
    blocks = nn.Sequential(*[preact_resnet.Block(4, 4, 1, BASIC, design) for _ in range(4)])
    for parameter in blocks.parameters():
        nn.init.zeros_(parameter)
    x = mc.tensor(image(2, 4, 5, 5).data, requires_grad=True)
    upstream = image(2, 4, 5, 5).data[::-1]
    y = blocks(x)
    y.backward(upstream)
    np.testing.assert_array_equal(y.data, x.data)
    np.testing.assert_array_equal(x.grad, upstream)


def test_ends_of_the_preactivation_network():
    """The last addition is followed by batch-norm and ReLU; convolution 1 by the first block's activation alone."""
    model = models.get_model("preact_resnet20")
    assert [type(m).__name__ for m in model.stem] == ["Conv2d"]
    assert [type(m).__name__ for m in model.end] == ["BatchNorm2d", "ReLU"]
    assert [len(list(block.before.children())) for block in model.layer1] == [2, 0, 0]


# ResNeXt's three forms ------------------------------------------------------------------------------------------------
def gradients_like_form_c(block: nn.Module) -> dict[str, np.ndarray]:
    """The gradients of a block in form a or b, put together to the shapes of form c."""
    found = {name: p.grad for name, p in block.named_parameters() if "paths" not in name}
    for name in dict(block.paths[0].named_parameters()):
        parts = [dict(path.named_parameters())[name].grad for path in block.paths]
        found[name] = np.concatenate(parts, axis=1 if name == "conv3.weight" else 0)
    return found


@pytest.mark.parametrize("form", ["a", "b"])
def test_forms_are_equivalent(form, rng):
    """Figure 3: outputs, all gradients and running statistics agree to rounding."""
    c, other = (FORMS[f](5, 4, 2, cardinality=3, width=32).to("float64") for f in ("c", form))
    for tensor in [*c.parameters(), *c.buffers()]:
        tensor.data[...] = rng.uniform(0.5, 1.5, tensor.shape) * (1 if tensor.ndim < 2 else rng.choice([-1, 1]))
    resnext.copy_form_c(c, other)
    assert c.num_parameters() == other.num_parameters()
    x, upstream = rng.standard_normal((2, 5, 6, 6)), rng.standard_normal((2, 16, 3, 3))
    images = [mc.tensor(x, requires_grad=True) for _ in range(2)]
    outputs = [block(t) for block, t in zip((c, other), images)]
    for y in outputs:
        y.backward(upstream)
    close = dict(rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(outputs[1].data, outputs[0].data, **close)
    np.testing.assert_allclose(images[1].grad, images[0].grad, **close)
    wanted, found = {name: p.grad for name, p in c.named_parameters()}, gradients_like_form_c(other)
    assert wanted.keys() == found.keys()
    for name in wanted:
        np.testing.assert_allclose(found[name], wanted[name], **close, err_msg=name)
    np.testing.assert_allclose(other.eval()(x).data, c.eval()(x).data, **close)


def test_forms_of_a_whole_network():
    """Copying carries everything, and refuses networks that do not fit."""
    c, a, b = narrow("form c"), narrow("form a"), narrow("form b")
    x = image(2, 3, 32, 32)
    for other in (a, b):
        resnext.copy_form_c(c, other)
        np.testing.assert_allclose(other.eval()(x).data, c.eval()(x).data, rtol=1e-4, atol=1e-4)
    complaint(lambda: resnext.copy_form_c(a, b), mc.ArgumentError, ("form 'c'", "'a' or 'b'"))
    complaint(lambda: resnext.copy_form_c(c, c), mc.ArgumentError, ("form 'c'", "'a' or 'b'"))


@pytest.mark.parametrize("form", ["a", "b"])
def test_forms_of_resnext50_have_its_parameters(form, blank):
    model = models.get_model("resnext50_32x4d", form=form, cardinality=2, width=40)
    assert model.num_parameters() == 25_425_000


def test_cost_hardly_depends_on_the_cardinality():
    """Table 2: C (256 d + 9 d d + 256 d) weights in a block of conv2, about 70 thousand."""
    for (cardinality, width), wanted in {
        (1, 64): 69632,
        (2, 40): 69760,
        (4, 24): 69888,
        (8, 14): 71456,
        (32, 4): 70144,
    }.items():  # noqa: E501
        block = resnext.FormC(256, 64, 1, cardinality, width)
        assert sum(p.size for p in block.parameters() if p.ndim == 4) == wanted


# Starting, training, saving -------------------------------------------------------------------------------------------
KINDS_OF_NETWORK = ["plain", "basic", "bottleneck", "form a", "form b", "form c", "preact"]


@pytest.mark.parametrize("kind", KINDS_OF_NETWORK)
def test_loss_falls_and_states_are_kept(kind):
    """20 steps on one batch; then evaluation changes no state, and a saved state gives the same answers."""
    mc.manual_seed(1)
    model, x = narrow(kind), image(8, 3, 32, 32)
    labels = np.arange(8) % 4
    optimizer = mc.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    losses = []
    for _ in range(20):
        loss = F.cross_entropy(model(x), labels)
        model.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert min(losses[-5:]) < 0.5 * losses[0]
    before = {name: array.copy() for name, array in model.state_dict().items()}
    answers = model.eval()(x).data
    model.train().eval()
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)
    other = narrow(kind).eval()
    other.load_state_dict(before)
    np.testing.assert_array_equal(other(x).data, answers)


def test_weights_start_by_fan_out():
    model = models.get_model("resnet18", num_classes=10)
    for conv in (model.layer1[0].conv1, model.layer3[0].downsample[0], model.layer4[1].conv2):
        std = (2 / (conv.out_channels * conv.kernel_size[0] ** 2)) ** 0.5
        assert conv.weight.data.std() == pytest.approx(std, rel=0.02)


@pytest.mark.parametrize("kind", ["basic", "bottleneck", "form a", "form c"])
def test_zero_init_residual(kind):
    """Each block starts as relu(shortcut(x)); at first only its last gamma and beta learn."""
    block = narrow(kind, zero_init_residual=True).layer1[-1]
    x = image(2, 4 if kind == "basic" else 16, 6, 6)
    y = block(x)
    np.testing.assert_array_equal(y.data, np.maximum(x.data, 0))
    (y * y).sum().backward()
    moved = {name for name, p in block.named_parameters() if np.any(p.grad)}
    assert {name.rpartition(".")[0] for name in moved} == {"bn2" if kind == "basic" else "bn3"}
    assert not models.get_model("resnet20", zero_init_residual=True).layer1[0].bn2.weight.data.any()


@pytest.mark.parametrize("name", ["resnet18", "preact_resnet18", "plain18"])
def test_images_of_any_size(name, blank):
    """Global average pooling: nothing is too small for these networks, nor need sides be equal or even."""
    model = models.get_model(name, num_classes=7, in_channels=1).eval()
    for size in ((1, 1), (33, 47)):
        assert model(np.zeros((2, 1, *size), np.float32)).shape == (2, 7)


MISTAKES = [
    case("shortcut", lambda: models.get_model("resnet18", shortcut="D"), mc.ArgumentError, "'D'", "'A'", "'B'", "'C'"),
    case("shortcut of pre-activation", lambda: models.get_model("preact_resnet20", shortcut="no"), mc.ArgumentError,
         "'no'", "'A'"),
    case("design", lambda: models.get_model("preact_resnet110", design="full"), mc.ArgumentError, "design", "'full'",
         "'full_preactivation'", "'original'"),
    case("design for ImageNet", lambda: models.get_model("preact_resnet50", design="original"), mc.ArgumentError,
         "'design'", "shortcut, in_channels"),
    case("form", lambda: models.get_model("resnext50_32x4d", form="d"), mc.ArgumentError, "form", "'d'", "'a'"),
    case("cardinality", lambda: models.get_model("resnext50_32x4d", cardinality=0), mc.ArgumentError, "cardinality",
         "got 0", ">= 1"),
    case("width", lambda: models.get_model("resnext50_32x4d", width=1.5), mc.ArgumentError, "width", "got 1.5"),
    case("variant", lambda: models.get_model("resnet50", variant="v1.5"), mc.ArgumentError, "'v1.5'", "torchvision"),
    case("torchvision has none", lambda: models.get_model("resnext101_32x4d", variant="torchvision"), mc.ArgumentError,
         "'torchvision'", "paper"),
    case("option of a plain net", lambda: models.get_model("plain18", shortcut="A"), mc.ArgumentError, "'shortcut'",
         "in_channels"),
    case("grey image", lambda: narrow("basic")(image(1, 1, 32, 32)), mc.ShapeError, "conv1", "3", "1"),
    case("grey image, pre-activation", lambda: narrow("preact")(image(1, 1, 32, 32)), mc.ShapeError, "stem.conv1"),
]  # fmt: skip


@pytest.mark.parametrize("call, error, says", MISTAKES)
def test_mistakes(call, error, says, blank):
    assert "\n" not in str(complaint(call, error, says))


def test_all_names_are_there():
    """Those of the design, and what torchvision has besides."""
    wanted = [f"plain{d}" for d in (18, 34, 20, 32, 44, 56, 110, 1202)]
    wanted += [f"resnet{d}" for d in (18, 34, 50, 101, 152, 20, 32, 44, 56, 110, 1202)]
    wanted += [f"preact_resnet{d}" for d in (18, 34, 50, 152, 200, 20, 32, 44, 56, 110, 164, 1001)]
    wanted += ["resnext50_32x4d", "resnext101_32x8d", "resnext101_64x4d", "resnext101_32x4d"]
    assert set(wanted) <= set(models.list_models())
    assert residual.SHORTCUTS.keys() == {"A", "B", "C"}
