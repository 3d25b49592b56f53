"""Checks of exercise 2: softmax cross-entropy."""

from __future__ import annotations

import numpy as np

from minicnn.coursework import Exercise, Student, Wrong, as_numbers, close

SMOOTHING, TEMPERATURE = 0.2, 2.0
EXERCISE = Exercise(
    title="Softmax cross-entropy",
    asks=("log_softmax", "cross_entropy", "cross_entropy_backward"),
    variants={
        "smoothed": "targets are smoothed: the wrong classes share s = 0.2",
        "tempered": "softmax at temperature T = 2, and the loss times T^2",
        "plain": "as in minicnn and PyTorch",
    },
    forbidden=("cross_entropy", "softmax_cross_entropy", "softmax_cross_entropy_backward", "log_softmax", "softmax"),
)


def log_softmax(z: np.ndarray) -> np.ndarray:
    z = z - z.max(1, keepdims=True)
    return z - np.log(np.exp(z).sum(1, keepdims=True))


def targets(labels: np.ndarray, classes: int, smoothing: float) -> np.ndarray:
    """The right class has 1 - s, the others share s: (N, K)."""
    hot = np.eye(classes)[labels]
    return hot * (1 - smoothing) + (1 - hot) * smoothing / (classes - 1)


def losses(z: np.ndarray, labels: np.ndarray, variant: str) -> np.ndarray:
    """Of each image, (N,)."""
    smoothing = SMOOTHING if variant == "smoothed" else 0.0
    t = TEMPERATURE if variant == "tempered" else 1.0
    return -(targets(labels, z.shape[1], smoothing) * log_softmax(z / t)).sum(1) * t**2


def loss_of(student: Student, z: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, object]:
    """The submission's loss and cache."""
    result = student.call("cross_entropy", z, labels)
    if not isinstance(result, tuple) or len(result) != 2:
        raise Wrong("cross_entropy should return two things: the loss and the cache")
    return as_numbers(result[0], "the loss"), result[1]


def batch(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Five images, four classes; logits of ordinary size."""
    return rng.standard_normal((5, 4)), rng.integers(0, 4, 5)


@EXERCISE.check(
    points=2, category="the logarithm of softmax",
    hint="log p = z - log sum exp(z), row by row: axis=1 is the classes, and keepdims keeps the row's axis.",
)  # fmt: skip
def log_probabilities(student: Student, variant: str, rng: np.random.Generator) -> None:
    """log_softmax of 5 x 4 ordinary logits."""
    z, _ = batch(rng)
    close(student.call("log_softmax", z), log_softmax(z), "log_softmax", {
        "the probabilities themselves were returned, not their logarithms": np.exp(log_softmax(z)),
        "softmax was taken over the images (axis 0) in place of the classes": log_softmax(z.T).T,
    })  # fmt: skip


@EXERCISE.check(
    points=2, category="large logits",
    hint="exp(1000) overflows. Subtract each row's own maximum first: softmax stays the same, the largest is exp(0).",
)  # fmt: skip
def large_logits(student: Student, variant: str, rng: np.random.Generator) -> None:
    """log_softmax where one row lies near 1000 and another near -1000."""
    z, _ = batch(rng)
    z += np.array([1000, -1000, 0, 700, 5.0])[:, None]
    got = as_numbers(student.call("log_softmax", z), "log_softmax", z.shape)
    if not np.isfinite(got[:4]).all():
        bad = int(np.argwhere(~np.isfinite(got).all(1))[0, 0])
        raise Wrong(
            f"overflow: log_softmax of the logits {np.array2string(z[bad], precision=1)} is "
            f"{np.array2string(got[bad], precision=1)}; was each row's own maximum subtracted before exp?"
        )
    close(got, log_softmax(z), "log_softmax of large logits")


@EXERCISE.check(
    points=2, category="probabilities too small for a float",
    hint="log p is -2000 where p is 0 as a float. Compute z - log sum exp(z) directly, and p from it, not it from p.",
)  # fmt: skip
def small_probabilities(student: Student, variant: str, rng: np.random.Generator) -> None:
    """log_softmax where logits of one row are 2000 apart."""
    z = rng.standard_normal((3, 4))
    z[:, 1] += 2000.0
    got = as_numbers(student.call("log_softmax", z), "log_softmax", z.shape)
    if np.isneginf(got).any():
        raise Wrong("the logarithm of 0 was taken: a probability of e^-2000 is 0 as a float, its logarithm is -2000")
    close(got, log_softmax(z), "log_softmax of logits far apart")


@EXERCISE.check(
    points=2, category="the loss",
    hint="Of each image minus the sum over classes of t log p; then the mean over the images.",
)  # fmt: skip
def loss(student: Student, variant: str, rng: np.random.Generator) -> None:
    """cross_entropy of 5 images and 4 classes."""
    z, labels = batch(rng)
    each = losses(z, labels, variant)
    hot = np.eye(4)[labels]
    causes = {
        "the losses were summed; divide by N": each.sum(),
        "divided by N K in place of N": each.sum() / z.size,
        "the minus is missing": -each.mean(),
        "it is the loss without this variant's change; read the task again": losses(z, labels, "plain").mean(),
    }
    if variant == "smoothed":
        torchs = hot * (1 - SMOOTHING) + SMOOTHING / 4
        causes["all classes share s, the right one too; in this variant only the wrong ones do"] = (
            -(torchs * log_softmax(z)).sum(1).mean()
        )
    if variant == "tempered":
        causes["the factor T^2 of the loss is missing"] = each.mean() / TEMPERATURE**2
    close(loss_of(student, z, labels)[0], each.mean(), "the loss", causes)


@EXERCISE.check(
    points=2, category="the gradient",
    hint="For each image softmax minus target; then what the mean over the images (and a temperature) does to it.",
)  # fmt: skip
def gradient(student: Student, variant: str, rng: np.random.Generator) -> None:
    """gradcheck of 5 images and 4 classes, for a dout that is not 1."""
    z, labels = batch(rng)

    def forward(logits):
        return losses(logits, labels, variant).mean(), logits

    def backward(dout, logits):
        return student.call("cross_entropy_backward", float(dout), loss_of(student, logits, labels)[1])

    student.gradcheck(forward, backward, [z])
