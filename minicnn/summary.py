"""The lecture's per-layer table: output shape, memory, parameters, multiply-adds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .autograd import no_grad
from .errors import ArgumentError, MinicnnError, ShapeError
from .nn import Dropout, Identity, LeakyReLU, Module, ReLU, ReLU6, Sigmoid, Tanh
from .nn.module import evaluating
from .ops import checks
from .tensor import Tensor

WITHOUT_ROW = (Dropout, Identity, LeakyReLU, ReLU, ReLU6, Sigmoid, Tanh)


@dataclass(frozen=True)
class Row:
    """One layer. ``memory`` is 4 bytes per output element, batch 1; ``macs`` counts a multiply-add as one."""

    name: str
    layer: str
    output_shape: tuple[int, ...]
    params: int
    macs: int
    memory: int


@dataclass(frozen=True, repr=False)
class Summary:
    """What :func:`summary` found: ``rows``, and their sums. Prints as a table."""

    rows: tuple[Row, ...]

    @property
    def total_params(self) -> int:
        return sum(r.params for r in self.rows)

    @property
    def total_macs(self) -> int:
        return sum(r.macs for r in self.rows)

    @property
    def total_memory(self) -> int:
        """Bytes of all layers' outputs, batch 1."""
        return sum(r.memory for r in self.rows)

    def __repr__(self) -> str:
        return (
            f"<Summary: {len(self.rows)} layers, {self.total_params:,} parameters, {self.total_macs:,} multiply-adds>"
        )

    def __str__(self) -> str:
        cells = [("layer", "kind", "output", "params", "MACs", "memory KiB")]
        for r in self.rows:
            shape = "x".join(map(str, r.output_shape))
            cells.append((r.name, r.layer, shape, f"{r.params:,}", f"{r.macs:,}", f"{r.memory / 1024:,.1f}"))
        total = ("total", "", "", f"{self.total_params:,}", f"{self.total_macs:,}", f"{self.total_memory / 1024:,.1f}")
        widths = [max(len(row[i]) for row in [*cells, total]) for i in range(6)]
        lines = [
            "  ".join(c.ljust(w) if i < 3 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths))).rstrip()
            for row in [*cells, total]
        ]
        rule = "-" * max(map(len, lines))
        return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1]])


def summary(model: Module, input_size: tuple[int, int, int] = (3, 227, 227), show: bool = True) -> Summary:
    """Run one blank image through the model and table every layer that computes something.

    Parameters
    ----------
    model : Module
    input_size : (C, H, W)
    show : bool
        Print the table.

    Returns
    -------
    Summary
        ``.rows`` (name, layer, output_shape, params, macs, memory), ``.total_params``, ``.total_macs``,
        ``.total_memory``. Layers called twice (shared) appear twice, their parameters once.

    Raises
    ------
    ShapeError
        If the model does not take images of that size; the message names the layer.
    """
    if not isinstance(model, Module):
        hint = f"; make one, {model.__name__}(...)" if isinstance(model, type) else ""
        raise ArgumentError(f"summary takes a model, got {model!r}{hint}")
    if not isinstance(input_size, (tuple, list)) or len(input_size) != 3:
        raise ShapeError(f"summary: input_size must be (channels, height, width), got {input_size!r}")
    for side, size in zip(("channels", "height", "width"), input_size):
        checks.whole("summary", f"input_size's {side}", size)
    rows: list[Row] = []
    counted: set[int] = set()

    def note(name: str):
        def hook(layer: Module, inputs: tuple, output: Tensor) -> None:
            own = [p for p in layer._parameters.values() if p is not None and id(p) not in counted]
            counted.update(map(id, own))
            shape = output.shape[1:]
            memory = 4 * int(np.prod(shape))
            rows.append(Row(name, type(layer).__name__, shape, sum(p.size for p in own), layer.macs(shape), memory))

        return hook

    layers = [(name, m) for name, m in model.named_modules() if _has_a_row(m)]
    handles = [m.register_forward_hook(note(name or type(model).__name__)) for name, m in layers]
    dtype = next((p.dtype for p in model.parameters()), np.dtype(np.float32))
    try:
        with no_grad(), evaluating(model):
            model(Tensor(np.zeros((1, *input_size), dtype)))
    except MinicnnError as error:
        error.args = (f"{error.args[0]} (summary with input_size={tuple(input_size)})",)
        raise
    finally:
        for handle in handles:
            handle.remove()
    result = Summary(tuple(rows))
    if show:
        print(result)
    return result


def _has_a_row(layer: Module) -> bool:
    """Layers with parameters of their own, and those made of no others; not activations (the lecture counts them with
    their convolution, whether they are modules or calls), nor dropout, which computes nothing here."""
    own = any(p is not None for p in layer._parameters.values())
    return own or not (any(True for _ in layer.children()) or isinstance(layer, WITHOUT_ROW))
