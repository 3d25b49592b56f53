"""The lecture's per-layer table: shapes, memory, parameters, multiply-adds, receptive field.

The model is run once on one image for its shapes alone (``kernels.shapes_only``): nothing is computed, so that a table
of VGG-19 takes no memory and a fraction of a second. What is watched are the operations, not the layers: branches,
functional calls and models of one's own are counted alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import running, table
from .autograd import no_grad
from .errors import ArgumentError, MinicnnError, ShapeError
from .kernels import shapes
from .nn import Module
from .nn.modes import ready
from .ops import checks
from .rows import COUNTED, POOLS, Row, rows_of
from .tensor import Tensor
from .trace import Step, Tracer


@dataclass(frozen=True, repr=False)
class Summary:
    """What :func:`summary` found: ``rows``, and their sums. Prints as a table.

    Attributes
    ----------
    title : str
    rows : tuple of Row
    unused_params : int
        Of layers that did not run, such as auxiliary heads in evaluation.
    pools : bool
        Whether pools are counted in memory and multiply-adds.
    cut : tuple of str
        Names of the rows that have parameters but do not depend on the image.
    strange_params : int
        Used in the forward, but not among ``model.parameters()``.
    """

    title: str
    rows: tuple[Row, ...]
    unused_params: int = 0
    pools: bool = False
    cut: tuple[str, ...] = ()
    strange_params: int = 0

    @property
    def total_params(self) -> int:
        return sum(r.params for r in self.rows)

    @property
    def total_macs(self) -> int:
        """Of the rows whose cost is known; see ``unknown``."""
        return sum((r.macs or 0) + (r.pool_ops if self.pools else 0) for r in self.rows)

    @property
    def total_memory(self) -> int:
        """Bytes of the outputs of convolutions and linear layers (and pools, if they count), of one image."""
        return sum(r.memory for r in self.rows if self.counts(r))

    @property
    def unknown(self) -> tuple[str, ...]:
        """Names of the rows whose multiply-adds nobody knows."""
        return tuple(r.name for r in self.rows if r.macs is None)

    def counts(self, row: Row) -> bool:
        """Whether a row's output is counted as memory."""
        return row.kind in COUNTED or row.macs is None or (self.pools and row.kind in POOLS)

    def __repr__(self) -> str:
        return (
            f"<Summary: {len(self.rows)} layers, {self.total_params:,} parameters, {self.total_macs:,} multiply-adds>"
        )

    def __str__(self) -> str:
        return table.text(self)

    def to(self, form: str) -> str:
        """The table as ``"text"``, ``"csv"``, ``"json"`` or ``"markdown"``."""
        if form not in table.FORMS:
            raise ArgumentError(f"Summary.to: there is no form {form!r}; there are {', '.join(table.FORMS)}")
        return table.FORMS[form](self)


def summary(
    model: Module, input_size: tuple[int, int, int] = (3, 227, 227), show: bool = True, *, training: bool = False,
    pools: bool = False, title: str = "",
) -> Summary:  # fmt: skip
    """Table every layer of a model that computes something, without computing it.

    Parameters
    ----------
    model : Module
    input_size : (C, H, W)
    show : bool
        Print the table.
    training : bool
        Run the model as in training: auxiliary classifiers, which rest in evaluation, then have rows.
    pools : bool
        Count pools in memory and operations, as some of the lecture's totals do.
    title : str

    Returns
    -------
    Summary
        ``.rows``, ``.total_params``, ``.total_macs``, ``.total_memory``; ``.to("csv")``. A layer called twice has two
        rows, and its parameters count once.

    Raises
    ------
    ShapeError
        If the model does not take images of that size; the message names the layer.

    Examples
    --------
    >>> from minicnn import nn
    >>> table = summary(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU()), (3, 10, 10), show=False)
    >>> table.total_params, table.total_macs
    (224, 13824)
    """
    steps, _ = watch("summary", model, input_size, training)
    rows, cut = rows_of(steps)
    used = {id(p): p for step in steps for p in step.parameters}
    own = {id(p): p for p in model.parameters()}
    unused, strange = (sum(p.size for i, p in a.items() if i not in b) for a, b in ((own, used), (used, own)))
    title = title or f"{type(model).__name__}, {'x'.join(map(str, input_size))}"
    result = Summary(title, tuple(rows), unused, pools, cut, strange)
    if show:
        print(result)
    return result


def watch(
    caller: str, model: Module, input_size: tuple[int, int, int], training: bool = False
) -> tuple[list[Step], list[int]]:  # fmt: skip
    """Run a model for its shapes alone: its steps, and which of them made what it gives. ``caller`` is for messages."""
    if not isinstance(model, Module):
        hint = f"; make one, {model.__name__}(...)" if isinstance(model, type) else ""
        raise ArgumentError(f"{caller} takes a model, got {model!r}{hint}")
    if not isinstance(input_size, (tuple, list)) or len(input_size) != 3:
        raise ShapeError(f"{caller}: input_size must be (channels, height, width), got {input_size!r}")
    for side, size in zip(("channels", "height", "width"), input_size):
        checks.whole(caller, f"input_size's {side}", size)
    tracer = Tracer(model)
    try:
        with shapes.shapes_only(), no_grad(), ready(model, training), running.watched_by(tracer):
            dtype = next((p.dtype for p in model.parameters()), np.dtype(np.float32))
            images = shapes.blank((1, *input_size), dtype)
            tracer.begin(images)
            return tracer.steps, tracer.made_by(model(Tensor(images)))
    except MinicnnError as error:
        error.args = (f"{error.args[0]} ({caller} with input_size={tuple(input_size)})",)
        raise
