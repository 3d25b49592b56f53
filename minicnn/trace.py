"""Watching a model run: which operation was done where, on what shapes, out of what."""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field

import numpy as np

from . import costs, running
from .costs import Field, Window
from .nn import Module, Parameter
from .tensor import Tensor


@dataclass
class Step:
    """One operation.

    Attributes
    ----------
    op : str or None
        Its registered name, such as ``"conv2d"``; None for a Function of the reader's own.
    function : str
        The Function's name.
    path : str
        Of the innermost module around it; ``""`` is the model itself.
    module : Module or None
    input_shapes, output_shape
        With the batch axis.
    sources : list of int
        Numbers of the steps whose results are its inputs; -1 is the image.
    parameters : list of Parameter
    options : dict
        Such as ``stride``, in normal form.
    macs : int or None
        Multiply-adds; None if unknown.
    window : Window or None
    field : Field or None
        None if it does not depend on the image, or is unknown.
    outside : bool
        Whether it works on numbers that come neither from the image nor from parameters: often the forward has left
        the framework before it, for NumPy.
    """

    op: str | None
    function: str
    path: str
    module: Module | None
    input_shapes: list[tuple[int, ...]]
    output_shape: tuple[int, ...]
    sources: list[int]
    parameters: list[Parameter]
    options: dict
    macs: int | None
    window: Window | None
    field: Field | None = field(default=None)
    outside: bool = False


class Tracer(running.Watcher):
    """Collects ``steps`` while a model runs; ``begin(images)`` says which array is the image."""

    def __init__(self, model: Module) -> None:
        self.paths = {id(module): path for path, module in model.named_modules()}
        self.steps: list[Step] = []
        self._made: dict[int, tuple[weakref.ref, int]] = {}  # id of an array -> it, and the step that made it
        self._of_weights: dict[int, weakref.ref] = {}  # results of arithmetic on weights alone
        self._options: dict = {}

    def begin(self, images: np.ndarray) -> None:
        self._made[id(images)] = weakref.ref(images), -1

    def forward_begins(self, ctx, options: dict) -> None:
        self._options = options

    def forward_ends(self, ctx, inputs: list, out: np.ndarray) -> None:
        op = costs.operation(ctx.function)
        module = ctx.modules[-1] if ctx.modules else None
        shapes = [None if a is None else a.shape for a in inputs]
        sources = [made for made in map(self._source, inputs) if made is not None]
        seen = costs.window(op, shapes, out.shape, self._options)
        known = [costs.ONE_PIXEL if s == -1 else self.steps[s].field for s in sources]
        outside = not sources and not all(map(self._is_weight, ctx.inputs))
        clear = op is not None and None not in known
        self.steps.append(
            Step(
                op=op,
                function=ctx.function.__name__,
                path=self.paths.get(id(module), type(module).__name__),
                module=module,
                input_shapes=shapes,
                output_shape=out.shape,
                sources=sources,
                parameters=[t for t in ctx.inputs if isinstance(t, Parameter)],
                options=self._options,
                macs=costs.multiply_adds(op, ctx.function, shapes, out.shape, self._options),
                window=seen,
                field=costs.receptive_field(known, seen, self._options) if clear else None,
                outside=outside,
            )
        )
        if sources:  # arithmetic on weights is no part of the way from the image
            self._made[id(out)] = weakref.ref(out), len(self.steps) - 1
        elif not outside:
            self._of_weights[id(out)] = weakref.ref(out)

    def _is_weight(self, tensor: Tensor | None) -> bool:
        """Whether it is a parameter, was made of parameters, or is a single number beside them."""
        if tensor is None or isinstance(tensor, Parameter) or tensor.ndim == 0:
            return True
        reference = self._of_weights.get(id(tensor.data))
        return reference is not None and reference() is tensor.data

    def made_by(self, output) -> list[int]:
        """The steps that made what a model gave: a tensor, or several in tuples, lists or dicts; -1 is the image."""
        if isinstance(output, dict):
            output = list(output.values())
        if isinstance(output, (tuple, list)):
            return [step for part in output for step in self.made_by(part)]
        made = self._source(output.data) if isinstance(output, Tensor) else None
        return [] if made is None else [made]

    def _source(self, array) -> int | None:
        reference, step = self._made.get(id(array), (None, None))
        return step if reference is not None and reference() is array else None  # an id may be used again
