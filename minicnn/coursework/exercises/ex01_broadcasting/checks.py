"""Checks of exercise 1: the backward pass of broadcasting."""

from __future__ import annotations

import numpy as np

from minicnn.coursework import Exercise, Student, Wrong, close

EXERCISE = Exercise(
    title="The backward pass of broadcasting",
    asks=("unbroadcast", "forward", "backward"),
    variants={
        "weighted": "the weighted sum y = w x + (1 - w) b",
        "quotient": "the quotient y = (x - b) / w",
    },
)


def formula(x, b, w, variant):
    return (x - b) / w if variant == "quotient" else w * x + (1 - w) * b


def unbroadcast(grad: np.ndarray, shape: tuple) -> np.ndarray:
    """By the definition: every element of grad is added to the element of the array that was used there."""
    used = np.broadcast_to(np.arange(int(np.prod(shape))).reshape(shape), grad.shape)  # which element, at each place
    return np.bincount(used.ravel(), grad.ravel(), int(np.prod(shape))).reshape(shape)


def numbers(rng: np.random.Generator, *shapes: tuple) -> list[np.ndarray]:
    """Arrays of numbers between 1 and 2: none is near 0, where a quotient would be steep."""
    return [rng.uniform(1, 2, shape) for shape in shapes]


@EXERCISE.check(
    points=2, category="axes that broadcasting put in front",
    hint="If grad has more axes than shape, the first ones are new: sum over them.",
)  # fmt: skip
def new_axes(student: Student, variant: str, rng: np.random.Generator) -> None:
    """unbroadcast from (4, 5, 3) to (3,), to (5, 3), and to no axes at all."""
    grad = rng.standard_normal((4, 5, 3))
    for shape in ((3,), (5, 3), ()):
        causes = {
            "one place was taken where all of them must be summed": grad[(0,) * (3 - len(shape))],
            "the mean was taken in place of the sum": grad.mean(tuple(range(3 - len(shape)))),
            "no axis was summed: it is the gradient as it came": grad,
        }
        close(student.call("unbroadcast", grad, shape), unbroadcast(grad, shape), f"unbroadcast to {shape}", causes)


@EXERCISE.check(
    points=2, category="axes of length 1",
    hint="Where shape has a 1 and grad has not, sum over that axis, and keep it as an axis of length 1 (keepdims).",
)  # fmt: skip
def stretched_axes(student: Student, variant: str, rng: np.random.Generator) -> None:
    """unbroadcast from (4, 5, 3) to (4, 1, 3), to (1, 5, 1), and to (5, 1), where an axis is new as well."""
    grad = rng.standard_normal((4, 5, 3))
    for shape in ((4, 1, 3), (1, 5, 1), (5, 1)):
        want = unbroadcast(grad, shape)
        causes = {
            "the summed axes are gone; keep them with length 1 (keepdims=True)": want.reshape(
                [n for n in shape if n != 1]
            ),
            "no axis was summed: it is the gradient as it came": grad,
        }
        close(student.call("unbroadcast", grad, shape), want, f"unbroadcast to {shape}", causes)


@EXERCISE.check(
    points=1, category="which of two equally long axes",
    hint="NumPy aligns shapes at their ends: (4,) beside (4, 4) is the last axis, so the first one is summed.",
)  # fmt: skip
def square(student: Student, variant: str, rng: np.random.Generator) -> None:
    """unbroadcast from (4, 4) to (4,), and from (3, 3, 3) to (3, 3): the shape alone does not tell the axis."""
    for whole, shape in (((4, 4), (4,)), ((3, 3, 3), (3, 3))):
        grad = rng.standard_normal(whole)
        causes = {f"summed over the wrong axis ({k}); axis 0 is new": grad.sum(k) for k in range(1, len(whole))}
        close(student.call("unbroadcast", grad, shape), unbroadcast(grad, shape), f"unbroadcast to {shape}", causes)


@EXERCISE.check(
    points=1, category="the forward pass", hint="NumPy broadcasts by itself: it is the formula as it stands."
)
def values(student: Student, variant: str, rng: np.random.Generator) -> None:
    """forward, on shapes (4, 3), (3,) and (4, 1), leaves its arguments alone."""
    x, b, w = numbers(rng, (4, 3), (3,), (4, 1))
    result = student.call("forward", x, b, w)
    if not isinstance(result, tuple) or len(result) != 2:
        raise Wrong("forward should return two things: y and the cache")
    close(result[0], formula(x, b, w, variant), "y")
    if student.changed:
        raise Wrong("forward changed one of its arguments in place; work on a copy")


@EXERCISE.check(
    points=2, category="the derivatives, without broadcasting",
    hint="Take the derivative by each of the three with the other two held fixed, times dout.",
)  # fmt: skip
def derivatives(student: Student, variant: str, rng: np.random.Generator) -> None:
    """gradcheck of dx, db and dw where all have the shape (2, 3)."""
    _gradcheck(student, variant, numbers(rng, (2, 3), (2, 3), (2, 3)))


@EXERCISE.check(
    points=2, category="the derivatives, with broadcasting",
    hint="Every one of the three gradients goes through unbroadcast, with the shape of its own array.",
)  # fmt: skip
def broadcast_derivatives(student: Student, variant: str, rng: np.random.Generator) -> None:
    """gradcheck where x, b and w take turns in being broadcast: (4, 3), (3,), (4, 1); (3,), (4, 3), () and others."""
    for shapes in (((4, 3), (3,), (4, 1)), ((3,), (4, 3), ()), ((2, 1), (), (2, 3))):
        _gradcheck(student, variant, numbers(rng, *shapes))


def _gradcheck(student: Student, variant: str, arrays: list[np.ndarray]) -> None:
    def forward(x, b, w):
        return formula(x, b, w, variant), (x, b, w)

    def backward(dout, cache):
        result = student.call("forward", *cache)
        if not isinstance(result, tuple) or len(result) != 2:
            raise Wrong("forward should return two things: y and the cache")
        gradients = student.call("backward", dout, result[1])
        if not isinstance(gradients, (tuple, list)) or len(gradients) != 3:
            raise Wrong("backward should return three gradients: dx, db, dw")
        return gradients

    student.gradcheck(forward, backward, arrays)
