"""The training loop and the command line: what is learned, what is written, what repeats."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

import minicnn as mc
from minicnn import cli, data, models, nn, optim, plots, runs
from minicnn.data import transforms
from minicnn.kernels.announce import announce, announced_by
from minicnn.metrics import Evaluation
from minicnn.recipe import Recipe
from minicnn.runs import Run
from minicnn.training import COLUMNS, Trainer, evaluate

RUN_FILES = {
    *("best.safetensors", "last.safetensors", "checkpoint.safetensors", "checkpoint-before.safetensors"),
    *("curves.png", "metrics.csv"),
}


def small_problem(seed=0, workers=1):
    """LeNet-like on the digits' validation images: a second of training."""
    mc.manual_seed(seed)
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.1), nn.Flatten(),
        nn.Linear(128, 10),
    )  # fmt: skip
    augment = transforms.Compose([transforms.Normalize([0.3], [0.37]), transforms.PadCrop(1)])
    train = data.Loader(data.digits("val"), 32, shuffle=True, seed=seed, transform=augment, workers=workers)
    return model, optim.SGD(model.parameters(), 0.05, momentum=0.9, weight_decay=1e-4), train


def weights_after_training(threads=None, workers=1):
    if threads:
        mc.set_num_threads(threads)
    model, optimizer, train = small_problem(workers=workers)
    Trainer(model, optimizer, train, progress=False).fit(2)
    return {k: v.copy() for k, v in model.state_dict().items()}


def test_training_learns():
    """Loss falls by more than half and accuracy rises far above chance."""
    model, optimizer, train = small_problem()
    rows = Trainer(model, optimizer, train, progress=False).fit(15)
    assert rows[-1]["train_loss"] < rows[0]["train_loss"] / 2 and rows[-1]["train_accuracy"] > 0.75


def test_two_runs_are_bit_identical():
    """Same seed, same machine: the same weights, to the last bit, with and without loader threads."""
    first = weights_after_training()
    for other in (weights_after_training(), weights_after_training(workers=0)):
        for name in first:
            np.testing.assert_array_equal(first[name], other[name])


@pytest.mark.compiled
def test_threads_do_not_change_a_bit():
    """One and two threads give the same weights: work is cut by shapes, partial sums are added in fixed order."""
    before = mc.get_num_threads()
    if before == 1:
        pytest.skip("this machine has one core: the comparison would say nothing")
    try:
        one, two = weights_after_training(threads=1), weights_after_training(threads=before)
    finally:
        mc.set_num_threads(before)
    for name in one:
        np.testing.assert_array_equal(one[name], two[name])


def test_run_folder_holds_metrics_curves_and_weights(tmp_path):
    model, optimizer, train = small_problem()
    val = data.Loader(data.digits("test"), 128, transform=transforms.Normalize([0.3], [0.37]))
    trainer = Trainer(model, optimizer, train, val, out=tmp_path, metadata={"model": "small"}, progress=False)
    rows = trainer.fit(3)
    with open(tmp_path / "metrics.csv", newline="") as file:
        written = list(csv.DictReader(file))
    assert tuple(written[0]) == COLUMNS and [r["epoch"] for r in written] == ["1", "2", "3"]
    assert float(written[2]["val_accuracy"]) == pytest.approx(rows[2]["val_accuracy"], rel=1e-5)
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    best = max(r["val_accuracy"] for r in rows)
    metadata = mc.weights.load_metadata(tmp_path / "best.safetensors")
    assert metadata["model"] == "small" and float(metadata["accuracy"]) == pytest.approx(best, abs=1e-6)
    model.load_state_dict(mc.load(tmp_path / "best.safetensors"))
    assert evaluate(model, val).accuracy == pytest.approx(best)
    files = sorted(RUN_FILES)
    assert sorted(p.name for p in tmp_path.iterdir()) == files


def test_accumulated_batches_equal_one_large_batch():
    """Two batches of 16 and one update give the weights of one batch of 32 (without batch-norm)."""

    def trained(batch_size, accumulate):
        mc.manual_seed(0)
        model = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10)).to("float64")
        images = [(x.astype(np.float64), y) for x, y in data.Loader(data.digits("val"), batch_size, drop_last=True)]
        images = images[: 128 // batch_size]
        sgd = optim.SGD(model.parameters(), 0.1, momentum=0.9)
        schedule = optim.lr_scheduler.MultiStepLR(sgd, [2])
        Trainer(model, sgd, images, schedule=schedule, progress=False, accumulate=accumulate).fit(1)
        return schedule.t, [p.data for p in model.parameters()]

    (updates, one), (same_updates, two) = trained(32, 1), trained(16, 2)
    assert updates == same_updates == 4
    for a, b in zip(one, two):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_clipping_bounds_every_update():
    """Plain SGD with rate 1 and a clipped gradient: no step is longer than the bound."""
    model, _, train = small_problem()
    trainer = Trainer(model, optim.SGD(model.parameters(), 1.0), train, progress=False, clip_norm=0.01)
    before = [p.data.copy() for p in model.parameters()]
    trainer.step(*next(iter(train)))
    moved = np.sqrt(sum(np.square(p.data - b).sum() for p, b in zip(model.parameters(), before)))
    assert moved == pytest.approx(0.01, rel=1e-3)


def test_labels_and_images_may_be_tensors():
    """Batches of tensors and batches of arrays train alike, and are counted alike."""
    accuracies = []
    for wrap in (lambda a: a, mc.tensor):
        model, optimizer, train = small_problem()
        batches = [(wrap(x), wrap(y)) for x, y in train]
        accuracies.append(Trainer(model, optimizer, batches, batches, progress=False).fit(2)[-1]["val_accuracy"])
    assert accuracies[0] == accuracies[1] > 0.1


def test_fit_continues_where_it_stopped():
    """A second fit numbers its epochs on, and evaluation leaves the model in training mode."""
    model, optimizer, train = small_problem()
    trainer = Trainer(model, optimizer, train, train, progress=False)
    trainer.fit(1)
    assert [r["epoch"] for r in trainer.fit(1)] == [1, 2] and model.training


def test_the_bar_shows_loss_accuracy_rate_speed_and_memory(capsys):
    model, optimizer, train = small_problem()
    Trainer(model, optimizer, train, train).fit(1)
    bar = capsys.readouterr().err
    assert all(word in bar for word in ("epoch 1/1", "loss=", "acc=", "lr=0.05", "images/s=", "mem=", "val_acc="))
    assert "00:0" in bar  # time spent and time left


def test_a_profiled_run_prints_and_keeps_its_table(tmp_path, capsys):
    """Two steps are counted after three others, every layer has its row, and the weights are those of any other run."""
    model, optimizer, train = small_problem()
    profile = mc.profile(model, skip=3, steps=2)
    Trainer(model, optimizer, train, out=tmp_path, progress=False, profile=profile).fit(2)
    assert profile.counted == 2
    printed = capsys.readouterr().out
    with open(tmp_path / "profile.csv", newline="") as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    for name, layer in model.named_children():
        assert rows[name]["kind"] == type(layer).__name__ and f"{name} " in printed
    assert all(word in printed for word in ("optimiser", "waiting for data", "kept MB"))
    for name, array in weights_after_training().items():
        np.testing.assert_array_equal(array, model.state_dict()[name])


def test_bars_count_to_the_last_epoch(capsys):
    """Of a fit of three: "epoch 2/3", and on from there in a second fit."""
    model, optimizer, train = small_problem()
    trainer = Trainer(model, optimizer, train)
    trainer.fit(2)
    trainer.fit(1)
    bar = capsys.readouterr().err
    assert all(label in bar for label in ("epoch 1/2:", "epoch 2/2:", "epoch 3/3:"))


def test_compilation_is_announced_above_the_bar(capsys):
    """A kernel's message goes through the bar's own writer while there is one, and to stderr again afterwards."""
    model, optimizer, train = small_problem()
    trainer, step = Trainer(model, optimizer, train), Trainer.step

    def announcing_step(images, labels):
        announce("minicnn: compiling something")
        return step(trainer, images, labels)

    trainer.step = announcing_step
    with announced_by(lambda line: pytest.fail("the bar should have been given this line")):
        trainer.fit(1)
    assert "minicnn: compiling something\n" in capsys.readouterr().err
    announce("afterwards")
    assert capsys.readouterr().err == "afterwards\n"


def run(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "minicnn", *arguments], capture_output=True, text=True, env={**os.environ, **environment}
    )


@pytest.mark.compiled
def test_demo_trains_and_says_where_it_left_what(tmp_path):
    """The README's command, shortened to four epochs: layers, bar, run folder, and the accuracy as the last line."""
    out = tmp_path / "run"
    result = run("demo", "--epochs", "4", "--out", str(out))
    assert result.returncode == 0, result.stderr
    lines = result.stdout.strip().split("\n")
    assert lines[-1].startswith("test accuracy: ") and lines[-1].endswith(" %") and float(lines[-1].split()[2]) > 80
    assert str(out) in lines[-3] and lines[-2].startswith("hardest classes: ")
    assert "layer3.2.conv2" in result.stdout and "images/s" in result.stderr
    assert {p.name for p in out.iterdir()} == RUN_FILES | {"confusion.png", "run.json"}


def test_train_command_in_this_process(tmp_path, capsys):
    """A tiny model of one's own through the command's code; the run folder's name is taken, so a number is added."""

    @models.register_model("tiny-train-test", num_classes=10)
    def tiny(num_classes, in_channels):
        return nn.Sequential(nn.Flatten(), nn.Linear(64 * in_channels, num_classes))

    try:
        for _ in range(2):
            with pytest.raises(SystemExit) as stop:
                options = ["--epochs", "2", "--out", str(tmp_path / "r"), "--threads", "1"]
                cli.main(["train", "--model", "tiny-train-test", *options])
                raise SystemExit(0)
            assert stop.value.code == 0
    finally:
        del models.registry._MODELS["tiny-train-test"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["r", "r-2"]
    assert capsys.readouterr().out.count("test accuracy: ") == 2


@pytest.mark.compiled
def test_small_images_are_enlarged_for_lenet(tmp_path, capsys):
    """`minicnn train --model lenet5 --data digits` runs: 8x8 images become 32x32."""
    runs.train(Run("lenet5", "digits", Recipe(epochs=1, batch_size=256, lr=0.01)), str(tmp_path / "r"))
    assert "images 1x32x32" in capsys.readouterr().out


@pytest.mark.compiled
def test_doctor_looks_at_everything(capsys):
    """One line for each thing; the rooms are compared on samples of every kernel."""
    cli.cli.main(["doctor"], standalone_mode=False)
    out = capsys.readouterr().out
    for word in ("python", "numpy", "room", "threads", "kernel cache", "the rooms agree", "graphviz"):
        assert word in out


def test_samples_cover_every_kernel():
    """warmup compiles what it is given samples of: none may be missing."""
    assert {name for name, _ in mc.kernels.samples.samples()} == set(mc.kernels.KERNELS)


def test_evaluation_by_hand():
    """Three classes, seven logits each: top-1, top-5, who is taken for whom, and a class that never came."""
    result = Evaluation()
    logits = np.zeros((4, 7))
    logits[0, 2] = logits[1, 2] = logits[2, 0] = 1  # said: 2, 2, 0
    logits[3] = [1, 6, 5, 4, 3, 2, 0]  # said: 1; five logits are larger than that of class 0
    result.add(0.5, logits[:2], np.array([2, 1]))
    result.add(1.5, logits[2:], np.array([0, 0]))
    assert (result.images, result.loss, result.accuracy, result.top5) == (4, 1.0, 0.5, 0.75)
    assert result.confusion[2, 2] == result.confusion[1, 2] == result.confusion[0, 0] == result.confusion[0, 1] == 1
    np.testing.assert_array_equal(result.per_class, [0.5, 0, 1, *[np.nan] * 4])


def test_confusion_is_drawn_with_names_and_shares(tmp_path):
    figure = plots.confusion([[3, 1], [0, 2]], ["cat", "dog"], tmp_path / "c.png")
    axes = figure.axes[0]
    assert [t.get_text() for t in axes.get_yticklabels()] == ["cat", "dog"]
    assert sorted(t.get_text() for t in axes.texts) == ["100", "25", "75"]
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")


def test_the_last_update_of_an_epoch_is_a_mean_too():
    """Five batches, an update every four: the fifth's gradient counts whole, not divided by four; the rate written down
    is that of the epoch's last update."""
    rng = np.random.default_rng(0)
    batches = [(rng.standard_normal((2, 3)), np.array([0, 1])) for _ in range(5)]

    def trained(accumulate, groups):
        mc.manual_seed(0)
        model = nn.Linear(3, 2).to("float64")
        sgd = optim.SGD(model.parameters(), 0.5)
        schedule = optim.lr_scheduler.StepLR(sgd, 2, gamma=0.1)
        rows = Trainer(model, sgd, groups, schedule=schedule, progress=False, accumulate=accumulate).fit(1)
        return model.weight.data, rows[0]["lr"]

    four = np.concatenate([x for x, _ in batches[:4]]), np.concatenate([y for _, y in batches[:4]])
    (one, rate), (two, same) = trained(4, batches), trained(1, [four, batches[4]])
    np.testing.assert_allclose(one, two, rtol=1e-12)
    assert rate == same == 0.5


def test_ctrl_c_stops_at_the_end_of_an_epoch_whose_gradients_wait(tmp_path, monkeypatch):
    """With more accumulated batches than an epoch has, the only update is at its end; there the run stops, saved."""
    model, optimizer, train = small_problem()
    trainer = Trainer(model, optimizer, train, out=tmp_path, progress=False, accumulate=100)
    step = trainer.step

    def interrupted(images, labels):
        os.kill(os.getpid(), signal.SIGINT)
        trainer.step = step
        return step(images, labels)

    trainer.step = interrupted
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(50)
    assert len(trainer.rows) == 1 and (tmp_path / "checkpoint.safetensors").exists()


def test_parts_that_do_not_fit_are_named():
    model, optimizer, train = small_problem()
    other = optim.SGD(nn.Linear(2, 2).parameters(), 0.1)
    for options, says in (
        ({"profile": True}, "profile must be mc.profile"),
        ({"schedule": lambda t: 0.1}, "LambdaLR"),
        ({"schedule": optim.lr_scheduler.StepLR(other, 3)}, "another optimiser"),
    ):
        with pytest.raises(mc.ArgumentError, match=says):
            Trainer(model, optimizer, train, **options)
    for call in (Trainer(model, optimizer, train).resume, Trainer(model, optimizer, train).save_checkpoint):
        with pytest.raises(mc.ArgumentError, match="pass out="):
            call()

    class Pair(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(64, 10)

        def forward(self, x):
            return self.fc(x.flatten(1)), x

    pair = Pair()
    with pytest.raises(mc.ArgumentError, match=r"Pair: forward must return logits \(N, classes\), but returned tuple"):
        Trainer(pair, optim.SGD(pair.parameters(), 0.1), train, progress=False).fit(1)
