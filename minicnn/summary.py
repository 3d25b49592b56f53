"""The lecture's per-layer table: shapes, memory, parameters, multiply-adds, receptive field.

The model is run once on one image for its shapes alone (``kernels.shapes_only``): nothing is computed, so that a table
of VGG-19 takes no memory and a fraction of a second. What is watched are the operations, not the layers: branches,
functional calls and models of one's own are counted alike.
"""

from __future__ import annotations

import contextlib
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from . import random, running, table
from .autograd import no_grad
from .costs import pool_operations
from .errors import ArgumentError, MinicnnError, ShapeError
from .kernels import shapes
from .nn import BatchNorm2d, Module
from .nn.modes import evaluating
from .ops import checks
from .tensor import Tensor
from .trace import Step, Tracer

#: operations with a row of their own, and what the row calls them
KINDS = {
    "conv2d": "conv", "linear": "fc", "matmul": "matmul", "max_pool2d": "maxpool", "avg_pool2d": "avgpool",
    "adaptive_avg_pool2d": "avgpool", "local_response_norm": "lrn", "batch_norm": "bn", "cat": "concat", "add": "add",
    "channel_shuffle": "shuffle",
}  # fmt: skip
COUNTED = ("conv", "fc", "matmul")  # whose outputs the lecture's memory counts
POOLS = ("maxpool", "avgpool", "gap")


@dataclass
class Row:
    """One operation that has a line of its own.

    Attributes
    ----------
    name, layer, kind : str
        Path in the model; class of the module; ``conv``, ``fc``, ``maxpool``, ``avgpool``, ``gap``, ``lrn``, ``bn``,
        ``flatten``, ``concat``, ``add``, ``shuffle``, or a Function's name.
    input_shape, output_shape : tuple of int
        Without the batch axis.
    params : int
        Its parameters, those of a batch-norm directly behind a convolution included. Shared ones count once.
    macs : int or None
        Multiply-adds of one image; None if unknown.
    pool_ops : int
        Comparisons or additions of a pool.
    memory : int
        Bytes of the output of one image, 4 for each number.
    rf, jump : int, (rows, columns), or None
        Receptive field and distance of neighbouring fields, in input pixels.
    """

    name: str
    layer: str
    kind: str
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    params: int
    macs: int | None
    pool_ops: int
    memory: int
    filters: int | None = None
    kernel: int | tuple[int, int] | None = None
    stride: int | tuple[int, int] | None = None
    padding: int | tuple[int, ...] | None = None
    groups: int = 1
    rf: int | tuple[int, int] | None = None
    jump: int | tuple[int, int] | None = None
    normalised: bool = False


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
    """
    steps, _ = watch("summary", model, input_size, training)
    rows, cut = _rows(steps)
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


@contextlib.contextmanager
def ready(model: Module, training: bool) -> Iterator[None]:
    """The model in evaluation or, all but its batch-norms, whose statistics must stay, in training; then as before."""
    before = random.state.get()
    with evaluating(model):
        if training:
            for module in model.modules():
                object.__setattr__(module, "training", not isinstance(module, BatchNorm2d))
        yield
    random.state.set(before)  # dropout has counted


def _rows(steps: list[Step]) -> tuple[list[Row], tuple[str, ...]]:
    """Rows of a run, and the names of those that have parameters but do not depend on the image."""
    rows: list[Row] = []
    cut: list[Row] = []
    row_of: dict[int, Row] = {}  # step -> the row of its result
    waiting: dict[str, int] = {}  # parameters used before the image comes into play, by path
    found: set[int] = set()
    taken: Counter[str] = Counter()  # names
    for number, step in enumerate(steps):
        own = [p for p in step.parameters if id(p) not in found]
        found.update(map(id, own))
        params = sum(p.size for p in own)
        if step.outside and step.parameters and (kind := _kind(step)) in (*COUNTED, "bn"):
            cut.append(_row(step, kind, params + waiting.pop(step.path, 0)))
            rows.append(_numbered(cut[-1], taken))
            continue
        if not step.sources:  # arithmetic on weights: their layer's row comes later
            waiting[step.path] = waiting.get(step.path, 0) + params
            continue
        before = row_of.get(step.sources[0])
        if step.op == "batch_norm" and before is not None and before.kind == "conv" and not before.normalised:
            before.params, before.normalised = before.params + params, True
            row_of[number] = before
        elif (kind := _kind(step)) is not None or params and (before is None or _path(before) != step.path):
            row = _row(step, kind or step.op, params + waiting.pop(step.path, 0))
            rows.append(_numbered(row, taken))
            row_of[number] = row
        elif before is not None:  # an activation, a scale: part of what came before
            before.params += params
            row_of[number] = before
    return rows, tuple(row.name for row in cut)


def _numbered(row: Row, taken: Counter[str]) -> Row:
    taken[row.name] += 1
    row.name += f" ({taken[row.name]})" if taken[row.name] > 1 else ""
    return row


def _kind(step: Step) -> str | None:
    if step.op is None:
        return step.function
    if step.op == "adaptive_avg_pool2d" and step.output_shape[2:] == (1, 1):
        return "gap"
    if step.op == "reshape":
        return "flatten" if len(step.input_shapes[0]) == 4 and _is_map(step) and len(step.output_shape) == 2 else None
    if step.op == "add" and len(step.sources) < 2:  # a bias, a constant
        return None
    return KINDS.get(step.op)


def _is_map(step: Step) -> bool:
    return math.prod(step.input_shapes[0][2:]) > 1  # of one pixel there is nothing to flatten


def _path(row: Row) -> str:
    return row.name.rsplit("/", 1)[0]


def _row(step: Step, kind: str, params: int) -> Row:
    module, out = step.module, step.output_shape[1:]
    alone = module is not None and not any(True for _ in module.children())
    special = module.macs(out) if alone else None
    seen = step.window
    row = Row(
        name=(step.path or type(module).__name__) if alone else f"{step.path}/{kind}" if step.path else kind,
        layer=type(module).__name__ if alone else step.function,
        kind=kind,
        input_shape=step.input_shapes[0][1:],
        output_shape=out,
        params=params,
        macs=step.macs if special is None else special,
        pool_ops=pool_operations(step.op, seen, out),
        memory=4 * math.prod(out),
    )
    if step.op in ("conv2d", "linear"):
        row.filters = out[0]
    if seen is not None:
        row.kernel, row.stride, row.padding = _short(seen.kernel_size), _short(seen.stride), _short(seen.padding)
        row.groups = step.options.get("groups", 1)
    if step.field is not None:
        row.rf, row.jump = _short(step.field.size), _short(step.field.jump)
    return row


def _short(values: tuple[int, ...]):
    """A number instead of two or four equal ones."""
    return values[0] if len(set(values)) == 1 else tuple(values)
