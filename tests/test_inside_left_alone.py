"""Looking inside leaves a model as it was, after errors too, and says what is wrong with what it is given."""

from __future__ import annotations

import numpy as np
import pytest
from mistakes import case, complaint
from small_network import Small, small

import minicnn as mc
from minicnn import inside, nn
from minicnn.inside.guided import GuidedReLU
from minicnn.ops.registry import FUNCTIONS

A, S = mc.ArgumentError, mc.ShapeError


@pytest.fixture
def image(rng):
    return rng.standard_normal((3, 8, 8))


# The model is left as it was ------------------------------------------------------------------------------------------
CALLS = {
    "activations": lambda m, x: inside.activations(m, x),
    "saliency": lambda m, x: inside.saliency(m, x),
    "grad_cam": lambda m, x: inside.grad_cam(m, x),
    "grad_cam of a layer": lambda m, x: inside.grad_cam(m, x, layer="conv1"),
    "occlusion": lambda m, x: inside.occlusion(m, x, stride=4),
    "guided_backprop": lambda m, x: inside.guided_backprop(m, x),
    "deconvnet": lambda m, x: inside.deconvnet(m, x, "conv2", 0),
    "strongest_patches": lambda m, x: [(p.value, p.box) for p in inside.strongest_patches(m, x[None], "conv2", 0)[0]],
    "top_classes": lambda m, x: inside.top_classes(m, x),
}


def everything(model: Small) -> tuple:
    """All that a call might have changed."""
    modules = list(model.modules())
    return (
        {name: array.copy() for name, array in model.state_dict().items()},
        [m.training for m in modules],
        [dict(m._forward_hooks) for m in modules],
        [(p.requires_grad, p.grad) for p in model.parameters()],
        dict(FUNCTIONS),
        mc.random.state.get(),
    )


def assert_same(before: tuple, after: tuple) -> None:
    assert before[1:] == after[1:]
    for name, array in before[0].items():
        np.testing.assert_array_equal(array, after[0][name])


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_the_model_is_left_as_it_was(call, image):
    """Weights, statistics, modes, hooks, frozen parameters, gradients, operations; the image; also inside no_grad."""
    model = small()
    model.bn.eval()  # frozen, in a model that is training
    model.conv1.requires_grad_(False)
    before, kept = everything(model), image.copy()
    first = call(model, image)
    assert_same(before, everything(model))
    np.testing.assert_array_equal(image, kept)
    with mc.no_grad():
        np.testing.assert_equal(call(model, image), first)


class Failing(mc.Function):
    """Fails on its way, or on its way back."""

    at = "forward"

    @staticmethod
    def forward(ctx, x):
        if Failing.at == "forward":
            raise ZeroDivisionError("on the way")
        return x * 2

    @staticmethod
    def backward(ctx, grad):
        raise ZeroDivisionError("on the way back")


class Breaks(Small):
    def forward(self, x):
        return Failing.apply(super().forward(x))


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("at", ["forward", "backward"])
def test_an_error_leaves_it_as_it_was_too(call, at, image, monkeypatch):
    monkeypatch.setattr(Failing, "at", at)
    model = Breaks().to("float64")
    before = everything(model)
    try:
        call(model, image)
    except ZeroDivisionError:
        pass
    else:
        assert at == "backward"
        assert call not in [CALLS[n] for n in ("saliency", "grad_cam", "grad_cam of a layer", "guided_backprop")]
    assert_same(before, everything(model))


def test_a_replacement_around_it_comes_back():
    """A student's own ReLU steps aside for the guided one, and is there again afterwards."""
    image = np.ones((3, 8, 8))

    class Own(GuidedReLU):
        calls = 0

        @staticmethod
        def forward(ctx, x):
            Own.calls += 1
            return GuidedReLU.forward(ctx, x)

    model = small()
    with mc.replace("relu", Own):
        inside.guided_backprop(model, image)
        assert Own.calls == 0
        inside.saliency(model, image)
        assert Own.calls == 2


# Mistakes -------------------------------------------------------------------------------------------------------------
GOOD = np.zeros((3, 8, 8))
ONLY_LINEAR = nn.Sequential(nn.Flatten(), nn.Linear(192, 3))
MISTAKES = [
    case("class 4 of 4", lambda m: inside.saliency(m, GOOD, 4), A, "saliency", "target=4", "0 to 3"),
    case("class cat", lambda m: inside.grad_cam(m, GOOD, "cat"), A, "grad_cam", "'cat'"),
    case("a batch", lambda m: inside.saliency(m, GOOD[None]), S, "(1, 3, 8, 8)", "images[0]"),
    case("no picture", lambda m: inside.occlusion(m, GOOD * np.nan), mc.DataError, "NaN"),
    case("text", lambda m: inside.saliency(m, np.array([[["a"]]])), A, "numbers"),
    case("grey", lambda m: inside.saliency(m, GOOD[:1]), S, "conv1", "1 channels"),
    case("a class", lambda m: inside.saliency(Small, GOOD), A, "Small(...)"),
    case("unknown layer", lambda m: inside.activations(m, GOOD, "conv3"), A, "'conv3'", "conv1", "did you mean"),
    case("other layer", lambda m: inside.activations(m, GOOD, "xyz"), A, "'xyz'", "conv1, bn, pool, conv2, drop, fc"),
    case("maps of a vector", lambda m: inside.grad_cam(m, GOOD, layer="fc"), S, "'fc'", "(1, 4)"),
    case("no convolution", lambda m: inside.grad_cam(ONLY_LINEAR, GOOD), A, "Sequential has no convolution"),
    case("no classifier", lambda m: inside.saliency(m.conv1, GOOD), S, "(N, classes)", "(1, 6, 8, 8)"),
    case("square of 0", lambda m: inside.occlusion(m, GOOD, size=0), A, "size", ">= 1"),
    case("unknown score", lambda m: inside.occlusion(m, GOOD, score="p"), A, "probability, logit", "'p'"),
    case("unknown rule", lambda m: inside.guided_backprop(m, GOOD, rule="x"), A, "gradient, guided, deconvnet"),
    case("channel 6", lambda m: inside.deconvnet(m, GOOD, "conv1", 6), A, "channel 6", "0 to 5"),
    case("unit outside", lambda m: inside.deconvnet(m, GOOD, "conv1", 0, (8, 0)), A, "(8, 0)", "(8, 8)"),
    case("no images", lambda m: inside.strongest_patches(m, [], "conv1", 0), mc.DataError, "at least one"),
    case("sight outside", lambda m: inside.Sight(m, (3, 8, 8), "conv2").box(4, 0), S, "(4, 0)", "4x4"),
    case("moving transform", lambda m: inside.strongest_patches(m, GOOD[None], "conv1", 0,
         transform=lambda x, rng: x[:, 1:]), A, "transform", "(7, 8)", "(8, 8)"),
]  # fmt: skip


@pytest.mark.parametrize("call, error, says", MISTAKES)
def test_mistakes(call, error, says):
    model = small()
    before = everything(model)
    complaint(lambda: call(model), error, says)
    assert_same(before, everything(model))
