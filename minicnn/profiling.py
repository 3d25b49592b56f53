"""Where a step of training spends its time and its memory, layer by layer.

Each moment of a step is booked to what is running: the innermost module of the model, an operation outside it (the
loss), the optimiser, the loader, or none of these. In the backward it is the layer whose operation is differentiated.
"""

from __future__ import annotations

import contextlib
import csv
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, fields

from . import running
from .errors import ArgumentError
from .files import replacing
from .nn import Module
from .ops import checks
from .profiling_memory import MB, peak_mb, total_bytes
from .profiling_step import OTHER, WAITING, Step
from .profiling_table import Row, build_rows, by_kind, costliest, text


def profile(model: Module, skip: int = 2, steps: int | None = None) -> Profile:
    """Measure the time and memory of each layer in a training step.

    ::

        with mc.profile(model) as p:
            for images, labels in p.steps(loader):  # each round is one step, the wait for its batch included
                optimizer.zero_grad()
                F.cross_entropy(model(images), labels).backward()
                optimizer.step()
        print(p)

    A loop of another form marks its steps with ``with p.step():``. Without either, the whole block is one step. Of what
    is no layer, "rest" is the loop's own Python and, as its backward, the engine's work: it sums gradients where a
    result is used twice, as at a residual shortcut.

    Parameters
    ----------
    model : Module
        May be a part of what is trained; all else is then "outside the model".
    skip : int
        Steps to warm up: in the first one kernels are compiled. The last step is counted in any case.
    steps : int, optional
        Count so many, and then measure no more; later steps run at full speed.

    Raises
    ------
    ArgumentError
        If ``model`` is no module, ``skip`` or ``steps`` no number of steps.
    """
    return Profile(model, skip, steps)


class Profile:
    """What :func:`profile` measures. Prints as a table; times are means over the counted steps.

    Attributes
    ----------
    counted : int
        Steps that the means are taken over.
    parameters_mb, gradients_mb, optimizer_mb : float
        10^6 bytes of the model's parameters, of their gradients after the backward, of the optimisers' running
        averages.
    peak_mb : float or None
        The most memory that the whole process occupied up to the last step; None where the system does not say.

    Notes
    -----
    The measuring itself costs some microseconds per layer, booked to the layer. Counting the memory is not booked.
    Only the thread that runs the step is seen.
    """

    def __init__(self, model: Module, skip: int = 2, steps: int | None = None) -> None:
        if not isinstance(model, Module):
            hint = f"; make one, {model.__name__}(...)" if isinstance(model, type) else ""
            raise ArgumentError(f"profile takes a model, got {model!r}{hint}")
        self.model, self.skip = model, checks.whole("profile", "skip", skip, least=0)
        self.limit = None if steps is None else checks.whole("profile", "steps", steps)
        self.counted, self._seen = 0, 0
        self.parameters_mb = self.gradients_mb = self.optimizer_mb = 0.0
        self.peak_mb: float | None = None
        self._seconds: Counter[tuple[str, str]] = Counter()
        self._total = 0.0
        self._operations: dict[str, list[str]] = {}
        self._kept: dict[str, int] = {}
        self._optimizers: dict = {}
        self._step: Step | None = None  # the one that is going on
        self._whole_block = False

    # Marking steps ---------------------------------------------------------------------------------------------------
    def __enter__(self) -> Profile:
        if not self.done:
            self._begin()
            self._whole_block = True  # until a step is marked in it
        return self

    def __exit__(self, kind, error, traceback) -> None:
        if self._whole_block and kind is None:
            self._finish()
        self._whole_block = False
        self._leave()

    def steps(self, batches: Iterable) -> Iterator:
        """The same batches; each round of the loop over them is one step. One that ``break`` or an error ends is not
        counted."""
        source, end = iter(batches), object()
        while not self.done:
            self._begin()
            try:
                with self.waiting():
                    batch = next(source, end)
                if batch is end:
                    return
                yield batch
                self._finish()
            finally:
                self._leave()
        yield from source

    @contextlib.contextmanager
    def step(self) -> Iterator[None]:
        """This block is one step; not counted if an error ends it."""
        if self.done:
            yield
            return
        self._begin()
        try:
            yield
            self._finish()
        finally:
            self._leave()

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """In a step: this block waits for data. ``steps`` does it by itself."""
        step = self._step if self._step in running.watchers() else None
        if step is None:
            yield
            return
        step.clock.push((WAITING, OTHER))
        try:
            yield
        finally:
            step.clock.pop()

    def optimizing(self) -> contextlib.AbstractContextManager:
        """In a step: this block is the optimiser's. ``Optimizer.step`` and ``clip_grad_norm_`` do it by themselves."""
        return running.updating()

    @property
    def done(self) -> bool:
        """True when ``steps`` steps have been counted; nothing is measured any more."""
        return self.limit is not None and self._seen >= self.skip + self.limit

    def _begin(self) -> None:
        if self._whole_block:
            self._whole_block = False
            self._leave()
        if self._step is not None:
            raise ArgumentError("profile: a step is going on already; steps(...) and step() mark it, use one of them")
        self._step = Step(self.model)
        running.add(self._step)

    def _leave(self) -> None:
        """Look on no more; a step that was not finished is forgotten."""
        running.remove(self._step)
        self._step = None

    def _finish(self) -> None:
        if (step := self._step) is None:  # a loop that outlives the with block
            return
        step.finish()
        self._seen += 1
        if self._seen <= self.skip + 1:  # what was before it was for warming up
            self.counted, self._total = 0, 0.0
            self._seconds, self._kept = Counter(), {}
        self.counted += 1
        self._total += step.total
        self._seconds.update(step.seconds)
        for name, operations in step.operations.items():
            self._operations[name] = list(dict.fromkeys([*self._operations.get(name, []), *operations]))
        self._kept = max(self._kept, step.kept, key=lambda kept: sum(kept.values()))
        self.parameters_mb = total_bytes(p.data for p in self.model.parameters()) / MB
        self.gradients_mb = step.gradients / MB
        self._optimizers.update(step.optimizers)  # not every step makes an update
        states = (state for optimizer in self._optimizers.values() for state in optimizer.state.values())
        self.optimizer_mb = total_bytes(array for state in states for array in state.values()) / MB
        self.peak_mb = peak_mb()

    # Reading ---------------------------------------------------------------------------------------------------------
    @property
    def total_ms(self) -> float:
        """Wall time of a step in milliseconds; 0 if none was counted."""
        return 1000 * self._total / max(self.counted, 1)

    @property
    def rows(self) -> tuple[Row, ...]:
        """Layers in the model's order, then what is outside the model, the optimiser, waiting for data, the rest."""
        seconds = {account: s / max(self.counted, 1) for account, s in self._seconds.items()}
        return build_rows(self.model, seconds, self._operations, self._kept)

    @property
    def kept_mb(self) -> float:
        """10^6 bytes that the graph holds for the backward (in the step that held the most)."""
        return sum(self._kept.values()) / MB

    def save(self, path: str | os.PathLike) -> None:
        """Write the rows as a CSV file, with the attributes of :class:`Row` as columns.

        Raises
        ------
        FileError
            If ``path`` cannot be written.
        """
        with replacing(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, [field.name for field in fields(Row)])
            writer.writeheader()
            for row in self.rows:
                writer.writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in asdict(row).items()})

    def __repr__(self) -> str:
        return f"<Profile of {type(self.model).__name__}: {self.counted} steps of {self.total_ms:.1f} ms>"

    def __str__(self) -> str:
        if not self.counted:
            return "profile: no step was finished, so there is nothing to show"
        rows = self.rows
        warm = self._seen - self.counted
        mean = f"the mean of {self.counted} steps" if self.counted > 1 else "one step"
        after = f", after {warm} to warm up" if warm else "; compiling included" if self._seen == 1 else ""
        dearest = ", ".join(f"{row.name} {row.share:.0%}" for row in costliest(rows))
        kinds = ", ".join(f"{kind} {share:.0%}" for kind, share in by_kind(rows) if share >= 0.005)
        memory = ", ".join(f"{value:,.1f} {what}" for what, value in self._memory() if value is not None)
        title = f"{type(self.model).__name__}, a training step in ms ({mean}{after})"
        return f"{title}\n{text(rows)}\n* most time: {dearest}\n  by kind: {kinds}\n  memory in MB: {memory}"

    def _memory(self) -> list[tuple[str, float | None]]:
        return [
            ("parameters", self.parameters_mb),
            ("gradients", self.gradients_mb),
            ("optimiser state", self.optimizer_mb),
            ("kept for the backward", self.kept_mb),
            ("at the process's peak", self.peak_mb),
        ]
