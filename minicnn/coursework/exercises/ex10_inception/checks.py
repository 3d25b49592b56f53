"""Checks of exercise 10: the inception module."""

from __future__ import annotations

import numpy as np

from minicnn import functional as F
from minicnn.coursework import Exercise, Student, SubmissionError, Wrong, close
from minicnn.tensor import Tensor

EXERCISE = Exercise(
    title="The inception module",
    asks=("Inception", "multiply_adds"),
    variants={
        "factorised": "two 3x3 in place of the 5x5, and average pooling",
        "naive": "without 1x1 bottlenecks; the pool is handed on as it is",
        "reduced": "1x1 bottlenecks and max pooling, as in GoogLeNet",
    },
)
RTOL, ATOL = 1e-4, 1e-5  # layers compute in float32
UNEQUAL, EQUAL = (5, 2, (3, 4), (2, 6), 3), (4, 4, (3, 4), (2, 4), 4)  # arguments of Inception


def shapes(variant: str, c: int, ones: int, threes: tuple, fives: tuple, projection: int) -> dict[str, tuple]:
    """The weights of all convolutions, by layer."""
    naive = variant == "naive"
    found = {"conv1": (ones, c, 1, 1), "conv3": (threes[1], c if naive else threes[0], 3, 3)}
    if variant == "factorised":
        found |= {"conv5a": (fives[1], fives[0], 3, 3), "conv5b": (fives[1], fives[1], 3, 3)}
    else:
        found["conv5"] = (fives[1], c if naive else fives[0], 5, 5)
    if not naive:
        found |= {"reduce3": (threes[0], c, 1, 1), "reduce5": (fives[0], c, 1, 1), "project": (projection, c, 1, 1)}
    return found


def weights(rng: np.random.Generator, arguments: tuple, variant: str) -> dict[str, np.ndarray]:
    state = {}
    for layer, shape in shapes(variant, *arguments).items():
        state[f"{layer}.weight"] = (rng.standard_normal(shape) * 0.5).astype(np.float32)
        state[f"{layer}.bias"] = rng.standard_normal(shape[0]).astype(np.float32)
    return state


def branches(x: Tensor, state: dict, variant: str, slip: str = "") -> list[Tensor]:
    """The maps of the four branches; ``slip`` names one of the ways to get them wrong."""

    def conv(name: str, x: Tensor, relu: bool = True) -> Tensor:
        weight = state[f"{name}.weight"]
        y = F.conv2d(x, weight, state[f"{name}.bias"], 1, weight.shape[-1] // 2)
        return F.relu(y) if relu else y

    average = (variant == "factorised") != (slip == "wrong pool")

    def pooled(x: Tensor) -> Tensor:
        return F.avg_pool2d(x, 3, 1, padding=1) if average else F.max_pool2d(x, 3, 1, padding=1)

    naive = variant == "naive"
    three = conv("conv3", x if naive else conv("reduce3", x, slip != "no relu 3"))
    five = x if naive else conv("reduce5", x, slip != "no relu 5")
    five = conv("conv5b", conv("conv5a", five)) if variant == "factorised" else conv("conv5", five)
    pool = pooled(x) if naive else pooled(conv("project", x)) if slip == "project first" else conv("project", pooled(x))
    return [conv("conv1", x), three, five, pool]


def causes(x: np.ndarray, state: dict, variant: str, want: np.ndarray) -> dict[str, np.ndarray]:
    """What known mistakes give, where that differs from the right maps."""
    parts = [b.data for b in branches(Tensor(x), state, variant)]
    found = {"the maps of the branches were joined in another order": np.concatenate([parts[3], *parts[:3]], axis=1)}
    slips = {"wrong pool": f"the pool branch should take the {'average' if variant == 'factorised' else 'maximum'}"}
    if variant != "naive":
        slips |= {
            "no relu 3": "there is no ReLU after reduce3, the bottleneck",
            "no relu 5": "there is no ReLU after reduce5, the bottleneck",
            "project first": "the pool branch should pool before its projection, not after it",
        }
    for slip, what in slips.items():
        found[what] = np.concatenate([b.data for b in branches(Tensor(x), state, variant, slip)], axis=1)
    for axis, what in ((0, "images"), (2, "rows"), (3, "columns")):
        rest = [tuple(n for i, n in enumerate(p.shape) if i != axis) for p in parts]
        if len(set(rest)) == 1:
            joined = np.concatenate(parts, axis=axis)
            found[f"the maps were joined along axis {axis}, the {what}; channels are axis=1"] = joined
    return {what: value for what, value in found.items() if value.shape != want.shape or not np.allclose(value, want)}


def made(student: Student, arguments: tuple, **options) -> dict:
    """Make and run the submission's module; of maps that do not fit together, say what is likely."""
    try:
        return student.module("Inception", *arguments, **options)
    except SubmissionError as error:
        if "cat" not in str(error):
            raise
        raise Wrong(
            f"{error}\nThe branches' maps do not fit together. Are they joined along the channels (axis=1), and does "
            "every kernel have the padding that keeps H and W?"
        ) from None


def outputs_agree(student: Student, variant: str, rng: np.random.Generator, arguments: tuple) -> None:
    state, x = weights(rng, arguments, variant), rng.standard_normal((2, arguments[0], 6, 7)).astype(np.float32)
    want = np.concatenate([b.data for b in branches(Tensor(x), state, variant)], axis=1)
    got = made(student, arguments, state=state, inputs=[x])
    if student.changed:
        raise Wrong("the module changed its input x in place, which all branches need")
    close(got["output"], want, f"the output of Inception{arguments}", causes(x, state, variant, want), RTOL, ATOL)


@EXERCISE.check(
    points=2, category="the layers and their shapes",
    hint="Which channels does a convolution see: those of x, or those of the layer before it in its branch?",
)  # fmt: skip
def layers(student: Student, variant: str, rng: np.random.Generator) -> None:
    """Names and shapes of the parameters of Inception(5, 2, (3, 4), (2, 6), 3)."""
    want = {}
    for layer, shape in shapes(variant, *UNEQUAL).items():
        want |= {f"{layer}.weight": shape, f"{layer}.bias": shape[:1]}
    got = {name: tuple(s) for name, s in student.module("Inception", *UNEQUAL)["shapes"].items()}
    for name in sorted(want.keys() | got.keys()):
        if name not in got:
            raise Wrong(f"Inception has no {name}")
        if name not in want:
            raise Wrong(f"Inception has {name}, which the task does not name")
        if got[name] != want[name]:
            raise Wrong(f"{name} of Inception{UNEQUAL} has the shape {got[name]}; it should be {want[name]}")


@EXERCISE.check(
    points=4, category="the output",
    hint="Four branches of the same x, each with H x W maps; joined along axis 1 in the order of the task.",
)  # fmt: skip
def output(student: Student, variant: str, rng: np.random.Generator) -> None:
    """The output of Inception(5, 2, (3, 4), (2, 6), 3) with weights that are loaded into it."""
    outputs_agree(student, variant, rng, UNEQUAL)


@EXERCISE.check(
    points=1, category="branches with equally many maps",
    hint="Where all branches have as many maps, also another axis fits together: which one is right?",
)  # fmt: skip
def equal_branches(student: Student, variant: str, rng: np.random.Generator) -> None:
    """The output of Inception(4, 4, (3, 4), (2, 4), 4), whose branches have four maps each."""
    outputs_agree(student, variant, rng, EQUAL)


@EXERCISE.check(
    points=2, category="the gradients",
    hint="Use the operations of minicnn alone: then x gets the sum of the gradients of all four branches by itself.",
)  # fmt: skip
def gradients(student: Student, variant: str, rng: np.random.Generator) -> None:
    """Gradients of x and all weights of Inception(5, 2, (3, 4), (2, 6), 3)."""
    state, x = weights(rng, UNEQUAL, variant), rng.standard_normal((2, 5, 6, 7)).astype(np.float32)
    t, right = Tensor(x, True), {name: Tensor(value, True) for name, value in state.items()}
    out = F.cat(branches(t, right, variant), axis=1)
    upstream = rng.standard_normal(out.shape).astype(np.float32)
    out.backward(upstream)
    got = made(student, UNEQUAL, state=state, inputs=[x], upstream=upstream)
    close(got["input_grads"][0], t.grad, "the gradient of x", None, 1e-3, 1e-4)
    for name, tensor in right.items():
        close(got["grads"].get(name), tensor.grad, f"the gradient of {name}", None, 1e-3, 1e-4)


@EXERCISE.check(
    points=2, category="the multiply-adds",
    hint="A convolution has filters x channels that it sees x KH x KW of them, at each of the H x W places.",
)  # fmt: skip
def cost(student: Student, variant: str, rng: np.random.Generator) -> None:
    """multiply_adds of GoogLeNet's module 3a, and of one on a map that is not square."""
    for arguments, size in (((192, 64, (96, 128), (16, 32), 32), (28, 28)), (UNEQUAL, (6, 7))):
        each = {layer: int(np.prod(shape)) for layer, shape in shapes(variant, *arguments).items()}
        area, total = size[0] * size[1], sum(each.values())
        reduces = sum(n for layer, n in each.items() if layer.startswith("reduce"))
        known = {
            "these are the weights; each is used at H x W places": total,
            "biases are counted": total * area + sum(s[0] for s in shapes(variant, *arguments).values()) * area,
        }
        if reduces:
            known["the 1x1 bottlenecks are convolutions, too, and cost something"] = (total - reduces) * area
        got = student.call("multiply_adds", *arguments, *size)
        close(got, total * area, f"multiply_adds of {arguments} on {size[0]} x {size[1]}", known, rtol=0, atol=0)
