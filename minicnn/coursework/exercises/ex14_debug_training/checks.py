"""Checks of exercise 14: a network that does not learn. Each looks at one part, so that one bug loses one check."""

from __future__ import annotations

import numpy as np

from minicnn import functional as F
from minicnn.coursework import Exercise, Student, Wrong, as_numbers, close
from minicnn.tensor import Tensor

EXERCISE = Exercise(
    title="A network that does not learn",
    asks=("prepare", "Network", "loss", "batches", "update", "train", "predict", "fit"),
    variants={
        "nesterov": "the optimizer is Nesterov's momentum",
        "averaged": "the optimizer's velocity is an average of the gradients",
        "momentum": "the optimizer is momentum as in minicnn and PyTorch",
    },
)
LR = {"nesterov": 0.02, "averaged": 0.2, "momentum": 0.02}
SHAPES = {"conv1.weight": (8, 1, 3, 3), "conv1.bias": (8,), "bn1.weight": (8,), "bn1.bias": (8,),
          "fc.weight": (4, 128), "fc.bias": (4,)}  # fmt: skip


def pictures(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Bytes (N, 1, 8, 8) and labels: a bright bar at the top, the bottom, the left or the right of a noisy image."""
    images, labels = rng.integers(60, 190, (count, 1, 8, 8)), rng.permutation(np.arange(count) % 4)
    for image, label in zip(images[:, 0], labels, strict=True):
        view = image if label < 2 else image.T
        view[:3] += 60 if label % 2 == 0 else 0
        view[-3:] += 60 if label % 2 else 0
    return images.astype(np.uint8), labels


def state_of(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Weights and running statistics for a network in the midst of its training."""
    state = {name: (rng.standard_normal(shape) * 0.3).astype(np.float32) for name, shape in SHAPES.items()}
    state["bn1.weight"] = rng.uniform(0.5, 1.5, 8).astype(np.float32)
    state["bn1.running_mean"] = rng.standard_normal(8).astype(np.float32)
    state["bn1.running_var"] = rng.uniform(0.5, 2, 8).astype(np.float32)
    return {**state, "bn1.num_batches_tracked": np.array(5)}


def floats(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """What a network gets: images (N, 1, 8, 8) and labels."""
    return rng.standard_normal((count, 1, 8, 8)).astype(np.float32), rng.integers(0, 4, count)


def trained(student: Student, state: dict, batch_list: list, lr: float = 0.05) -> dict:
    """What train returned, if it is what the task says."""
    got = student.call("train", state, batch_list, lr)
    if not isinstance(got, dict) or not {"losses", "gradients", "state"} <= got.keys():
        raise Wrong("train should return a dict with losses, gradients and state")
    if len(got["gradients"]) != len(batch_list):
        raise Wrong(f"train returned {len(got['gradients'])} gradients for {len(batch_list)} batches")
    return got


@EXERCISE.check(
    points=1, category="the images before the first layer",
    hint="What is 100 - 128 if both are bytes? Print prepare of an image's smallest and largest pixel.",
)  # fmt: skip
def pixels(student: Student, variant: str, rng: np.random.Generator) -> None:
    """prepare, on bytes from 0 to 255."""
    images = rng.permutation(np.arange(256)).astype(np.uint8).reshape(4, 1, 8, 8)
    close(student.call("prepare", images), (images.astype(np.float64) - 128) / 128, "prepare", {
        "bytes (uint8) wrap around below 0: 100 - 128 became 228. Make floats of them first":
            (images - np.uint8(128)) / 128,
    })  # fmt: skip


@EXERCISE.check(
    points=1, category="the weights at the start",
    hint="Print the mean and the standard deviation of each weight of a new network, and think of its first gradient.",
)  # fmt: skip
def start(student: Student, variant: str, rng: np.random.Generator) -> None:
    """The weights of a new Network: their spread, and that no two are alike."""
    state = student.module("Network", seed=int(rng.integers(1000)))["state"]
    for name, fan_in in (("conv1.weight", 9), ("fc.weight", 128)):
        weight, want = as_numbers(state[name], name, SHAPES[name]), (2 / fan_in) ** 0.5
        if not weight.any():
            raise Wrong(f"{name} is all 0 at the start: all filters compute the same, and no gradient gets through it")
        if len(np.unique(weight)) < weight.size // 2:
            raise Wrong(f"many numbers of {name} are equal at the start; filters that are alike stay alike")
        ratio = float(weight.std()) / want
        if not 0.6 < ratio < 1.6:
            size = "large" if ratio > 1 else "small"
            raise Wrong(f"{name} is too {size} at the start: standard deviation {weight.std():.3g}, not {want:.3g}")
    for name in ("conv1.bias", "fc.bias"):
        close(state[name], np.zeros(SHAPES[name]), f"{name} at the start")


@EXERCISE.check(
    points=1, category="the loss of one batch",
    hint="Compute the loss of logits that are all 0 by hand: log 4. Then of a batch of a single image.",
)  # fmt: skip
def losses(student: Student, variant: str, rng: np.random.Generator) -> None:
    """loss, of six images and of one."""
    for count in (6, 1):
        logits, labels = 2 * rng.standard_normal((count, 4)), rng.integers(0, 4, count)

        def value(z: np.ndarray, axis: int = 1, labels: np.ndarray = labels) -> np.ndarray:
            z = z - np.log(np.exp(z).sum(axis, keepdims=True))
            return -z[np.arange(len(labels)), labels].mean()

        p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        close(student.call("loss", logits, labels), value(logits), f"the loss of {count} images", {
            "softmax was taken over the images (axis 0) in place of the classes": value(logits, 0),
            "softmax was taken twice": value(p),
            "it is the sum over the images, not the mean": value(logits) * count,
        })  # fmt: skip


def cut(student: Student, images: np.ndarray, labels: np.ndarray, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """The submission's batches of 4, as arrays."""
    got = student.call("batches", images, labels, 4, seed)
    if not isinstance(got, (list, tuple)) or not all(isinstance(b, (list, tuple)) and len(b) == 2 for b in got):
        raise Wrong("batches should return a list of (images, labels)")
    return [(as_numbers(x, "a batch's images"), as_numbers(y, "a batch's labels")) for x, y in got]


@EXERCISE.check(
    points=1, category="images and their labels",
    hint="Look at the first batch: is each image beside the label that it had before?",
)  # fmt: skip
def pairs(student: Student, variant: str, rng: np.random.Generator) -> None:
    """batches of 18 numbered images: each still has its own label, and the order is another one."""
    labels = rng.permutation(18)
    images = np.broadcast_to(labels.reshape(18, 1, 1, 1), (18, 1, 8, 8)).astype(np.float32)
    got = cut(student, images, labels, int(rng.integers(1000)))
    for x, y in got:
        if len(x) != len(y) or x.shape[1:] != (1, 8, 8):
            raise Wrong(f"a batch has images {x.shape} and labels {y.shape}")
        if (x[:, 0, 0, 0] != y).any():
            wrong = int((x[:, 0, 0, 0] != y).sum())
            raise Wrong(f"{wrong} of {len(y)} images of a batch stand beside another image's label")
    if got and np.array_equal(np.concatenate([y for _, y in got]), labels[: sum(len(y) for _, y in got)]):
        raise Wrong("the images are in the order in which they came; they should be shuffled")


@EXERCISE.check(
    points=1, category="all images",
    hint="Count the images of all batches. What does range(0, 18 - 4, 4) leave out?",
)  # fmt: skip
def whole(student: Student, variant: str, rng: np.random.Generator) -> None:
    """batches of 18 and of 20 numbered images, four at a time: each stands in one batch."""
    for count in (18, 20):
        images = np.broadcast_to(np.arange(count).reshape(count, 1, 1, 1), (count, 1, 8, 8)).astype(np.float32)
        got = cut(student, images, np.arange(count), int(rng.integers(1000)))
        seen = [int(n) for x, _ in got for n in x.reshape(len(x), -1)[:, 0]]
        missing = sorted(set(range(count)) - set(seen))
        if missing:
            raise Wrong(f"of {count} images in batches of 4, {len(missing)} are in no batch")
        if len(seen) != count:
            raise Wrong(f"of {count} images in batches of 4, {len(seen) - count} are in more than one batch")


@EXERCISE.check(
    points=1, category="the step of the optimizer",
    hint="With w = 1, g = 1, v = 0 a small step should make w smaller. Then compute a second step by hand.",
)  # fmt: skip
def step(student: Student, variant: str, rng: np.random.Generator) -> None:
    """update, for two arrays with a velocity that is not 0."""
    w, g, v = ({"a": rng.standard_normal((2, 3)), "b": rng.standard_normal(4)} for _ in range(3))
    share = 0.1 if variant == "averaged" else 1.0
    result = student.call("update", w, g, v, 0.1)
    if not isinstance(result, (tuple, list)) or len(result) != 2 or not all(isinstance(one, dict) for one in result):
        raise Wrong("update should return two dicts: weights and velocity")
    for name in w:
        plain = 0.9 * v[name] + g[name]
        velocity = 0.9 * v[name] + share * g[name]
        move = g[name] + 0.9 * velocity if variant == "nesterov" else velocity
        causes = {
            "the step goes uphill: w grows with the gradient": w[name] + 0.1 * move,
            "the step goes uphill, and it is plain momentum; the task wants another rule": w[name] + 0.1 * plain,
            "it is plain momentum; the task wants another rule": w[name] - 0.1 * plain,
        }
        close(result[0].get(name), w[name] - 0.1 * move, "the weight after a step", causes)
        close(result[1].get(name), velocity, "the velocity after a step")


@EXERCISE.check(
    points=2, category="the gradient of the second batch",
    hint="Print a gradient in the second step. backward() adds to what is already there.",
)  # fmt: skip
def fresh_gradients(student: Student, variant: str, rng: np.random.Generator) -> None:
    """The gradient of a second batch is the same whether or not a first one came before it."""
    state, first, second = state_of(rng), floats(rng, 6), floats(rng, 6)
    both = trained(student, state, [first, second])
    between = trained(student, state, [first])["state"]
    alone = trained(student, between, [second])["gradients"][0]
    for name in SHAPES:
        got, want = (as_numbers(g.get(name), f"the gradient of {name}") for g in (both["gradients"][1], alone))
        earlier = as_numbers(both["gradients"][0].get(name), f"the gradient of {name}")
        close(got, want, f"the gradient of {name} in the second step", {
            "the first batch's gradient is still in it: zero_grad is missing": want + earlier,
        }, 1e-3, 1e-4)  # fmt: skip


@EXERCISE.check(
    points=1, category="the mode of the network in training",
    hint="Batch-norm takes the batch's statistics, and keeps running ones, in training mode only.",
)  # fmt: skip
def mode_of_training(student: Student, variant: str, rng: np.random.Generator) -> None:
    """Batch-norm's running mean after one step: a tenth of the batch's mean has come in."""
    state, (x, labels) = state_of(rng), floats(rng, 6)
    after = trained(student, state, [(x, labels)])["state"]["bn1.running_mean"]
    maps = F.conv2d(x, state["conv1.weight"], state["conv1.bias"], 1, 1).data
    want = 0.9 * state["bn1.running_mean"] + 0.1 * maps.mean((0, 2, 3))
    close(after, want, "the running mean of bn1 after a step", {
        "it did not move: the network was trained in evaluation mode": state["bn1.running_mean"],
    }, 1e-4, 1e-5)  # fmt: skip


@EXERCISE.check(
    points=1, category="the mode of the network in prediction",
    hint="Predict an image alone, and among others: is it the same class? Who calls eval()?",
)  # fmt: skip
def mode_of_prediction(student: Student, variant: str, rng: np.random.Generator) -> None:
    """predict, on 60 images, with running statistics that are unlike the batch's own."""
    state, (x, _) = state_of(rng), floats(rng, 60)
    state["fc.bias"] = np.zeros(4, np.float32)
    right, training = (logits_of(state, x, training) for training in (False, True))
    sure = np.ptp(np.sort(right, 1)[:, -2:], 1) > 1e-3
    got = as_numbers(student.call("predict", state, x), "predict", (60,))
    close(got[sure], right.argmax(1)[sure], "the predicted classes", {
        "an image's class depends on the rest of its batch: the network predicts in training mode":
            training.argmax(1)[sure],
    })  # fmt: skip


def logits_of(state: dict, x: np.ndarray, training: bool) -> np.ndarray:
    """What the network computes, with the batch's statistics (training) or the running ones."""
    maps = F.conv2d(x, state["conv1.weight"], state["conv1.bias"], 1, 1)
    statistics = (Tensor(state[f"bn1.running_{what}"].copy()) for what in ("mean", "var"))
    maps = F.batch_norm(maps, *statistics, state["bn1.weight"], state["bn1.bias"], training, 0.1, 1e-5)
    return F.max_pool2d(F.relu(maps), 2).flatten(1).data @ state["fc.weight"].T + state["fc.bias"]


@EXERCISE.check(
    points=2, category="all of it together",
    hint="If all other checks are right, this one is too. If not, begin with them.",
)  # fmt: skip
def learns(student: Student, variant: str, rng: np.random.Generator) -> None:
    """fit, 200 images of bars, 5 epochs; then 100 new images: nine of ten are right."""
    images, labels = pictures(rng, 200)
    state = student.call("fit", images, labels, 5, LR[variant], int(rng.integers(1000)))
    new, right = pictures(rng, 100)
    got = as_numbers(student.call("predict", state, (new.astype(np.float32) - 128) / 128), "predict", (100,))
    if (got == right).mean() < 0.9:
        raise Wrong(f"the network got {int((got == right).sum())} of 100 new images right; 25 would be chance")
