"""Checks of exercise 9: a residual block that halves the map."""

from __future__ import annotations

import numpy as np

from minicnn import functional as F
from minicnn import nn, random
from minicnn.coursework import Exercise, Student, SubmissionError, Wrong, close
from minicnn.tensor import Tensor

EXERCISE = Exercise(
    title="A residual block that halves the map",
    asks=("Block",),
    variants={
        "average": "post-activation; the shortcut is an average, a 1x1 convolution and batch-norm (ResNet-D)",
        "centred": "post-activation; the shortcut has no parameters, new channels are zeros in front and behind",
        "preactivation": "batch-norm and ReLU before each convolution; the shortcut projects what is activated",
    },
)
RTOL, ATOL = 1e-4, 1e-5  # layers compute in float32
WIDER, SAME = (4, 9, 2), (5, 5, 1)  # in_channels, out_channels, stride


class Right(nn.Module):
    """The block of the task; ``slip`` names one of the ways to get it wrong."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, variant: str, slip: str = "") -> None:
        super().__init__()
        first, second = (1, stride) if slip == "conv2 strides" else (stride, 1)
        self.variant, self.slip, self.stride, self.new = variant, slip, stride, out_channels - in_channels
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, first, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(in_channels if variant == "preactivation" else out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, second, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.changes = stride != 1 or in_channels != out_channels
        if self.changes and variant != "centred":
            strides = stride if variant == "preactivation" else 1
            self.project = nn.Conv2d(in_channels, out_channels, 1, strides, bias=False)
        if self.changes and variant == "average":
            self.bn_project = nn.BatchNorm2d(out_channels)

    def forward(self, x):
        if self.variant == "preactivation":
            a = F.relu(self.bn1(x))
            y = self.conv2(F.relu(self.bn2(self.conv1(a))))
            way = x if not self.changes else self.project(x if self.slip == "x projected" else a)
            return y if self.slip == "no shortcut" else F.relu(y + way) if self.slip == "relu after" else y + way
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.slip == "no shortcut":
            return F.relu(y)
        return F.relu(y) + self.shortcut(x) if self.slip == "relu before" else F.relu(y + self.shortcut(x))

    def shortcut(self, x):
        if self.changes and self.variant == "average":
            every = self.slip == "every second pixel"
            x = x if self.stride == 1 else x[:, :, ::2, ::2] if every else F.avg_pool2d(x, 2, 2)
            return self.bn_project(self.project(x))
        if self.changes:
            front = 0 if self.slip == "zeros behind" else self.new // 2
            return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, front, self.new - front))
        return x


SLIPS = {
    "no shortcut": "the shortcut is missing: it is F(x) alone",
    "relu before": "ReLU comes before the addition; here it comes after it",
    "relu after": "there is a ReLU after the addition; a pre-activation block has none",
    "conv2 strides": "conv2 strides; conv1 should",
    "every second pixel": "the shortcut takes every second pixel; it should take the average of four",
    "zeros behind": "all new channels are behind those of x; D // 2 of them should be in front",
    "x projected": "the shortcut should be a convolution of a, not of x",
}


def weights(rng: np.random.Generator, shape: tuple, variant: str) -> dict[str, np.ndarray]:
    """Numbers for all layers of a block of (in_channels, out_channels, stride); running statistics too."""
    state = {}
    for name, value in Right(*shape, variant).state_dict().items():
        if name.endswith("num_batches_tracked"):
            state[name] = np.array(3)
        elif name.endswith("running_var") or ("bn" in name and name.endswith(".weight")):
            state[name] = rng.uniform(0.5, 1.5, value.shape).astype(np.float32)
        else:
            state[name] = (rng.standard_normal(value.shape) * 0.5).astype(np.float32)
    return state


def image(rng: np.random.Generator, channels: int) -> np.ndarray:
    return rng.standard_normal((3, channels, 6, 8)).astype(np.float32)


def computed(shape, variant, state, x, upstream=None, training=True, slip="") -> dict:
    """What the right block, or one with a slip, gives: output and, with ``upstream``, gradients."""
    random.manual_seed(0)
    block = Right(*shape, variant, slip)
    block.load_state_dict(state)
    block.train(training)
    t = Tensor(x.copy(), requires_grad=True)
    out = block(t)
    found = {"output": out.data}
    if upstream is not None:
        out.backward(upstream)
        found |= {"input": t.grad, "grads": {n: p.grad for n, p in block.named_parameters()}}
    return found


def possible(variant: str) -> list[str]:
    """Slips that can be made in this variant."""
    only = {"every second pixel": "average", "zeros behind": "centred", "x projected": "preactivation",
            "relu after": "preactivation"}  # fmt: skip
    return [s for s in SLIPS if only.get(s, variant) == variant and (s != "relu before" or variant != "preactivation")]


def made(student: Student, shape: tuple, **options) -> dict:
    """Make and run the submission's block; of an error in a block that strides, say what is likely."""
    try:
        return student.module("Block", *shape, **options)
    except SubmissionError as error:
        if "not written" in str(error) or shape[2] == 1 or "do not fit together" not in str(error):
            raise
        raise Wrong(f"{error}\nF(x) and the shortcut have different shapes: does the shortcut stride, too?") from None


def outputs_agree(student: Student, variant: str, rng: np.random.Generator, shape: tuple, training: bool) -> None:
    state, x = weights(rng, shape, variant), image(rng, shape[0])
    want = computed(shape, variant, state, x, training=training)["output"]
    causes = {SLIPS[s]: computed(shape, variant, state, x, None, training, s)["output"] for s in possible(variant)}
    causes = {cause: value for cause, value in causes.items() if not np.allclose(value, want, RTOL, ATOL)}
    got = made(student, shape, state=state, inputs=[x], training=training)
    close(got["output"], want, f"the output of Block{shape}", causes, RTOL, ATOL)


@EXERCISE.check(
    points=1, category="the layers and their shapes",
    hint="No convolution has a bias. Where the shape stays, the shortcut is x itself and has no layers.",
)  # fmt: skip
def layers(student: Student, variant: str, rng: np.random.Generator) -> None:
    """Names and shapes of the parameters of Block(4, 9, 2), Block(4, 9, 1) and Block(5, 5, 1)."""
    for shape in (WIDER, (4, 9, 1), SAME):
        want = {name: tuple(p.shape) for name, p in Right(*shape, variant).named_parameters()}
        got = {name: tuple(s) for name, s in student.module("Block", *shape)["shapes"].items()}
        extra, missing = sorted(got.keys() - want.keys()), sorted(want.keys() - got.keys())
        if any("project" in name for name in extra):
            raise Wrong(f"Block{shape} has {extra[0]}; here the shortcut has no parameters" + (
                ": it is x itself" if shape == SAME else ""))  # fmt: skip
        if extra or missing:
            what = f"has {extra[0]}, which the task does not name" if extra else f"has no {missing[0]}"
            raise Wrong(f"Block{shape} {what}")
        for name, wanted in want.items():
            if got[name] != wanted:
                raise Wrong(f"Block{shape}: {name} has the shape {got[name]}; it should be {wanted}")


@EXERCISE.check(
    points=2, category="a block that keeps the shape",
    hint="y is F(x) plus x itself. Look at the order of addition and ReLU in the task.",
)  # fmt: skip
def keeps_shape(student: Student, variant: str, rng: np.random.Generator) -> None:
    """The output of Block(5, 5, 1) in training, with weights that are loaded into it."""
    outputs_agree(student, variant, rng, SAME, True)


@EXERCISE.check(
    points=3, category="a block that halves the map",
    hint="Both ways have to come to (N, out_channels, H / 2, W / 2): the first convolution strides, and so does the "
    "shortcut.",
)  # fmt: skip
def halves(student: Student, variant: str, rng: np.random.Generator) -> None:
    """The output of Block(4, 9, 2) in training."""
    outputs_agree(student, variant, rng, WIDER, True)


@EXERCISE.check(
    points=1, category="evaluation mode",
    hint="In evaluation batch-norm takes its running statistics. nn.BatchNorm2d does so by itself as an attribute.",
)  # fmt: skip
def evaluation(student: Student, variant: str, rng: np.random.Generator) -> None:
    """The output of Block(4, 9, 2) in evaluation mode."""
    outputs_agree(student, variant, rng, WIDER, False)


@EXERCISE.check(
    points=1, category="what happens to the input",
    hint="`a + b` makes a new tensor. `a += b` and `a.data += ...` write into a, which may be the block's input.",
)  # fmt: skip
def untouched(student: Student, variant: str, rng: np.random.Generator) -> None:
    """x is the same after Block(5, 5, 1) and Block(4, 9, 2) as before."""
    for shape in (SAME, WIDER):
        x = image(rng, shape[0])
        made(student, shape, inputs=[x])
        if student.changed:
            raise Wrong(f"Block{shape} changed its input x in place")


@EXERCISE.check(
    points=2, category="the gradients",
    hint="Build y with the operations of minicnn only: what is done to .data is not seen by the backward pass.",
)  # fmt: skip
def gradients(student: Student, variant: str, rng: np.random.Generator) -> None:
    """Gradients of the input and of all weights of Block(4, 9, 2)."""
    state, x = weights(rng, WIDER, variant), image(rng, 4)
    upstream = rng.standard_normal((3, 9, 3, 4)).astype(np.float32)
    want = computed(WIDER, variant, state, x, upstream)
    got = made(student, WIDER, state=state, inputs=[x], upstream=upstream)
    for name, value in want["grads"].items():
        if got["grads"].get(name) is None:
            raise Wrong(f"{name} gets no gradient: was something added in place, or left out of the output?")
        close(got["grads"][name], value, f"the gradient of {name}", None, 1e-3, 1e-4)
    close(got["input_grads"][0], want["input"], "the gradient of x", None, 1e-3, 1e-4)


@EXERCISE.check(
    points=2, category="a block whose F is 0",
    hint="If F is 0 a block hands on x (post-activation: ReLU(x)), and the gradient goes back to x as it came.",
)  # fmt: skip
def identity(student: Student, variant: str, rng: np.random.Generator) -> None:
    """Block(5, 5, 1) with F = 0 hands on its input, and copies the gradient."""
    state, x = weights(rng, SAME, variant), image(rng, 5)
    last = "conv2.weight" if variant == "preactivation" else "bn2.weight"
    state[last] = np.zeros_like(state[last])
    state["bn2.bias"] = np.zeros_like(state["bn2.bias"])
    upstream = rng.standard_normal(x.shape).astype(np.float32)
    got = made(student, SAME, state=state, inputs=[x], upstream=upstream)
    post = variant != "preactivation"
    close(got["output"], np.maximum(x, 0) if post else x, "the output where F = 0", {
        "it is 0: the shortcut is missing": np.zeros_like(x),
        "ReLU comes before the addition; here it comes after it": x if post else x * 0,
        "there is a ReLU after the addition; a pre-activation block has none": x if post else np.maximum(x, 0),
    }, RTOL, ATOL)  # fmt: skip
    close(got["input_grads"][0], upstream * (x > 0) if post else upstream, "the gradient of x where F = 0", None,
          RTOL, ATOL)  # fmt: skip
