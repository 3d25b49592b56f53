"""What a training step asks of a GPU, layer by layer: launches, copies, memory. Counted on the device "sim".

A launch costs a GPU about 5 microseconds, whatever it computes: small layers on small images take as long as their
launches do. The device "sim" runs the code that a GPU runs, call by call, and its stand-in for CuPy counts; CuPy does
not.
"""

from __future__ import annotations

import gc
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np

from . import columns, running
from .device import check_device
from .errors import ArgumentError
from .nn import Module
from .nn.modes import train_mode
from .optim import Optimizer
from .profiling_memory import MB
from .profiling_step import FORWARD, OPTIMISER, OUTSIDE, REST, Account, Clock, Step
from .training import Trainer

TITLES = {OUTSIDE: "the loss, what is right", OPTIMISER: "the optimiser", REST: "the engine, the batch's way here"}


@dataclass(frozen=True)
class Counts:
    """Of one account: launches of our kernels, CuPy's own operations, pieces of memory taken and their bytes."""

    kernels: int = 0
    operations: int = 0
    allocations: int = 0
    nbytes: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(a + b for a, b in zip(asdict(self).values(), asdict(other).values())))

    def __sub__(self, other: Counts) -> Counts:
        return Counts(*(a - b for a, b in zip(asdict(self).values(), asdict(other).values())))

    @property
    def launches(self) -> int:
        """Each of CuPy's own operations counted as one, which is the least that it can be."""
        return self.kernels + self.operations


def _counted_so_far() -> Counts:
    from .kernels.sim import standin
    from .kernels.sim.standin.storage import used

    return Counts(standin.launches.count, standin.operations.count, standin.allocations.count, used.total)


class _Meter(Clock):
    """A clock that books what was counted, beside the time."""

    def __init__(self) -> None:
        self.counts: defaultdict[Account, Counts] = defaultdict(Counts)
        self._before = _counted_so_far()
        super().__init__()

    def switch(self, account: Account) -> None:
        now = _counted_so_far()
        self.counts[self._account] += now - self._before
        self._before = now
        super().switch(account)


@dataclass(frozen=True, repr=False)
class StepCounts:
    """What :func:`count_step` found. Prints as a table.

    Attributes
    ----------
    title : str
    rows : dict of str to (Counts, Counts)
        By layer, in the order of the model, and by name for what is not in a layer: forward, and all else.
    transfers : tuple of Transfer
        Every copy between host and device: ``.name``, ``.nbytes``, ``.direction``.
    growth : int
        Bytes that were in use after the step and not before it.
    peak : int
        The most bytes in use at one time, with weights and the optimiser's state.
    """

    title: str
    rows: dict[str, tuple[Counts, Counts]]
    transfers: tuple
    growth: int
    peak: int

    @property
    def total(self) -> Counts:
        return sum((c for pair in self.rows.values() for c in pair), start=Counts())

    def to_dict(self) -> dict:
        """For ``--json``."""
        return {
            "title": self.title,
            "rows": {name: {"forward": asdict(f), "backward": asdict(b)} for name, (f, b) in self.rows.items()},
            "total": asdict(self.total),
            "transfers": [t._asdict() for t in self.transfers],
            "growth": self.growth,
            "peak": self.peak,
        }

    def __str__(self) -> str:
        head = ("layer", "forward", "of CuPy", "backward", "of CuPy", "allocations", "MB")
        body = [_cells(TITLES.get(name, name), *pair) for name, pair in self.rows.items()]
        lines = columns.text(head, [*body, self._totals()], right=range(1, 7))
        lines.insert(-2, lines[0])  # a rule above the totals
        crossed = ", ".join(f"{t.nbytes:,} bytes {t.direction} ({t.name})" for t in self.transfers)
        return "\n".join((
            f"{self.title}: launches of one training step", *lines,
            f"{self.total.launches} launches, {self.total.operations} of them CuPy's own; each operation counts as one",
            f"between host and device: {crossed or 'nothing'}",
            f"memory in use: {self.peak / MB:,.1f} MB at the most, {self.growth:+,} bytes after the step",
        ))  # fmt: skip

    def _totals(self) -> tuple[str, ...]:
        forward, backward = (sum((pair[i] for pair in self.rows.values()), start=Counts()) for i in (0, 1))
        return _cells("in all", forward, backward)


def _cells(name: str, forward: Counts, backward: Counts) -> tuple[str, ...]:
    both = forward + backward
    return (
        name, str(forward.launches), str(forward.operations), str(backward.launches), str(backward.operations),
        str(both.allocations), f"{both.nbytes / MB:,.2f}",
    )  # fmt: skip


def count_step(
    model: Module, optimizer: Callable[[Module], Optimizer], input_size: tuple[int, int, int], batch_size: int = 2,
    title: str = "", **options,
) -> StepCounts:  # fmt: skip
    """Count one step of the :class:`Trainer` on the device "sim", the second: the first compiles and makes the state.

    Parameters
    ----------
    model : Module
        It is moved there, and trained two steps on random images.
    optimizer : callable(model) -> Optimizer
    input_size : (C, H, W)
    batch_size : int
    options
        Of the Trainer, such as ``clip_norm=1.0``.

    Raises
    ------
    DeviceError
        The simulator cannot run here.
    """
    if batch_size < 1:
        raise ArgumentError(f"count_step: batch_size must be at least 1, got {batch_size}")
    check_device("sim")
    from .kernels.sim import standin
    from .kernels.sim.standin.storage import used

    model.to("cpu")
    gc.collect()
    others = used.nbytes  # arrays that are none of this model's
    model.to("sim")
    rng = np.random.default_rng(0)
    batches = [(rng.standard_normal((batch_size, *input_size)).astype(np.float32), np.zeros(batch_size, np.int64))] * 2
    trainer = Trainer(model, optimizer(model), batches, progress=False, **options)
    train_mode(model)
    trainer.step(*batches[0])
    gc.collect()  # what others left lying about is not this step's to free
    before = used.nbytes
    used.peak = before
    step = Step(model, _Meter())
    with standin.transfers.collect() as crossed, running.watched_by(step):
        trainer.step(*batches[1])
    step.finish()
    rows = _rows(model, step.clock.counts)
    return StepCounts(title or type(model).__name__, rows, tuple(crossed), used.nbytes - before, used.peak - others)


def _rows(model: Module, counts: dict[Account, Counts]) -> dict[str, tuple[Counts, Counts]]:
    """(forward, all else) by layer, in the model's order, of those that asked for anything."""
    rows = {}
    for name in dict.fromkeys([*(path for path, _ in model.named_modules()), OUTSIDE, OPTIMISER, REST]):
        forward = counts.get((name, FORWARD), Counts())
        rest = sum((c for (n, column), c in counts.items() if n == name and column != FORWARD), start=Counts())
        if forward + rest != Counts():
            rows[name or "the model itself"] = forward, rest
    return rows
