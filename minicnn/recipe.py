"""Recipe: how to train, as one list of options; ``minicnn train`` has the same ones on its command line."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

from . import optim
from .data.augmentation import AUGMENTATIONS
from .errors import ArgumentError, suggest
from .nn import Module
from .ops import checks
from .optim import Optimizer, lr_scheduler
from .optim.lr_scheduler import LRScheduler

#: name -> optimiser, and what it uses where the recipe says nothing
OPTIMIZERS = {
    "sgd": (optim.SGD, {"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-4}),
    "adam": (optim.Adam, {"lr": 1e-3, "weight_decay": 0.0}),
    "adamw": (optim.AdamW, {"lr": 1e-3, "weight_decay": 1e-2}),
    "rmsprop": (optim.RMSprop, {"lr": 1e-2, "momentum": 0.0, "weight_decay": 0.0, "alpha": 0.99, "eps": 1e-8}),
}
SCHEDULES = ("constant", "cosine", "exponential", "multistep", "plateau", "poly", "step")
DECAYING = ("all", "weights", "no-depthwise")
#: option -> what must be chosen for it to mean anything
NEEDS = {
    "momentum": ("optimizer", ("sgd", "rmsprop")),
    "nesterov": ("optimizer", ("sgd",)),
    "alpha": ("optimizer", ("rmsprop",)),
    "eps": ("optimizer", ("rmsprop",)),
    "eps_inside": ("optimizer", ("rmsprop",)),
    "milestones": ("schedule", ("multistep",)),
    "step_size": ("schedule", ("step",)),
    "gamma": ("schedule", ("exponential", "multistep", "plateau", "step")),
    "power": ("schedule", ("poly",)),
    "patience": ("schedule", ("plateau",)),
}


def _option(default, help: str, choices: tuple[str, ...] | None = None):
    return dataclasses.field(default=default, metadata={"help": help, "choices": choices})


@dataclass(frozen=True)
class Recipe:
    """How to train. Options that are None take what is usual for the chosen optimiser and schedule.

    Raises
    ------
    ArgumentError
        For a value that makes no sense, or an option that the chosen optimiser or schedule does not have.

    Examples
    --------
    >>> Recipe(schedule="multistep", milestones=(82, 123), epochs=164).schedule
    'multistep'
    """

    epochs: int = _option(20, "Passes over the training images.")
    batch_size: int = _option(64, "Images of a batch.")
    optimizer: str = _option("sgd", "What turns gradients into updates.", tuple(OPTIMIZERS))
    lr: float | None = _option(None, "Peak learning rate; default: 0.1 for sgd, 0.001 for adam, adamw, 0.01 rmsprop.")
    momentum: float | None = _option(None, "Of sgd (default 0.9) and rmsprop (0).")
    nesterov: bool = _option(False, "Nesterov's momentum, for sgd.")
    alpha: float | None = _option(None, "Of rmsprop: decay of the mean square; default 0.99.")
    eps: float | None = _option(None, "Of rmsprop: added to the root of the mean square; default 1e-8.")
    eps_inside: bool = _option(False, "Of rmsprop: added inside the root, as TensorFlow does.")
    weight_decay: float | None = _option(None, "Default: 0.0001 for sgd, 0.01 for adamw, else 0.")
    decay: str = _option("all", "What decays: all; weights, not biases and norms; nor depthwise filters.", DECAYING)
    schedule: str = _option("cosine", "How the learning rate falls.", SCHEDULES)
    warmup: float | None = _option(None, "Epochs of rising rate first; default 1, at most a tenth of all; plateau: 0.")
    milestones: tuple[float, ...] | None = _option(None, "Epochs of multistep, 80,120; default: 1/2 and 3/4 of all.")
    step_size: float | None = _option(None, "Epochs of a step of the schedule step; default: a third of all.")
    gamma: float | None = _option(None, "Factor: exponential 0.98 an epoch; multistep, step, plateau 0.1.")
    power: float | None = _option(None, "Of poly: 1 (default) is a straight line to 0.")
    patience: int | None = _option(None, "Epochs that plateau waits for a better validation accuracy; default 5.")
    label_smoothing: float = _option(0.0, "Share of the target spread over all classes.")
    mixup: float | None = _option(None, "Train on weighted means of two images; 0.2 is usual, 1 mixes more.")
    ema: float | None = _option(None, "Validate and keep running means of the weights; 0.999 is usual.")
    clip_norm: float | None = _option(None, "Clip the gradients to this length before each update.")
    accumulate: int = _option(1, "Batches whose mean gradient makes one update.")
    augment: str | None = _option(
        None, "Of training images; default: shift-flip, for digits shift.", tuple(AUGMENTATIONS)
    )

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "accumulate"):
            checks.whole("Recipe", name, getattr(self, name))
        for field in dataclasses.fields(self):
            value, choices = getattr(self, field.name), field.metadata["choices"]
            if choices and value is not None and value not in choices:
                raise ArgumentError(f"Recipe: {field.name} cannot be {value!r}; {suggest(value, choices)}")
            chosen, wanted = NEEDS.get(field.name, (None, ()))
            if chosen and value not in (None, False) and getattr(self, chosen) not in wanted:
                raise ArgumentError(
                    f"Recipe: {field.name} belongs to the {chosen} {' or '.join(wanted)}, not to "
                    f"{getattr(self, chosen)}, which has no use for it"
                )
        if self.warmup is not None and checks.number("Recipe", "warmup", self.warmup) >= self.epochs:
            raise ArgumentError(f"Recipe: warmup must be shorter than the training, {self.epochs} epochs")
        for milestone in self.milestones or ():
            checks.number("Recipe", "milestones (each of them)", milestone)
        for name in ("step_size", "gamma", "power"):
            if getattr(self, name) is not None and checks.number("Recipe", name, getattr(self, name)) == 0:
                raise ArgumentError(f"Recipe: {name} must be > 0")

    def build_optimizer(self, model: Module) -> Optimizer:
        """The optimiser for a model's parameters."""
        make, usual = OPTIMIZERS[self.optimizer]
        options = {k: v if getattr(self, k) is None else getattr(self, k) for k, v in usual.items()}
        options |= {flag: True for flag in ("nesterov", "eps_inside") if getattr(self, flag)}
        if self.decay == "all":
            return make(model.parameters(), **options)
        return make(optim.weight_decay_groups(model, options.pop("weight_decay"), self.decay == "weights"), **options)

    def build_schedule(self, optimizer: Optimizer, updates: int) -> LRScheduler:
        """The learning rate's schedule, for so many updates per epoch; plateau's is stepped once an epoch."""
        total, by_epoch = self.epochs * updates, self.schedule == "plateau"
        if self.warmup is None:
            first = 0 if by_epoch else min(updates, total // 10)
        else:
            first = math.ceil(self.warmup) if by_epoch else round(self.warmup * updates)
        gamma = self.gamma if self.gamma is not None else 0.98 if self.schedule == "exponential" else 0.1
        left = max(1, total - first)
        if self.schedule == "cosine":
            return lr_scheduler.CosineAnnealingLR(optimizer, T_max=total, warmup=first)
        if self.schedule == "plateau":
            patience = 5 if self.patience is None else self.patience
            schedule = lr_scheduler.ReduceLROnPlateau(optimizer, mode="max", factor=gamma, patience=patience)
        elif self.schedule == "multistep":
            epochs = (self.epochs / 2, self.epochs * 3 / 4) if self.milestones is None else self.milestones
            schedule = lr_scheduler.MultiStepLR(optimizer, [max(0, round(e * updates) - first) for e in epochs], gamma)
        elif self.schedule == "step":
            size = self.epochs / 3 if self.step_size is None else self.step_size
            schedule = lr_scheduler.StepLR(optimizer, max(1, round(size * updates)), gamma)
        elif self.schedule == "poly":
            schedule = lr_scheduler.PolynomialLR(optimizer, left, 1.0 if self.power is None else self.power)
        else:
            per_update = 1.0 if self.schedule == "constant" else gamma ** (1 / updates)
            schedule = lr_scheduler.ExponentialLR(optimizer, per_update)
        return lr_scheduler.Warmup(schedule, first) if first else schedule

    def with_options(self, **given) -> Recipe:
        """Another recipe of it. What belongs to an optimiser or schedule that is replaced falls away: SGD's rate means
        nothing to Adam.

        >>> Recipe(schedule="step", step_size=8, lr=0.3).with_options(schedule="poly", optimizer="adam").lr is None
        True
        """
        new = {name: chosen for name, chosen in given.items() if getattr(self, name) != chosen}
        usual = {field.name: field.default for field in dataclasses.fields(self)}
        gone = [name for name, (chosen, _) in NEEDS.items() if chosen in new]
        if "optimizer" in new:
            gone += ["lr", "weight_decay"]
        return dataclasses.replace(self, **{**{name: usual[name] for name in gone}, **given})

    def in_epochs(self, epochs: int) -> Recipe:
        """The same recipe in more or fewer epochs: all that its schedule does happens at the same part of the way.

        >>> Recipe(epochs=90, schedule="multistep", milestones=(30, 60)).in_epochs(9).milestones
        (3.0, 6.0)
        """
        factor, changes = checks.whole("Recipe", "epochs", epochs) / self.epochs, {}
        for name in ("warmup", "step_size"):
            changes[name] = None if getattr(self, name) is None else getattr(self, name) * factor
        changes["milestones"] = None if self.milestones is None else tuple(m * factor for m in self.milestones)
        if self.schedule == "exponential":
            changes["gamma"] = (0.98 if self.gamma is None else self.gamma) ** (1 / factor)
        if self.schedule == "plateau":
            changes["patience"] = max(1, round((5 if self.patience is None else self.patience) * factor))
        return dataclasses.replace(self, epochs=epochs, **changes)

    def to_dict(self) -> dict:
        """All options, of JSON's types."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in dataclasses.asdict(self).items()}
