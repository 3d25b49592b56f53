"""Looking inside: every map of an image against what can be said of it by hand."""

from __future__ import annotations

import numpy as np
import pytest
from small_network import small

import minicnn as mc
from minicnn import functional as F
from minicnn import inside, models, nn
from minicnn.inside.guided import rectifying
from minicnn.inside.occlusion import squares


@pytest.fixture
def image(rng):
    return rng.standard_normal((3, 8, 8))


# Saliency -------------------------------------------------------------------------------------------------------------
def test_saliency_of_a_linear_model(rng):
    """S = w . I + b: the gradient is w itself, the map its largest absolute value over the channels."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 4 * 5, 7))
    image = rng.standard_normal((3, 4, 5)).astype(np.float32)
    w = model[1].weight.data[2].reshape(3, 4, 5)
    np.testing.assert_array_equal(inside.gradient(model, image, 2), w)
    np.testing.assert_array_equal(inside.saliency(model, image, 2), np.abs(w).max(0))


def test_gradient_is_that_of_finite_differences(image):
    """Of the logit, in evaluation mode (dropout at rest, running statistics), for the best class and for another."""
    model = small()
    model.eval()
    logits = model(mc.tensor(image[None])).data[0]
    model.train()
    best = int(logits.argmax())
    for target in (None, (best + 1) % 4):
        found, k = inside.gradient(model, image, target), best if target is None else target
        numeric, eps = np.empty_like(image), 1e-5
        model.eval()
        for place in np.ndindex(image.shape):
            step = np.zeros_like(image)
            step[place] = eps
            up, down = (model(mc.tensor((image + sign * step)[None])).data[0, k] for sign in (1, -1))
            numeric[place] = (up - down) / (2 * eps)
        model.train()
        np.testing.assert_allclose(found, numeric, atol=1e-8)
        assert np.abs(found).max() > 1e-3


# Grad-CAM -------------------------------------------------------------------------------------------------------------
class Averaged(nn.Module):
    """Two maps through ReLU, global average, linear layer: alpha can be written down."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 1, bias=False)
        self.conv.weight.data[:, 0, 0, 0] = 1, -1
        self.fc = nn.Linear(2, 2, bias=False)
        self.fc.weight.data[...] = [[3, -5], [0, 0]]

    def forward(self, x):
        return self.fc(F.relu(self.conv(x)).mean((2, 3)))


def test_grad_cam_by_hand():
    """dS/dA_k = w_k / Z, so alpha_k = w_k / Z and the map is max(0, sum_k w_k A_k) / Z, of A after its ReLU."""
    image = np.array([[[1.0, -2.0, 0.5], [4.0, 0.0, -1.0]]], np.float32)  # (1, 2, 3), Z = 6
    model = Averaged()
    by_hand = np.array([[3 * 1, 0, 3 * 0.5], [3 * 4, 0, 0]]) / 6  # where I < 0, map 2 speaks against the class
    np.testing.assert_allclose(inside.grad_cam(model, image, 0), by_hand, rtol=1e-6)
    assert (inside.grad_cam(model, image, 1) == 0).all()
    # asked for the layer, A is what it gives, before the ReLU: alpha = (3, -5) * (share of positive pixels) / 6
    alpha = np.array([3 * 3 / 6, -5 * 2 / 6]) / 6
    expected = np.maximum(alpha[0] * image[0] - alpha[1] * image[0], 0)
    np.testing.assert_allclose(inside.grad_cam(model, image, 0, "conv"), expected, rtol=1e-5)


def test_grad_cam_takes_the_last_maps_with_all_that_belongs_to_them(image):
    """After batch-norm, ReLU and shortcut; of a branch, after the concatenation; not after the pooling."""
    model = models.get_model("resnet20", num_classes=10)
    image = image.astype(np.float32).repeat(4, axis=1).repeat(4, axis=2)  # (3, 32, 32)
    last = [path for path, _ in model.named_modules() if path.count(".") == 1][-1]
    np.testing.assert_array_equal(inside.grad_cam(model, image), inside.grad_cam(model, image, layer=last))

    class Branches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(3, 5, 1)
            self.joined, self.fc = nn.Identity(), nn.Linear(9 * 16, 4)

        def forward(self, x):
            x = self.joined(mc.cat([F.relu(self.a(x)), F.relu(self.b(x))], axis=1))
            return self.fc(F.max_pool2d(x, 8).flatten(1))

    model = Branches()
    assert inside.grad_cam(model, image).shape == (32, 32)
    np.testing.assert_array_equal(inside.grad_cam(model, image), inside.grad_cam(model, image, layer="joined"))


# Occlusion ------------------------------------------------------------------------------------------------------------
def test_squares_cover_every_pixel_and_lie_around_their_cells():
    for h, w, size, stride in ((9, 7, 3, 2), (8, 8, 1, 1), (5, 4, 9, 3), (6, 6, 4, 4)):
        covered = np.zeros((h, w), int)
        for rows, columns in squares(h, w, size, stride):
            covered[rows, columns] += 1
        assert covered.min() >= 1
        assert len(squares(h, w, size, stride)) == -(-h // stride) * -(-w // stride)
    assert squares(9, 9, 3, 3)[4] == (slice(3, 6), slice(3, 6))


class Corner(nn.Module):
    """Class 1 is as likely as rows 4-7, columns 8-11 of the image are bright; nothing else counts."""

    def forward(self, x):
        score = x[:, :, 4:8, 8:12].mean((1, 2, 3))
        return mc.stack([score * 0, score], axis=1)


def test_occlusion_finds_the_square_that_matters():
    """The loss of each cell is exact: that of the logit, and of the probability."""
    image = np.full((3, 12, 16), 2.0, np.float32)
    lost = inside.occlusion(Corner(), image, size=4, stride=4, score="logit", batch_size=5)
    expected = np.zeros((3, 4))
    expected[1, 2] = 2
    np.testing.assert_allclose(lost, expected, atol=1e-6)
    probability = inside.occlusion(Corner(), image, 1, size=4, stride=4)
    np.testing.assert_allclose(probability, expected * (1 / (1 + np.exp(-2)) - 0.5) / 2, atol=1e-6)
    np.testing.assert_allclose(inside.occlusion(Corner(), image, 0, size=4, stride=4), -probability, atol=1e-6)
    assert (inside.occlusion(Corner(), image, size=4, stride=4, value=2.0) == 0).all()
    # squares of 8: the cells around lose what their square covers
    wide = inside.occlusion(Corner(), image, size=8, stride=4, score="logit")
    np.testing.assert_allclose(wide[1], [0, 1, 2, 1], atol=1e-6)
    assert inside.occlusion(Corner(), image).shape == (12, 16)  # 12 / 5 pixels, a square of 2


# Guided backpropagation, deconvnet ------------------------------------------------------------------------------------
def test_the_three_rules_by_hand():
    """Two ReLUs in a row about a mixing of signs: which of the four cases passes differs from rule to rule."""
    first, second = np.array([1.0, 1.0, -1.0, -1.0]), np.array([2.0, -3.0, 5.0, -7.0])
    x = np.array([1.0, 1.0, 1.0, 1.0])

    class Model(nn.Module):
        def forward(self, x):
            a = F.relu(x.flatten(1) * mc.tensor(first))  # on, on, off, off
            return (a * mc.tensor(second)).sum(1, keepdims=True)  # gradient + - + -

    image = x.reshape(1, 2, 2)
    expected = {"gradient": [2, -3, 0, 0], "guided": [2, 0, 0, 0], "deconvnet": [2, 0, -5, 0]}
    for rule, by_hand in expected.items():
        found = inside.guided_backprop(Model(), image, 0, rule).ravel()
        np.testing.assert_array_equal(found, by_hand, rule)


@pytest.mark.parametrize("name, top", [("relu", np.inf), ("relu6", 6)])
def test_guided_relu(name, top, rng):
    """Negative gradients are zeroed, and so are those where the unit was off or, in relu6, at its end."""
    x, grad = rng.standard_normal((2, 40)) * 8
    for rule, passes in (("guided", (x > 0) & (x < top) & (grad > 0)), ("deconvnet", grad > 0)):
        t = mc.tensor(x, requires_grad=True)
        with rectifying("test", rule):
            y = getattr(F, name)(t)
            y.backward(grad)
        np.testing.assert_array_equal(y.data, np.clip(x, 0, top))
        np.testing.assert_array_equal(t.grad, np.where(passes, grad, 0))


def test_guided_backprop_of_a_network_differs_from_its_gradient(image):
    model = small()
    plain, guided = inside.gradient(model, image, 1), inside.guided_backprop(model, image, 1)
    np.testing.assert_array_equal(inside.guided_backprop(model, image, 1, "gradient"), plain)
    assert np.abs(guided - plain).max() > 1e-3


def test_deconvnet_stays_inside_the_unit_s_sight(image):
    """Zero outside of its receptive field; without a unit, the strongest is taken; of a vector, everything is seen."""
    model = small()
    maps = inside.activations(model, image, "conv2")["conv2"]
    for unit in ((0, 0), (2, 3)):
        top, left, bottom, right = inside.Sight(model, (3, 8, 8), "conv2").box(*unit)
        for rule in ("deconvnet", "guided", "gradient"):
            pattern = inside.deconvnet(model, image, "conv2", 1, unit, rule)
            assert np.abs(pattern[:, top:bottom, left:right]).max() > 0
            pattern[:, top:bottom, left:right] = 0
            assert (pattern == 0).all()
    strongest = np.unravel_index(maps[1].argmax(), maps[1].shape)
    found = inside.deconvnet(model, image, "conv2", 1)
    np.testing.assert_array_equal(found, inside.deconvnet(model, image, "conv2", 1, strongest))
    logit = inside.activations(model, image, "fc")["fc"][2]
    found = inside.deconvnet(model, image, "fc", 2, rule="gradient")
    np.testing.assert_allclose(found, logit * inside.gradient(model, image, 2), rtol=1e-9)
