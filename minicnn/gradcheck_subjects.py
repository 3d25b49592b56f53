"""What gradcheck can check, behind one face: ``value()`` at the present arrays, ``gradients(upstream)`` of the same.

A subject is a function of tensors, a Module, or a CS231n-style pair ``(out, cache) = forward(...)``,
``backward(dout, cache)``. While it is checked its arrays are float64 copies, its dropout draws the same bits each time,
and whatever the check touched (parameters, running statistics, gradients) is put back at the end.
"""

from __future__ import annotations

import copy
import inspect
import re
from collections.abc import Callable, Sequence

import numpy as np

from . import random
from .autograd import enable_grad, no_grad
from .device import device_of
from .errors import ArgumentError, DtypeError, GradcheckError, ShapeError
from .gradcheck_diagnosis import shape_diagnosis
from .tensor import FLOATS, Tensor, as_array


def _is_float(value) -> bool:
    return getattr(value, "dtype", None) in FLOATS or isinstance(value, float)


def _float64(value) -> np.ndarray:
    array = as_array(value)
    if device_of(array) != "cpu":
        raise ArgumentError(
            f"gradcheck moves single numbers to and fro, which only the CPU can do well; this tensor of shape "
            f"{array.shape} is on {device_of(array)}: pass x.to('cpu'), and a function that computes there"
        )
    return np.array(array, np.float64, order="C")  # a copy; C order, so that reshape(-1) is a view


def _argument_names(fn: Callable, count: int) -> list[str]:
    """The names of the positional parameters of ``fn``; ``inputs[i]`` where it has none."""
    try:
        parameters = inspect.signature(getattr(fn, "forward", fn)).parameters.values()
    except (TypeError, ValueError):  # some built-ins have no signature
        parameters = ()
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return [names[i] if i < len(names) else f"inputs[{i}]" for i in range(count)]


def refuse_changes(arrays: dict[str, np.ndarray], before: dict[str, np.ndarray], who: str) -> None:
    for name, array in arrays.items():
        if not np.array_equal(array, before[name], equal_nan=True):
            array[...] = before[name]
            text = f"modified in place: {who} changed {name!r}; work on a copy (dx = grad * mask, not grad *= mask)"
            raise GradcheckError(f"gradcheck\n  diagnosis: {text}", name, text)


class Subject:
    """The arrays to be moved (``arrays``, by name), and what stays put while they move."""

    arrays: dict[str, np.ndarray]

    def __enter__(self):
        self._random = random.state.get()
        return self

    def __exit__(self, *exc_info: object) -> None:
        random.state.set(self._random)

    def value(self) -> np.ndarray:
        """The output, float64, for the present values of the arrays."""
        random.state.set(self._random)  # dropout draws the same bits each time
        return self._value()

    def gradients(self, upstream: np.ndarray) -> dict[str, np.ndarray]:
        """d sum(upstream * output) / d array, for every array."""
        random.state.set(self._random)
        before = {name: array.copy() for name, array in self.arrays.items()}
        given = upstream.copy()
        gradients = self._gradients(given)
        refuse_changes(self.arrays, before, "backward")
        refuse_changes({"the upstream gradient": given}, {"the upstream gradient": upstream}, "backward")
        pairs = zip(self.arrays.items(), gradients, strict=True)
        return {name: np.zeros(a.shape) if g is None else np.array(g, np.float64) for (name, a), g in pairs}


class FunctionSubject(Subject):
    """A function of tensors, or a Module (anything with ``named_parameters``)."""

    def __init__(self, fn: Callable, inputs) -> None:
        given = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
        self.fn = fn
        self.names = _argument_names(fn, len(given))
        own = dict(fn.named_parameters()) if hasattr(fn, "named_parameters") else {}
        self.names = [f"inputs[{i}]" if name in own else name for i, name in enumerate(self.names)]
        self.inputs = [_float64(v) if _is_float(v) else v for v in given]
        chosen = [isinstance(v, Tensor) and v.requires_grad for v in given]
        self.checked = [_is_float(v) and (c or not any(chosen)) for v, c in zip(given, chosen, strict=True)]
        self.arrays = {n: a for n, a, c in zip(self.names, self.inputs, self.checked, strict=True) if c}
        self.parameters = {n: p for n, p in own.items() if p.requires_grad}
        buffers = fn.buffers() if hasattr(fn, "buffers") else ()
        self.others = [t for t in (*own.values(), *buffers) if isinstance(t, Tensor) and not t.requires_grad]
        if not self.arrays and not self.parameters:
            raise ArgumentError("gradcheck: there is no floating input to differentiate; pass e.g. x.astype('float64')")

    def __enter__(self):
        super().__enter__()
        self.originals = [(t, t.data, t.grad) for t in (*self.parameters.values(), *self.others)]
        self.other_values = [(t, _float64(t) if _is_float(t) else t.data.copy()) for t in self.others]
        for name, parameter in self.parameters.items():
            self.arrays[name] = parameter.data = _float64(parameter)
        return self

    def __exit__(self, *exc_info: object) -> None:
        super().__exit__()
        for tensor, data, grad in self.originals:
            tensor.data, tensor.grad = data, grad

    def _call(self, record: bool) -> tuple[Tensor, list]:
        for tensor, values in self.other_values:  # running statistics start from the same numbers each time
            tensor.data = values.copy()
        for parameter in self.parameters.values():
            parameter.grad = None
        inputs = zip(self.inputs, self.checked, strict=True)
        leaves = [Tensor(v, record and checked) if _is_float(v) else v for v, checked in inputs]
        try:
            with enable_grad() if record else no_grad():
                out = self.fn(*leaves)
        except DtypeError as error:
            error.add_note("gradcheck computes in float64: tensors that fn brings along itself must be float64 too")
            raise
        if not isinstance(out, Tensor) or out.dtype.kind != "f":
            what = f"a tensor of {out.dtype}" if isinstance(out, Tensor) else type(out).__name__
            raise ArgumentError(f"gradcheck: fn must return one floating Tensor, got {what}; join several with mc.cat")
        return out, [t for t, c in zip(leaves, self.checked, strict=True) if c] + list(self.parameters.values())

    def _value(self) -> np.ndarray:
        return np.array(self._call(record=False)[0].data, np.float64)

    def _gradients(self, upstream: np.ndarray) -> list:
        out, leaves = self._call(record=True)
        if out.requires_grad:  # otherwise fn cut the graph, and all gradients are zero
            try:
                out.backward(upstream)
            except ShapeError as error:
                raise self._wrong_shape(error) from error
        return [leaf.grad for leaf in leaves]

    def _wrong_shape(self, error: ShapeError) -> GradcheckError:
        """The engine refused what a backward returned. Its message has both shapes: the first argument so shaped."""
        shapes = [tuple(map(int, re.findall(r"\d+", s))) for s in re.findall(r"shape \(([^)]*)\)", str(error))]
        if len(shapes) != 2:
            diagnosis, name = f"wrong number or shape of gradients: {error}", None
        else:
            name = next((n for n, a in self.arrays.items() if a.shape == shapes[1]), None)
            diagnosis = shape_diagnosis(*shapes)
        about = f" of {name!r}" if name else ""
        return GradcheckError(f"gradcheck: the gradient{about}: {error}\n  diagnosis: {diagnosis}", name, diagnosis)


class PairSubject(Subject):
    """CS231n's forward and backward on plain arrays."""

    def __init__(self, forward: Callable, backward: Callable, arrays: Sequence) -> None:
        if not isinstance(arrays, (list, tuple)):
            arrays = [arrays]
        self.forward, self.backward = forward, backward
        self.given = [_float64(a) if _is_float(a) and not isinstance(a, float) else a for a in arrays]
        self.floats = [isinstance(a, np.ndarray) and a.dtype.kind == "f" for a in self.given]
        names = _argument_names(forward, len(arrays))
        self.arrays = {n: a for n, a, f in zip(names, self.given, self.floats, strict=True) if f}
        if not self.arrays:
            raise ArgumentError("gradcheck_pair: there is no floating array to differentiate among the arrays")

    def _forward(self) -> tuple:
        before = {name: array.copy() for name, array in self.arrays.items()}
        result = self.forward(*(a if f else copy.deepcopy(a) for a, f in zip(self.given, self.floats, strict=True)))
        refuse_changes(self.arrays, before, "forward")
        if not isinstance(result, tuple) or len(result) != 2:
            raise ArgumentError(f"gradcheck_pair: forward must return (out, cache), got {type(result).__name__}")
        return result

    def _value(self) -> np.ndarray:
        return np.array(self._forward()[0], np.float64)

    def _gradients(self, upstream: np.ndarray) -> list:
        _, cache = self._forward()
        cached = {f"cache array {i}": a for i, a in enumerate(_arrays_in(cache))}
        before = {name: array.copy() for name, array in cached.items()}
        gradients = self.backward(upstream, cache)
        refuse_changes(cached, before, "backward")
        gradients = list(gradients) if isinstance(gradients, (tuple, list)) else [gradients]
        if len(gradients) == len(self.given):
            gradients = [g for g, f in zip(gradients, self.floats, strict=True) if f]
        if len(gradients) != len(self.arrays):
            count = f"{len(gradients)} for {len(self.arrays)} floating arrays"
            text = f"wrong number of gradients: backward returned {count}"
            raise GradcheckError(f"gradcheck_pair\n  diagnosis: {text}", None, text)
        for (name, array), gradient in zip(self.arrays.items(), gradients, strict=True):
            if gradient is not None and np.shape(gradient) != array.shape:
                diagnosis = shape_diagnosis(np.shape(gradient), array.shape)
                shapes = f"shape {np.shape(gradient)}, the array {array.shape}"
                message = f"gradcheck_pair: the gradient of {name!r} has {shapes}"
                raise GradcheckError(f"{message}\n  diagnosis: {diagnosis}", name, diagnosis)
        return gradients


def _arrays_in(cache) -> list[np.ndarray]:
    if isinstance(cache, np.ndarray):
        return [cache]
    parts = cache.values() if isinstance(cache, dict) else cache if isinstance(cache, (tuple, list)) else ()
    return [array for part in parts for array in _arrays_in(part)]
