"""Learning-rate schedules, without PyTorch: worked rates, warm-up, resuming, and what mistakes are told."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from mistakes import case, complaint

import minicnn as mc
from minicnn import nn, optim
from minicnn.errors import UnfinishedError
from minicnn.optim import lr_scheduler as lrs


def optimizer(*rates: float) -> optim.SGD:
    """One group for each starting rate."""
    return optim.SGD([{"params": [nn.Parameter(np.zeros(1))], "lr": rate} for rate in rates or (1.0,)], lr=1.0)


def followed(schedule: lrs.LRScheduler, steps: int, metrics=None) -> list[float]:
    """The first group's rate before each step."""
    rates = []
    for step in range(steps):
        rates.append(schedule.optimizer.param_groups[0]["lr"])
        schedule.step(*([] if metrics is None else [metrics[step]]))
    return rates


BY_HAND = {
    "StepLR": (lambda o: lrs.StepLR(o, 2), [1, 1, 0.1, 0.1, 0.01]),
    "MultiStepLR": (lambda o: lrs.MultiStepLR(o, [1, 3], gamma=0.5), [1, 0.5, 0.5, 0.25, 0.25]),
    "ExponentialLR": (lambda o: lrs.ExponentialLR(o, 0.5), [1, 0.5, 0.25, 0.125]),
    "PolynomialLR, a line": (lambda o: lrs.PolynomialLR(o, 4), [1, 0.75, 0.5, 0.25, 0, 0]),
    "PolynomialLR, squared": (lambda o: lrs.PolynomialLR(o, 4, power=2), [1, 9 / 16, 1 / 4, 1 / 16, 0, 0]),
    "CosineAnnealingLR": (lambda o: lrs.CosineAnnealingLR(o, 4, eta_min=0.2),
                          [1, 0.6 + 0.4 * math.sqrt(0.5), 0.6, 0.6 - 0.4 * math.sqrt(0.5), 0.2, 0.2, 0.2]),
    "LambdaLR": (lambda o: lrs.LambdaLR(o, lambda t: 1 / (1 + t)), [1, 1 / 2, 1 / 3, 1 / 4]),
    "Warmup": (lambda o: lrs.Warmup(lrs.StepLR(o, 2), 3), [0.25, 0.5, 0.75, 1, 1, 0.1, 0.1, 0.01]),
    "Warmup from a tenth": (lambda o: lrs.Warmup(lrs.ExponentialLR(o, 0.5), 2, start=0.1), [0.1, 0.55, 1, 0.5, 0.25]),
    "Warmup to a first rate of 1/2": (lambda o: lrs.Warmup(lrs.LambdaLR(o, lambda t: 0.5), 1), [0.25, 0.5, 0.5]),
    "Warmup twice": (lambda o: lrs.Warmup(lrs.Warmup(lrs.StepLR(o, 9), 1), 1), [0.25, 0.5, 1, 1]),
}  # fmt: skip


@pytest.mark.parametrize("name", BY_HAND)
def test_rates_by_hand(name):
    """From before the first step to beyond the last; a second group of a tenth the rate gets a tenth."""
    make, expected = BY_HAND[name]
    schedule = make(optimizer(1.0))
    np.testing.assert_allclose(followed(schedule, len(expected)), expected, atol=1e-15)
    if "Cosine" not in name:  # whose eta_min is the same for all groups
        schedule = make(optimizer(1.0, 0.1))
        for rate in expected:
            np.testing.assert_allclose(schedule.get_last_lr(), [rate, rate / 10], atol=1e-15)
            schedule.step()


def test_lambdas_for_each_group():
    schedule = lrs.LambdaLR(optimizer(1.0, 2.0), [lambda t: 1, lambda t: 0.5**t])
    schedule.step()
    assert schedule.get_last_lr() == [1.0, 1.0]


def test_warmup_is_what_cosine_has_built_in():
    """Two ways to say one thing: the straight line starts at 1 / (steps + 1) in both."""
    inside = followed(lrs.CosineAnnealingLR(optimizer(0.3), 12, eta_min=0.01, warmup=4), 15)
    around = followed(lrs.Warmup(lrs.CosineAnnealingLR(optimizer(0.3), 8, eta_min=0.01), 4), 15)
    np.testing.assert_allclose(around, inside, rtol=1e-14)


PLATEAUS = {
    # metrics, options, the rate before each step and after the last
    "patience": ([3, 2, 2, 2, 2, 2], {"patience": 1}, [1, 1, 1, 1, 0.5, 0.5, 0.25]),
    "no patience": ([3, 3, 2, 2], {"patience": 0}, [1, 1, 0.5, 0.5, 0.25]),
    "larger is better": ([1, 2, 3, 2], {"patience": 0, "mode": "max"}, [1, 1, 1, 1, 0.5]),
    "a share of the best": ([10, 9.5, 8], {"patience": 0, "threshold": 0.1}, [1, 1, 0.5, 0.5]),
    "so much of it": ([10, 9.5, 9], {"patience": 0, "threshold": 0.7, "threshold_mode": "abs"}, [1, 1, 0.5, 0.5]),
    "cooldown": ([1, 1, 1, 1, 1], {"patience": 0, "cooldown": 2}, [1, 1, 0.5, 0.5, 0.5, 0.25]),
    "floor": ([1, 1, 1, 1], {"patience": 0, "min_lr": 0.4}, [1, 1, 0.5, 0.4, 0.4]),
    "smallest change": ([1, 1, 1, 1], {"patience": 0, "eps": 0.3}, [1, 1, 0.5, 0.5, 0.5]),
    "NaN is no improvement": ([1, math.nan, math.nan], {"patience": 0}, [1, 1, 0.5, 0.25]),
    "nor is infinity": ([1, -math.inf, 0.5], {"patience": 0}, [1, 1, 0.5, 0.5]),
}


@pytest.mark.parametrize("name", PLATEAUS)
def test_plateaus_by_hand(name):
    metrics, options, expected = PLATEAUS[name]
    schedule = lrs.ReduceLROnPlateau(optimizer(), factor=0.5, **options)
    assert followed(schedule, len(metrics), metrics) + schedule.get_last_lr() == pytest.approx(expected)


def test_plateau_floors_of_the_groups():
    schedule = lrs.ReduceLROnPlateau(optimizer(1.0, 1.0), patience=0, factor=0.5, min_lr=[0.0, 0.8])
    schedule.step(1.0), schedule.step(1.0)
    assert schedule.get_last_lr() == [0.5, 0.8]


def test_plateau_after_a_warmup():
    """The metrics of the warm-up do not count: they get better or worse for other reasons."""
    schedule = lrs.Warmup(lrs.ReduceLROnPlateau(optimizer(), patience=0, factor=0.5), 3)
    rates = followed(schedule, 6, [1, 1, 1, 5, 5, 4])
    assert rates == pytest.approx([0.25, 0.5, 0.75, 1, 1, 0.5])


RESUMED = {
    **{name: make for name, (make, _) in BY_HAND.items()},
    "CosineAnnealingLR with a warm-up": lambda o: lrs.CosineAnnealingLR(o, 9, eta_min=0.03, warmup=3),
    "ReduceLROnPlateau": lambda o: lrs.ReduceLROnPlateau(o, patience=1, cooldown=1, factor=0.7),
    "Warmup of ReduceLROnPlateau": lambda o: lrs.Warmup(lrs.ReduceLROnPlateau(o, patience=0, factor=0.7), 4),
}


@pytest.mark.parametrize("cut", [0, 1, 2, 5, 8])
@pytest.mark.parametrize("name", RESUMED)
def test_resuming(name, cut):
    """Cut off anywhere and saved as JSON, the same rates follow, bit by bit, in a new process: a new optimiser, whose
    rate is the saved one (as optimizer.load_state_dict leaves it) or that of the command line."""
    metrics = [2, 1, 1.5, 1.5, 1, 1, 1, 0.9, 0.9, 0.9, 0.9, 0.95, 1, 1] if "Plateau" in name else None
    whole = followed(RESUMED[name](optimizer(0.3)), 14, metrics)
    first = RESUMED[name](optimizer(0.3))
    assert followed(first, cut, metrics) == whole[:cut]
    saved = json.dumps(first.state_dict(), allow_nan=False)
    for rate in (first.get_last_lr()[0], 0.3):
        second = RESUMED[name](optimizer(rate))
        second.load_state_dict(json.loads(saved))
        assert followed(second, 14 - cut, metrics and metrics[cut:]) == whole[cut:]
    assert json.dumps(first.state_dict()) == saved, "the state that was saved went on changing"


def test_resuming_a_training():
    """Optimiser and schedule together, loaded in either order: the same weights as without the break."""

    def build():
        p = nn.Parameter(np.zeros(3))
        o = optim.RMSprop([p], lr=0.1, momentum=0.9, centered=True)
        return p, o, lrs.Warmup(lrs.StepLR(o, 2), 2)

    def train(p, o, schedule, steps):
        for _ in range(steps):
            p.grad = p.data - 3
            o.step(), schedule.step()

    whole = build()
    train(*whole, 9)
    first = build()
    train(*first, 4)
    for schedule_first in (False, True):
        p, o, schedule = build()
        p.data = first[0].data.copy()
        pairs = [(o, first[1]), (schedule, first[2])]
        for new, old in reversed(pairs) if schedule_first else pairs:
            new.load_state_dict(old.state_dict())
        train(p, o, schedule, 5)
        np.testing.assert_array_equal(p.data, whole[0].data)


def test_failed_load_changes_nothing():
    """Also where the part at fault is the last to be looked at."""
    schedule = lrs.Warmup(lrs.ReduceLROnPlateau(optimizer(), patience=0), 1)
    before = json.dumps(schedule.state_dict())
    other = json.loads(before)
    other["t"], other["of"]["best"] = 7, "good"
    complaint(lambda: schedule.load_state_dict(other), mc.ArgumentError, ("best", "'good'"))
    assert json.dumps(schedule.state_dict()) == before


A, F = mc.ArgumentError, mc.FileError


def loaded(schedule, /, **changed):
    schedule.load_state_dict({**schedule.state_dict(), **changed})


MISTAKES = [
    case("step size 0", lambda: lrs.StepLR(optimizer(), 0), A, "StepLR", "step_size", ">= 1", "0"),
    case("step size 2.5", lambda: lrs.StepLR(optimizer(), 2.5), A, "step_size", "whole number", "2.5"),
    case("gamma -1", lambda: lrs.ExponentialLR(optimizer(), -1), A, "ExponentialLR", "gamma", ">= 0", "-1"),
    case("gamma True", lambda: lrs.StepLR(optimizer(), 3, gamma=True), A, "gamma", "True"),
    case("milestones of text", lambda: lrs.MultiStepLR(optimizer(), "39"), A, "milestones", "'3'"),
    case("no iterations", lambda: lrs.PolynomialLR(optimizer(), 0), A, "total_iters", ">= 1", "0"),
    case("power NaN", lambda: lrs.PolynomialLR(optimizer(), 3, math.nan), A, "power", "nan"),
    case("T_max 2.5", lambda: lrs.CosineAnnealingLR(optimizer(), 2.5), A, "T_max", "whole number", "2.5"),
    case("warmup True", lambda: lrs.CosineAnnealingLR(optimizer(), 5, warmup=True), A, "warmup", "True"),
    case("lambda a number", lambda: lrs.LambdaLR(optimizer(), 0.1), A, "function of the step", "0.1"),
    case("two lambdas for one", lambda: lrs.LambdaLR(optimizer(), [abs, abs]), A, "2 functions", "1 groups"),
    case("lambda below 0", lambda: lrs.LambdaLR(optimizer(), lambda t: -1), A, "lr_lambda(0)", ">= 0", "-1"),
    case("lambda of a model", lambda: lrs.LambdaLR(nn.ReLU(), abs), A, "LambdaLR", "optimiser", "ReLU"),
    case("warm-up of an optimiser", lambda: lrs.Warmup(optimizer(), 5), A, "schedule first", "SGD", "StepLR"),
    case("warm-up of 0", lambda: lrs.Warmup(lrs.StepLR(optimizer(), 3), 0), A, "steps", ">= 1", "0"),
    case("warm-up from 2", lambda: lrs.Warmup(lrs.StepLR(optimizer(), 3), 5, 2), A, "start", "from 0 to 1", "2"),
    case("plateau of a model", lambda: lrs.ReduceLROnPlateau(nn.ReLU()), A, "optimiser", "ReLU"),
    case("mode", lambda: lrs.ReduceLROnPlateau(optimizer(), "minimum"), A, "'minimum'", "did you mean min?"),
    case("threshold mode", lambda: lrs.ReduceLROnPlateau(optimizer(), threshold_mode="x"), A, "'x'", "abs, rel"),
    case("factor 1", lambda: lrs.ReduceLROnPlateau(optimizer(), factor=1), A, "factor", "below 1", "got 1"),
    case("patience 2.5", lambda: lrs.ReduceLROnPlateau(optimizer(), patience=2.5), A, "patience", "whole", "2.5"),
    case("two floors", lambda: lrs.ReduceLROnPlateau(optimizer(), min_lr=[0, 0]), A, "min_lr", "2 rates for 1 groups"),
    case("floor -1", lambda: lrs.ReduceLROnPlateau(optimizer(), min_lr=-1), A, "min_lr", ">= 0", "-1"),
    case("no metric", lambda: lrs.ReduceLROnPlateau(optimizer()).step(), A, "metric", "schedule.step(validation_loss)"),
    case("metric of text", lambda: lrs.ReduceLROnPlateau(optimizer()).step("low"), A, "metric", "'low'"),
    case("no rate", lambda: lrs.LRScheduler(optimizer()), UnfinishedError, "rate(self, base, t)"),
    case("state of nothing", lambda: lrs.StepLR(optimizer(), 3).load_state_dict({}), F, "StepLR", "t, base_lrs"),
    case("state of another", lambda: loaded(lrs.StepLR(optimizer(), 3), schedule="LambdaLR"), F, "LambdaLR", "StepLR"),
    case("state of two groups", lambda: loaded(lrs.StepLR(optimizer(), 3), base_lrs=[1, 2]), F, "1 groups", "[1, 2]"),
    case("t of -1", lambda: loaded(lrs.StepLR(optimizer(), 3), t=-1), A, "t must", ">= 0", "-1"),
    case("rates of text", lambda: loaded(lrs.ReduceLROnPlateau(optimizer()), lrs=["1"]), A, "lrs", "'1'"),
]


@pytest.mark.parametrize("call, error, says", MISTAKES)
def test_mistakes(call, error, says):
    """Said when the schedule is made or loaded, not in the epoch in which it first matters."""
    complaint(call, error, says)
