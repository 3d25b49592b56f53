"""The schedules that are no formula of the step: one looks at results, one wraps another."""

from __future__ import annotations

import math

from ..errors import ArgumentError, suggest
from ..ops import checks
from .optimizer import Optimizer
from .schedule import LRScheduler


class ReduceLROnPlateau(LRScheduler):
    """Times ``factor`` when a metric has stopped improving, as PyTorch's (AlexNet's rule: Krizhevsky et al. 2012,
    section 5, divided by 10 when the validation error stopped improving).

    Parameters
    ----------
    optimizer : Optimizer
    mode : {"min", "max"}
        What is better: a smaller metric (a loss) or a larger one (an accuracy).
    factor : float
        Below 1.
    patience : int
        So many steps without improvement are borne; the next one lowers the rate.
    threshold, threshold_mode : float, {"rel", "abs"}
        An improvement beats the best so far by this share of it ("rel"), or by this much ("abs").
    cooldown : int
        After lowering, so many steps do not count as bad.
    min_lr : float or list of float
        No group's rate falls below its own; a list has one per group.
    eps : float
        Changes no larger than this are not made.

    Examples
    --------
    >>> from minicnn import nn, optim
    >>> optimizer = optim.SGD(nn.Linear(4, 2).parameters(), lr=1.0)
    >>> schedule = optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=1)
    >>> for validation_loss in (2.0, 1.5, 1.5, 1.6):
    ...     schedule.step(validation_loss)
    >>> schedule.get_last_lr()
    [0.1]
    """

    def __init__(
        self, optimizer: Optimizer, mode: str = "min", factor: float = 0.1, patience: int = 10,
        threshold: float = 1e-4, threshold_mode: str = "rel", cooldown: int = 0, min_lr: float | list = 0,
        eps: float = 1e-8,
    ) -> None:  # fmt: skip
        name = type(self).__name__
        for value, known in ((mode, ("min", "max")), (threshold_mode, ("rel", "abs"))):
            if value not in known:
                raise ArgumentError(f"{name}: unknown mode {value!r}; {suggest(value, known)}")
        if checks.number(name, "factor", factor) >= 1:
            raise ArgumentError(f"{name}: factor must be below 1, such as 0.1, got {factor!r}")
        self.mode, self.factor, self.threshold_mode = mode, factor, threshold_mode
        self.patience = checks.whole(name, "patience", patience, least=0)
        self.cooldown = checks.whole(name, "cooldown", cooldown, least=0)
        self.threshold, self.eps = checks.number(name, "threshold", threshold), checks.number(name, "eps", eps)
        self.best: float | None = None  # none yet; not infinity, which JSON does not know
        self.bad_steps, self.cooling = 0, 0
        self.lrs = [float(g["lr"]) for g in optimizer.param_groups] if isinstance(optimizer, Optimizer) else []
        super().__init__(optimizer)
        least = list(min_lr) if isinstance(min_lr, (list, tuple)) else [min_lr] * len(self.lrs)
        if len(least) != len(self.lrs):
            raise ArgumentError(f"{name}: min_lr has {len(least)} rates for {len(self.lrs)} groups, got {min_lr!r}")
        self.min_lrs = [checks.number(name, "min_lr", rate) for rate in least]

    @property
    def metric(self) -> str:
        return "loss" if self.mode == "min" else "accuracy"

    def rates(self) -> list[float]:
        return self.lrs

    def step(self, metric: float | None = None) -> None:
        """Look at the newest value of the metric. NaN is no improvement, nor is infinity."""
        if metric is None:
            raise ArgumentError("ReduceLROnPlateau.step takes the metric, such as schedule.step(validation_loss)")
        try:
            metric = float(metric)
        except (TypeError, ValueError) as error:
            raise ArgumentError(f"ReduceLROnPlateau.step takes the metric, a number; got {metric!r}") from error
        if math.isfinite(metric) and self._is_better(metric):
            self.best, self.bad_steps = metric, 0
        else:
            self.bad_steps += 1
        if self.cooling:
            self.cooling -= 1
            self.bad_steps = 0
        if self.bad_steps > self.patience:
            lower = [max(rate * self.factor, least) for rate, least in zip(self.lrs, self.min_lrs)]
            self.lrs = [new if old - new > self.eps else old for old, new in zip(self.lrs, lower)]
            self.bad_steps, self.cooling = 0, self.cooldown
        super().step()

    def _is_better(self, metric: float) -> bool:
        sign = 1 if self.mode == "max" else -1
        if self.best is None:
            return True
        to_beat = self.best + sign * self.threshold
        if self.threshold_mode == "rel":
            to_beat = self.best * (1 + sign * self.threshold)
        return sign * metric > sign * to_beat

    def state_dict(self) -> dict:
        counted = {"best": self.best, "bad_steps": self.bad_steps, "cooling": self.cooling}
        return {**super().state_dict(), "lrs": list(self.lrs), **counted}

    def _check_saved(self, saved: dict) -> None:
        super()._check_saved(saved)
        self._check_rates("lrs", saved["lrs"])
        for count in ("bad_steps", "cooling"):
            checks.whole(type(self).__name__, count, saved[count], least=0)
        if saved["best"] is not None:
            checks.number(type(self).__name__, "best", saved["best"], low=-math.inf)

    def _load(self, saved: dict) -> None:
        super()._load(saved)
        self.lrs, self.best = list(saved["lrs"]), saved["best"]
        self.bad_steps, self.cooling = saved["bad_steps"], saved["cooling"]


class Warmup(LRScheduler):
    """Any schedule, after ``steps`` steps that rise in a straight line to its first rate (Goyal et al. 2017, section
    2.2, "gradual warmup": large steps from random weights may diverge).

    Step this one only; it steps the other. The schedule's own count begins when the warm-up is over.

    Parameters
    ----------
    schedule : LRScheduler
    steps : int
        Steps until the schedule's first rate is reached.
    start : float, optional
        The first rate as a share of that; 1 / (steps + 1) if not given, as by CosineAnnealingLR's ``warmup``.

    Examples
    --------
    >>> from minicnn import nn, optim
    >>> optimizer = optim.SGD(nn.Linear(4, 2).parameters(), lr=1.0)
    >>> schedule = optim.lr_scheduler.Warmup(optim.lr_scheduler.ExponentialLR(optimizer, 0.5), steps=3)
    >>> rates = []
    >>> for epoch in range(6):
    ...     rates += schedule.get_last_lr()
    ...     schedule.step()
    >>> rates
    [0.25, 0.5, 0.75, 1.0, 0.5, 0.25]
    """

    def __init__(self, schedule: LRScheduler, steps: int, start: float | None = None) -> None:
        if not isinstance(schedule, LRScheduler):
            raise ArgumentError(
                f"Warmup takes a schedule first, got {type(schedule).__name__}; "
                "write, for example, Warmup(StepLR(optimizer, 30), steps=5)"
            )
        self.schedule, self.steps = schedule, checks.whole("Warmup", "steps", steps)
        self.start = 1 / (self.steps + 1) if start is None else checks.number("Warmup", "start", start, high=1)
        super().__init__(schedule.optimizer)

    @property
    def metric(self) -> str | None:
        return self.schedule.metric

    def rates(self) -> list[float]:
        if self.t >= self.steps:
            return self.schedule.rates()
        share = self.start + (1 - self.start) * self.t / self.steps
        return [share * rate for rate in self.schedule.rates()]

    def step(self, *metric) -> None:
        """A metric goes to the schedule, which sees none of those during the warm-up."""
        if self.t >= self.steps:
            self.schedule.step(*metric)
        super().step()

    def state_dict(self) -> dict:
        return {**super().state_dict(), "of": self.schedule.state_dict()}

    def _check_saved(self, saved: dict) -> None:
        super()._check_saved(saved)
        self.schedule._check_saved(saved["of"])

    def _load(self, saved: dict) -> None:
        super()._load(saved)
        self.schedule._load(saved["of"])
