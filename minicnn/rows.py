"""From the steps of a run to the rows of the lecture's table."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

from .costs import pool_operations
from .trace import Step

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
    filters : int or None
        Outputs of a convolution or a linear layer.
    kernel, stride, padding : int, (rows, columns) or (top, bottom, left, right), or None
        Of a convolution or a pool.
    groups : int
    rf, jump : int, (rows, columns), or None
        Receptive field and distance of neighbouring fields, in input pixels.
    normalised : bool
        A batch-norm directly behind the convolution is counted with it.
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


def rows_of(steps: list[Step]) -> tuple[list[Row], tuple[str, ...]]:
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
