"""Learning-rate schedules. Each is a formula: the rate after t steps, from the group's starting rate."""

from __future__ import annotations

import math
from collections.abc import Iterable

from ..errors import ArgumentError, UnfinishedError
from ..ops import checks
from .optimizer import Optimizer


class LRScheduler:
    """Base: ``step()`` after each epoch (or batch, if the schedule counts those) sets every group's rate.

    The rate is ``rate(base, t)``, a function of the starting rate and of the number of steps so far: no rounding piles
    up, and a resumed run needs only t.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        if not isinstance(optimizer, Optimizer):
            raise ArgumentError(f"{type(self).__name__} takes an optimiser first, got {type(optimizer).__name__}")
        self.optimizer, self.t = optimizer, 0
        self.base_lrs = [group["lr"] for group in optimizer.param_groups]
        self._set()

    def rate(self, base: float, t: int) -> float:
        raise UnfinishedError(f"{type(self).__name__} needs a rate(self, base, t)")

    def step(self) -> None:
        self.t += 1
        self._set()

    def state_dict(self) -> dict:
        """The step number and the starting rates: all there is to go on from."""
        return {"t": self.t, "base_lrs": list(self.base_lrs)}

    def load_state_dict(self, saved: dict) -> None:
        """Go on from a ``state_dict``."""
        self.t, self.base_lrs = saved["t"], list(saved["base_lrs"])
        self._set()

    def get_last_lr(self) -> list[float]:
        """The rates in force, one per group."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def _set(self) -> None:
        for group, base in zip(self.optimizer.param_groups, self.base_lrs):
            group["lr"] = self.rate(base, self.t)


class MultiStepLR(LRScheduler):
    """Times ``gamma`` at each of the ``milestones`` (He et al. 2016: /10 at 32k and 48k iterations)."""

    def __init__(self, optimizer: Optimizer, milestones, gamma: float = 0.1) -> None:
        if not isinstance(milestones, Iterable):
            raise ArgumentError(
                f"MultiStepLR: milestones must be a list of steps, such as [30, 60], got {milestones!r}"
            )
        self.milestones, self.gamma = sorted(milestones), checks.number("MultiStepLR", "gamma", gamma)
        super().__init__(optimizer)

    def rate(self, base: float, t: int) -> float:
        return base * self.gamma ** sum(t >= m for m in self.milestones)


class CosineAnnealingLR(LRScheduler):
    """From the starting rate down to ``eta_min`` along half a cosine, then flat (Loshchilov & Hutter 2017, equation 5).

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
        if T_max < 1 or not 0 <= warmup < T_max:
            raise ArgumentError(f"CosineAnnealingLR: T_max must be >= 1 and warmup below it, got {T_max} and {warmup}")
        self.T_max, self.eta_min, self.warmup = T_max, checks.number("CosineAnnealingLR", "eta_min", eta_min), warmup
        super().__init__(optimizer)

    def rate(self, base: float, t: int) -> float:
        if t < self.warmup:
            return base * (t + 1) / (self.warmup + 1)
        progress = min(1.0, (t - self.warmup) / (self.T_max - self.warmup))
        return self.eta_min + (base - self.eta_min) * (1 + math.cos(math.pi * progress)) / 2
