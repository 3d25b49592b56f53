"""The experiments that train: their quick forms run, their verdicts can fall, and what they build is what they say."""

from __future__ import annotations

import json

import numpy as np
import pytest

import minicnn as mc
from minicnn import experiments, nn
from minicnn.experiments import (
    e07_gradient_flow,
    e08_block_design,
    e09_auxiliary_classifiers,
    e12_global_average_pooling,
    e17b_shuffle_training,
    on_digits,
)
from minicnn.experiments.results import STORED

TRAININGS = [
    "degradation",
    "gradient-flow",
    "block-design",
    "auxiliary-classifiers",
    "global-average-pooling",
    "depthwise-separable",
    "shuffle-training",
]


@pytest.mark.compiled
@pytest.mark.parametrize("name", TRAININGS)
def test_the_quick_form_runs_and_holds(name):
    """One or two seeds: tables of the whole run's names, numbers in each row, a figure, and a verdict on them."""
    result, kept = experiments.run(name, quick=True, progress=False), experiments.stored(name)
    assert result.quick and result.tables.keys() == kept.tables.keys() and all(result.tables.values())
    assert result.checks and result.figure().axes
    if name in ("degradation", "gradient-flow", "block-design", "auxiliary-classifiers"):  # far beyond chance
        assert result.held, [check for check in result.checks if not check.held]


@pytest.mark.parametrize("name", TRAININGS)
def test_what_is_kept_has_several_seeds(name):
    """A claim about trainings needs more than one, all of them in the tables, and the command that made them."""
    kept = experiments.stored(name)
    assert len(kept.seeds) >= 3 and kept.seeds == kept.experiment.seeds
    assert kept.command == f"minicnn experiment run {name}"
    for rows in kept.tables.values():
        for row in rows:
            if "mean" in row:
                assert len(on_digits.of_seeds(row)) == len(kept.seeds)


def fallen(name: str, table: str, change) -> list[str]:
    """What no longer holds, and did, when ``change`` has altered each row of a table of what is kept."""
    tables, check = json.loads((STORED / f"{name}.json").read_text("utf-8"))["tables"], experiments.get(name).check
    before = {line.what for line in check(tables) if line.held}
    for row in tables[table]:
        change(row)
    return [line.what for line in check(tables) if not line.held and line.what in before]


def put(value: float, **labels):
    """A change: this value for every seed, and the mean, of the rows with these labels."""

    def change(row):
        if all(row[key] == wanted for key, wanted in labels.items()):
            row.update({key: value for key in row if key.startswith("seed ") or key == "mean"})

    return change


@pytest.mark.parametrize(
    "name, table, change",
    [
        ("degradation", "training error in %", put(0.0, network="plain-56")),
        ("degradation", "training error in %", put(50.0, network="ResNet-56")),
        ("gradient-flow", e07_gradient_flow.RATIO, put(1.0, norm="batch-norm", network="plain-56")),
        ("gradient-flow", e07_gradient_flow.RATIO, put(1e-9, norm="batch-norm", network="residual-56")),
        ("block-design", "training error in %", put(95.0, design="full pre-activation")),
        ("auxiliary-classifiers", "training error in %", put(89.9, network="gain 1.2, aux")),
        ("auxiliary-classifiers", "training error in %", put(89.9, network="gain 1.2, BN")),
        ("global-average-pooling", e12_global_average_pooling.ERROR, put(10.0, network="FC")),
        ("global-average-pooling", e12_global_average_pooling.ERROR, put(90.0, network="GAP", shift=2)),
        ("depthwise-separable", "error on held-out images in %", put(30.0, network="separable, width 16")),
    ],
)
def test_a_verdict_can_fall(name, table, change):
    """Numbers that contradict the claim are not waved through."""
    assert fallen(name, table, change)


def test_the_networks_are_those_of_the_paper():
    """6n + 2 layers with weights, as many weights with shortcuts as without, the same start from a seed."""
    for depth in (8, 20, 56):
        plain, residual = (on_digits.seeded(3, lambda s=s, d=depth: on_digits.network(d, s)) for s in (None, "A"))
        weighted = [m for m in plain.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
        assert len(weighted) == depth
        for ours, theirs in zip(plain.state_dict().values(), residual.state_dict().values(), strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_images_for_training_and_testing_are_apart():
    """No held-out image is trained on; the training images have mean 0 and deviation 1."""
    training, held_out = on_digits.standardised("train"), on_digits.standardised("held-out")
    assert (len(training), len(held_out)) == (1261, 536)
    assert abs(training.images.mean()) < 1e-5 and abs(training.images.std() - 1) < 1e-5
    both = np.concatenate([training.images, held_out.images]).reshape(1797, 64)
    assert len(np.unique(both, axis=0)) == 1797
    np.testing.assert_array_equal(on_digits.standardised("train", 300).images, training.images[:300])


def test_a_training_that_breaks_down_is_told():
    """NaN from the epoch on in which the loss was no number; before it, errors in per cent."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    found = on_digits.train(
        model, on_digits.standardised("train", 64), seed=0, epochs=4, lr=0.01, rate=lambda now: 1.0 if now < 2 else 1e30
    )
    assert 0 <= found[0]["error"] <= 100 and np.isnan(found[3]["error"]) and len(found) == 4


def test_learning_rates_as_the_experiments_say():
    """A tenth in the warm-up and after each drop."""
    rate = on_digits.drops_at(7, warm_up=1)
    assert [rate(now) for now in (0, 0.95, 1, 6.9, 7)] == pytest.approx([0.1, 0.1, 1, 1, 0.1])


def test_without_norm_only_the_norm_is_gone():
    """E7's networks without batch-norm: the block is relu(F(x) + x) still, and the start is that of its twin."""
    model = on_digits.seeded(0, lambda: e07_gradient_flow.build("A", "none", "He"))
    assert not any(isinstance(m, nn.BatchNorm2d) for m in model.modules())
    block = list(model)[3][0]
    x = mc.tensor(np.random.default_rng(0).standard_normal((2, 8, 4, 4)).astype(np.float32))
    inner = block.conv2(mc.functional.relu(block.conv1(x)))
    np.testing.assert_allclose(block(x).data, np.maximum(inner.data + x.data, 0), rtol=1e-6)


def test_flow_is_the_gradient_of_each_block():
    """The last block's, by hand: average pooling hands each of its pixels the linear layer's gradient, divided."""
    digits = on_digits.standardised("train", 4)
    model = on_digits.seeded(0, lambda: on_digits.network(8, None))
    flow = e07_gradient_flow.gradients(model, digits.images, digits.labels)
    assert len(flow) == 3
    logits = on_digits.seeded(0, lambda: on_digits.network(8, None))(mc.tensor(digits.images)).data
    share = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    share[np.arange(4), digits.labels] -= 1  # dL/dlogits, times 4
    by_hand = np.linalg.norm(share / 4 @ list(model)[-1].weight.data) / 2  # of 4 pixels each a quarter: sqrt(4) / 4
    assert flow[-1] == pytest.approx(by_hand, rel=1e-4)


def test_gamma_0_makes_blocks_of_shortcuts():
    """E8: the changed original starts with F = 0 in each of its 54 blocks, and in the last batch-norm only."""
    model = e08_block_design.build("original", "gamma 0")
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    assert sum(not m.weight.data.any() for m in norms) == 54 and len(norms) == 109


def test_heads_count_in_training_only():
    """E9: three logits weighed 1, 0.3, 0.3 while training, the last one alone in evaluation; 21 convolutions."""
    model = on_digits.seeded(0, lambda: e09_auxiliary_classifiers.Deep(1.2, False, True))
    images, labels = np.ones((2, 1, 8, 8), np.float32), np.array([1, 2])
    outputs = model(mc.tensor(images))
    losses = [mc.functional.cross_entropy(logits, labels).item() for logits in outputs]
    total = outputs.loss(mc.functional.cross_entropy, labels).item()
    assert total == pytest.approx(losses[0] + 0.3 * (losses[1] + losses[2]), rel=1e-6)
    np.testing.assert_allclose(model.eval()(mc.tensor(images)).data, outputs.logits.data, rtol=1e-6)
    convs = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    assert len(convs) == 21
    assert convs[-1].weight.data.var() == pytest.approx(1.2**2 / (9 * 32), rel=0.05)


def test_a_shifted_digit_is_the_same_digit():
    """E12: moved by 4 it still stands whole in the picture; moved by 0 in its middle."""
    digits = on_digits.standardised("held-out", 3)
    moved = e12_global_average_pooling.framed(digits, 4, -4)
    np.testing.assert_array_equal(moved.images[:, :, 8:, :8], digits.images)
    assert (moved.images[:, :, :8] == digits.images.min()).all()
    middle = e12_global_average_pooling.framed(digits)
    np.testing.assert_array_equal(middle.images[:, :, 4:12, 4:12], digits.images)


def test_the_shuffle_does_something():
    """E17b: with one map a group it would be the identity, and the two networks the same."""
    x = mc.tensor(on_digits.standardised("train", 2).images)
    for groups in e17b_shuffle_training.GROUPS:
        a, b = (on_digits.seeded(0, lambda s=s, g=groups: e17b_shuffle_training.build(g, s)) for s in (False, True))
        assert not np.allclose(a(x).data, b(x).data)


class Counted(experiments.Setup):
    """A run's setup whose bars count."""

    def bar(self, total, label):
        self.__dict__["bars"] = bar = CountedBar(total)
        return bar


class CountedBar:
    def __init__(self, total):
        self.total, self.done = total, 0

    def update(self):
        self.done += 1

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        pass


@pytest.mark.parametrize("quick", [False, True], ids=["whole", "quick"])
@pytest.mark.parametrize("name", TRAININGS)
def test_every_seed_lands_in_its_own_cell(name, quick, monkeypatch):
    """With trainings that only note their seed: each table's column of a seed holds that seed's result, and no other's;
    the bar comes to its end; the verdict and the figure take the quick form's fewer rows."""
    one = experiments.get(name)
    module = __import__(one.module, fromlist=["x"])
    now = {}

    def training(model, images, *, seed, epochs, after_epoch, **settings):
        now["seed"] = seed
        for _ in range(epochs):
            after_epoch()
        return [{"train_loss": 1.0, "error": float(seed)} for _ in range(epochs)]

    def seeded(seed, build):
        now["seed"] = seed
        return build()

    monkeypatch.setattr(module, "train", training, raising=False)
    monkeypatch.setattr(module, "seeded", seeded)
    monkeypatch.setattr(module, "error", lambda model, images: float(now["seed"]), raising=False)
    monkeypatch.setattr(module, "gradients", lambda *batch: [float(now["seed"] + 1), 1.0], raising=False)
    monkeypatch.setattr(module, "first_gradient", lambda *batch: float(now["seed"] + 1), raising=False)
    setup = Counted(one.quick_seeds if quick else one.seeds, quick)
    tables = experiments.results.plain(one.measure(setup))
    assert 0 < setup.bars.done == setup.bars.total
    cells = [(key, row[key]) for rows in tables.values() for row in rows for key in row if key.startswith("seed ")]
    assert {key for key, _ in cells} == {f"seed {seed}" for seed in setup.seeds}
    assert all(value - int(key.split()[1]) in (0, 1) for key, value in cells)
    assert one.check(tables) and one.draw(tables).axes
    assert {type(line.held) for line in one.check(tables)} == {bool}  # NumPy's cannot be kept as JSON
