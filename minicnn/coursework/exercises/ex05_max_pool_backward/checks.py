"""Checks of exercise 5: max pooling, forward and backward."""

from __future__ import annotations

import numpy as np

from minicnn.coursework import Exercise, Student, Wrong, as_numbers, close

EXERCISE = Exercise(
    title="Max pooling and its backward pass",
    asks=("max_pool", "max_pool_backward"),
    variants={
        "last": "of equal values in a window the last one wins (row by row)",
        "circular": "the image is a torus: a window that leaves it on one side goes on at the other",
        "first": "of equal values in a window the first one wins (row by row), as in minicnn and PyTorch",
    },
    forbidden=("max_pool2d", "max_pool2d_backward"),
)


def windows(x: np.ndarray, kernel: tuple, stride: tuple, variant: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values (N, C, OH, OW, KH*KW), which of them wins (N, C, OH, OW), and flat pixel numbers (OH, OW, KH*KW)."""
    (kh, kw), (sh, sw), (h, w) = kernel, stride, x.shape[2:]
    circular = variant == "circular"
    oh, ow = (-(-h // sh), -(-w // sw)) if circular else ((h - kh) // sh + 1, (w - kw) // sw + 1)
    rows = (np.arange(oh) * sh)[:, None, None, None] + np.arange(kh)[None, None, :, None]
    columns = (np.arange(ow) * sw)[None, :, None, None] + np.arange(kw)[None, None, None, :]
    pixels = ((rows % h) * w + columns % w).reshape(oh, ow, kh * kw)  # (OH, OW, KH*KW)
    seen = x.reshape(*x.shape[:2], -1)[:, :, pixels]  # (N, C, OH, OW, KH*KW)
    winner = seen.shape[-1] - 1 - seen[..., ::-1].argmax(-1) if variant == "last" else seen.argmax(-1)
    return seen, winner, pixels


def pooled(x, kernel, stride, variant):
    """The definition: y (N, C, OH, OW)."""
    return windows(x, kernel, stride, variant)[0].max(-1)


def scattered(dout, x, kernel, stride, variant, add=True):
    """dx by the definition: each window's gradient goes to the pixel that won it; without ``add`` the last stays."""
    _, winner, pixels = windows(x, kernel, stride, variant)
    dx = np.zeros((*x.shape[:2], x.shape[2] * x.shape[3]))
    for n, c, i, j in np.ndindex(*winner.shape):
        pixel = pixels[i, j, winner[n, c, i, j]]
        dx[n, c, pixel] = dout[n, c, i, j] + (dx[n, c, pixel] if add else 0)
    return dx.reshape(x.shape)


def distinct(rng: np.random.Generator, shape: tuple) -> np.ndarray:
    """No two values are equal, or near enough to change places under a finite difference."""
    return rng.permutation(int(np.prod(shape))).reshape(shape) / 8.0


def backward(student: Student, dout, x, kernel, stride) -> np.ndarray:
    """The submission's gradient; the cache is whatever its forward put there."""
    result = student.call("max_pool", x, kernel, stride)
    if not isinstance(result, tuple) or len(result) != 2:
        raise Wrong("max_pool should return two things: the output and the cache")
    return student.call("max_pool_backward", dout, result[1])


def out_of(student: Student, x, kernel, stride) -> np.ndarray:
    result = student.call("max_pool", x, kernel, stride)
    if not isinstance(result, tuple) or len(result) != 2:
        raise Wrong("max_pool should return two things: the output and the cache")
    return as_numbers(result[0], "the output of max_pool")


@EXERCISE.check(points=2, category="the forward pass", hint="y[n, c, i, j] is the largest value of window (i, j).")
def forward(student: Student, variant: str, rng: np.random.Generator) -> None:
    """Square windows side by side, all values negative."""
    x = distinct(rng, (2, 3, 6, 6)) - 100
    want = pooled(x, (2, 2), (2, 2), variant)
    causes = {"one maximum for a whole channel was taken (the global maximum)": np.broadcast_to(
        x.max((2, 3), keepdims=True), want.shape)}  # fmt: skip
    close(out_of(student, x, (2, 2), (2, 2)), want, "the output", causes)


@EXERCISE.check(
    points=2, category="windows and strides that are not square",
    hint="kernel = (KH, KW) and stride = (SH, SW): the first is for rows, the second for columns, everywhere.",
)  # fmt: skip
def rectangles(student: Student, variant: str, rng: np.random.Generator) -> None:
    """A window of 3x2 with strides 3 and 2 on an image of 9x8: forward and backward."""
    x, kernel = distinct(rng, (2, 2, 9, 8)), (3, 2)
    want = pooled(x, kernel, kernel, variant)
    swapped = pooled(x, kernel[::-1], kernel[::-1], variant)
    close(out_of(student, x, kernel, kernel), want, "the output", {"KH and KW are swapped": swapped})
    dout = rng.standard_normal(want.shape)
    right = scattered(dout, x, kernel, kernel, variant)
    close(backward(student, dout, x, kernel, kernel), right, "dx", {
        "only the largest pixel of the whole channel (the global maximum) gets a gradient, not the largest of each "
        "window": right * (x == x.max((2, 3), keepdims=True)),
    })  # fmt: skip


@EXERCISE.check(
    points=2, category="windows that overlap",
    hint="A pixel can win several windows: it gets the sum of their gradients. `=` keeps the last one only.",
)  # fmt: skip
def overlapping(student: Student, variant: str, rng: np.random.Generator) -> None:
    """Windows of 3x3 with stride 2, and one pixel that wins four of them."""
    x, kernel, stride = distinct(rng, (2, 2, 7, 7)), (3, 3), (2, 2)
    x[:, :, 2, 2] = 1000.0
    want = pooled(x, kernel, stride, variant)
    close(out_of(student, x, kernel, stride), want, "the output", {
        "the stride was dropped: the windows lie side by side": pooled(x, kernel, kernel, variant),
        "the stride was dropped: there is a window at every pixel": pooled(x, kernel, (1, 1), variant),
    })  # fmt: skip
    dout = rng.standard_normal(want.shape)
    got = backward(student, dout, x, kernel, stride)
    close(got, scattered(dout, x, kernel, stride, variant), "dx", {
        "the gradient was overwritten instead of added where windows overlap (= for +=)":
            scattered(dout, x, kernel, stride, variant, add=False),
    })  # fmt: skip


@EXERCISE.check(
    points=2, category="equal values in one window",
    hint="Exactly one pixel of each window gets the gradient. The task says which one, where several are the largest.",
)  # fmt: skip
def ties(student: Student, variant: str, rng: np.random.Generator) -> None:
    """Windows side by side with only two different values in them."""
    x, kernel = rng.integers(0, 2, (2, 2, 6, 6)).astype(np.float64), (2, 2)
    x[0, 0, :2, :2] = 1.0
    dout = rng.uniform(0.5, 1.5, (2, 2, 3, 3))
    seen, _, pixels = windows(x, kernel, kernel, variant)
    best = seen == seen.max(-1, keepdims=True)
    count = best.sum(-1, keepdims=True)

    def shared(weights):
        dx = np.zeros((2, 2, 36))
        for n, c, i, j in np.ndindex(2, 2, 3, 3):
            dx[n, c, pixels[i, j]] += dout[n, c, i, j] * weights[n, c, i, j]
        return dx.reshape(x.shape)

    other = "first" if variant == "last" else "last"
    close(backward(student, dout, x, kernel, kernel), scattered(dout, x, kernel, kernel, variant), "dx", {
        "at ties the gradient is doubled: every one of the equal values gets all of it": shared(best),
        "at ties the equal values share the gradient; one of them should get it": shared(best / count),
        f"at ties the {other} of the equal values wins": scattered(dout, x, kernel, kernel, other),
    })  # fmt: skip


@EXERCISE.check(
    points=2, category="the gradient against finite differences",
    hint="Nudge one pixel: only windows that it wins move, and each by as much as the pixel.",
)  # fmt: skip
def gradient(student: Student, variant: str, rng: np.random.Generator) -> None:
    """gradcheck, on windows of 2x3 side by side, two images of one channel."""
    kernel = (2, 3)

    def forward(x):
        return pooled(x, kernel, kernel, variant), x

    student.gradcheck(
        forward, lambda dout, x: backward(student, dout, x, kernel, kernel), [distinct(rng, (2, 1, 4, 6))]
    )
