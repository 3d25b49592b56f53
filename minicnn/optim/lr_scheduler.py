"""Learning-rate schedules. Nearly each is a formula: the rate after t steps, from the group's starting rate."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from ..errors import ArgumentError
from ..ops import checks
from .optimizer import Optimizer
from .plateau import ReduceLROnPlateau, Warmup
from .schedule import LRScheduler

__all__ = [
    "CosineAnnealingLR", "ExponentialLR", "LRScheduler", "LambdaLR", "MultiStepLR", "PolynomialLR", "ReduceLROnPlateau",
    "StepLR", "Warmup",
]  # fmt: skip


class StepLR(LRScheduler):
    """base gamma^floor(t / step_size): times ``gamma`` every ``step_size`` steps."""

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        self.step_size = checks.whole("StepLR", "step_size", step_size)
        self.gamma = checks.number("StepLR", "gamma", gamma)
        super().__init__(optimizer)

    def rate(self, base: float, t: int) -> float:
        return base * self.gamma ** (t // self.step_size)


class MultiStepLR(LRScheduler):
    """Times ``gamma`` at each of the ``milestones`` (He et al. 2016: /10 at 32k and 48k iterations)."""

    def __init__(self, optimizer: Optimizer, milestones, gamma: float = 0.1) -> None:
        if not isinstance(milestones, Iterable):
            raise ArgumentError(
                f"MultiStepLR: milestones must be a list of steps, such as [30, 60], got {milestones!r}"
            )
        self.milestones = sorted(checks.number("MultiStepLR", "each of milestones", m) for m in milestones)
        self.gamma = checks.number("MultiStepLR", "gamma", gamma)
        super().__init__(optimizer)

    def rate(self, base: float, t: int) -> float:
        return base * self.gamma ** sum(t >= m for m in self.milestones)


class ExponentialLR(LRScheduler):
    """base gamma^t (MobileNetV2's recipe: times 0.98 every epoch; Sandler et al. 2018, section 6.1)."""

    def __init__(self, optimizer: Optimizer, gamma: float) -> None:
        self.gamma = checks.number("ExponentialLR", "gamma", gamma)
        super().__init__(optimizer)

    def rate(self, base: float, t: int) -> float:
        return base * self.gamma**t


class PolynomialLR(LRScheduler):
    """base (1 - t / total_iters)^power, then 0. With power 1 it falls in a straight line (ShuffleNet's recipe: Zhang et
    al. 2018, section 4), with 0.9 it is the "poly" policy of segmentation (Chen et al. 2018, section 4.1).
    """

    def __init__(self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0) -> None:
        self.total_iters = checks.whole("PolynomialLR", "total_iters", total_iters)
        self.power = checks.number("PolynomialLR", "power", power)
        super().__init__(optimizer)

    def rate(self, base: float, t: int) -> float:
        return base * (1 - min(1.0, t / self.total_iters)) ** self.power


class CosineAnnealingLR(LRScheduler):
    """From the starting rate down to ``eta_min`` along half a cosine, then flat (Loshchilov & Hutter 2017, equation 5).

    PyTorch's rises again along the cosine after ``T_max``; this one stays at ``eta_min``.

    Parameters
    ----------
    optimizer : Optimizer
    T_max : int
        Steps in all, warm-up included.
    eta_min : float
        The last rate.
    warmup : int
        First so many steps rise in a straight line from 1 / (warmup + 1) of the starting rate to all of it.
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, warmup: int = 0) -> None:
        self.T_max = checks.whole("CosineAnnealingLR", "T_max", T_max)
        self.warmup = checks.whole("CosineAnnealingLR", "warmup", warmup, least=0)
        if self.warmup >= self.T_max:
            raise ArgumentError(f"CosineAnnealingLR: warmup must be below T_max, got {warmup} and {T_max}")
        self.eta_min = checks.number("CosineAnnealingLR", "eta_min", eta_min)
        super().__init__(optimizer)

    def rate(self, base: float, t: int) -> float:
        if t < self.warmup:
            return base * (t + 1) / (self.warmup + 1)
        progress = min(1.0, (t - self.warmup) / (self.T_max - self.warmup))
        return self.eta_min + (base - self.eta_min) * (1 + math.cos(math.pi * progress)) / 2


class LambdaLR(LRScheduler):
    """base f(t), with a function of your own.

    Parameters
    ----------
    optimizer : Optimizer
    lr_lambda : callable, or list of callables
        f(t) >= 0, for t = 0, 1, ...; a list has one for each group. It is not in the ``state_dict``: a resumed run must
        be given the same one.

    Examples
    --------
    >>> from minicnn import nn, optim
    >>> optimizer = optim.SGD(nn.Linear(4, 2).parameters(), lr=1.0)
    >>> schedule = optim.lr_scheduler.LambdaLR(optimizer, lambda t: 1 / (1 + t))
    >>> schedule.step()
    >>> schedule.get_last_lr()
    [0.5]
    """

    def __init__(self, optimizer: Optimizer, lr_lambda: Callable[[int], float] | list) -> None:
        several = isinstance(lr_lambda, (list, tuple))
        groups = len(optimizer.param_groups) if isinstance(optimizer, Optimizer) else 1
        self.lr_lambdas = list(lr_lambda) if several else [lr_lambda] * groups
        if not all(callable(f) for f in self.lr_lambdas):
            raise ArgumentError(f"LambdaLR: lr_lambda must be a function of the step, got {lr_lambda!r}")
        if len(self.lr_lambdas) != groups:
            raise ArgumentError(f"LambdaLR: {len(self.lr_lambdas)} functions were given for {groups} groups")
        super().__init__(optimizer)

    def rates(self) -> list[float]:
        factors = [checks.number("LambdaLR", f"lr_lambda({self.t})", f(self.t)) for f in self.lr_lambdas]
        return [base * factor for base, factor in zip(self.base_lrs, factors)]
