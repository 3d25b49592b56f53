"""Optimisers and schedules, without PyTorch (tests/parity holds them against it)."""

from __future__ import annotations

import numpy as np
import pytest

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

    for cls in (lambda p: optim.SGD(p, 0.1, momentum=0.9), lambda p: optim.Adam(p, 0.1)):
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
