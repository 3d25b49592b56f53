"""AlexNet, ZFNet, VGG and GoogLeNet are exact: every layer's shape, parameters and multiply-adds as the reference has
them, torchvision's names and numbers, the papers' starts; and their gradients are right."""

from __future__ import annotations

import numpy as np
import pytest

import minicnn as mc
from minicnn import functional as F
from minicnn import models, nn, optim
from minicnn.models.googlenet import AuxiliaryHead, BasicConv2d, GoogLeNetOutputs, Inception

# Whole networks, some on 224 pixels: as plain Python they would take minutes. test_exactness.py runs them there.
pytestmark = pytest.mark.compiled


@pytest.fixture
def quick_start(monkeypatch):
    """Weights start at 0: drawing 138 million random numbers takes seconds."""
    for name in ("uniform_", "normal_"):
        monkeypatch.setattr(nn.init, name, lambda tensor, *options: nn.init.zeros_(tensor))


# Shapes, parameters, multiply-adds ------------------------------------------------------------------------------------
def test_conv1_of_the_papers_alexnet_rounds_up_as_its_program_did():
    """(224 - 11) / 4 + 1 = 54.25: 55 in cuda-convnet, and 227 pixels give 55 too."""
    features = []
    model = models.get_model("alexnet", 10, width=1 / 32).eval()
    model.features.conv1.register_forward_hook(lambda module, inputs, output: features.append(output.shape[2:]))
    for size in (224, 227):
        assert model(np.zeros((1, 3, size, size), np.float32)).shape == (1, 10)
    assert features == [(55, 55), (55, 55)]


# torchvision ----------------------------------------------------------------------------------------------------------
def test_transform_input_turns_one_normalisation_into_the_other():
    pixels = np.random.default_rng(0).uniform(0, 1, (2, 3, 32, 32))
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    imagenet = (pixels - mean.reshape(3, 1, 1)) / std.reshape(3, 1, 1)
    model = models.get_model("googlenet", 5, "torchvision", transform_input=True, width=1 / 16).to("float64").eval()
    with_transform = model(imagenet).data
    model.transform_input = False
    np.testing.assert_allclose(with_transform, model((pixels - 0.5) / 0.5).data, rtol=1e-9)


# What the papers say --------------------------------------------------------------------------------------------------
def test_groups_are_two_towers():
    """The grouped network and the two towers of figure 2: the same logits and the same gradients, to rounding."""
    grouped = models.get_model("alexnet", 5, width=1 / 8, dropout=0.0).to("float64")
    apart = models.alexnet.TwoTowers(grouped).to("float64")
    x = mc.tensor(np.random.default_rng(0).standard_normal((2, 3, 227, 227)) * 50, requires_grad=True)
    y = grouped(x)
    y.sum().backward()
    grouped_grad, x.grad = x.grad, None
    wanted = {f"conv{i}": np.split(getattr(grouped.features, f"conv{i}").weight.grad, 2) for i in range(1, 6)}
    z = apart(x)
    z.sum().backward()
    np.testing.assert_allclose(z.data, y.data, rtol=1e-12)
    np.testing.assert_allclose(x.grad, grouped_grad, rtol=1e-9, atol=1e-12 * np.abs(x.grad).max())
    for name, halves in wanted.items():
        for tower, half in zip((apart.tower1, apart.tower2), halves, strict=True):
            own = getattr(tower, name).weight.grad
            np.testing.assert_allclose(own, half, rtol=1e-9, atol=1e-12 * np.abs(half).max())
    weights = [sum(m.weight.size for m in net.modules() if isinstance(m, nn.Conv2d)) for net in (grouped, apart)]
    assert weights[0] == weights[1]


def test_towers_by_option():
    model = models.get_model("alexnet", 5, towers=True, width=1 / 32).eval()
    assert model(np.zeros((1, 3, 227, 227), np.float32)).shape == (1, 5)


def layers_of(sequence: nn.Sequential) -> list[str]:
    return [type(layer).__name__ for layer in sequence]


def test_order_of_normalisation_pooling_and_dropout():
    """AlexNet normalises, then pools; ZFNet the other way round. torchvision's AlexNet drops out before fc6."""
    small = {"width": 1 / 32}
    alexnet, zfnet = models.get_model("alexnet", **small), models.get_model("zfnet", **small)
    assert layers_of(alexnet.features)[:4] == ["Conv2d", "ReLU", "LocalResponseNorm", "MaxPool2d"]
    assert layers_of(zfnet.features)[:4] == ["Conv2d", "ReLU", "MaxPool2d", "LocalResponseNorm"]
    norm = alexnet.features.norm1
    assert (norm.size, norm.alpha, norm.beta, norm.k, norm.average) == (5, 1e-4, 0.75, 2, False)
    after = ["Linear", "ReLU", "Dropout", "Linear", "ReLU", "Dropout", "Linear"]
    before = ["Dropout", "Linear", "ReLU", "Dropout", "Linear", "ReLU", "Linear"]
    for name, variant, order in (
        ("alexnet", "paper", after), ("zfnet", "paper", after), ("vgg11", "paper", after),
        ("vgg11", "torchvision", after), ("alexnet", "torchvision", before), ("alexnet", "lecture", before),
    ):  # fmt: skip
        assert layers_of(models.get_model(name, variant=variant, **small).classifier) == order


def test_vgg11_with_response_normalisation_has_it_after_the_first_convolution():
    model = models.get_model("vgg11", variant="A-LRN", width=1 / 32)
    assert layers_of(model.features)[:4] == ["Conv2d", "ReLU", "LocalResponseNorm", "MaxPool2d"]
    assert layers_of(model.features).count("LocalResponseNorm") == 1


@pytest.mark.parametrize("name, ones", [("alexnet", ["conv2", "conv4", "conv5", "fc6", "fc7"]), ("zfnet", [])])
def test_alexnet_and_zfnet_start_as_in_their_papers(name, ones):
    model = models.get_model(name, 100, width=1 / 4)
    for path, p in model.named_parameters():
        layer, kind = path.split(".")[1:]
        if kind == "bias":
            np.testing.assert_array_equal(p.data, float(layer in ones))
        else:
            assert abs(p.data.std() / 0.01 - 1) < 6 / np.sqrt(p.size) and abs(p.data.mean()) < 0.06 / np.sqrt(p.size)


def test_vgg_starts_with_variance_a_hundredth():
    """Section 3.1: the variance, not the standard deviation, is 0.01."""
    for variant, conv, linear in (("paper", 0.1, 0.1), ("torchvision", np.sqrt(2 / (128 * 9)), 0.01)):
        model = models.get_model("vgg11", variant=variant, width=1 / 4, init="normal" if variant == "paper" else None)
        assert model.features[8].weight.data.std() == pytest.approx(conv / (1 if variant == "paper" else 0.7071), 0.02)
        assert model.classifier[3].weight.data.std() == pytest.approx(linear, 0.02)
        assert not any(p.data.any() for n, p in model.named_parameters() if n.endswith("bias"))
    model = models.get_model("vgg11", width=1 / 4)
    assert model.features[8].weight.data.std() == pytest.approx(np.sqrt(2 / (64 * 9 + 64 * 9)), 0.02)


def test_googlenet_starts_as_caffes_and_torchvisions():
    paper = models.get_model("googlenet", 10, width=1 / 4)
    conv = paper.inception4b.branch2[1].conv
    assert conv.weight.data.std() == pytest.approx(np.sqrt(1 / (28 * 9)), 0.03) and (conv.bias.data == 0.2).all()
    assert (
        not paper.aux1.fc2.bias.data.any() and not paper.fc.bias.data.any() and (paper.aux1.fc1.bias.data == 0.2).all()
    )
    torchvision = models.get_model("googlenet", 10, "torchvision", width=1 / 4)
    assert torchvision.inception4b.branch2[1].conv.weight.data.std() == pytest.approx(0.01, 0.03)
    assert torchvision.conv1.bn.eps == 0.001


def test_auxiliary_heads_feed_the_loss_in_training_only():
    """loss = main + 0.3 (aux1 + aux2): the gradient of a head's last bias is 0.3 (softmax - one-hot)."""
    model = models.get_model("googlenet", 5, width=1 / 16, dropout_aux=0.0)
    x, labels = np.random.default_rng(0).standard_normal((2, 3, 224, 224)).astype(np.float32), np.array([0, 3])
    out = model(x)
    assert isinstance(out, GoogLeNetOutputs) and out._fields == ("logits", "aux_logits2", "aux_logits1")
    main, aux2, aux1 = (F.cross_entropy(logits, labels).item() for logits in out)
    loss = out.loss(nn.CrossEntropyLoss(), labels)
    assert loss.item() == pytest.approx(main + 0.3 * (aux1 + aux2), 1e-6)
    loss.backward()
    for head, logits in ((model.aux1, out.aux_logits1), (model.aux2, out.aux_logits2)):
        wanted = 0.3 * (F.softmax(logits).data - np.eye(5)[labels]).mean(0)
        np.testing.assert_allclose(head.fc2.bias.grad, wanted, atol=1e-6)
        assert head.conv.conv.weight.grad.any()

    model.eval().zero_grad()
    logits = model(x)
    assert isinstance(logits, mc.Tensor) and logits.shape == (2, 5)
    F.cross_entropy(logits, labels).backward()
    assert model.aux1.fc2.bias.grad is None and model.aux2.conv.conv.weight.grad is None
    assert model.fc.bias.grad is not None

    without = models.get_model("googlenet", 5, width=1 / 16, aux_logits=False)
    assert without(x).shape == (2, 5) and not [k for k in without.state_dict() if k.startswith("aux")]


# Gradients, training, state -------------------------------------------------------------------------------------------
def nonzero_bias(module: nn.Module) -> nn.Module:
    """float64, and biases off the ReLU's kink."""
    for name, p in module.named_parameters():
        if name.endswith("bias"):
            nn.init.normal_(p, 0.1, 0.1)
        elif p.ndim > 1:
            nn.init.kaiming_normal_(p)
    return module.to("float64")


def conv(*args):
    return BasicConv2d(*args, batch_norm=False)


def conv_bn(*args):
    return BasicConv2d(*args, batch_norm=True)


FILTERS = (2, (2, 3), (2, 2), 1)
BLOCKS = {
    "alexnet, conv2 to pool2": (lambda: models.get_model("alexnet", 3, width=1 / 64).features[4:8], (1, 2, 5, 5)),
    "zfnet, conv2 to norm2": (lambda: models.get_model("zfnet", 3, width=1 / 64).features[4:8], (1, 2, 11, 11)),
    "fc6 to fc8": (lambda: nn.Sequential(models.alexnet.fully_connected(6, 5, 3, 0.0)), (2, 6)),
    "vgg C, stage 3": (lambda: models.get_model("vgg16", 3, "C", width=1 / 128).features[10:17], (1, 2, 4, 4)),
    "vgg with batch-norm, stage 1": (lambda: models.get_model("vgg11_bn", 3, width=1 / 64).features[:4], (2, 3, 4, 4)),
    "inception": (lambda: Inception(2, FILTERS, conv, 5), (1, 2, 3, 3)),
    "inception with batch-norm": (lambda: Inception(2, FILTERS, conv_bn, 3), (2, 2, 3, 3)),
    "head": (lambda: AuxiliaryHead(2, 2, conv, False, 0.0, 1 / 128), (1, 2, 14, 14)),
    "head with batch-norm": (lambda: AuxiliaryHead(2, 2, conv_bn, True, 0.0, 1 / 128), (2, 2, 5, 5)),
}


@pytest.mark.parametrize("block", BLOCKS)
def test_gradients_of_the_blocks(block):
    build, shape = BLOCKS[block]
    x = np.random.default_rng(0).standard_normal(shape)
    assert mc.gradcheck(nonzero_bias(build()), [x], max_elements=30)


TRAINED = [
    ("alexnet", "paper", 224), ("alexnet", "torchvision", 63), ("zfnet", "paper", 207), ("vgg16", "C", 224),
    ("vgg11", "torchvision", 32), ("vgg11_bn", "torchvision", 32), ("googlenet", "paper", 223),
    ("googlenet", "torchvision", 31),
]  # fmt: skip


@pytest.mark.parametrize("name, variant, size", TRAINED)
def test_loss_falls_on_four_images(name, variant, size):
    """Narrow networks, started as in He et al. 2015: the papers' fixed deviations are meant for the full width."""
    model = models.get_model(name, 2, variant, width=1 / (32 if name == "vgg16" else 16), dropout=0.0)
    for parameter in model.parameters():
        if parameter.ndim > 1:
            nn.init.kaiming_normal_(parameter)
    labels = np.arange(4) % 2
    x = np.random.default_rng(0).standard_normal((4, 3, size, size)) + labels.reshape(4, 1, 1, 1)
    optimizer, losses = optim.Adam(model.parameters(), 0.001), []
    for _ in range(20):
        optimizer.zero_grad()
        y = model(x.astype(np.float32))
        loss = y.loss(F.cross_entropy, labels) if isinstance(y, GoogLeNetOutputs) else F.cross_entropy(y, labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert min(losses[-3:]) < 0.5 * losses[0]


NARROW = [
    ("alexnet", "paper", 224), ("alexnet", "lecture", 227), ("alexnet", "torchvision", 63), ("zfnet", "paper", 207),
    ("vgg11", "paper", 224), ("vgg13_bn", "torchvision", 32), ("vgg16", "lecture", 224), ("googlenet", "paper", 223),
    ("googlenet", "torchvision", 31), ("googlenet", "bn", 47),
]  # fmt: skip


@pytest.mark.parametrize("name, variant, size", NARROW)
def test_modes_state_channels_and_smallest_image(name, variant, size):
    """Evaluation changes no state and repeats itself; a state dict makes another model the same; grey images work."""
    model = models.get_model(name, 5, variant, in_channels=1, width=1 / 32)
    assert model.smallest_image <= size
    x = np.random.default_rng(0).standard_normal((2, 1, size, size)).astype(np.float32)
    state = {k: v.copy() for k, v in model.state_dict().items()}
    y = model.eval()(x)
    assert y.shape == (2, 5) and np.isfinite(y.data).all()
    np.testing.assert_array_equal(model.train().eval()(x).data, y.data)
    for key, value in model.state_dict().items():
        np.testing.assert_array_equal(value, state[key])
    mc.manual_seed(9)
    other = models.get_model(name, 5, variant, in_channels=1, width=1 / 32).eval()
    assert not np.array_equal(other(x).data, y.data)
    other.load_state_dict(state)
    np.testing.assert_array_equal(other(x).data, y.data)


# Options and mistakes -------------------------------------------------------------------------------------------------
SMALLEST = [
    ("alexnet", {}, 224), ("alexnet", {"variant": "lecture"}, 223), ("alexnet", {"variant": "torchvision"}, 63),
    ("alexnet", {"towers": True}, 224), ("zfnet", {}, 207), ("vgg11", {}, 224),
    ("vgg11", {"variant": "torchvision"}, 32), ("vgg16", {"variant": "C"}, 224), ("vgg19_bn", {}, 224),
    ("googlenet", {}, 223),
    ("googlenet", {"aux_logits": False}, 47), ("googlenet", {"variant": "torchvision"}, 31),
    ("googlenet", {"variant": "bn"}, 47),
]  # fmt: skip


@pytest.mark.parametrize("name, options, smallest", SMALLEST)
def test_smallest_image(name, options, smallest):
    """In training mode, where GoogLeNet's heads run too. One pixel less is an error, and its line names the layer."""
    model = models.get_model(name, 2, width=1 / 64, **options)
    assert model.smallest_image == smallest
    with mc.no_grad():
        model(np.zeros((2, 3, smallest, smallest), np.float32))
        with pytest.raises(mc.ShapeError) as caught:
            model(np.zeros((2, 3, smallest - 1, smallest - 1), np.float32))
    assert caught.value.path in dict(model.named_modules()) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name, size, path, told",
    [
        ("alexnet", 31, "features.pool2", "must be at least 3 high"),
        ("alexnet", 256, "avgpool", "images of 224 to 255 pixels give; these are 7x6"),
        ("zfnet", 256, "avgpool", "images of 207 to 238 pixels give; these are 7x6"),
        ("vgg16", 32, "avgpool", "images of 224 to 255 pixels give; these are 1x1"),
        ("googlenet", 271, "aux2.pool.1", "images of 223 to 270 pixels give; these are 5x4"),
    ],
)
def test_images_that_do_not_fit(name, size, path, told):
    model = models.get_model(name, 2, width=1 / 64)
    with mc.no_grad(), pytest.raises(mc.ShapeError) as caught:
        model(np.zeros((2, 3, size, max(size - 32, size if size < 64 else 224)), np.float32))
    assert caught.value.path == path and told in str(caught.value)


def test_what_is_no_batch_of_rgb_images():
    """Nothing broadcasts a grey image to three channels on the way."""
    for model in (
        models.get_model("alexnet", 2, width=1 / 64),
        models.get_model("googlenet", 2, "torchvision", transform_input=True, width=1 / 64),
    ):
        for shape in ((224,), (3, 224, 224), (2, 1, 224, 224)):
            with pytest.raises(mc.ShapeError, match="conv1"):
                model(np.zeros(shape, np.float32))
        with pytest.raises(mc.MinicnnError, match="conv1.*uint8"):
            model(np.zeros((2, 3, 224, 224), np.uint8))


@pytest.mark.parametrize(
    "name, options, told",
    [
        ("alexnet", {"groups": 3}, "groups must be 2 (the paper's towers) or 1"),
        ("alexnet", {"groups": 2, "variant": "torchvision"}, "groups=2 fits variant='paper'"),
        ("alexnet", {"towers": True, "variant": "lecture"}, "towers=True fits variant='paper'"),
        ("alexnet", {"towers": True, "groups": 1}, "towers=True splits the paper's network with its two groups"),
        ("alexnet", {"width": 0}, "width must be > 0"),
        ("alexnet", {"dropout": 2}, "p must be a probability from 0 to 1, got 2"),
        ("zfnet", {"variant": "torchvision"}, "has no variant 'torchvision'; it has paper, 512-1024-512"),
        ("vgg13", {"variant": "C"}, "vgg13 has no variant 'C'; it has paper, torchvision"),
        ("vgg16", {"init": "he"}, "init must be one of normal, glorot, torchvision; got 'he'"),
        ("vgg16", {"width": -1}, "width must be a finite number >= 0, got -1"),
        ("googlenet", {"transform_input": True, "in_channels": 1}, "in_channels is 1"),
        ("googlenet", {"aux": False}, "googlenet has no option 'aux'"),
    ],
)
def test_options_that_make_no_sense(name, options, told, quick_start):
    with pytest.raises(mc.ArgumentError) as caught:
        models.get_model(name, 3, **{"width": 1 / 64, **options})
    assert told in str(caught.value)


@pytest.mark.parametrize("mixup", [None, 0.5])
def test_the_trainer_weighs_the_auxiliary_heads(mixup):
    """GoogLeNet gives three logits in training: all heads get gradients, validation sees plain logits."""
    mc.manual_seed(0)
    model = models.get_model("googlenet", 5, width=1 / 16)
    batch = np.random.default_rng(0).standard_normal((2, 3, 224, 224)).astype(np.float32), np.array([0, 3])
    sgd = optim.SGD(model.parameters(), 0.001)
    before = {name: p.data.copy() for name, p in model.named_parameters()}
    rows = mc.Trainer(model, sgd, [batch], [batch], mixup=mixup, progress=False).fit(1)
    assert np.isfinite(rows[0]["val_loss"]) and rows[0]["train_loss"] > rows[0]["val_loss"]  # 1 + 0.3 + 0.3 losses
    for name in ("fc.bias", "aux1.fc2.bias", "aux2.fc2.bias", "conv1.conv.weight"):
        assert not np.array_equal(before[name], dict(model.named_parameters())[name].data), name
