"""Optimisers and schedules, without PyTorch (tests/parity holds them against it)."""

from __future__ import annotations

import math

import numpy as np
import pytest
from mistakes import complaint

import minicnn as mc
from minicnn import nn, optim


def quadratic(parameter):
    """loss = |p - 3|^2 / 2, gradient p - 3"""
    parameter.grad = parameter.data - 3


@pytest.mark.parametrize(
    "make",
    [
        lambda p: optim.SGD(p, 0.1),
        lambda p: optim.SGD(p, 0.05, momentum=0.9),
        lambda p: optim.SGD(p, 0.05, momentum=0.9, nesterov=True),
        lambda p: optim.Adam(p, 0.1),
        lambda p: optim.AdamW(p, 0.1, weight_decay=0.0),
        lambda p: optim.RMSprop(p, 0.02, alpha=0.9, eps=1e-2),
        lambda p: optim.RMSprop(p, 0.01, alpha=0.9, eps=1.0, momentum=0.9, eps_inside=True),
        lambda p: optim.RMSprop(p, 0.01, alpha=0.9, eps=1e-1, momentum=0.5, centered=True),
    ],
)
def test_every_optimiser_finds_the_minimum(make):
    parameter = nn.Parameter(np.zeros((2, 3, 3, 3), np.float32))
    optimizer = make([parameter])
    for _ in range(300):
        optimizer.zero_grad()
        quadratic(parameter)
        optimizer.step()
    np.testing.assert_allclose(parameter.data, 3, atol=1e-2)


def test_sgd_by_hand():
    """Two steps of momentum with weight decay, worked out: v1 = g1 + wd p0, v2 = 0.5 v1 + g2 + wd p1."""
    p = nn.Parameter(np.array([1.0]))
    optimizer = optim.SGD([p], lr=0.1, momentum=0.5, weight_decay=0.2)
    p.grad = np.array([2.0])
    optimizer.step()
    assert p.data[0] == pytest.approx(1 - 0.1 * 2.2)
    p.grad = np.array([1.0])
    optimizer.step()
    assert p.data[0] == pytest.approx(0.78 - 0.1 * (0.5 * 2.2 + 1 + 0.2 * 0.78))


def test_adams_first_step_is_the_learning_rate():
    """Both corrections cancel at step 1: p moves by lr * sign(grad), whatever the gradient's size."""
    for size in (1e-3, 1e3):
        p = nn.Parameter(np.zeros(1))
        optimizer = optim.Adam([p], lr=0.01, eps=0)
        p.grad = np.array([size])
        optimizer.step()
        assert p.data[0] == pytest.approx(-0.01)


@pytest.mark.parametrize("room", ["plain", "cpu"])
@pytest.mark.parametrize("eps_inside", [False, True])
@pytest.mark.parametrize("momentum", [0, 0.8])
@pytest.mark.parametrize("centered", [False, True])
def test_rmsprop_written_out(centered, momentum, eps_inside, room):
    """Fifty steps of one number, in Python's own arithmetic: also TensorFlow's epsilon, which PyTorch has not."""
    lr, alpha, eps, weight_decay = 0.02, 0.9, 0.5, 0.1
    options = {"momentum": momentum, "centered": centered, "eps_inside": eps_inside}
    p = nn.Parameter(np.array([2.0]))
    x, v, m, u = 2.0, 0.0, 0.0, 0.0
    with mc.use_room(room):
        optimizer = optim.RMSprop([p], lr, alpha, eps, weight_decay, **options)
        for step in range(50):
            p.grad = np.cos(p.data + step)
            optimizer.step()
            g = math.cos(x + step) + weight_decay * x
            v, m = alpha * v + (1 - alpha) * g * g, alpha * m + (1 - alpha) * g
            spread = v - m * m if centered else v
            u = momentum * u + g / (math.sqrt(spread + eps) if eps_inside else math.sqrt(spread) + eps)
            x -= lr * u
            assert p.data[0] == pytest.approx(x, rel=1e-12)


@pytest.mark.parametrize("room", ["plain", "cpu"])
def test_centered_rmsprop_survives_rounding(room):
    """Under a constant gradient v and m^2 become equal, and rounding may take their difference below 0: no NaN."""
    with mc.use_room(room):
        p = nn.Parameter(np.zeros(1000, np.float32))
        gradient = np.random.default_rng(0).uniform(1, 2, 1000).astype(np.float32)
        optimizer = optim.RMSprop([p], 1e-3, alpha=0.5, eps=1e-3, centered=True)
        for _ in range(60):
            p.grad = gradient.copy()
            optimizer.step()
        assert np.isfinite(p.data).all()


def test_decay_groups():
    """Weights of convolutions and linear layers decay; biases and norms do not; nothing is lost or listed twice."""
    shared = nn.Conv2d(4, 4, 3, groups=4)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), shared, shared, nn.Flatten(), nn.Linear(4, 2))
    for depthwise, decaying in ((True, {"0.weight", "2.weight", "5.weight"}), (False, {"0.weight", "5.weight"})):
        decayed, others = optim.weight_decay_groups(model, 1e-4, depthwise=depthwise)
        names = {id(p): name for name, p in model.named_parameters()}
        assert (decayed["weight_decay"], others["weight_decay"]) == (1e-4, 0)
        assert {names[id(p)] for p in decayed["params"]} == decaying
        assert {names[id(p)] for p in others["params"]} == set(names.values()) - decaying
        assert len(decayed["params"]) + len(others["params"]) == len(names)
    optimizer = optim.SGD(optim.weight_decay_groups(model, 0.5), lr=1.0)
    for p in model.parameters():
        p.data, p.grad = np.ones_like(p.data), np.zeros_like(p.data)
    optimizer.step()
    halved = {name for name, p in model.named_parameters() if (p.data == 0.5).all()}
    unchanged = {name for name, p in model.named_parameters() if (p.data == 1).all()}
    assert (halved, halved | unchanged) == ({"0.weight", "2.weight", "5.weight"}, set(names.values()))


def test_decay_groups_may_be_empty():
    """A linear layer without bias has nothing that is spared."""
    optimizer = optim.AdamW(optim.weight_decay_groups(nn.Linear(2, 2, bias=False), 0.1))
    assert [len(group["params"]) for group in optimizer.param_groups] == [1, 0]


A = mc.ArgumentError
BAD_OPTIONS = [
    # optimiser, its other options, the option at fault, what is said
    (optim.SGD, {"lr": 0.1}, {"lr": True}, ("SGD", "lr", "number", "True")),
    (optim.SGD, {"lr": 0.1}, {"lr": -1}, ("lr", ">= 0", "-1")),
    (optim.SGD, {"lr": 0.1}, {"momentum": 1}, ("momentum", "below 1", "got 1")),
    (optim.SGD, {"lr": 0.1}, {"nesterov": True}, ("nesterov", "momentum > 0", "got 0")),
    (optim.SGD, {"lr": 0.1, "momentum": 0.9}, {"nesterov": 1}, ("nesterov", "True or False", "got 1")),
    (optim.Adam, {}, {"betas": (0.9, 1.0)}, ("Adam", "betas", "below 1", "(0.9, 1.0)")),
    (optim.Adam, {}, {"betas": (-0.1, 0.9)}, ("betas", ">= 0", "-0.1")),
    (optim.AdamW, {}, {"betas": 0.9}, ("AdamW", "two numbers", "0.9")),
    (optim.AdamW, {}, {"betas": (True, "0.9")}, ("betas", "number", "True")),
    (optim.Adam, {}, {"eps": float("nan")}, ("eps", "finite", "nan")),
    (optim.RMSprop, {}, {"alpha": 1}, ("RMSprop", "alpha", "below 1", "got 1")),
    (optim.RMSprop, {}, {"momentum": 1.5}, ("momentum", "below 1", "1.5")),
    (optim.RMSprop, {}, {"eps_inside": "yes"}, ("eps_inside", "True or False", "'yes'")),
    (optim.RMSprop, {}, {"weight_decay": None}, ("weight_decay", "number", "None")),
]


@pytest.mark.parametrize("cls, good, bad, says", BAD_OPTIONS, ids=[f"{c.__name__}-{b}" for c, _, b, _ in BAD_OPTIONS])
def test_options_are_checked_wherever_they_come_from(cls, good, bad, says):
    """In the constructor, in the second of two groups, and in a saved state (which then changes nothing)."""
    p, q = nn.Parameter(np.zeros(1)), nn.Parameter(np.zeros(1))
    complaint(lambda: cls([p], **{**good, **bad}), A, says)
    complaint(lambda: cls([{"params": [p]}, {"params": [q], **bad}], **good), A, says)
    optimizer = cls([{"params": [p]}, {"params": [q]}], **good)
    saved = optimizer.state_dict()
    saved["groups"][0]["lr"] = 7.0
    saved["groups"][1].update(bad)
    complaint(lambda: optimizer.load_state_dict(saved), A, says)
    assert optimizer.param_groups[0]["lr"] != 7.0


def test_state_of_another_optimiser():
    """Its options would go into the groups unread, and its averages would mean something else."""
    saved = optim.SGD([nn.Parameter(np.zeros(1))], 0.1).state_dict()
    adam = optim.Adam([nn.Parameter(np.zeros(1))])
    complaint(lambda: adam.load_state_dict(saved), mc.FileError, ("'momentum'", "Adam"))


def test_groups_of_a_generator():
    """weight_decay_groups asks for the model: it must know which layers the parameters belong to."""
    complaint(lambda: optim.weight_decay_groups(nn.ReLU().parameters(), 0.1), A, ("a model", "generator"))
    complaint(lambda: optim.weight_decay_groups(nn.ReLU(), -1), A, ("weight_decay", ">= 0", "-1"))


def test_updates_reach_parameters_of_any_memory_layout():
    """The kernels work in place on copies where the layout differs; the result must come back."""
    data = np.arange(24.0).reshape(2, 3, 2, 2)
    for room in ("plain", "cpu"):
        with mc.use_room(room):
            p = nn.Parameter(data.copy())
            p.data = data.copy()  # channels first
            p.grad = np.asfortranarray(np.ones_like(data))
            optim.SGD([p], lr=1.0, momentum=0.9).step()
            np.testing.assert_array_equal(p.data, data - 1)


def test_groups_have_their_own_options():
    a, b = nn.Parameter(np.zeros(1)), nn.Parameter(np.zeros(1))
    optimizer = optim.SGD([{"params": [a], "lr": 1.0}, {"params": [b]}], lr=0.1)
    a.grad = b.grad = np.ones(1)
    optimizer.step()
    assert (a.data[0], b.data[0]) == (-1.0, -0.1)


def test_parameters_without_gradient_are_left_alone():
    p = nn.Parameter(np.ones(1))
    optim.SGD([p], 0.1, weight_decay=0.1).step()
    assert p.data[0] == 1


def test_state_dict_goes_on_where_it_was():
    """Saving after 3 steps and loading into a new optimiser gives the same 4th step."""

    def steps(optimizer, p, n):
        for _ in range(n):
            quadratic(p)
            optimizer.step()

    for cls in (
        lambda p: optim.SGD(p, 0.1, momentum=0.9),
        lambda p: optim.Adam(p, 0.1),
        lambda p: optim.RMSprop(p, 0.1, momentum=0.9, centered=True),
    ):
        p = nn.Parameter(np.zeros(3))
        first = cls([p])
        steps(first, p, 3)
        q = nn.Parameter(p.data.copy())
        second = cls([q])
        second.load_state_dict(first.state_dict())
        steps(first, p, 1)
        steps(second, q, 1)
        np.testing.assert_array_equal(p.data, q.data)


def test_schedules_are_formulas_of_the_step():
    optimizer = optim.SGD([nn.Parameter(np.zeros(1))], lr=1.0)
    schedule = optim.lr_scheduler.MultiStepLR(optimizer, [2, 4])
    rates = []
    for _ in range(5):
        rates.append(schedule.get_last_lr()[0])
        schedule.step()
    np.testing.assert_allclose(rates, [1, 1, 0.1, 0.1, 0.01])
    optimizer.param_groups[0]["lr"] = 1.0
    schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=6, warmup=2)
    rates = []
    for _ in range(8):
        rates.append(optimizer.param_groups[0]["lr"])
        schedule.step()
    np.testing.assert_allclose(rates[:3], [1 / 3, 2 / 3, 1])
    np.testing.assert_allclose(rates[4], 0.5)
    assert rates[6] == rates[7] == pytest.approx(0, abs=1e-12)


def test_clipping_scales_all_gradients_by_one_factor():
    """Length 5 becomes 1, directions stay; shorter ones and NaN are left alone."""
    a, b, c = (nn.Parameter(np.zeros(1)) for _ in range(3))
    a.grad, b.grad = np.array([3.0]), np.array([4.0])
    assert optim.clip_grad_norm_([a, b, c], 1.0) == 5.0
    np.testing.assert_allclose([a.grad[0], b.grad[0]], [0.6, 0.8])
    assert optim.clip_grad_norm_([a, b, c], 2.0) == pytest.approx(1.0) and a.grad[0] == pytest.approx(0.6)
    a.grad = np.array([np.nan])
    assert np.isnan(optim.clip_grad_norm_([a, b], 0.1)) and b.grad[0] == pytest.approx(0.8)
    with pytest.raises(mc.ArgumentError, match="max_norm must be > 0"):
        optim.clip_grad_norm_([a], 0.0)
