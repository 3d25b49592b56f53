"""What all learning-rate schedules share: setting the rates, saving where they are."""

from __future__ import annotations

from ..errors import ArgumentError, FileError, UnfinishedError
from ..ops import checks
from .optimizer import Optimizer


class LRScheduler:
    """Base: ``step()`` after each epoch (or batch, if the schedule counts those) sets every group's rate.

    The rate is ``rate(base, t)``, a function of the starting rate and of the number of steps so far: no rounding piles
    up, and a resumed run needs only t. Make the schedule before the first step: the rates that it finds in the
    optimiser are the starting rates.

    Attributes
    ----------
    metric : str or None
        "loss" or "accuracy" if ``step`` must be given that of the validation images, once an epoch.
    """

    metric: str | None = None

    def __init__(self, optimizer: Optimizer) -> None:
        if not isinstance(optimizer, Optimizer):
            raise ArgumentError(f"{type(self).__name__} takes an optimiser first, got {type(optimizer).__name__}")
        self.optimizer, self.t = optimizer, 0
        self.base_lrs = [float(group["lr"]) for group in optimizer.param_groups]
        self._set()

    def rate(self, base: float, t: int) -> float:
        """The rate after ``t`` steps of a group that started with ``base``."""
        raise UnfinishedError(f"{type(self).__name__} needs a rate(self, base, t)")

    def rates(self) -> list[float]:
        """What the schedule asks for now, one rate per group."""
        return [self.rate(base, self.t) for base in self.base_lrs]

    def step(self) -> None:
        self.t += 1
        self._set()

    def get_last_lr(self) -> list[float]:
        """The rates in force, one per group."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def _set(self) -> None:
        for group, rate in zip(self.optimizer.param_groups, self.rates()):
            group["lr"] = rate

    def state_dict(self) -> dict:
        """Where the schedule is: numbers and names only, so that JSON can hold it. Its options are not in it."""
        return {"schedule": type(self).__name__, "t": self.t, "base_lrs": list(self.base_lrs)}

    def load_state_dict(self, saved: dict) -> None:
        """Go on from a ``state_dict``: the same rates from here on, also where the optimiser's were changed since."""
        self._check_saved(saved)
        self._load(saved)
        self._set()

    def _load(self, saved: dict) -> None:
        self.base_lrs, self.t = list(saved["base_lrs"]), saved["t"]

    def _check_saved(self, saved: dict) -> None:
        """All that can be wrong is found before anything is changed."""
        name, wanted = type(self).__name__, self.state_dict().keys()
        if not isinstance(saved, dict) or not wanted <= saved.keys():
            raise FileError(f"{name}.load_state_dict takes what its state_dict() gave: {', '.join(wanted)}")
        if saved["schedule"] != name:
            raise FileError(f"the saved schedule is a {saved['schedule']}, this one is a {name}")
        checks.whole(name, "t", saved["t"], least=0)
        self._check_rates("base_lrs", saved["base_lrs"])

    def _check_rates(self, what: str, rates: list) -> None:
        name, groups = type(self).__name__, len(self.base_lrs)
        if not isinstance(rates, list) or len(rates) != groups:
            raise FileError(f"{name}: {what} must be a list of rates, one for each of {groups} groups, got {rates!r}")
        for rate in rates:
            checks.number(name, f"each of {what}", rate)
