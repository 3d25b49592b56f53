"""Checks of exercise 7: local response normalisation."""

from __future__ import annotations

import numpy as np

from minicnn.coursework import Exercise, Student, Wrong, as_numbers, close

EXERCISE = Exercise(
    title="Local response normalisation",
    asks=("window_sum", "lrn", "lrn_backward"),
    variants={
        "within": "the window holds pixels of the same channel; the average of squares",
        "preceding": "the window holds the channel and those before it; the sum of squares",
        "average": "the window holds neighbouring channels; the average of squares, as in minicnn's default",
        "paper": "the window holds neighbouring channels; the sum of squares, as in the paper",
    },
    forbidden=("local_response_norm", "local_response_norm_backward"),
)
ALPHA, BETA, K = 0.4, 0.6, 1.5
INSIDE = (slice(None), slice(2, 5), slice(2, 5), slice(2, 5))  # what a window of 3 or 5 around lies inside of


def reach(size: int, variant: str) -> tuple[tuple[int, int], ...]:
    """How far a window goes back and on along C, H, W."""
    half = (size // 2, size // 2)
    return {"within": ((0, 0), half, half), "preceding": ((size - 1, 0), (0, 0), (0, 0))}.get(
        variant, (half, (0, 0), (0, 0))
    )


def window_sum(v: np.ndarray, size: int, variant: str, mode: str = "constant") -> np.ndarray:
    """By the definition: v, padded, seen through windows."""
    around = reach(size, variant)
    padded = np.pad(v, ((0, 0), *around), mode=mode)
    shape = tuple(before + after + 1 for before, after in around)
    return np.lib.stride_tricks.sliding_window_view(padded, shape, (1, 2, 3)).sum((4, 5, 6))


def divisor(size: int, variant: str) -> int:
    return {"average": size, "within": size**2}.get(variant, 1)


def denominator(x, size, variant, share=None):
    """d, before the power."""
    share = ALPHA / divisor(size, variant) if share is None else share
    return K + share * window_sum(x**2, size, variant)


def outputs(x, size, variant, share=None):
    return x * denominator(x, size, variant, share) ** -BETA


def parts(dout, x, size, variant) -> tuple[np.ndarray, np.ndarray]:
    """dx by the definition: through the numerator, and through all denominators, element by element."""
    d, share = denominator(x, size, variant), ALPHA / divisor(size, variant)
    each = dout * x * d ** (-BETA - 1)  # of each output
    received = np.zeros(x.shape)
    for at in np.ndindex(*x.shape[1:]):  # each output gives to all that lie in its window
        ends = zip(at, reach(size, variant), strict=True)
        window = tuple(slice(max(0, i - before), i + after + 1) for i, (before, after) in ends)
        received[:, *window] += each[:, *at][:, None, None, None]
    return dout * d**-BETA, -2 * share * BETA * x * received


def output_of(student: Student, x, size) -> tuple:
    result = student.call("lrn", x, size, ALPHA, BETA, K)
    if not isinstance(result, tuple) or len(result) != 2:
        raise Wrong("lrn should return two things: the output and the cache")
    return result


def gradient_of(student: Student, dout, x, size):
    return student.call("lrn_backward", dout, output_of(student, x, size)[1])


def windows_of_others(x, size, variant) -> dict:
    """What other windows than the right one give."""
    names = {
        "paper": "the window goes over the channels on both sides; in this variant it does not",
        "preceding": "the window goes over the channels before only; in this variant it does not",
        "within": "the window goes over pixels of the same channel; in this variant it goes across channels",
    }
    same = "paper" if variant == "average" else variant
    found = {text: window_sum(x, size, other) for other, text in names.items() if other != same}
    if variant != "preceding":
        found["the window is too wide: it goes size to each side, not size in all"] = window_sum(x, 2 * size + 1, same)
    else:
        found["the window holds the channels after, not before"] = window_sum(x[:, ::-1], size, same)[:, ::-1]
    if variant == "within":
        found["the window is a row of pixels, not a square"] = _along(x, size, 3)
        found["the window is a column of pixels, not a square"] = _along(x, size, 2)
    return found


def _along(x, size, axis):
    """A window along one axis of the image."""
    return window_sum(np.swapaxes(x, 1, axis), size, "paper").swapaxes(1, axis)


@EXERCISE.check(
    points=2, category="the sum over a window",
    hint="Add slices, each shifted by one, or pad with zeros and add slices of that.",
)  # fmt: skip
def window(student: Student, variant: str, rng: np.random.Generator) -> None:
    """window_sum, away from the borders, with windows of two sizes."""
    v = rng.standard_normal((2, 7, 7, 7))
    for size in (2, 3) if variant == "preceding" else (3, 5):
        want = window_sum(v, size, variant)
        causes = {cause: value[INSIDE] for cause, value in windows_of_others(v, size, variant).items()}
        got = student.numbers("window_sum", v, size, shape=v.shape)[INSIDE]
        close(got, want[INSIDE], f"window_sum with size {size}, away from the borders,", causes)


@EXERCISE.check(
    points=2, category="windows at the borders",
    hint="What lies outside counts as 0: it is not the first or last element again, nor what is on the other side.",
)  # fmt: skip
def borders(student: Student, variant: str, rng: np.random.Generator) -> None:
    """window_sum everywhere, with windows of 3, and of 9 where there are 4 channels and 5 x 6 pixels."""
    v = rng.standard_normal((2, 4, 5, 6))
    for size in (3, 9):
        want = window_sum(v, size, variant)
        count = window_sum(np.ones_like(v), size, variant)
        causes = {
            "it goes on at the other side (np.roll does that); the window is cut off at the borders":
                window_sum(v, size, variant, "wrap"),
            "the element at the border is repeated": window_sum(v, size, variant, "edge"),
            "it is scaled up where elements are missing; it should be their sum": want * count.max() / count,
            "it is the average of those elements that there are; it should be their sum": want / count,
        }  # fmt: skip
        close(student.call("window_sum", v, size), want, f"window_sum with size {size}", causes)


@EXERCISE.check(
    points=2, category="the output",
    hint="d = k + alpha times the sum of squares (divided by what the task says), then x / d^beta.",
)  # fmt: skip
def output(student: Student, variant: str, rng: np.random.Generator) -> None:
    """y away from the borders, with a window of 3, and alpha, beta and k that are seen."""
    x, size = rng.standard_normal((2, 7, 7, 7)), 3
    d, by = denominator(x, size, variant), divisor(size, variant)
    causes = {
        "the power beta is missing": x / d,
        "the squares are missing: the elements themselves were summed":
            x * np.maximum(K + ALPHA / by * window_sum(x, size, variant), 1e-300) ** -BETA,
        "k is missing": x * np.maximum(d - K, 1e-300) ** -BETA,
        "it is multiplied by d^beta, not divided": x * d**BETA,
    }  # fmt: skip
    if by == 1:
        causes["alpha is divided by the size of the window (alpha/n); in this variant squares are summed"] = outputs(
            x, size, variant, ALPHA / size
        )
    else:
        below = "the size of the window" if by == size else "the number of pixels in the window, size^2"
        causes[f"alpha is not divided by {below}: squares are averaged in this variant"] = outputs(
            x, size, variant, ALPHA)  # fmt: skip
    if variant == "within":
        causes["alpha is divided by size, not by size^2, the number of pixels in the window"] = outputs(
            x, size, variant, ALPHA / size)  # fmt: skip
    got = as_numbers(output_of(student, x, size)[0], "y", x.shape)[INSIDE]
    close(got, outputs(x, size, variant)[INSIDE], "y", {cause: value[INSIDE] for cause, value in causes.items()})


@EXERCISE.check(
    points=2, category="the gradient for windows of size 1",
    hint="y = x (k + a x^2)^-beta: by the product rule and the chain rule, two terms.",
)  # fmt: skip
def alone(student: Student, variant: str, rng: np.random.Generator) -> None:
    """dx with a window of size 1, where each element is alone."""
    x, dout = rng.standard_normal((2, 2, 3, 4)), rng.standard_normal((2, 2, 3, 4))
    first, second = parts(dout, x, 1, variant)
    d = denominator(x, 1, variant)
    close(gradient_of(student, dout, x, 1), first + second, "dx", {
        "the cross-term is missing: the denominator was treated as a constant, but it depends on x": first,
        "the second term lacks the factor 2, from the derivative of x^2": first + second / 2,
        "the second term lacks the factor beta, from the derivative of d^-beta": first + second / BETA,
        "the second term lacks the factor alpha": first + second / ALPHA,
        "the second term has the wrong sign: more energy makes y smaller": first - second,
        "the exponent of the second term is wrong: the derivative of d^-beta has d^(-beta-1)": first + second * d,
        "the second term lacks a factor x: one comes from the numerator, one from the derivative of x^2":
            first + second / x,
    })  # fmt: skip


@EXERCISE.check(
    points=3, category="the gradient for larger windows",
    hint="An element lies in the windows of several outputs: sum dout x d^(-beta-1), with their values, over these.",
)  # fmt: skip
def neighbours(student: Student, variant: str, rng: np.random.Generator) -> None:
    """dx with a window of 3."""
    x, dout, size = rng.standard_normal((2, 5, 4, 6)), rng.standard_normal((2, 5, 4, 6)), 3
    first, second = parts(dout, x, size, variant)
    d, share = denominator(x, size, variant), ALPHA / divisor(size, variant)
    each = dout * x * d ** (-BETA - 1)
    causes = {
        "the cross-term is missing: the denominator was treated as a constant": first,
        "only its own output is looked at: an element also damps the outputs of its neighbours":
            first - 2 * share * BETA * x * each,
        "the sum over the neighbours has x alone in it; dout and d belong to the outputs and must be summed too":
            first - 2 * share * BETA * dout * d ** (-BETA - 1) * x * window_sum(x, size, variant),
        "the factor x of the second term stands inside the sum: it belongs to the element, not to the outputs":
            first - 2 * share * BETA * window_sum(each * x, size, variant),
        "alpha is not divided as in the forward pass": first + second * divisor(size, variant),
    }  # fmt: skip
    if divisor(size, variant) == 1:
        causes["alpha is divided by the size of the window, unlike in the forward pass"] = first + second / size
    if variant == "preceding":
        causes["the window must be reversed: a channel lies in the windows of the channels after it, not before it"] = (
            first - 2 * share * BETA * x * window_sum(each, size, variant)
        )
    close(gradient_of(student, dout, x, size), first + second, "dx", causes)


@EXERCISE.check(
    points=2, category="the gradient against finite differences",
    hint="Nudge one element: its own output moves, and so do those of all windows that it lies in.",
)  # fmt: skip
def gradient(student: Student, variant: str, rng: np.random.Generator) -> None:
    """gradcheck of one image of four channels of 3 x 3 pixels, with a window of 3."""
    student.gradcheck(
        lambda x: (outputs(x, 3, variant), x),
        lambda dout, x: gradient_of(student, dout, x, 3),
        [rng.standard_normal((1, 4, 3, 3))],
    )
