"""Check a gradient against finite differences, and say what kind of mistake it is.

The gradient of a number L by one element x_i is the slope of L when only x_i moves::

    dL/dx_i  ~  (L(x_i + eps) - L(x_i - eps)) / (2 eps)            central difference, error O(eps^2) + rounding / eps

A function with many outputs y becomes one number by L = sum w * y with fixed random weights w, never near 0: every
output counts, and none cancels another as in a plain sum. What backward says for the upstream gradient w must equal the
slope within ``atol + rtol * max(|analytic|, |numeric|)`` plus the rounding error of the difference itself.

``gradcheck_subjects.py`` is what can be checked, ``gradcheck_diagnosis.py`` and ``gradcheck_where.py`` read the pattern
of a mismatch, ``gradcheck_map.py`` draws it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np

from .errors import GradcheckError, ShapeError
from .gradcheck_diagnosis import diagnose
from .gradcheck_findings import Findings
from .gradcheck_subjects import FunctionSubject, PairSubject, Subject, refuse_changes
from .tensor import as_array

UNIT = np.finfo(np.float64).eps
DIRECTIONS = 12  # random directions for an input that is too large to check element by element ...
SAMPLE = 64  # ... and about so many single elements of it,
SAMPLE_WRONG = 300  # or so many if it is wrong, to see a pattern


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

    Examples
    --------
    >>> from minicnn import functional as F
    >>> gradcheck(lambda x, w: F.linear(x, w), [np.ones((2, 3)), np.ones((4, 3))])
    True
    """
    with FunctionSubject(fn, inputs) as subject:
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
    with PairSubject(forward, backward, arrays) as subject:
        return _check(subject, eps, atol, rtol, max_elements)


def rel_error(x, y) -> float:
    """CS231n's measure: the largest |x - y| / max(|x| + |y|, 1e-8). Shapes must agree, or ShapeError.

    >>> rel_error(np.array([1.0, 2.0]), np.array([1.0, 2.0]))
    0.0
    """
    x, y = as_array(x).astype(np.float64), as_array(y).astype(np.float64)
    if x.shape != y.shape:
        raise ShapeError(f"rel_error compares arrays of one shape, got {x.shape} and {y.shape}")
    return float(np.max(np.abs(x - y) / np.maximum(np.abs(x) + np.abs(y), 1e-8), initial=0.0))


# The check itself ----------------------------------------------------------------------------------------------------
def _check(subject: Subject, eps: float, atol: float, rtol: float, max_elements: int) -> bool:
    for name, array in subject.arrays.items():
        _refuse_infinite(name, array, f"the input {name!r} holds NaN or infinity")
    before = {name: array.copy() for name, array in subject.arrays.items()}
    out = subject.value()
    refuse_changes(subject.arrays, before, "forward")
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

    def __init__(self, subject: Subject, out, upstream, eps: float, atol: float, rtol: float) -> None:
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
