"""Optimisers and learning-rate schedules against torch.optim's."""

from __future__ import annotations

import numpy as np
import pytest

import minicnn as mc
from minicnn import functional as F
from minicnn import nn, optim

from .helpers import assert_close, drawn

torch = pytest.importorskip("torch")

SHAPES = ((4, 3, 2, 2), (4,), (5, 4), (5,), (2,))  # a convolution's, a linear layer's, and one that nothing uses
OPTIMISERS = {
    "SGD": ("SGD", {"lr": 0.05}),
    "SGD weight decay": ("SGD", {"lr": 0.05, "weight_decay": 0.02}),
    "SGD momentum": ("SGD", {"lr": 0.05, "momentum": 0.9}),
    "SGD momentum, weight decay": ("SGD", {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.02}),
    "SGD Nesterov": ("SGD", {"lr": 0.05, "momentum": 0.8, "nesterov": True}),
    "SGD Nesterov, weight decay": ("SGD", {"lr": 0.05, "momentum": 0.8, "weight_decay": 0.02, "nesterov": True}),
    "Adam": ("Adam", {}),
    "Adam, all options": ("Adam", {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.05}),
    "AdamW": ("AdamW", {}),
    "AdamW, all options": ("AdamW", {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1}),
    "AdamW without decay": ("AdamW", {"lr": 0.02, "weight_decay": 0}),
    "RMSprop": ("RMSprop", {}),
    "RMSprop, weight decay": ("RMSprop", {"lr": 0.02, "alpha": 0.9, "eps": 1e-3, "weight_decay": 0.05}),
    "RMSprop momentum": ("RMSprop", {"lr": 0.005, "momentum": 0.9}),
    "RMSprop centred": ("RMSprop", {"lr": 0.005, "alpha": 0.95, "eps": 1e-3, "centered": True}),
    "RMSprop, all options": (
        "RMSprop",
        {"lr": 0.005, "alpha": 0.9, "eps": 1.0, "weight_decay": 0.05, "momentum": 0.8, "centered": True},
    ),  # fmt: skip
}


def loss_of(functional, parameters, x, labels):
    """A convolution, a non-linearity and a linear layer; the last parameter stays unused."""
    weight, bias, matrix, offset, _ = parameters
    y = functional.relu(functional.conv2d(x, weight, bias))
    return functional.cross_entropy(functional.linear(y.mean((2, 3)), matrix, offset), labels)


@pytest.mark.parametrize("groups", [False, True], ids=["one group", "two groups"])
@pytest.mark.parametrize("room", ["cpu", "plain"])
@pytest.mark.parametrize("name", OPTIMISERS)
def test_trajectories(name, room, groups, rng):
    """Protects fifty steps on a small problem: the same weights after every one of them, to 1e-10 in float64."""
    algorithm, options = OPTIMISERS[name]
    arrays = [0.5 * rng.standard_normal(shape) for shape in SHAPES]
    ours = [nn.Parameter(a.copy()) for a in arrays]
    theirs = [torch.nn.Parameter(torch.tensor(a)) for a in arrays]

    def grouped(parameters):
        if not groups:
            return parameters
        return [{"params": parameters[:2], "lr": 0.003}, {"params": parameters[2:], "weight_decay": 0.3}]

    optimiser = getattr(optim, algorithm)(grouped(ours), **options)
    their_optimiser = getattr(torch.optim, algorithm)(grouped(theirs), **options)
    with mc.use_room(room):
        for step in range(50):
            x, labels = rng.standard_normal((3, 3, 4, 4)), rng.integers(0, 5, 3)
            optimiser.zero_grad(), their_optimiser.zero_grad()
            loss_of(F, ours, mc.tensor(x), labels).backward()
            loss_of(torch.nn.functional, theirs, torch.tensor(x), torch.tensor(labels)).backward()
            optimiser.step(), their_optimiser.step()
            for i, (p, q) in enumerate(zip(ours, theirs, strict=True)):
                assert_close(p.data, q, f"parameter {i} after step {step}")
    assert not np.array_equal(ours[0].data, arrays[0])


@pytest.mark.parametrize("algorithm", ["SGD", "RMSprop", "AdamW"])
def test_trajectories_without_decay_of_biases_and_norms(algorithm, rng):
    """Protects ``weight_decay_groups``: fifty steps of a small network, with the groups as one writes them in torch."""
    ours = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5)
    ).to("float64")
    layers = torch.nn
    theirs = layers.Sequential(
        layers.Conv2d(3, 4, 3), layers.BatchNorm2d(4), layers.ReLU(), layers.AdaptiveAvgPool2d(1), layers.Flatten(),
        layers.Linear(4, 5),
    ).double()  # fmt: skip
    theirs.load_state_dict({name: torch.tensor(a) for name, a in ours.state_dict().items()}, strict=False)
    options = {"lr": 0.01} | ({} if algorithm == "AdamW" else {"momentum": 0.9})
    optimiser = getattr(optim, algorithm)(optim.weight_decay_groups(ours, 0.3), **options)
    their_optimiser = getattr(torch.optim, algorithm)(
        [
            {"params": [p for p in theirs.parameters() if p.ndim > 1], "weight_decay": 0.3},
            {"params": [p for p in theirs.parameters() if p.ndim == 1], "weight_decay": 0.0},
        ],
        **options,
    )
    for step in range(50):
        x, labels = rng.standard_normal((3, 3, 5, 5)), rng.integers(0, 5, 3)
        optimiser.zero_grad(), their_optimiser.zero_grad()
        F.cross_entropy(ours(mc.tensor(x)), labels).backward()
        torch.nn.functional.cross_entropy(theirs(torch.tensor(x)), torch.tensor(labels)).backward()
        optimiser.step(), their_optimiser.step()
        for (name, p), q in zip(ours.named_parameters(), theirs.parameters(), strict=True):
            if name == "0.bias":  # the norm takes it out: its gradient is rounding
                p.data[...], q.data[...] = 0, 0
            assert_close(p.data, q, f"{name} after step {step}")


def schedules(epochs: int):
    """Name -> (minicnn's, PyTorch's), each a function of an optimiser."""
    theirs = torch.optim.lr_scheduler
    return {
        "steps": (
            lambda o: optim.lr_scheduler.MultiStepLR(o, [3, 7, 8]),
            lambda o: theirs.MultiStepLR(o, [3, 7, 8]),
        ),
        "steps, twice at once, unsorted": (
            lambda o: optim.lr_scheduler.MultiStepLR(o, [9, 4, 4], gamma=0.5),
            lambda o: theirs.MultiStepLR(o, [9, 4, 4], gamma=0.5),
        ),
        "cosine": (
            lambda o: optim.lr_scheduler.CosineAnnealingLR(o, epochs),
            lambda o: theirs.CosineAnnealingLR(o, epochs),
        ),
        "cosine to a tenth": (
            lambda o: optim.lr_scheduler.CosineAnnealingLR(o, epochs, eta_min=0.02),
            lambda o: theirs.CosineAnnealingLR(o, epochs, eta_min=0.02),
        ),
        "every fourth": (
            lambda o: optim.lr_scheduler.StepLR(o, 4, gamma=0.3),
            lambda o: theirs.StepLR(o, 4, gamma=0.3),
        ),
        "exponential": (
            lambda o: optim.lr_scheduler.ExponentialLR(o, 0.94),
            lambda o: theirs.ExponentialLR(o, 0.94),
        ),
        "a line": (
            lambda o: optim.lr_scheduler.PolynomialLR(o, epochs - 3),
            lambda o: theirs.PolynomialLR(o, epochs - 3),
        ),
        "poly": (
            lambda o: optim.lr_scheduler.PolynomialLR(o, epochs, power=0.9),
            lambda o: theirs.PolynomialLR(o, epochs, power=0.9),
        ),
        "lambda": (
            lambda o: optim.lr_scheduler.LambdaLR(o, lambda t: 0.95**t),
            lambda o: theirs.LambdaLR(o, lambda t: 0.95**t),
        ),
        **{
            f"warm-up, {name}": (
                lambda o, ours=ours: optim.lr_scheduler.Warmup(ours(o), 4, start=0.1),
                lambda o, their=their: theirs.SequentialLR(
                    o, [theirs.LinearLR(o, start_factor=0.1, total_iters=4), their(o)], milestones=[4]
                ),
            )
            for name, ours, their in (
                ("steps", lambda o: optim.lr_scheduler.StepLR(o, 3), lambda o: theirs.StepLR(o, 3)),
                ("poly", lambda o: optim.lr_scheduler.PolynomialLR(o, 8, 2), lambda o: theirs.PolynomialLR(o, 8, 2)),
                (
                    "cosine",
                    lambda o: optim.lr_scheduler.CosineAnnealingLR(o, 9, eta_min=0.01),
                    lambda o: theirs.CosineAnnealingLR(o, 9, eta_min=0.01),
                ),
            )
        },
    }


@pytest.mark.parametrize("name", schedules(1))
def test_learning_rates(name):
    """Protects the rate of every epoch, from before the first to after the last."""
    epochs = 12
    ours_of, theirs_of = schedules(epochs)[name]
    optimiser = optim.SGD([nn.Parameter(np.zeros(2))], lr=0.2)
    their_optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(2))], lr=0.2)
    ours, theirs = ours_of(optimiser), theirs_of(their_optimiser)
    for epoch in range(epochs + 1):
        assert ours.get_last_lr() == pytest.approx(theirs.get_last_lr(), rel=1e-12, abs=1e-17), f"epoch {epoch}"
        assert optimiser.param_groups[0]["lr"] == ours.get_last_lr()[0]
        optimiser.step(), their_optimiser.step()
        ours.step(), theirs.step()


def test_plateaus():
    """Protects every option of ReduceLROnPlateau, on drawn metrics with plateaus and NaN, and on tiny rates."""
    lowered = set()

    def test(draw):
        rates = (0.2, draw.of(0.05, 1e-7))
        options = {
            "mode": draw.of("min", "max"),
            "factor": draw.of(0.1, 0.5, 0.93),
            "patience": draw.int(0, 3),
            "threshold": draw.of(1e-4, 0.1, 0.5),
            "threshold_mode": draw.of("rel", "abs"),
            "cooldown": draw.int(0, 3),
            "min_lr": draw.of(0, 0.01, [0.02, 1e-9]),
            "eps": draw.of(1e-8, 1e-3),
        }
        groups = [{"params": [nn.Parameter(np.zeros(1))], "lr": r} for r in rates]
        their_groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": r} for r in rates]
        ours = optim.lr_scheduler.ReduceLROnPlateau(optim.SGD(groups, lr=1.0), **options)
        theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(torch.optim.SGD(their_groups, lr=1.0), **options)
        for step in range(30):
            metric = draw.of(float("nan"), *np.round(draw.rng.standard_normal(3), 1))
            ours.step(metric), theirs.step(metric)
            expected = [group["lr"] for group in theirs.optimizer.param_groups]
            assert ours.get_last_lr() == pytest.approx(expected, rel=1e-12), f"step {step}, {options}"
            assert (ours.best is None or ours.best == theirs.best) and ours.bad_steps == theirs.num_bad_epochs
        lowered.add(ours.get_last_lr() != list(rates))

    drawn(test, 60)
    assert True in lowered, "no rate was ever lowered"


def test_groups_keep_their_ratio():
    """Protects schedules over several groups: each starts from its own rate."""
    ours = optim.SGD([{"params": [nn.Parameter(np.zeros(1))], "lr": r} for r in (0.1, 0.3)], lr=1.0)
    theirs = torch.optim.SGD([{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": r} for r in (0.1, 0.3)], lr=1.0)
    ours_schedule = optim.lr_scheduler.CosineAnnealingLR(ours, 5)
    their_schedule = torch.optim.lr_scheduler.CosineAnnealingLR(theirs, 5)
    for _ in range(4):
        ours.step(), theirs.step(), ours_schedule.step(), their_schedule.step()
        assert ours_schedule.get_last_lr() == pytest.approx(their_schedule.get_last_lr(), rel=1e-12)


def test_running_means(rng):
    """Protects the running means of weights and statistics over twenty updates: torch's AveragedModel."""
    mean = torch.optim.swa_utils.get_ema_multi_avg_fn(0.8)
    theirs = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 3), torch.nn.BatchNorm2d(3)).double()
    ours = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3)).to("float64")
    their_average = torch.optim.swa_utils.AveragedModel(theirs, multi_avg_fn=mean, use_buffers=True)
    our_average = optim.EMA(ours, 0.8, warmup=False)
    for _ in range(20):
        state = {
            k: rng.standard_normal(v.shape) if v.dtype.kind == "f" else v + 1 for k, v in ours.state_dict().items()
        }
        ours.load_state_dict(state)
        theirs.load_state_dict({k: torch.tensor(v) for k, v in state.items()})
        our_average.update(), their_average.update_parameters(theirs)
        for name, value in their_average.module.state_dict().items():
            if value.dtype.is_floating_point:  # torch averages counts, too; ours are copied
                assert_close(our_average.averages[name], value, name)
