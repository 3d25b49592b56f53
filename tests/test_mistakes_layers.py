"""Mistakes with layers, losses, modules and models: the message has the layer's path, the numbers, what would fit."""

from __future__ import annotations

import numpy as np
import pytest
from mistakes import case, complaint, image

import minicnn as mc
from minicnn import functional as F
from minicnn import models, nn

A, S, D = mc.ArgumentError, mc.ShapeError, mc.DtypeError

OPTIONS = [
    case("stride 0", lambda: nn.Conv2d(3, 8, 3, stride=0), A, "Conv2d", "stride", ">= 1", "got 0"),
    case("kernel 0", lambda: nn.Conv2d(3, 8, 0), A, "Conv2d", "kernel_size", ">= 1", "got 0"),
    case("kernel of three", lambda: nn.Conv2d(3, 8, (3, 3, 3)), A, "kernel_size", "(3, 3, 3)", "pair"),
    case("padding -1", lambda: nn.Conv2d(3, 8, 3, padding=-1), A, "padding", "-1", ">= 0"),
    case("padding 'full'", lambda: nn.Conv2d(3, 8, 3, padding="full"), A, "'full'", "'same' or 'valid'"),
    case("same with stride 2", lambda: nn.Conv2d(3, 8, 3, 2, padding="same"), A, "'same'", "(2, 2)", "stride 1"),
    case("groups that do not divide", lambda: nn.Conv2d(3, 8, 3, groups=2), A, "groups=2", "in_channels=3"),
    case("groups 0", lambda: nn.Conv2d(4, 8, 3, groups=0), A, "groups", "got 0", ">= 1"),
    case("no channels", lambda: nn.Conv2d(0, 8, 3), A, "in_channels", "got 0", ">= 1"),
    case("half channels", lambda: nn.Conv2d(3, 8 / 2, 3), A, "out_channels", "got 4.0", "whole number"),
    case("no features", lambda: nn.Linear(10, -2), A, "Linear", "out_features", "-2", ">= 1"),
    case("batch norm of none", lambda: nn.BatchNorm2d(0), A, "BatchNorm2d", "num_features", "got 0"),
    case("batch norm momentum 3", lambda: nn.BatchNorm2d(4, momentum=3), A, "momentum", "0 to 1", "got 3"),
    case("batch norm eps -1", lambda: nn.BatchNorm2d(4, eps=-1), A, "eps", ">= 0", "got -1"),
    case("dropout of 50 percent", lambda: nn.Dropout(50), A, "Dropout", "probability", "0 to 1", "got 50"),
    case("dropout of text", lambda: nn.Dropout("0.5"), A, "Dropout", "probability", "'0.5'"),
    case("LRN of size 0", lambda: nn.LocalResponseNorm(0), A, "LocalResponseNorm", "size", ">= 1", "got 0"),
    case("pooling window 0", lambda: nn.MaxPool2d(0), A, "MaxPool2d", "kernel_size", ">= 1", "got 0"),
    case("pooling stride 0", lambda: nn.AvgPool2d(2, 0), A, "AvgPool2d", "stride", ">= 1", "got 0"),
    case("pooling padding -1", lambda: nn.MaxPool2d(3, padding=-1), A, "MaxPool2d", "padding", "-1", ">= 0"),
    case("pooling to none", lambda: nn.AdaptiveAvgPool2d(0), A, "AdaptiveAvgPool2d", "output_size", ">= 1"),
    case("pooling to three sides", lambda: nn.AdaptiveAvgPool2d((1, 2, 3)), A, "output_size", "pair", "[1, 2, 3]"),
    case("negative slope", lambda: nn.LeakyReLU(-1), A, "negative_slope", ">= 0", "got -1"),
    case("smoothing 3", lambda: nn.CrossEntropyLoss(label_smoothing=3), A, "label_smoothing", "0 to 1", "got 3"),
    case("a class in Sequential", lambda: nn.Sequential(nn.ReLU), A, "Sequential", "ReLU() with brackets"),
    case("a list in Sequential", lambda: nn.Sequential([nn.ReLU()]), A, "[ReLU()]", "Sequential(*layers)"),
    case("a function in Sequential", lambda: nn.Sequential(F.relu), A, "function relu", "nn.ReLU()"),
    case("None in Sequential", lambda: nn.Sequential(nn.ReLU(), None), A, "holds modules", "None"),
    case("a module for a list", lambda: nn.ModuleList(nn.ReLU()), A, "ModuleList([...])", "ReLU()"),
    case("fan of a vector", lambda: nn.init.kaiming_normal_(nn.Parameter(np.zeros(3, "f4"))), S, "(3,)", "two axes"),
    case("misspelt mode", lambda: nn.init.kaiming_normal_(image(3, 3), mode="in"), A, "'in'", "'fan_in' or 'fan_out'"),
    case("unknown gain", lambda: nn.init.calculate_gain("gelu"), A, "'gelu'", "relu", "leaky_relu"),
    case("negative std", lambda: nn.init.normal_(image(3), std=-1), A, "std", ">= 0", "-1"),
    case("dirac of a matrix", lambda: nn.init.dirac_(image(3, 3)), S, "(3, 3)", "(O, C, KH, KW)"),
    case("parameter of ints", lambda: nn.Parameter(np.arange(3)), D, "int64", "float32"),
    case("model to int8", lambda: nn.Linear(2, 2).to("int8"), A, "'int8'", "float32 or float64"),
    case("model to gpu", lambda: nn.Linear(2, 2).to("gpu"), A, "'gpu'", "'cpu'", "'float32'"),
    case("assigning an array", lambda: setattr(nn.Linear(2, 2), "weight", np.eye(2)), A, "Linear.weight",
         "weight.data[...]"),
]  # fmt: skip


@pytest.mark.parametrize("call, error, says", OPTIONS)
def test_options(call, error, says):
    """A layer that cannot be: said where it is made, not when an image comes."""
    complaint(call, error, says)


IMAGES = [
    (nn.Conv2d(3, 8, 3), image(2, 4, 8, 8), S, "has 4 channels", "takes 3"),
    (nn.Conv2d(3, 8, 3), image(2, 8, 8, 3), S, "has 8 channels", "takes 3", "x.transpose(0, 3, 1, 2)"),
    (nn.Conv2d(4, 8, 3, groups=2), image(2, 6, 8, 8), S, "has 6 channels", "groups=2", "takes 4"),
    (nn.Conv2d(3, 8, 3), image(3, 8, 8), S, "(3, 8, 8)", "x.unsqueeze(0)"),
    (nn.Conv2d(3, 8, 3), image(2, 192), S, "(2, 192)", "x.reshape(n, c, h, w)"),
    (nn.Conv2d(3, 8, 9), image(2, 3, 8, 8), S, "kernel 9 high", "image 8 high", "at least 9"),
    (nn.Conv2d(3, 8, (3, 9), padding=(0, 1)), image(2, 3, 4, 4), S, "kernel 9 wide", "padding 1 + 1",
     "at least 7 wide"),
    (nn.Conv2d(3, 8, 3, dilation=4), image(2, 3, 8, 8), S, "kernel 3 high", "to 9 by dilation 4", "at least 9"),
    (nn.Conv2d(3, 8, 3, algorithm="magic"), image(2, 3, 8, 8), A, "'magic'", "auto"),
    (nn.Conv2d(3, 8, 5, algorithm="winograd"), image(2, 3, 8, 8), A, "3x3", "(5, 5)", "'auto'"),
    (nn.Conv2d(3, 8, 3, 2, algorithm="winograd"), image(2, 3, 8, 8), A, "stride 1", "stride (2, 2)"),
    (nn.Conv2d(4, 8, 3, groups=2, algorithm="direct"), image(2, 4, 8, 8), A, "one group", "groups 2", "'auto'"),
    (nn.Conv2d(3, 8, 3), np.zeros((2, 3, 8, 8), np.uint8), D, "uint8", "x.to('float32') / 255"),
    (nn.Conv2d(3, 8, 3), np.zeros((2, 3, 8, 8), np.float16), D, "float16", "float32 or float64"),
    (nn.Conv2d(3, 8, 3), np.zeros((2, 3, 8, 8)), D, "float32 and float64", "model.to('float64')"),
    (nn.Conv2d(3, 8, 3), "cat.jpg", D, "holds numbers", "str"),
    (nn.Conv2d(3, 8, 3), None, D, "None", "return"),
    (nn.Linear(10, 2), image(2, 9), S, "(2, 9)", "9 features", "takes 10"),
    (nn.Linear(192, 2), image(2, 3, 8, 8), S, "8 features", "takes 192", "nn.Flatten()"),
    (nn.Linear(10, 2), mc.tensor(1.0), S, "no features", "takes 10"),
    (nn.Linear(10, 2), np.zeros((2, 10), int), D, "int64", "x.to('float32')"),
    (nn.BatchNorm2d(4), image(2, 3, 8, 8), S, "(4,)", "(2, 3, 8, 8)", "3 channels"),
    (nn.BatchNorm2d(4), image(1, 4, 1, 1), S, "at least two values", "(1, 4, 1, 1) has 1", "larger batch",
     "model.eval()"),
    (nn.BatchNorm2d(4), image(2, 4, 8), S, "(2, 4, 8)", "(N, C, H, W)"),
    (nn.Dropout(), np.zeros((2, 2), int), D, "int64", "float32"),
    (nn.LocalResponseNorm(), image(4, 2), S, "(4, 2)", "(N, C, H, W)"),
    (nn.LocalResponseNorm(k=-1), image(1, 4, 2, 2), A, "k must be", ">= 0", "-1"),
    (nn.MaxPool2d(9), image(1, 1, 8, 8), S, "kernel 9 high", "image 8 high", "at least 9"),
    (nn.MaxPool2d(2, padding=2), image(1, 1, 8, 8), A, "padding 2", "window 2", "at most 1"),
    (nn.MaxPool2d(2), image(1, 8), S, "(1, 8)", "(N, C, H, W)"),
    (nn.AvgPool2d(9), image(1, 1, 8, 8), S, "kernel 9 high", "image 8 high", "at least 9"),
    (nn.AvgPool2d(3, padding=2), image(1, 1, 8, 8), A, "padding 2", "window 3", "at most 1"),
    (nn.AdaptiveAvgPool2d(7), image(1, 1, 0, 8), S, "no pixels", "(1, 1, 0, 8)"),
    (nn.ReLU(), np.zeros((2, 2), int), D, "relu", "int64", "float32"),
    (nn.Softmax(3), image(2, 2), S, "axis 3", "(2, 2)"),
    (nn.Flatten(3), image(2, 2), S, "axis 3", "(2, 2)"),
]  # fmt: skip


@pytest.mark.parametrize("layer, x, error, says", [(layer, x, e, says) for layer, x, e, *says in IMAGES])
def test_images(layer, x, error, says):
    """An image that a layer cannot take: its path in the model, what stands there, its numbers and the image's."""
    model = nn.Sequential(nn.Identity(), nn.Sequential({"stem": nn.Identity(), "here": layer}))
    caught = complaint(lambda: model(x), error, tuple(says))
    assert caught.path == "1.here"
    assert str(caught).startswith(f"1.here = {layer!r}: ")


FUNCTIONAL = [
    case("weight of three axes", lambda: F.conv2d(image(1, 3, 8, 8), image(4, 3, 3)), S, "(4, 3, 3)",
         "(O, C/groups, KH, KW)"),
    case("bias of another length", lambda: F.conv2d(image(1, 3, 8, 8), image(4, 3, 3, 3), image(3)), S, "(4,)", "(3,)"),
    case("groups 2.0", lambda: F.conv2d(image(1, 4, 8, 8), image(4, 2, 3, 3), groups=2.0), A, "groups", "2.0"),
    case("groups 3 of 4", lambda: F.conv2d(image(1, 4, 8, 8), image(4, 2, 3, 3), groups=3), S, "groups=3", "4 input"),
    case("linear weight", lambda: F.linear(image(2, 3), image(3)), S, "(3,)", "(out_features, in_features)"),
    case("linear bias", lambda: F.linear(image(2, 3), image(4, 3), image(3)), S, "(4,)", "(3,)"),
    case("no statistics", lambda: F.batch_norm(image(2, 4, 3, 3), None, None), S, "training=True", "running_mean"),
    case("shuffle 6 by 4", lambda: F.channel_shuffle(image(1, 6, 2, 2), 4), S, "6 channels", "4 groups"),
    case("shuffle by none", lambda: F.channel_shuffle(image(1, 6, 2, 2), 0), A, "groups", ">= 1", "got 0"),
    case("shuffle a matrix", lambda: F.channel_shuffle(image(6, 2), 2), S, "(6, 2)", "(N, C, H, W)"),
    case("dropout 2", lambda: F.dropout(image(2), 2), A, "probability", "0 to 1", "got 2"),
]  # fmt: skip

LOGITS = image(4, 10)
LOSSES = [
    case("label 10 of 10", lambda: F.cross_entropy(LOGITS, [1, 2, 3, 10]), mc.LabelError, "label 10", "sample 3",
         "0 to 9"),
    case("label -1", lambda: F.cross_entropy(LOGITS, [1, -1, 3, 1]), mc.LabelError, "label -1", "sample 1", "0 to 9"),
    case("label 1.5", lambda: F.cross_entropy(LOGITS, np.array([1, 1.5, 3, 1])), mc.LabelError, "1.5", "sample 1"),
    case("label NaN", lambda: F.cross_entropy(LOGITS, np.array([np.nan, 1, 3, 1])), mc.LabelError, "nan", "sample 0"),
    case("label 'cat'", lambda: F.cross_entropy(LOGITS, ["cat"] * 4), mc.LabelError, "'cat'", "0 to 9"),
    case("one-hot labels", lambda: F.cross_entropy(LOGITS, np.eye(10)[:4]), S, "(4, 10)", "labels.argmax(1)"),
    case("three labels for four", lambda: F.cross_entropy(LOGITS, [1, 2, 3]), S, "(4, 10)", "(4,)", "(3,)"),
    case("labels first", lambda: F.cross_entropy([1, 2, 3, 1], LOGITS), S, "(4,)", "labels come second"),
    case("maps of logits", lambda: F.cross_entropy(image(4, 10, 2, 2), [1] * 4), S, "(4, 10, 2, 2)", "(N, classes)"),
    case("empty batch", lambda: F.cross_entropy(image(0, 10), []), S, "empty"),
    case("no classes", lambda: F.cross_entropy(image(4, 0), [0] * 4), S, "(4, 0)", "(N, classes)"),
    case("logits of ints", lambda: F.cross_entropy(np.zeros((4, 10), int), [1] * 4), D, "int64", "float32"),
    case("smoothing 2", lambda: F.cross_entropy(LOGITS, [1] * 4, label_smoothing=2), A, "0 to 1", "got 2"),
    case("targets that would broadcast", lambda: F.mse_loss(image(4, 1), image(4)), S, "(4, 1) and (4,)", "equal"),
    case("error of nothing", lambda: F.mse_loss(image(0, 1), image(0, 1)), S, "empty", "(0, 1)"),
]  # fmt: skip


@pytest.mark.parametrize("call, error, says", FUNCTIONAL + LOSSES)
def test_functional(call, error, says):
    """Operations and losses outside a model have no path, but the same numbers."""
    assert complaint(call, error, says).path is None


# Modules of one's own -----------------------------------------------------------------------------------------------
class NoSuper(nn.Module):
    def __init__(self):
        self.conv = nn.Conv2d(3, 4, 3)


class NoSuperNoLayers(nn.Module):
    def __init__(self):
        pass

    def forward(self, x):
        return x


class NoForward(nn.Module):
    pass


class NoReturn(nn.Module):
    def forward(self, x):
        F.relu(x)


def load(**state):
    return lambda: nn.Linear(2, 3).load_state_dict(state)


U, F_ = NotImplementedError, mc.FileError
MODULES = [
    case("no super", NoSuper, U, "NoSuper", "super().__init__()", "'conv'"),
    case("no super, no layers", lambda: NoSuperNoLayers()(image(1)), U, "NoSuperNoLayers", "super().__init__()"),
    case("no forward", lambda: NoForward()(image(1)), U, "NoForward", "forward(self, x)"),
    case("no return", lambda: nn.Sequential(NoReturn(), nn.ReLU())(image(1)), D, "1 = ReLU()", "None", "return"),
    case("calling a ModuleList", lambda: nn.ModuleList([nn.ReLU()])(image(1)), U, "ModuleList of 1", "in your forward"),
    case("loading another model", load(weight=np.ones((2, 2)), bais=np.ones(3)), F_,
         "Linear", "missing: bias", "unexpected: bais", "weight: the model has (3, 2), the file (2, 2)"),
    case("loading text", load(weight=np.ones((3, 2)), bias=np.array(["a", "b", "c"])), F_, "bias: holds <U1"),
    case("loading a path", lambda: nn.Linear(2, 3).load_state_dict("w.npz"), A, "got str", "mc.load(path)"),
    case("loading a model", lambda: nn.Linear(2, 3).load_state_dict(nn.Linear(2, 3)), A, "Linear",
         "model.state_dict()"),
    case("misspelt model", lambda: models.get_model("resnet21"), A, "'resnet21'", "resnet20"),
    case("model in capitals", lambda: models.get_model("ResNet20"), A, "'ResNet20'", "did you mean resnet20"),
    case("unheard-of model", lambda: models.get_model("xyz"), A, "'xyz'", "lenet5", "plain20", "resnet20"),
    case("no model name", lambda: models.get_model(20), A, "20", "lenet5"),
    case("unknown variant", lambda: models.get_model("lenet5", variant="new"), A, "'new'", "paper, modern"),
    case("unknown option", lambda: models.get_model("resnet20", pretrained=True), A, "'pretrained'",
         "shortcut, in_channels"),
    case("unknown shortcut", lambda: models.get_model("resnet20", shortcut="D"), A, "'D'", "'A'", "'B'"),
    case("no classes", lambda: models.get_model("resnet20", num_classes=0), A, "num_classes", ">= 1", "got 0"),
    case("weights that are not there", lambda: models.get_model("lenet5", weights="no.npz"), F_, "no.npz"),
    case("builder without classes", lambda: models.register_model("x")(lambda: 0), A, "'x'", "num_classes"),
]  # fmt: skip


@pytest.mark.parametrize("call, error, says", MODULES)
def test_modules(call, error, says):
    """Modules of one's own, weights that do not fit, models that do not exist."""
    complaint(call, error, says)


def test_builder_must_return_a_model(monkeypatch):
    """A registered builder that forgets its return is found at get_model, by name."""
    monkeypatch.setattr(models.registry, "_MODELS", {})
    models.register_model("mine")(lambda num_classes: None)
    complaint(lambda: models.get_model("mine"), A, ("mine", "None", "return missing"))


def test_path_in_a_real_model():
    """The issue's own example: the path from the outermost model that was called, and both numbers."""
    model = models.get_model("resnet20")
    model.layer2[0].conv1 = nn.Conv2d(5, 32, 3, 2, 1)
    caught = complaint(lambda: model(image(2, 3, 32, 32)), S, ("has 16 channels", "takes 5"))
    assert caught.path == "layer2.0.conv1"
    caught = complaint(lambda: model.layer2(image(2, 16, 8, 8)), S)
    assert caught.path == "0.conv1"


def test_errors_that_are_not_ours_name_the_layer_in_a_note():
    """NumPy's error in a student's own layer says where it happened, once, and keeps notes that were there."""

    class Mine(nn.Module):
        def forward(self, x):
            error = KeyError("weight")
            error.add_note("a note of my own")
            raise error

    with pytest.raises(KeyError) as caught:
        nn.Sequential(nn.ReLU(), nn.Sequential(Mine()))(image(1, 1))
    assert caught.value.__notes__ == ["a note of my own", "in the layer 1.0 = Mine()"]


def test_nothing_is_lost():
    """After an error, weights, running statistics and their count are what they were."""
    norm, linear = nn.BatchNorm2d(4), nn.Linear(2, 3)
    before = {k: v.copy() for m in (norm, linear) for k, v in m.state_dict().items()}
    complaint(lambda: norm(image(1, 4, 1, 1)), S)
    complaint(lambda: linear.load_state_dict({"weight": np.ones((3, 2)), "bias": np.ones(2)}), F_)
    for key, value in {**norm.state_dict(), **linear.state_dict()}.items():
        np.testing.assert_array_equal(value, before[key])
