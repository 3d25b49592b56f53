"""What a training step asks of a GPU: nothing crosses the border unseen, launches and memory stay within bounds.

Counted by the stand-in for CuPy, so on the device "sim" only; a GPU runs the same calls.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
from command_line import command
from mistakes import complaint

import minicnn as mc
from minicnn import data, kernels, models, nn, optim
from minicnn import functional as F
from minicnn.device import sending_once, sent, to_device, to_numpy
from minicnn.kernels.sim import standin
from minicnn.launches import Counts, count_step
from minicnn.training_memory import training_memory

BATCH = 2
LOSS = 16  # bytes: two float64, the loss and how many are right
#: name, options, size of the images; the most launches of our kernels, CuPy's own operations and allocations of a step.
#: These are the counts of today; a change that needs more of them is one that says why.
# fmt: off
NETWORKS = {
    "lenet5": ({"variant": "modern"}, (1, 32, 32), (33, 60, 80)),
    "lenet5 of the paper": ({}, (1, 32, 32), (37, 135, 153)),  # a table says which maps see which
    "resnet20": ({}, (3, 32, 32), (271, 289, 479)),
    # heads, LRN, images as torchvision's weights want them
    "googlenet of torchvision": (
        {"width": 0.125, "variant": "torchvision", "transform_input": True}, (3, 64, 64), (766, 913, 1421),
    ),
    "googlenet": ({"width": 0.125, "variant": "paper"}, (3, 224, 224), (536, 428, 769)),  # heads and LRN
    "mobilenet_v1": ({"width": 0.125}, (3, 64, 64), (357, 341, 602)),
    "mobilenet_v2": ({"width": 0.1}, (3, 64, 64), (616, 680, 1104)),
    "shufflenet_v1": ({"groups": 3, "width": 0.25}, (3, 64, 64), (680, 722, 1222)),
    "shufflenet_v2": ({"width": 0.5}, (3, 64, 64), (663, 864, 1298)),
}
# fmt: on
#: name -> the most bytes that a step allocates in all, and holds at once: today's counts, of the optimiser with more
MEMORY = {
    "lenet5": (1_665_536, 1_251_328),
    "lenet5 of the paper": (2_146_304, 1_356_288),
    "resnet20": (49_394_688, 7_524_352),
    "googlenet of torchvision": (8_173_568, 3_645_440),
    "googlenet": (76_456_448, 18_861_568),
    "mobilenet_v1": (4_166_656, 2_021_376),
    "mobilenet_v2": (10_150_912, 4_518_400),
    "shufflenet_v1": (7_132_672, 2_524_160),
    "shufflenet_v2": (9_587_712, 7_761_920),
}
OPTIMIZERS = {
    "sgd": lambda model: optim.SGD(model.parameters(), 0.01, momentum=0.9, weight_decay=1e-4),
    "adam": lambda model: optim.Adam(model.parameters(), 1e-3),
}


def border(counts) -> list[tuple[int, str]]:
    return [(t.nbytes, t.direction) for t in counts.transfers]


def small_network() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.LocalResponseNorm(3), nn.MaxPool2d(2),
        nn.Dropout(0.3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 4),
    )  # fmt: skip


def sgd(model: nn.Module) -> optim.Optimizer:
    return optim.SGD(model.parameters(), 0.05, momentum=0.9)


@pytest.mark.compiled
@pytest.mark.parametrize(
    "name, optimizer",
    [(name, o) for name in NETWORKS for o in OPTIMIZERS if o == "sgd" or "googlenet" not in name],  # the longest once
)
def test_a_step_of_a_network(name, optimizer):
    """Images and labels in, loss and number of right answers out, nothing else; launches and memory within bounds."""
    options, size, (most_kernels, most_operations, most_allocations) = NETWORKS[name]
    model = models.get_model(name.split()[0], num_classes=4, **options)
    expected = training_memory(model, size, BATCH, optimizer).peak
    counts = count_step(model, OPTIMIZERS[optimizer], size, BATCH)
    images = BATCH * int(np.prod(size)) * 4
    assert border(counts) == [(images, "to device"), (BATCH * 8, "to device"), (LOSS, "to host")]
    assert counts.growth == 0, "memory must not grow from step to step"
    total = counts.total
    assert total.kernels <= most_kernels and total.operations <= most_operations, total
    most_bytes, most_held = MEMORY[name]
    assert total.allocations <= most_allocations and total.nbytes <= most_bytes, total
    assert 0.9 * expected < counts.peak <= most_held, (counts.peak, expected)


def test_memory_of_others_does_not_count():
    """Arrays that lie on the device for another reason are not the step's."""
    alone = count_step(small_network(), sgd, (3, 8, 8), 2).peak
    held = to_device(np.zeros(10**6, np.float32), "sim")
    assert count_step(small_network(), sgd, (3, 8, 8), 2).peak == alone < held.nbytes


#: options of the Trainer -> what else crosses: mix-up sends the labels of both images
OPTIONS = {
    "plain": ({}, []),
    "mixup": ({"mixup": 0.5}, [(BATCH * 8, "to device")]),
    "smoothing": ({"loss": lambda logits, labels: F.cross_entropy(logits, labels, 0.1)}, []),
    "clipping": ({"clip_norm": 0.1}, []),
    "means": ({"ema": 0.9}, []),
    "accumulation": ({"accumulate": 2}, []),
    "all": ({"mixup": 0.5, "clip_norm": 0.1, "ema": 0.9, "accumulate": 2}, [(BATCH * 8, "to device")]),
}


@pytest.mark.parametrize("optimizer", [*OPTIMIZERS, "rmsprop"])
@pytest.mark.parametrize("options", OPTIONS)
def test_a_step_with_options(options, optimizer):
    """Clipping, mix-up, running means: numbers that stay on the device. Labels of mix-up are two arrays."""
    make = OPTIMIZERS.get(optimizer, lambda model: optim.RMSprop(model.parameters(), 1e-3, momentum=0.9, centered=True))
    given, more = OPTIONS[options]
    batch = np.arange(BATCH)
    steps = []
    for _ in range(2):  # the labels of one batch; a second run must give the same counts
        model = small_network().to("sim")
        trainer = mc.Trainer(model, make(model), [()], progress=False, **given)
        images = np.random.default_rng(0).standard_normal((BATCH, 3, 8, 8)).astype(np.float32)
        trainer.step(images, batch)
        trainer.step(images, batch)  # with accumulation this one updates
        with standin.transfers.collect() as crossed:
            for _ in range(given.get("accumulate", 1)):
                trainer.step(images, batch)
        steps.append([(t.nbytes, t.direction) for t in crossed])
    once = [(images.nbytes, "to device"), (BATCH * 8, "to device"), *more, (LOSS, "to host")]
    if more:  # the permutation may have left the batch as it was: then both labels are the same
        assert all(len(found) <= len(once) * given.get("accumulate", 1) for found in steps)
        assert set(steps[0]) == set(once) and steps[0].count((LOSS, "to host")) == given.get("accumulate", 1)
    else:
        assert steps[0] == steps[1] == once * given.get("accumulate", 1)


class Fetching(mc.Function):
    """A ReLU that takes the way over the host."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return to_device(np.maximum(to_numpy(x), 0), "sim")

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved
        return grad * (x > 0)


class Asking(Fetching):
    """A ReLU that looks whether there is anything to do, in Python."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return np.maximum(x, 0) if x.min() < 0 else x.copy()


class Masking(Fetching):
    """A ReLU that writes through a mask, and reads through one: how many it picks only the device knows."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        y = np.zeros_like(x)
        y[x > 0] = x[x > 0]
        return y


@pytest.mark.parametrize(
    "planted, more",
    [(Fetching, [(2048, "to host"), (2048, "to device")]), (Asking, [(1, "to host")]), (Masking, [(8, "to host")])],
)
def test_a_planted_copy_is_seen(planted, more):
    """The count is only worth something if a layer that waits for the device shows in it."""
    with mc.replace("relu", planted):
        counts = count_step(small_network(), sgd, (3, 8, 8), BATCH)
    clean = count_step(small_network(), sgd, (3, 8, 8), BATCH)
    assert border(counts) == [*border(clean)[:1], *more, *border(clean)[1:]]


def test_a_leak_is_seen():
    """A layer that keeps an array of every step shows as growth."""
    kept = []

    class Keeping(Fetching):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            kept.append(x)
            return np.maximum(x, 0)

    with mc.replace("relu", Keeping):
        assert count_step(small_network(), sgd, (3, 8, 8), BATCH).growth == 2048
    assert count_step(small_network(), sgd, (3, 8, 8), BATCH).growth == 0


@pytest.mark.parametrize(
    "call",
    [
        lambda x: x[x > 1], lambda x: np.nonzero(x), lambda x: standin.flatnonzero(x), lambda x: standin.argwhere(x),
        lambda x: np.unique(x), lambda x: standin.bincount(x.astype(int)), lambda x: x.repeat(x.astype(int)),
    ],
)  # fmt: skip
def test_results_of_unknown_size_are_a_wait(call):
    """CuPy must ask the device how large they are; the stand-in counts that question."""
    x = standin.arange(4.0)
    with standin.transfers.collect() as crossed:
        call(x)
    assert [t.direction for t in crossed] == ["to host"]


def test_operations_of_cupy_are_counted():
    """One for each result that a GPU would compute, none for views."""
    x = standin.zeros((3, 4), "float32")
    for call, names in (
        (lambda: x + 1, ["add"]),
        (lambda: x.sum(0), ["sum"]),
        (lambda: x @ x.T, ["matmul"]),
        (lambda: x.astype("float64"), ["copy"]),
        (lambda: x.astype("float32", copy=False), []),
        (lambda: x.T.reshape(-1), ["copy"]),
        (lambda: x.reshape(-1)[1:].T, []),
        (lambda: standin.ascontiguousarray(x.T), ["copy"]),
        (lambda: x.__setitem__(slice(1), 2.0), ["fill"]),
        (lambda: x.__setitem__(slice(1), x[1:2]), ["copy"]),
        (lambda: x[[0, 2]], ["take"]),
        (lambda: standin.full(3, 1.0), ["fill"]),
        (lambda: standin.arange(3), ["generate"]),
        (lambda: standin.empty(3), []),
    ):
        with standin.operations.collect() as seen:
            call()
        assert [o.name for o in seen] == names


def test_allocations_are_counted():
    """As CuPy's pool gives them out, in pieces of 512 bytes; arrays of nothing need none."""
    with standin.allocations.collect() as taken:
        x = standin.empty(129, "float32")
        standin.empty(0)
        x[1:]
    assert [a.nbytes for a in taken] == [1024]


# ------------------------------------------------------------------------------------------------------------- labels
def test_a_bad_label_is_the_same_error_everywhere(device):
    """Looked at before it is sent, wherever the logits are; and wherever the labels are."""
    logits = np.zeros((3, 4), np.float32)
    for labels in ([0, 4, 1], [0, -1, 1], [0, 0.5, 1], [0, np.nan, 1], [0, 1]):
        texts = set()
        for where, there in (("cpu", "cpu"), (device, "cpu"), (device, device), ("cpu", device)):
            given = np.array(labels) if there == "cpu" else mc.tensor(np.array(labels)).to(device)
            with pytest.raises((mc.LabelError, mc.ShapeError)) as caught:
                F.cross_entropy(mc.tensor(logits).to(where), given)
            texts.add((caught.type, str(caught.value)))
        assert len(texts) == 1, texts


def test_a_bad_label_in_training(device):
    """The Trainer's step says the same as on the CPU."""
    texts = set()
    for where in ("cpu", device):
        model = small_network().to(where)
        trainer = mc.Trainer(model, sgd(model), [()], progress=False)
        with pytest.raises(mc.LabelError) as caught:
            trainer.step(np.zeros((2, 3, 8, 8), np.float32), np.array([1, 7]))
        texts.add(str(caught.value))
    assert len(texts) == 1 and "label 7 of sample 1" in texts.pop()


def test_kernels_called_alone_still_look(device):
    """Whoever calls a kernel with labels on the device gets the check, at the price of waiting; known ones are not."""
    logits = to_device(np.zeros((2, 3), np.float32), device)
    bad, good = (to_device(np.array(labels), device) for labels in ([0, 3], [0, 2]))
    with pytest.raises(IndexError, match="3 classes"):
        kernels.softmax_cross_entropy(logits, bad, 0.0)
    loss, p = kernels.softmax_cross_entropy(logits, good, 0.0, True)
    with pytest.raises(IndexError, match="3 classes"):
        kernels.softmax_cross_entropy_backward(loss, p, bad, 0.0)
    np.testing.assert_allclose(to_numpy(loss), np.log(3), rtol=1e-6)


def test_labels_on_the_device_are_fetched_once():
    """Labels that are there already cost one copy back, to look at them, and none forth."""
    logits, labels = mc.tensor(np.zeros((2, 3))).to("sim"), mc.tensor(np.array([0, 2])).to("sim")
    with standin.transfers.collect() as crossed:
        F.cross_entropy(logits, labels)
    assert [(t.nbytes, t.direction) for t in crossed] == [(16, "to host")]


def test_equal_labels_are_sent_once_within_a_step():
    """By their values: what was changed in between is sent again, and outside of the block nothing is kept."""
    labels = np.arange(3)
    with sending_once():
        first = sent(labels, "sim")
        assert sent(labels.copy(), "sim") is first and sent(labels, "cpu") is labels
        labels[0] = 7
        assert to_numpy(sent(labels, "sim"))[0] == 7 and to_numpy(first)[0] == 0
        assert sent(labels.astype(np.float64), "sim").dtype == np.float64
        with sending_once():
            assert sent(np.arange(3), "sim") is not first
        assert sent(np.arange(3), "sim") is first
    assert sent(labels, "sim") is not sent(labels, "sim")


# ------------------------------------------------------------------------------------------------------ numbers agree
def test_accuracy_and_loss_are_the_cpus(device):
    """Counted on the device: the number of right answers, the loss, over batches of unequal size and a custom loss."""
    images = np.random.default_rng(1).standard_normal((7, 3, 8, 8)).astype(np.float32)
    rows = []
    for where in ("cpu", device):
        mc.manual_seed(3)
        model = small_network().to(where)
        loader = data.Loader(data.ArrayDataset(images, np.arange(7) % 4, range(4)), 3)
        trainer = mc.Trainer(model, sgd(model), loader, progress=False, clip_norm=0.5)
        rows.append(trainer.fit(2))
    for ours, theirs in zip(*rows, strict=True):
        assert ours["train_accuracy"] == theirs["train_accuracy"]
        np.testing.assert_allclose(theirs["train_loss"], ours["train_loss"], rtol=1e-5)


def test_a_step_gives_logits_loss_and_right_answers(device):
    """Logits stay where the model is; a loss of one's own may see the labels as they came."""
    seen = []

    def own(logits, labels):
        seen.append(labels)
        return (logits * logits).mean()

    model = small_network().to(device)
    labels = np.array([0, 1, 2, 3, 0], np.uint8)
    batch = mc.Trainer(model, sgd(model), [()], progress=False, loss=own).step(
        np.ones((5, 3, 8, 8), np.float32), labels
    )
    logits = to_numpy(batch.logits)
    assert seen[0] is labels and model.device == device and not isinstance(batch.logits, np.ndarray)
    assert batch.right == (logits.argmax(1) == labels).sum() and isinstance(batch.right, int)
    np.testing.assert_allclose(batch.loss, np.square(logits).mean(), rtol=1e-5)


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e3, np.nan, np.inf])
def test_clipping_is_the_cpus(device, size):
    """Too long: scaled; short enough, NaN or infinite: left alone; the length is told in any case."""
    found = []
    for where in ("cpu", device):
        parameters = [nn.Parameter(np.zeros(n, np.float32)).to(where) for n in (3, 5)]
        for p in parameters:
            p.grad = to_device(np.arange(1, p.size + 1, dtype=np.float32) * np.float32(size), where)
        with np.errstate(invalid="ignore"):
            found.append((optim.clip_grad_norm_(parameters, 1.0), *(to_numpy(p.grad) for p in parameters)))
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(theirs, ours, rtol=1e-6)


def test_divergence_is_named(device):
    """Weights that the last step made infinite are found at the epoch's end, by name, with one copy from the device."""
    for where in ("cpu", device):
        model = small_network().to(where)
        batches = [(np.ones((2, 3, 8, 8), np.float32), [0, 1])]
        steep = lambda logits, labels: 1e3 * F.cross_entropy(logits, labels)  # noqa: E731
        trainer = mc.Trainer(model, optim.SGD(model.parameters(), 1e38), batches, progress=False, loss=steep)
        complaint(lambda trainer=trainer: trainer.fit(1), mc.DivergedError, ("weight", "became inf", "epoch 1"))


# ------------------------------------------------------------------------------------------------------- the command
def test_launches_command(capsys):
    """A table by layer whose rows add up, and all of it as JSON."""
    assert command("kernels", "launches", "lenet5", "--optimizer", "adam") == 0
    text = capsys.readouterr().out
    assert command("kernels", "launches", "lenet5", "--optimizer", "adam", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    rows = [Counts(**part) for row in found["rows"].values() for part in row.values()]
    assert sum(rows, start=Counts()) == Counts(**found["total"])
    assert f"{found['total']['kernels'] + found['total']['operations']} launches" in text
    assert found["rows"]["c1"]["forward"]["kernels"] >= 2 and found["growth"] == 0
    assert [t["nbytes"] for t in found["transfers"]] == [2 * 32 * 32 * 4, 16, LOSS]
    assert "16 bytes to host (get)" in text and "the optimiser" in text
    complaint(lambda: count_step(small_network(), sgd, (3, 8, 8), 0), mc.errors.ArgumentError, ("batch_size", "0"))
