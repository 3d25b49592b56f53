"""Check a gradient against finite differences, and say what kind of mistake it is.

The gradient of a number L by one element x_i is the slope of L when only x_i moves::

    dL/dx_i  ~  (L(x_i + eps) - L(x_i - eps)) / (2 eps)            central difference, error O(eps^2) + rounding / eps

A function with many outputs y becomes one number by L = sum w * y with fixed random weights w, never near 0: every
output counts, and none cancels another as in a plain sum. What backward says for the upstream gradient w must equal the
slope within ``atol + rtol * max(|analytic|, |numeric|)`` plus the rounding error of the difference itself.

``gradcheck_diagnosis.py`` reads the pattern of a mismatch.
"""
from __future__ import annotations

import contextlib
import copy
import inspect
import itertools
import re
from collections.abc import Callable, Sequence

import numpy as np

from . import random
from .autograd import no_grad
from .errors import ArgumentError, DtypeError, MinicnnError, ShapeError
from .gradcheck_diagnosis import Findings, diagnose, draw_error_map, shape_diagnosis
from .tensor import FLOATS, Tensor, as_array

UNIT = np.finfo(np.float64).eps
DIRECTIONS = 12  # random directions for an input that is too large to check element by element ...
SAMPLE = 64  # ... and about so many single elements of it,
SAMPLE_WRONG = 300  # or so many if it is wrong, to see a pattern


class GradcheckError(MinicnnError, AssertionError):
    """A gradient is wrong, or cannot be checked here.

    Attributes
    ----------
    argument : str or None
        Which input or parameter.
    index : tuple of int or None
        The element that is furthest off.
    analytic, numeric : float or None
        Its gradient by backward, and by a central difference.
    diagnosis : str
        What kind of mistake the pattern of the mismatch points to; begins with a fixed phrase.
    errors : numpy.ndarray or None
        |analytic - numeric| in the argument's shape; NaN where a large argument was not checked.
    analytic_gradient, numeric_gradient : numpy.ndarray or None
        Both gradients, likewise.
    """

    def __init__(self, message: str, argument: str | None = None, diagnosis: str = "") -> None:
        super().__init__(message)
        self.argument, self.diagnosis = argument, diagnosis
        self.index = self.analytic = self.numeric = None
        self.errors = self.analytic_gradient = self.numeric_gradient = None

    def plot(self, path=None):
        """Draw analytic gradient, numeric gradient and their difference; 4-d arrays as a grid of channel maps.

        Parameters
        ----------
        path : path-like, optional
            Where to write the picture.

        Returns
        -------
        matplotlib.figure.Figure
        """
        if self.errors is None:
            raise ArgumentError(f"plot: this error holds no gradients to draw ({self.diagnosis})")
        return draw_error_map(self, path)


def gradcheck(
    fn: Callable, inputs, eps: float = 1e-6, atol: float = 1e-7, rtol: float = 1e-5, max_elements: int = 1000
) -> bool:  # fmt: skip
    """Compare the gradients of ``fn`` with central differences; all is computed in float64.

    Parameters
    ----------
    fn : callable or nn.Module
        Takes the inputs as tensors, returns one floating tensor of any shape. The parameters of a module are checked
        too; during the check they are float64, and afterwards all of its arrays are the very same as before.
    inputs : Tensor, array, or a list or tuple of these
        Floating ones (float32 too) are copied to float64 and checked; anything else is passed on as it is. If some
        have ``requires_grad``, only those are checked. Nothing of yours is changed, neither data nor ``.grad``.
    eps : float
        The step.
    atol, rtol : float
        An element is right if |analytic - numeric| <= atol + rtol * max(|analytic|, |numeric|) + rounding. Rounding is
        16 u / eps times the norm of the outputs that moved (u = 2.2e-16): 4e-9 for an output of size 1. Elements that
        differ are measured again with steps of 10, 100 and 1/10 eps before they are called wrong.
    max_elements : int
        A larger input is checked along 12 random directions and in about 64 single elements instead of in every
        element; if a direction is off, halving it leads to a wrong element, and about 300 are measured around it.

    Returns
    -------
    True

    Raises
    ------
    GradcheckError
        If a gradient is wrong; see its attributes, and ``plot()``. Also if ``fn`` is not deterministic (dropout of
        minicnn is: it draws the same bits each time), is not finite, or changes its inputs. Where ``fn`` has a kink,
        any slope between those of the two sides is right.
    """
    with _FunctionSubject(fn, inputs) as subject:
        return _check(subject, eps, atol, rtol, max_elements)


def gradcheck_pair(
    forward: Callable, backward: Callable, arrays: Sequence, eps: float = 1e-6, atol: float = 1e-7, rtol: float = 1e-5,
    max_elements: int = 1000,
) -> bool:  # fmt: skip
    """Check a pair of plain functions, CS231n's style.

    ``out, cache = forward(*arrays)`` and ``grads = backward(dout, cache)``.

    Parameters
    ----------
    forward, backward : callable
        ``backward`` returns one gradient per array, or only for the floating ones, in order; one may stand alone.
    arrays : sequence
        What ``forward`` takes. Floating arrays are checked, in float64 copies; others (labels, a dict of options) are
        passed on as copies.
    eps, atol, rtol, max_elements
        As for :func:`gradcheck`, and the same result and errors; changing an input, ``dout`` or the cache in place is
        an error too.
    """
    with _PairSubject(forward, backward, arrays) as subject:
        return _check(subject, eps, atol, rtol, max_elements)


def rel_error(x, y) -> float:
    """CS231n's measure: the largest |x - y| / max(|x| + |y|, 1e-8). Shapes must agree, or ShapeError."""
    x, y = as_array(x).astype(np.float64), as_array(y).astype(np.float64)
    if x.shape != y.shape:
        raise ShapeError(f"rel_error compares arrays of one shape, got {x.shape} and {y.shape}")
    return float(np.max(np.abs(x - y) / np.maximum(np.abs(x) + np.abs(y), 1e-8), initial=0.0))


# What is checked: values() at the present arrays, gradients(upstream) of the same ------------------------------------
def _is_float(value) -> bool:
    return getattr(value, "dtype", None) in FLOATS or isinstance(value, float)


def _float64(value) -> np.ndarray:
    return np.array(as_array(value), np.float64, order="C")  # a copy; C order, so that reshape(-1) is a view


def _argument_names(fn: Callable, count: int) -> list[str]:
    """The names of the positional parameters of ``fn``; ``inputs[i]`` where it has none."""
    try:
        parameters = inspect.signature(getattr(fn, "forward", fn)).parameters.values()
    except (TypeError, ValueError):  # some built-ins have no signature
        parameters = ()
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return [names[i] if i < len(names) else f"inputs[{i}]" for i in range(count)]


def _refuse_changes(arrays: dict[str, np.ndarray], before: dict[str, np.ndarray], who: str) -> None:
    for name, array in arrays.items():
        if not np.array_equal(array, before[name], equal_nan=True):
            array[...] = before[name]
            text = f"modified in place: {who} changed {name!r}; work on a copy (dx = grad * mask, not grad *= mask)"
            raise GradcheckError(f"gradcheck\n  diagnosis: {text}", name, text)


class _Subject:
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
        _refuse_changes(self.arrays, before, "backward")
        _refuse_changes({"the upstream gradient": given}, {"the upstream gradient": upstream}, "backward")
        pairs = zip(self.arrays.items(), gradients, strict=True)
        return {name: np.zeros(a.shape) if g is None else np.array(g, np.float64) for (name, a), g in pairs}


class _FunctionSubject(_Subject):
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
            with contextlib.nullcontext() if record else no_grad():
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


class _PairSubject(_Subject):
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
        _refuse_changes(self.arrays, before, "forward")
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
        _refuse_changes(cached, before, "backward")
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


# The check itself ----------------------------------------------------------------------------------------------------
def _check(subject: _Subject, eps: float, atol: float, rtol: float, max_elements: int) -> bool:
    for name, array in subject.arrays.items():
        _refuse_infinite(name, array, f"the input {name!r} holds NaN or infinity")
    before = {name: array.copy() for name, array in subject.arrays.items()}
    out = subject.value()
    _refuse_changes(subject.arrays, before, "forward")
    _refuse_infinite(None, out, "the output holds NaN or infinity")
    if not np.array_equal(out, subject.value()):
        text = "not deterministic: two calls with the same input gave different values; draw random numbers beforehand"
        raise GradcheckError(f"gradcheck\n  diagnosis: {text}", None, text)
    rng = np.random.default_rng(0)
    upstream = rng.choice((-1.0, 1.0), out.shape) * rng.uniform(0.5, 1.5, out.shape)
    analytic = subject.gradients(upstream)
    slopes = _Slopes(subject, out, upstream, eps, atol, rtol)
    found = [_check_argument(slopes, name, g, max_elements, rng) for name, g in analytic.items() if g.size]
    found = sorted((f for f in found if f is not None), key=lambda f: not f.wrong.any())  # stable; kinks come last
    if found:
        raise _error(found[0], [f.argument for f in found[1:]])
    return True


def _refuse_infinite(name: str | None, array: np.ndarray, what: str) -> None:
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        text = f"not finite: {what}, first at index {tuple(map(int, bad[0]))}; choose inputs where all is finite"
        raise GradcheckError(f"gradcheck\n  diagnosis: {text}", name, text)


class _Slopes:
    """Slopes of L = sum upstream * output along a line through the present point."""

    def __init__(self, subject: _Subject, out, upstream, eps: float, atol: float, rtol: float) -> None:
        self.subject, self.out, self.upstream = subject, out, upstream
        self.eps, self.atol, self.rtol = eps, atol, rtol

    def measure(self, name: str, where, gradient: np.ndarray, along=1.0, step: float | None = None) -> dict:
        """Move the elements ``where`` (flat indices) along ``along``: slopes, and whether ``gradient`` agrees.

        Differences are taken output by output and summed after, so that what did not move brings no rounding error.
        """
        step = step or self.eps
        flat = self.subject.arrays[name].reshape(-1)  # a view
        before, largest = flat[where].copy(), np.abs(flat).max()
        try:
            flat[where] = before + step * along
            ahead, up = flat[where] - before, self.subject.value()  # the distance really gone, after rounding
            flat[where] = before - step * along
            back, down = before - flat[where], self.subject.value()
        finally:
            flat[where] = before
        if not (np.isfinite(up).all() and np.isfinite(down).all()):
            index = tuple(map(int, np.unravel_index(np.ravel(where)[0], self.subject.arrays[name].shape)))
            moving = f"{name}{list(index)} moves by {step:g}"
            text = f"not finite: the output becomes NaN or infinite when {moving}; choose other inputs"
            raise GradcheckError(f"gradcheck\n  diagnosis: {text}", name, text)
        # one element: divide by the distance it went; a direction: the gradient meets the distances it went
        span = float(np.sum(ahead + back)) if np.ndim(where) == 0 else 2 * step
        analytic = float(np.sum(gradient.reshape(-1)[where] * (ahead + back)) / span)
        w, half = self.upstream, span / 2
        forward, backward = w * (up - self.out) / half, w * (self.out - down) / half  # one slope per output
        moved = w * np.maximum(np.abs(up), np.abs(down)) * (up != down)
        numeric = float((w * (up - down)).sum() / span)
        rounding = np.linalg.norm(moved) + largest * np.linalg.norm(forward + backward) / 2
        noise = float(16 * UNIT * rounding / half)
        tolerance = self.atol + self.rtol * max(abs(analytic), abs(numeric)) + noise
        return {
            "analytic": analytic, "numeric": numeric, "tolerance": tolerance, "noise": noise, "span": span,
            "right": bool(np.isfinite(analytic) and abs(analytic - numeric) <= tolerance),
            "gap": float(np.linalg.norm(forward - backward)),  # 0 + O(step) where the function is smooth
            "low": float(np.minimum(forward, backward).sum()), "high": float(np.maximum(forward, backward).sum()),
        }  # fmt: skip

    def judge(self, name: str, where, gradient: np.ndarray, along=1.0) -> tuple[str, dict]:
        """``"right"``, ``"wrong"``, or ``"kink"``: not differentiable there, and outside the slopes of both sides.

        A shorter step may miss a kink nearby, longer ones (taken where steps disagree) have less rounding error: a
        right gradient meets one of them. At a kink the slopes of the two sides differ as much when the step shrinks; at
        a mere bend the gap shrinks with it.
        """
        first = self.measure(name, where, gradient, along)
        if first["right"]:
            return "right", first
        near = self.measure(name, where, gradient, along, self.eps / 10)
        doubtful = abs(near["numeric"] - first["numeric"]) > 0.01 * abs(first["analytic"] - first["numeric"])
        longer = (self.measure(name, where, gradient, along, self.eps * f) for f in (10, 100) if doubtful)
        for other in itertools.chain([near], longer):
            if other["right"]:
                return "right", other
        if near["gap"] > max(0.3 * first["gap"], 10 * near["noise"], self.atol):
            margin = 10 * near["tolerance"] + self.eps * first["gap"]
            between = near["low"] - margin <= near["analytic"] <= near["high"] + margin
            return "right" if between else "kink", first
        return "wrong", first


def _check_argument(slopes: _Slopes, name: str, gradient: np.ndarray, max_elements: int, rng) -> Findings | None:
    """None if the gradient is right."""
    shape, size, worst = gradient.shape, gradient.size, None
    box = tuple(np.arange(n) for n in shape)
    if size > max_elements:
        worst = _along_directions(slopes, name, gradient, rng)
        box = _some_indices(shape, SAMPLE if worst is None else min(SAMPLE_WRONG, max_elements), worst)
    numbers = np.asarray(np.arange(size).reshape(shape)[np.ix_(*box)])  # flat numbers of the elements to be checked
    numeric, noise = np.zeros(numbers.shape), 0.0
    wrong, kinks = np.zeros(numbers.shape, bool), np.zeros(numbers.shape, bool)
    for i in np.ndindex(numbers.shape):
        verdict, measured = slopes.judge(name, numbers[i], gradient)
        numeric[i], wrong[i], kinks[i] = measured["numeric"], verdict == "wrong", verdict == "kink"
        noise = max(noise, measured["noise"])
    if not wrong.any() and not kinks.any():
        return None

    def analytic(upstream):
        return np.asarray(slopes.subject.gradients(upstream)[name][np.ix_(*box)])

    def outputs(i):  # d output / d element number i of the box, for every output
        flat, n = slopes.subject.arrays[name].reshape(-1), numbers.reshape(-1)[i]
        before = flat[n]
        flat[n] = before + slopes.eps
        ahead, up = flat[n], slopes.subject.value()
        flat[n] = before - slopes.eps
        back, down = flat[n], slopes.subject.value()
        flat[n] = before
        return (up - down) / (ahead - back)

    return Findings(
        argument=name, shape=shape, box=box, analytic=np.asarray(gradient[np.ix_(*box)]), numeric=numeric,
        wrong=wrong, kinks=kinks, values=np.array(slopes.subject.arrays[name][np.ix_(*box)]),
        slack=10 * (slopes.atol + noise), upstream=slopes.upstream,
        shapes={n: a.shape for n, a in slopes.subject.arrays.items()}, backward=analytic, outputs=outputs,
    )  # fmt: skip


def _along_directions(slopes: _Slopes, name: str, gradient: np.ndarray, rng) -> int | None:
    """Number of an element that is wrong, found by halving the first random direction that is; None if none is."""
    for _ in range(DIRECTIONS):
        where, along = np.arange(gradient.size), rng.standard_normal(gradient.size)
        if slopes.judge(name, where, gradient, along / np.linalg.norm(along))[0] != "wrong":
            continue
        while len(where) > 1:
            halves = [(where[h], along[h]) for h in (slice(None, len(where) // 2), slice(len(where) // 2, None))]
            errors = []
            for part, v in halves:
                m = slopes.measure(name, part, gradient, v / np.linalg.norm(v))
                errors.append(abs(m["analytic"] - m["numeric"]) * np.linalg.norm(v))
            where, along = halves[int(not errors[0] >= errors[1])]
        return int(where[0])
    return None


def _some_indices(shape: tuple, budget: int, also: int | None) -> tuple[np.ndarray, ...]:
    """Per axis a few indices, first and last among them, that lie symmetrically and are the same for equal lengths.

    So patterns such as "transposed" or "only at the border" can be seen in this part of a large array as in all of it.
    """
    keep = {n: n for n in shape}
    while np.prod([float(keep[n]) for n in shape]) > budget and max(keep.values()) > 1:
        longest = max(keep, key=keep.get)
        keep[longest] = max(1, keep[longest] * 7 // 8)
    chosen = {n: np.linspace(0, n - 1, k)[: (k + 1) // 2].astype(int) for n, k in keep.items()}  # the rest: mirrored
    extra = np.unravel_index(also, shape) if also is not None else ()
    for n, i in zip(shape, extra, strict=False):
        chosen[n] = np.append(chosen[n], i)
    return tuple(np.unique(np.concatenate([chosen[n], n - 1 - chosen[n]])) for n in shape)


def _error(found: Findings, others: list[str]) -> GradcheckError:
    diagnosis = diagnose(found)
    counted = found.wrong if found.wrong.any() else found.kinks
    size = int(np.prod(found.shape))
    with np.errstate(invalid="ignore"):
        errors = np.abs(found.analytic - found.numeric)
    at = np.unravel_index(np.argmax(np.where(counted, np.nan_to_num(errors, nan=np.inf), -1)), errors.shape)
    index = tuple(int(found.box[k][i]) for k, i in enumerate(at))
    a, n = float(found.analytic[at]), float(found.numeric[at])
    of = f"{size} elements" if errors.size == size else f"{errors.size} checked elements ({size} in all)"
    lines = [
        f"gradcheck: the gradient of {found.argument!r}, shape {found.shape}, is wrong; worst at index {index}",
        f"  analytic: {a:.10g}",
        f"  numeric:  {n:.10g}",
        f"  relative error: {abs(a - n) / max(abs(a) + abs(n), 1e-8):.3g}",
        f"  wrong: {counted.sum()} of {of}",
    ]
    if found.wrong.any() and found.kinks.any():
        lines.append(f"  not counted: {found.kinks.sum()} more at kinks or ties, where there is no derivative")
    if others:
        lines.append(f"  also wrong: {', '.join(others)}")
    error = GradcheckError("\n".join([*lines, f"  diagnosis: {diagnosis}"]), found.argument, diagnosis)
    error.index, error.analytic, error.numeric = index, a, n
    maps = {"errors": errors, "analytic_gradient": found.analytic, "numeric_gradient": found.numeric}
    for name, values in maps.items():
        whole = np.full(found.shape, np.nan)
        whole[np.ix_(*found.box)] = values
        setattr(error, name, whole)
    return error
