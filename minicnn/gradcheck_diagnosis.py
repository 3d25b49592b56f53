"""What a wrong gradient looks like, and what therefore is probably wrong with it.

Each diagnosis is a function that looks for one pattern and returns a sentence, or None. The first that fits is
reported, so the list at the end goes from the certain to the vague. Some look at the two gradients only; others call
backward again with another upstream gradient, or measure how each single output depends on each element (Jacobian).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from .gradcheck_findings import Findings, fraction
from .gradcheck_where import only_at_border, only_some_channels, only_some_values, only_some_values_of_a_vector


def diagnose(f: Findings) -> str:
    """The first diagnosis that fits."""
    return next(text for look in DIAGNOSES if (text := look(f)) is not None)


def shape_diagnosis(got: tuple, wanted: tuple) -> str:
    """A backward returned a gradient of shape ``got`` for an input of shape ``wanted``."""
    axes = _axes_left_over(got, wanted)
    if axes is not None and len(got) >= len(wanted) and got != wanted and int(np.prod(got)) != int(np.prod(wanted)):
        return (
            f"a broadcast axis not summed: backward returned shape {got} for an input of shape {wanted}; "
            f"sum over axes {axes}, and reshape to {wanted}"
        )
    if sorted(got) == sorted(wanted):
        return f"transposed: backward returned shape {got} for an input of shape {wanted}"
    return f"wrong shape: backward returned a gradient of shape {got} for an input of shape {wanted}"


def _axes_left_over(got: tuple, wanted: tuple) -> tuple | None:
    """The axes of ``got`` to sum over, if ``wanted`` (without its axes of 1) is what the others are."""
    core = [n for n in wanted if n != 1]
    for kept in itertools.combinations(range(len(got)), len(core)):
        if [got[k] for k in kept] == core:
            return tuple(k for k in range(len(got)) if k not in kept)
    return None


# Certain: what it is, not where --------------------------------------------------------------------------------------
def only_at_kinks(f: Findings) -> str | None:
    if f.wrong.any():
        return None
    return (
        "only at kinks or ties: everywhere else the gradient is right; at these elements the slopes of the two sides "
        "differ (a ReLU at 0, equal values in a pooling window), and the analytic value is not between them. The "
        "function is not differentiable at this input: choose other values, e.g. random ones"
    )


def not_finite(f: Findings) -> str | None:
    bad = int((~np.isfinite(f.analytic)).sum())
    return f"not finite: backward returned NaN or infinity in {bad} elements; divided by 0?" if bad else None


def zero_gradient(f: Findings) -> str | None:
    if f.near(f.numeric, 0).all():
        return "no gradient expected: the output does not depend on this argument, yet backward returned one"
    if np.any(f.analytic):
        return None
    return (
        "zero gradient: backward returned zeros or None, or the graph is cut (detach, no_grad, .data, np functions), "
        "or a mask is all zero"
    )


def not_linear_upstream(f: Findings) -> str | None:
    """backward(2 w) must be 2 backward(w)."""
    double = f.backward(2 * f.upstream)
    if f.near(double, 2 * f.analytic).all():
        return None
    if f.near(double, f.analytic).all():
        return "upstream gradient not used: backward returns the same whatever it is given; multiply by grad"
    return "not linear in the upstream gradient: backward of 2 g is not twice backward of g; is the gradient clipped?"


def constant_factor(f: Findings) -> str | None:
    """analytic = c * numeric; also for another upstream gradient, since any one number is a multiple of any other."""
    good = ~f.kinks
    c = float((f.analytic * f.numeric)[good].sum() / (f.numeric**2)[good].sum())
    if c == 0 or not f.fits(f.analytic / c):
        return None
    other = np.random.default_rng(1).uniform(0.5, 1.5, f.upstream.shape)
    expected = c * np.tensordot(f.jacobian, other, other.ndim)  # (rows,)
    return _name_factor(c, f) if f.near(f.at_rows(f.backward(other)), expected).all() else None


def _name_factor(c: float, f: Findings) -> str:
    if abs(c + 1) < 1e-4:
        return "sign flipped: analytic = -numeric everywhere; a minus is missing or one too many"
    text = f"constant factor {fraction(c)}: analytic = {fraction(c)} * numeric everywhere"
    for n, what in _sizes(f):
        summed, averaged = abs(c / n - 1) < 1e-4, abs(c * n - 1) < 1e-4
        if n == 2 and (summed or averaged):
            swap = "a sum in place of a mean" if summed else "a mean in place of a sum"
            return f"{text}; a plain factor, or {swap} (N = 2, {what})"
        if summed:
            return f"summed where it should be averaged (factor N = {n}, {what}): {n} times too large"
        if averaged:
            return f"averaged where it should be summed (factor 1/N, N = {n}, {what}): {n} times too small"
    return text


def _sizes(f: Findings) -> Iterator[tuple[int, str]]:
    """Numbers that one divides by in a mean, likely ones first."""
    shapes = {**f.shapes, "the output": f.upstream.shape}
    first = next(iter(f.shapes.values()))
    if len(first) > 1:
        yield first[0], "the batch size"
    for name, shape in shapes.items():
        if len(shape) == 4:
            n, c, h, w = shape
            yield from ((h * w, f"the pixels of one channel of {name}"), (n * h * w, f"batch times pixels of {name}"))
            yield c * h * w, f"the elements of one sample of {name}"
        yield int(np.prod(shape)), f"the number of elements of {name}"
        yield from ((n, f"the length of axis {k} of {name}") for k, n in enumerate(shape))
    ratio = int(np.prod(f.shape)) / max(f.upstream.size, 1)
    if ratio == int(ratio):
        yield int(ratio), f"the elements of {f.argument} for each output"


def transposed(f: Findings) -> str | None:
    """The right numbers in the wrong places. A box of a large argument has the symmetry that this needs."""
    a = f.analytic
    for axes in _permutations(a.ndim):
        if a.transpose(axes).shape == a.shape and f.fits(a.transpose(axes)):
            moved = tuple(k for k, axis in enumerate(axes) if k != axis)
            return f"transposed: analytic equals numeric with axes {moved} exchanged"
    for count in range(1, min(a.ndim, 2) + 1):
        for axes in itertools.combinations(range(a.ndim), count):
            if f.fits(np.flip(a, axes)):
                last = "along spatial axes " if a.ndim > 2 and min(axes) >= a.ndim - 2 else "along axes "
                return f"flipped {last}{axes}: the kernel is rotated (convolution and cross-correlation confused)"
    if a.shape == f.shape:
        for axes in _permutations(a.ndim):
            back = np.argsort(axes)
            if f.fits(a.reshape([a.shape[k] for k in axes]).transpose(back)):
                return f"transposed: reshaped where transpose{tuple(map(int, back))} was needed"
    return None


def _permutations(ndim: int) -> list[tuple[int, ...]]:
    """All but the identity, exchanges of two axes first; five axes and more: none."""
    all_of_them = list(itertools.permutations(range(ndim)))[1:] if ndim <= 4 else []
    return sorted(all_of_them, key=lambda axes: sum(k != axis for k, axis in enumerate(axes)))


def overwritten(f: Findings) -> str | None:
    """Backward is right for every single output alone, but not for all at once: the last one has wiped out others."""
    element = f.parts[0]  # of a wrong element, (*output shape)
    touching = np.flatnonzero(~f.near(element, 0))
    if len(touching) < 2:
        return None
    for j in touching[np.linspace(0, len(touching) - 1, min(len(touching), 32)).astype(int)]:
        single = np.zeros(f.upstream.size)
        single[j] = f.upstream.reshape(-1)[j]
        alone = f.at_rows(f.backward(single.reshape(f.upstream.shape)))
        if not f.near(alone, f.parts.reshape(len(f.rows), -1)[:, j]).all():
            return None
    return (
        "gradient overwritten instead of added: for each output alone backward is right, for all together it is not; "
        "where an element is used several times, += its gradients (np.add.at for repeated indices)"
    )


def part_only(f: Findings) -> str | None:
    """Every wrong element has the contribution of one use only: of one slice of the output, or one window."""
    wrong = int(f.at_rows(f.wrong).sum())
    analytic, ndim = f.at_rows(f.analytic)[:wrong], f.upstream.ndim
    for count in range(1, ndim + 1):
        for kept in itertools.combinations(range(ndim), count):
            uses = f.parts.sum(tuple(1 + k for k in range(ndim) if k not in kept))  # (rows, *kept axes), wrong first
            uses, others = uses.reshape(len(f.parts), -1)[:wrong], uses.reshape(len(f.parts), -1)[wrong:]
            if ((~f.near(others, 0)).sum(1) > 1).any():  # used several times, and right: nothing is wiped out there
                continue
            match = f.near(uses, analytic[:, None])
            if not match.any(1).all() or not (match & ~f.near(uses, 0)).any() or uses.shape[1] < 2:
                continue
            same = np.flatnonzero(match.all(0))  # one slice for all elements?
            where = np.unravel_index(same[0], [f.upstream.shape[k] for k in kept]) if len(same) else ()
            single = (~f.near(f.parts, 0)).sum(0).max() <= 1  # each output depends on one element: broadcast
            one = f"only index {tuple(map(int, where))} of output axes {kept}" if len(same) else "one use"
            if len(same) and single and f.wrong[~f.kinks].all():
                return (
                    f"a broadcast axis not summed: {one} counts; the argument is used for all of them, so sum "
                    f"the gradient over these axes"
                )
            return (
                f"gradient overwritten instead of added: {one} counts, where an element is used several times; "
                f"write += in the loop of the backward"
            )
    return None


def summed_over_wrong_axes(f: Findings) -> str | None:
    """A vector that was broadcast along one axis of the output, its gradient summed as if along another."""
    if f.analytic.ndim != 1 or f.analytic.shape != f.shape or len(f.rows) < f.analytic.size:
        return None
    if (~f.near(f.parts, 0)).sum(0).max() > 1:
        return None
    total = f.parts.sum(0)  # each output's contribution, whichever element it went to
    for k, n in enumerate(total.shape):
        sums = total.sum(tuple(a for a in range(total.ndim) if a != k))
        if n == f.analytic.size and f.near(f.analytic, sums).all():
            return f"a broadcast axis not summed: summed over the wrong axes, as if it lay along output axis {k}"
    return None


def skip_path(f: Findings) -> str | None:
    """y = f(x) + x: one of the two ways back is missing."""
    if f.upstream.shape != f.shape:
        return None
    upstream = f.upstream[np.ix_(*f.box)]
    if f.fits(f.analytic + upstream):
        return (
            "gradient overwritten instead of added: what is missing is the upstream gradient itself, the identity path "
            "of a skip connection"
        )
    if f.near(f.analytic, upstream).all():
        return "upstream gradient passed on unchanged: backward forgot the function's own derivative"
    return None


def no_simple_pattern(f: Findings) -> str:
    a, n = f.analytic[~f.kinks], f.numeric[~f.kinks]
    text = "no simple pattern"
    if a.size > 1 and a.std() and n.std():
        r = float(np.corrcoef(a.ravel(), n.ravel())[0, 1])
        text += f": the correlation of analytic and numeric gradient is {r:.2f}"
        text += " (alike: a term is missing or approximated)" if r > 0.8 else " (unlike: check the derivation)"
    return text


DIAGNOSES = (
    only_at_kinks, not_finite, zero_gradient, not_linear_upstream, constant_factor, transposed, skip_path, overwritten,
    part_only, summed_over_wrong_axes, only_at_border, only_some_values_of_a_vector, only_some_channels,
    only_some_values, no_simple_pattern,
)  # fmt: skip
