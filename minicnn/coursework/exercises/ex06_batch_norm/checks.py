"""Checks of exercise 6: batch normalisation, forward, backward and running statistics."""

from __future__ import annotations

import numpy as np

from minicnn.coursework import Exercise, Student, Wrong, as_numbers, close

EXERCISE = Exercise(
    title="Batch normalisation",
    asks=("batch_norm", "batch_norm_backward"),
    variants={
        "cumulative": "running statistics are the exact mean over all batches so far",
        "outside": "eps is added to the standard deviation, outside the root",
        "paper": "eps inside the root, moving averages, as in minicnn and PyTorch",
    },
    forbidden=(
        "batch_norm", "batch_norm_backward", "batch_norm_relu", "batch_norm_relu_backward", "channel_stats",
    ),
)  # fmt: skip
PIXELS = (0, 2, 3)  # all axes but the channels
RATE = 0.1


def wide(v: np.ndarray) -> np.ndarray:
    return v[:, None, None]  # (C, 1, 1)


def divisor(var: np.ndarray, eps: float, outside: bool) -> np.ndarray:
    return np.sqrt(var) + eps if outside else np.sqrt(var + eps)


def normalised(x, gamma, beta, mean, var, eps, outside):
    return wide(gamma) * (x - wide(mean)) / wide(divisor(var, eps, outside)) + wide(beta)


def statistics(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and biased variance of each channel, (C,)."""
    return x.mean(PIXELS), x.var(PIXELS)


def trained(x, gamma, beta, eps, variant):
    """The forward pass in training."""
    return normalised(x, gamma, beta, *statistics(x), eps, variant == "outside")


def numbers(rng: np.random.Generator, shape: tuple = (3, 2, 4, 5)) -> tuple:
    """x, gamma, beta, state, eps: channels of different mean and deviation, an eps that is seen."""
    c = shape[1]
    x = rng.standard_normal(shape) * wide(rng.uniform(0.5, 2, c)) + wide(rng.uniform(-2, 2, c))
    state = {"mean": rng.standard_normal(c), "var": rng.uniform(0.5, 2, c), "batches": 0}
    return x, rng.uniform(0.5, 2, c), rng.standard_normal(c), state, 0.3


def forward(student: Student, x, gamma, beta, state, eps, training=True) -> tuple:
    """What the submission returned: y, state, cache."""
    result = student.call("batch_norm", x, gamma, beta, state, training, eps)
    if not isinstance(result, tuple) or len(result) != 3:
        raise Wrong("batch_norm should return three things: the output, the new state and the cache")
    if not isinstance(result[1], dict) or not {"mean", "var", "batches"} <= result[1].keys():
        raise Wrong('the new state should be a dict with "mean", "var" and "batches"')
    return result


def gradients(student: Student, dout, x, gamma, beta, state, eps, training=True) -> list:
    """dx, dgamma, dbeta of the submission."""
    cache = forward(student, x, gamma, beta, state, eps, training)[2]
    found = student.call("batch_norm_backward", dout, cache)
    if not isinstance(found, (tuple, list)) or len(found) != 3:
        raise Wrong("batch_norm_backward should return three gradients: dx, dgamma, dbeta")
    return list(found)


def paths(dout, x, gamma, mean, var, eps, outside) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The three parts of dx: directly, through the mean, through the deviation."""
    scale, std = wide(divisor(var, eps, outside)), wide(np.sqrt(var if outside else var + eps))
    direct = dout * wide(gamma) / scale
    centred = x - wide(mean)
    through_mean = np.broadcast_to(-direct.mean(PIXELS, keepdims=True), x.shape)
    return direct, through_mean, -centred * (direct * centred).mean(PIXELS, keepdims=True) / (std * scale)


def name(got: object, what: str, causes: dict) -> None:
    """Wrong if ``got`` is what one of the known mistakes gives."""
    for cause, value in causes.items():
        try:
            close(got, value, what)
        except Wrong:
            continue
        raise Wrong(f"{what} is wrong: {cause}")


@EXERCISE.check(
    points=2, category="the output in training",
    hint="Mean and variance of each channel over axes 0, 2 and 3; the variance is divided by m here.",
)  # fmt: skip
def output(student: Student, variant: str, rng: np.random.Generator) -> None:
    """y of three images of two channels, with an eps that is large enough to be seen."""
    x, gamma, beta, state, eps = numbers(rng)
    mean, var = statistics(x)
    m, outside = x.size // x.shape[1], variant == "outside"
    centred = x - wide(mean)

    def over(*axes):
        x_ = x - x.mean(axes, keepdims=True)
        return wide(gamma) * x_ / divisor(x.var(axes, keepdims=True), eps, outside) + wide(beta)

    close(forward(student, x, gamma, beta, state, eps)[0], trained(x, gamma, beta, eps, variant), "y", {
        "eps stands inside the root; in this variant it is added outside" if outside else
        "eps stands outside the root; in this variant it is added inside":
            normalised(x, gamma, beta, mean, var, eps, not outside),
        "eps was forgotten": normalised(x, gamma, beta, mean, var, 0.0, outside),
        "the variance for normalising is divided by m - 1; only the running variance is unbiased":
            normalised(x, gamma, beta, mean, var * m / (m - 1), eps, outside),
        "it was divided by the variance; take the root": wide(gamma) * centred / wide(var + eps) + wide(beta),
        "mean and variance were taken of each image alone (axes 2 and 3), without the batch": over(2, 3),
        "mean and variance were taken at each pixel alone (axis 0)": over(0),
        "mean and variance were taken of all channels together": over(0, 1, 2, 3),
        "gamma and beta were left out": normalised(x, gamma * 0 + 1, beta * 0, mean, var, eps, outside),
        "the running statistics were used in training":
            normalised(x, gamma, beta, state["mean"], state["var"], eps, outside),
    })  # fmt: skip


@EXERCISE.check(
    points=2, category="the running statistics",
    hint="What moves them is the batch mean and the unbiased variance m / (m - 1) var; read the task for how far.",
)  # fmt: skip
def running(student: Student, variant: str, rng: np.random.Generator) -> None:
    """The state after one, two and three training batches."""
    x, gamma, beta, first, eps = numbers(rng)
    batches = [x, *(numbers(rng)[0] for _ in range(2))]

    def after(count, rates, unbiased=True):
        mean, var = first["mean"], first["var"]
        for x_, rate in zip(batches[:count], rates, strict=False):
            m = x_.size // x_.shape[1]
            mean = mean + rate * (x_.mean(PIXELS) - mean)
            var = var + rate * (x_.var(PIXELS) * (m / (m - 1) if unbiased else 1) - var)
        return mean, var

    moving, exact = [RATE] * 3, [1, 1 / 2, 1 / 3]
    right, other = (exact, moving) if variant == "cumulative" else (moving, exact)
    state = first
    for count, x_ in enumerate(batches, 1):
        state = forward(student, x_, gamma, beta, state, eps)[1]
        (mean, var), more = after(count, right), f"after {count} batches" if count > 1 else "after one batch"
        causes = {
            "the running statistics do not change": after(count, [0, 0, 0]),
            "it is a moving average; in this variant it is the exact mean over all batches" if right is exact else
            "it is the exact mean over all batches; in this variant it moves a tenth of the way": after(count, other),
            "the first batch is counted as if it were the second (t begins at 1)": after(count, [1 / 2, 1 / 3, 1 / 4]),
        }  # fmt: skip
        if right is moving:
            causes["only a tenth of the old value is left: running = 0.9 running + 0.1 batch"] = after(count, [0.9] * 3)
        if count > 1 or right is moving:
            causes["only the last batch counts"] = after(count, [1, 1, 1])
        close(state["mean"], mean, f"the running mean {more}", {cause: v[0] for cause, v in causes.items()})
        causes["the biased variance was averaged; multiply it by m / (m - 1)"] = after(count, right, unbiased=False)
        close(state["var"], var, f"the running variance {more}", {cause: v[1] for cause, v in causes.items()})
        close(state["batches"], count, f'state["batches"] {more}')


@EXERCISE.check(
    points=1, category="arguments that must not change",
    hint='A new state is a new dict with new arrays: mean = 0.9 * mean + ..., not mean *= 0.9 or state["mean"] = ...',
)  # fmt: skip
def left_alone(student: Student, variant: str, rng: np.random.Generator) -> None:
    """Neither x nor the state that was handed in is changed in place, in training and in evaluation."""
    x, gamma, beta, state, eps = numbers(rng)
    for training in (True, False):
        forward(student, x, gamma, beta, state, eps, training)
        if student.changed:
            changed = sorted({("x", "gamma", "beta", "state")[int(path[0])] for path in student.changed})
            raise Wrong(f"batch_norm changes {' and '.join(changed)} in place; return new arrays and a new state")


@EXERCISE.check(
    points=2, category="evaluation",
    hint="With training=False the running mean and variance take the place of the batch's own, and stay as they are.",
)  # fmt: skip
def evaluation(student: Student, variant: str, rng: np.random.Generator) -> None:
    """y and the state with training=False."""
    x, gamma, beta, state, eps = numbers(rng)
    state["batches"], outside = 7, variant == "outside"
    y, after, _ = forward(student, x, gamma, beta, state, eps, training=False)
    m = x.size // x.shape[1]
    close(y, normalised(x, gamma, beta, state["mean"], state["var"], eps, outside), "y in evaluation", {
        "the batch's own statistics were used, as in training": trained(x, gamma, beta, eps, variant),
        "eps stands at the wrong side of the root":
            normalised(x, gamma, beta, state["mean"], state["var"], eps, not outside),
        "the running variance was multiplied by m / (m - 1); the state holds the unbiased variance already":
            normalised(x, gamma, beta, state["mean"], state["var"] * m / (m - 1), eps, outside),
    })  # fmt: skip
    for key in ("mean", "var", "batches"):
        close(after[key], state[key], f'state["{key}"] after evaluation, where it should not change,')


@EXERCISE.check(
    points=1, category="a mean that is large beside the deviation",
    hint="Subtract the mean, then square: mean((x - mean)^2); mean(x^2) - mean^2 is a difference of huge numbers.",
)  # fmt: skip
def large_mean(student: Student, variant: str, rng: np.random.Generator) -> None:
    """y in training does not change when ten million is added to a whole channel."""
    x, gamma, beta, state, eps = numbers(rng)
    far = x.copy()
    far[:, 1] += 1e7
    x[:, 1] = far[:, 1] - 1e7  # rounded as it was there
    near, y = (as_numbers(forward(student, v, gamma, beta, state, eps)[0], "y", x.shape) for v in (x, far))
    if np.ptp(near) == 0:
        raise Wrong("all numbers of y are equal")
    with np.errstate(invalid="ignore"):
        apart = float(np.abs(y - near)[:, 1].max())
    if not apart <= 1e-6 * np.abs(near).max():
        raise Wrong(
            "digits are lost where the mean is large: adding ten million to a whole channel should change nothing, and "
            f"changes y by {apart:.3g}. As a float, mean(x^2) - mean(x)^2 is "
            f"{(np.square(far).mean(PIXELS) - far.mean(PIXELS) ** 2)[1]:.4g} there; the variance is "
            f"{far.var(PIXELS)[1]:.4g}"
        )


@EXERCISE.check(
    points=2, category="the gradients of gamma and beta",
    hint="gamma[c] and beta[c] are used for every pixel of every image: sum over axes 0, 2 and 3. dgamma meets xhat.",
)  # fmt: skip
def parameters(student: Student, variant: str, rng: np.random.Generator) -> None:
    """dgamma and dbeta, in training and in evaluation."""
    x, gamma, beta, state, eps = numbers(rng)
    dout = rng.standard_normal(x.shape)
    for training, (mean, var) in ((True, statistics(x)), (False, (state["mean"], state["var"]))):
        where = "in training" if training else "in evaluation"
        _, dgamma, dbeta = gradients(student, dout, x, gamma, beta, state, eps, training)
        close(dbeta, dout.sum(PIXELS), f"dbeta {where}", {
            "the mean was taken in place of the sum": dout.mean(PIXELS),
            "it was summed over the images only": dout.sum(0),
        })  # fmt: skip
        xhat = (x - wide(mean)) / wide(divisor(var, eps, variant == "outside"))
        close(dgamma, (dout * xhat).sum(PIXELS), f"dgamma {where}", {
            "the mean was taken in place of the sum": (dout * xhat).mean(PIXELS),
            "it meets x as it came; gamma multiplies xhat, the normalised x": (dout * x).sum(PIXELS),
            "it meets x minus its mean; gamma multiplies xhat, which is divided too":
                (dout * (x - wide(mean))).sum(PIXELS),
            "it meets y; gamma multiplies xhat": (dout * (wide(gamma) * xhat + wide(beta))).sum(PIXELS),
        })  # fmt: skip


@EXERCISE.check(
    points=3, category="the gradient of x in training",
    hint="x goes into y directly, through the mean and through the deviation: add the gradients of all three paths.",
)  # fmt: skip
def gradient(student: Student, variant: str, rng: np.random.Generator) -> None:
    """dx in training: its three paths, and gradcheck."""
    x, gamma, beta, state, eps = numbers(rng, (2, 2, 3, 2))
    dout, outside = rng.standard_normal(x.shape), variant == "outside"
    direct, through_mean, cross = paths(dout, x, gamma, *statistics(x), eps, outside)
    m = x.size // x.shape[1]
    causes = {
        "mean and variance were treated as constants: two of three paths are missing": direct,
        "the mean was treated as a constant: the path through it is missing": direct + cross,
        "the variance was treated as a constant: the cross-term, x - mean times a mean of dout (x - mean), is missing":
            direct + through_mean,
        "the cross-term has the wrong sign": direct + through_mean - cross,
        "the sums of two paths are not divided by m": direct + m * (through_mean + cross),
        "gamma is missing": (direct + through_mean + cross) / wide(gamma),
        "two paths are divided by m - 1; the variance of the forward pass was divided by m":
            direct + m / (m - 1) * (through_mean + cross),
    }  # fmt: skip
    if outside:
        inner = paths(dout, x, gamma, *statistics(x), eps, False)
        causes["it is the gradient for an eps inside the root"] = sum(inner)
        scale, std = divisor(statistics(x)[1], eps, True), np.sqrt(statistics(x)[1])
        causes["the derivative of the root is 1 / (2 sigma), without eps"] = (
            direct + through_mean + cross * wide(std / scale)
        )
    name(gradients(student, dout, x, gamma, beta, state, eps)[0], "dx", causes)
    student.gradcheck(
        lambda x_: (trained(x_, gamma, beta, eps, variant), x_),
        lambda dout_, x_: gradients(student, dout_, x_, gamma, beta, state, eps)[0],
        [x],
    )


@EXERCISE.check(
    points=2, category="the gradient of x in evaluation",
    hint="The running statistics are constants: y is gamma / divisor times x plus something, so dx is as simple.",
)  # fmt: skip
def evaluation_gradient(student: Student, variant: str, rng: np.random.Generator) -> None:
    """dx with training=False."""
    x, gamma, beta, state, eps = numbers(rng)
    dout, outside = rng.standard_normal(x.shape), variant == "outside"
    direct, *others = paths(dout, x, gamma, state["mean"], state["var"], eps, outside)
    close(gradients(student, dout, x, gamma, beta, state, eps, training=False)[0], direct, "dx in evaluation", {
        "it is the formula for training; in evaluation mean and variance do not depend on x": direct + sum(others),
        "it is the gradient of the pass in training": sum(paths(dout, x, gamma, *statistics(x), eps, outside)),
        "gamma is missing": direct / wide(gamma),
        "the batch's own statistics were used, as in training":
            paths(dout, x, gamma, *statistics(x), eps, outside)[0],
    })  # fmt: skip
