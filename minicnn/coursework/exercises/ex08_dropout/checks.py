"""Checks of exercise 8: dropout. What was dropped is read from the output; how the random numbers are used is free."""

from __future__ import annotations

import numpy as np

from minicnn.coursework import Exercise, Student, Wrong, as_numbers, close

EXERCISE = Exercise(
    title="Dropout",
    asks=("dropout", "dropout_backward"),
    variants={
        "spatial": "whole channels are dropped, the others are scaled in training",
        "original": "nothing is scaled in training, everything in evaluation, as in the paper",
        "inverted": "single numbers are dropped, the others are scaled in training, as in minicnn",
    },
    forbidden=("dropout",),
)
P = 0.3
MANY = (8, 200, 2, 2)  # shares of so many are near the probability


def seed_of(rng: np.random.Generator) -> int:
    return int(rng.integers(2**31))


def no_zeros(rng: np.random.Generator, shape: tuple = MANY) -> np.ndarray:
    """Positive and negative numbers, none near 0: where y is 0, it was dropped."""
    return rng.uniform(0.5, 1.5, shape) * rng.choice((-1.0, 1.0), shape)


def dropped(student: Student, x, p, training, seed) -> tuple[np.ndarray, object]:
    """What the submission returned: y and the cache."""
    result = student.call("dropout", x, p, training, seed)
    if not isinstance(result, tuple) or len(result) != 2:
        raise Wrong("dropout should return two things: the output and the cache")
    return as_numbers(result[0], "the output of dropout", x.shape), result[1]


def mask_of(student: Student, x, seed, p=P) -> np.ndarray:
    """What was kept in training: True; x has no zeros."""
    return dropped(student, x, p, True, seed)[0] != 0


def factor(variant: str, training: bool = True, p: float = P) -> float:
    """By which what is kept is multiplied."""
    if variant == "original":
        return 1.0 if training else 1 - p
    return 1 / (1 - p) if training else 1.0


@EXERCISE.check(
    points=2, category="how much is dropped",
    hint="rng.random(shape) is below p with probability p. p is the probability of being dropped, not of being kept.",
)  # fmt: skip
def share(student: Student, variant: str, rng: np.random.Generator) -> None:
    """The part of the output that is 0 in training, for p = 0.3 and four seeds; and that nothing is for p = 0."""
    x = no_zeros(rng)
    found = 1 - np.mean([mask_of(student, x, seed_of(rng)) for _ in range(4)])
    if abs(found - (1 - P)) < 0.08:
        raise Wrong(f"{found:.0%} is dropped for p = {P}: p was taken for the probability of being kept")
    if abs(found - P) > 0.08:
        raise Wrong(f"{found:.0%} is dropped for p = {P}")
    if not mask_of(student, x, seed_of(rng), p=0.0).all():
        raise Wrong("something is dropped for p = 0")


@EXERCISE.check(
    points=2, category="what is dropped together",
    hint="The shape of the random numbers says what has a fate of its own; along an axis of length 1 it is shared.",
)  # fmt: skip
def together(student: Student, variant: str, rng: np.random.Generator) -> None:
    """Single numbers, or whole channels of single images: see the variant."""
    mask = mask_of(student, no_zeros(rng), seed_of(rng))

    def same(*axes):  # all along these axes share one fate
        return bool((mask.all(axes) | ~mask.any(axes)).all())

    if not mask.any() or mask.all():
        raise Wrong("all or nothing is dropped")
    if same(0):
        raise Wrong("the same mask is used for all images; each image should have its own")
    if same(1):
        raise Wrong("all channels of an image share one mask; each channel should have its own")
    if variant == "spatial" and not same(2, 3):
        raise Wrong("single pixels are dropped; in this variant a channel of an image is dropped as a whole or kept")
    if variant != "spatial" and same(2, 3):
        raise Wrong("whole channels are dropped; in this variant each number has a fate of its own")
    if variant != "spatial" and (same(2) or same(3)):
        raise Wrong(f"whole {'columns' if same(2) else 'rows'} of the image are dropped; each number has its own fate")


@EXERCISE.check(
    points=1, category="the seed",
    hint="Make the generator inside the function: rng = np.random.default_rng(seed).",
)  # fmt: skip
def seeds(student: Student, variant: str, rng: np.random.Generator) -> None:
    """The same seed drops the same, another seed does not."""
    x, seed = no_zeros(rng), seed_of(rng)
    first, again, other = (mask_of(student, x, s) for s in (seed, seed, seed + 1))
    if not np.array_equal(first, again):
        raise Wrong("the same seed gives two different masks: the generator was not made from the seed in each call")
    if np.array_equal(first, other):
        raise Wrong("two seeds give the same mask: the seed is not used")


@EXERCISE.check(
    points=2, category="the scaling in training",
    hint="Look at the formula: is what is kept divided by 1 - p in training, or multiplied in evaluation?",
)  # fmt: skip
def scaling(student: Student, variant: str, rng: np.random.Generator) -> None:
    """What is kept of x in training, for p = 0.3."""
    x = no_zeros(rng)
    y, _ = dropped(student, x, P, True, seed_of(rng))
    kept = x * (y != 0)
    if not kept.any():
        raise Wrong("everything is dropped")
    causes = {
        "what is kept is divided by p; it should be divided by 1 - p": kept / P,
        "what is kept is multiplied by 1 - p; it should be divided by it": kept * (1 - P),
        "what is kept is unscaled; in this variant it is divided by 1 - p": kept,
        "what is kept is scaled by 1 / (1 - p); in this variant training does not scale, evaluation does":
            kept / (1 - P),
        "what is kept is replaced by 1": 1.0 * (y != 0),
    }  # fmt: skip
    if variant == "original":
        del causes["what is kept is unscaled; in this variant it is divided by 1 - p"]
        causes["what is kept is multiplied by 1 - p; in this variant training does not scale, evaluation does"] = (
            causes.pop("what is kept is multiplied by 1 - p; it should be divided by it")
        )
    close(y, factor(variant) * kept, "y in training", causes)


@EXERCISE.check(
    points=1, category="arguments that must not change", hint="y = x * mask is a new array; x *= mask is the old one."
)
def left_alone(student: Student, variant: str, rng: np.random.Generator) -> None:
    """x is not changed in place, in training and in evaluation."""
    x = no_zeros(rng)
    for training in (True, False):
        dropped(student, x, P, training, seed_of(rng))
        if student.changed:
            raise Wrong("dropout changes x in place; someone else may still need it")


@EXERCISE.check(
    points=2, category="evaluation", hint="With training=False nothing is random; is anything scaled in this variant?"
)
def evaluation(student: Student, variant: str, rng: np.random.Generator) -> None:
    """y with training=False."""
    x = no_zeros(rng)
    y, _ = dropped(student, x, P, False, seed_of(rng))
    if (y == 0).any():
        raise Wrong(f"dropout is active in evaluation: {np.mean(y == 0):.0%} of y is 0, and nothing should be dropped")
    causes = {
        "it is scaled by 1 / (1 - p), as in training": x / (1 - P),
        "it is multiplied by p; it should be 1 - p": x * P,
    }
    if variant == "original":
        causes["it is unscaled; in this variant evaluation multiplies by 1 - p, as training does not scale"] = x
    else:
        causes["it is multiplied by 1 - p; in this variant training scales, evaluation does not"] = x * (1 - P)
    close(y, factor(variant, training=False) * x, "y in evaluation", causes)


@EXERCISE.check(
    points=2, category="the gradient in training",
    hint="dx is dout times what x was multiplied by: keep that factor, 0 or not, in the cache.",
)  # fmt: skip
def gradient(student: Student, variant: str, rng: np.random.Generator) -> None:
    """dx in training, for what the forward pass did, whether that is right or not; and gradcheck."""
    x, dout, seed = no_zeros(rng, (4, 5, 2, 2)), no_zeros(rng, (4, 5, 2, 2)), seed_of(rng)
    y, cache = dropped(student, x, P, True, seed)
    kept, factors = y != 0, y / x
    if kept.all() or not kept.any():
        raise Wrong("the forward pass drops all or nothing in training, so there is no gradient to look at")
    dx = as_numbers(student.call("dropout_backward", dout, cache), "dx", x.shape)
    causes = {
        "nothing is dropped on the way back: dout went through as it came": dout,
        "the gradient is unscaled: what is kept was scaled on the way there, and must be on the way back": dout * kept,
        "the gradient is scaled, but what is kept was not scaled on the way there": dout * kept / (1 - P),
        "the gradient is scaled twice": dout * factors**2,
        "it was multiplied by y instead of by the mask": dout * y,
    }
    for cause, value in causes.items():
        if not np.allclose(value, dout * factors) and np.allclose(dx, value):
            raise Wrong(f"dx is wrong: {cause}")
    if not np.array_equal(dx != 0, kept):
        raise Wrong(
            f"the backward pass has another mask than the forward pass: {np.sum((dx != 0) != kept)} of {kept.size} "
            "numbers are dropped by one and kept by the other; was a new mask drawn?"
        )
    student.gradcheck(
        lambda x_: (x_ * factors, x_),
        lambda dout_, x_: student.call("dropout_backward", dout_, dropped(student, x_, P, True, seed)[1]),
        [x],
    )


@EXERCISE.check(
    points=1, category="zeros that were not dropped",
    hint="y == 0 does not tell what was dropped, as x may be 0 itself. Keep the mask.",
)  # fmt: skip
def zeros(student: Student, variant: str, rng: np.random.Generator) -> None:
    """dx in training where half of x is 0, as after a ReLU."""
    x = no_zeros(rng)
    x[rng.random(x.shape) < 0.5] = 0
    dout = no_zeros(rng)
    _, cache = dropped(student, x, P, True, seed_of(rng))
    dx = as_numbers(student.call("dropout_backward", dout, cache), "dx", x.shape)
    if not np.isfinite(dx).all():
        raise Wrong("dx holds NaN or infinity where x is 0; was the mask computed as y / x?")
    if not dx.any():
        raise Wrong("dx is 0 everywhere")
    if not dx[x == 0].any():
        raise Wrong(
            "wherever x is 0, dx is 0 too: the mask was read from the output (y != 0), but a 0 that is kept has a "
            "gradient"
        )


@EXERCISE.check(
    points=1,
    category="the gradient in evaluation",
    hint="Nothing is dropped; is anything scaled? Then the gradient is too.",
)
def evaluation_gradient(student: Student, variant: str, rng: np.random.Generator) -> None:
    """dx with training=False, for what the forward pass did, whether that is right or not."""
    x, dout = no_zeros(rng), no_zeros(rng)
    y, cache = dropped(student, x, P, False, seed_of(rng))
    causes = {
        "it is scaled by 1 / (1 - p), but y was not": dout / (1 - P),
        "it is multiplied by 1 - p, but y was not": dout * (1 - P),
        "it is dout as it came, but y was x times 1 - p, so dx is dout times 1 - p": dout,
    }
    dx = as_numbers(student.call("dropout_backward", dout, cache), "dx", x.shape)
    if (dx == 0).any() and not (y == 0).any():
        raise Wrong("gradients are dropped in evaluation, where the forward pass drops nothing")
    close(dx, dout * (y / x), "dx in evaluation", causes)
