"""A running mean of the weights, which is often better than the newest weights."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np

from ..device import device_of, to_device
from ..errors import ArgumentError, FileError
from ..nn import Module
from ..ops import checks


class EMA:
    """Exponential moving average of a model's weights and running statistics.

        average <- d average + (1 - d) w,   d = min(decay, (1 + t) / (10 + t)) after t updates

    The noise of the last batches averages out (Polyak & Juditsky 1992; Szegedy et al. 2016, section 8, test with it).
    While t is small, d is too, so that the random weights of the beginning are soon forgotten; the first update copies.
    Buffers of whole numbers, which count something, are copied.

    Parameters
    ----------
    model : Module
    decay : float
        Below 1; averages over about 1 / (1 - decay) updates.
    warmup : bool
        False: d = decay from the start, as PyTorch's ``AveragedModel`` with ``get_ema_multi_avg_fn``.

    Examples
    --------
    >>> from minicnn import nn, optim
    >>> model = nn.Linear(1, 1, bias=False)
    >>> model.weight.data[...] = 1.0
    >>> average = optim.EMA(model, decay=0.9, warmup=False)
    >>> average.update()
    >>> model.weight.data[...] = 2.0
    >>> average.update()
    >>> with average.applied():
    ...     print(round(model.weight.item(), 2))
    1.1
    >>> model.weight.item()
    2.0
    """

    def __init__(self, model: Module, decay: float = 0.999, warmup: bool = True) -> None:
        if not isinstance(model, Module):
            raise ArgumentError(f"EMA takes a model, got {type(model).__name__}")
        if checks.number("EMA", "decay", decay) >= 1:
            raise ArgumentError(f"EMA: decay must be below 1, such as 0.999, got {decay!r}; with 1 nothing is learned")
        self.model, self.decay, self.warmup, self.t = model, float(decay), warmup, 0
        self.averages = {name: array.copy(order="K") for name, array in model.state_dict().items()}

    def update(self) -> None:
        """Take in the model's weights of now; call it after each optimiser step."""
        decay = min(self.decay, (1 + self.t) / (10 + self.t)) if self.warmup else self.decay
        for name, new in self.model.state_dict().items():
            old = self.averages[name]
            if self.t == 0 or new.dtype.kind != "f":
                old[...] = new
            else:
                old += (1 - decay) * (new - old)
        self.t += 1

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """In this block the model has the averages for weights; afterwards its own again."""
        own = {name: array.copy(order="K") for name, array in self.model.state_dict().items()}
        self.model.load_state_dict(self.averages)
        try:
            yield
        finally:
            self.model.load_state_dict(own)

    def state_dict(self) -> dict:
        """The number of updates ``t``, and the averages by name."""
        return {"t": self.t, "averages": self.averages}

    def load_state_dict(self, saved: dict) -> None:
        """Go on from a ``state_dict`` (arrays are copied)."""
        if not isinstance(saved, dict) or not {"t", "averages"} <= saved.keys():
            raise FileError("EMA.load_state_dict takes what its state_dict() gave: t and averages")
        own, theirs = ({k: np.shape(a) for k, a in d.items()} for d in (self.averages, saved["averages"]))
        wrong = {name for name, _ in own.items() ^ theirs.items()}  # missing, unexpected, of another shape
        if wrong:
            raise FileError(f"the saved averages do not fit this model: {', '.join(sorted(wrong))}")
        self.t = checks.whole("EMA", "t", saved["t"], least=0)
        for name, average in self.averages.items():
            average[...] = to_device(saved["averages"][name], device_of(average))
