"""Checkpoints: a run that was killed, stopped or cut off reaches the undisturbed run's weights, bit for bit."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import minicnn as mc
from minicnn import checkpoint, data, nn, optim
from minicnn.data import transforms
from minicnn.training import Trainer

EPOCHS = 3


def make(out=None, optimizer="sgd", schedule="cosine", **options) -> Trainer:
    """A small network with dropout and batch-norm, so that every kind of state matters."""
    mc.manual_seed(1)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.2), nn.Flatten(),
        nn.Linear(64, 10),
    )  # fmt: skip
    make_optimizer = {
        "sgd": lambda p: optim.SGD(p, 0.05, momentum=0.9),
        "adam": lambda p: optim.Adam(p, 0.01),
        "rmsprop": lambda p: optim.RMSprop(p, 0.003, momentum=0.5),
    }
    sgd = make_optimizer[optimizer](model.parameters())
    augment = transforms.Compose([transforms.Normalize([0.3], [0.37]), transforms.PadCrop(1)])
    train = data.Loader(data.digits("val"), 32, shuffle=True, seed=1, transform=augment, workers=1)
    if schedule == "plateau":  # without patience, so that the rate does fall
        schedule = optim.lr_scheduler.ReduceLROnPlateau(sgd, factor=0.5, patience=0, threshold=0.3)
    else:
        schedule = optim.lr_scheduler.CosineAnnealingLR(sgd, T_max=EPOCHS * len(train))
    return Trainer(model, sgd, train, train, schedule=schedule, out=out, progress=False, **options)


def weights(trainer: Trainer) -> dict:
    return {k: v.copy() for k, v in trainer.model.state_dict().items()}


def assert_same(a: dict, b: dict) -> None:
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


class CutOffError(Exception):
    """Stands for whatever ends a process."""


def run_until(trainer: Trainer, batches: int) -> None:
    """Train, and fall over after so many batches."""
    step, done = trainer.step, []

    def counted(images, labels):
        if len(done) == batches:
            raise CutOffError
        done.append(1)
        return step(images, labels)

    trainer.step = counted
    with pytest.raises(CutOffError):
        trainer.fit(EPOCHS)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("batches", [1, 4, 6, 9, 17])
def test_resuming_anywhere_reaches_the_same_bits(tmp_path, batches, optimizer):
    """Weights, statistics, averages, schedule, dropout, order and metrics go on where the last checkpoint was."""
    undisturbed = make(tmp_path / "a", optimizer)
    rows = undisturbed.fit(EPOCHS)
    run_until(make(tmp_path / "b", optimizer, checkpoint_every=2), batches)
    resumed = make(tmp_path / "b", optimizer)
    mc.manual_seed(99)
    if batches > 1:
        assert resumed.resume() == ""
    else:  # no checkpoint yet
        with pytest.raises(mc.FileError, match="no checkpoint to go on from"):
            resumed.resume()
        resumed = make(tmp_path / "b", optimizer)
    resumed_rows = resumed.fit(EPOCHS - len(resumed.rows))
    assert_same(weights(undisturbed), weights(resumed))
    for row, other in zip(rows, resumed_rows, strict=True):
        assert [row[k] for k in ("epoch", "train_loss", "val_accuracy", "lr")] == [
            other[k] for k in ("epoch", "train_loss", "val_accuracy", "lr")
        ]
    assert_same(*(mc.load(tmp_path / run / "best.safetensors") for run in "ab"))


@pytest.mark.parametrize("batches", [3, 8, 14])
def test_resuming_with_running_means_mixed_images_and_plateau(tmp_path, batches):
    """What else a run remembers: the running means, who was mixed with whom, and the best result so far."""
    options = {"optimizer": "rmsprop", "schedule": "plateau", "ema": 0.9, "mixup": 0.4}
    undisturbed = make(tmp_path / "a", **options)
    rows = undisturbed.fit(EPOCHS)
    assert rows[-1]["lr"] < rows[0]["lr"]
    run_until(make(tmp_path / "b", checkpoint_every=1, **options), batches)
    resumed = make(tmp_path / "b", **options)
    resumed.resume()
    resumed.fit(EPOCHS - len(resumed.rows))
    assert_same(weights(undisturbed), weights(resumed))
    assert undisturbed.ema.t == resumed.ema.t == EPOCHS * len(undisturbed.train)
    assert_same(undisturbed.ema.averages, resumed.ema.averages)
    assert_same(*(mc.load(tmp_path / run / "best.safetensors") for run in "ab"))


def test_resuming_with_other_parts_is_an_error(tmp_path):
    """Running means cannot be begun in the middle, nor forgotten unnoticed."""
    make(tmp_path, ema=0.9).fit(1)
    with pytest.raises(mc.FileError, match="the checkpoint has running means of the weights, this run has none"):
        make(tmp_path).resume()


def test_a_failed_write_keeps_both_checkpoints(tmp_path, monkeypatch):
    """A full disk: the error names the file, and neither of the two older checkpoints is touched."""
    trainer = make(tmp_path)
    trainer.fit(2)
    before = {name: (tmp_path / name).read_bytes() for name in (checkpoint.NEWEST, checkpoint.BEFORE)}

    def full(*args, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("safetensors.numpy.save_file", full)
    with pytest.raises(mc.FileError, match="cannot write .*checkpoint-new.*No space left on device"):
        trainer.save_checkpoint()
    assert before == {name: (tmp_path / name).read_bytes() for name in before}
    assert not list(tmp_path.glob(".*"))


def test_leftovers_of_a_killed_process_are_removed_on_resume(tmp_path):
    make(tmp_path).fit(1)
    leftover = tmp_path / ".last-ab12cd34.safetensors"
    leftover.write_bytes(b"half")
    make(tmp_path).resume()
    assert not leftover.exists()


def test_resuming_with_accumulated_gradients(tmp_path):
    """Checkpoints wait for an update: half-summed gradients are never lost."""
    undisturbed = make(accumulate=4)
    undisturbed.fit(EPOCHS)
    run_until(make(tmp_path, checkpoint_every=1, accumulate=4), 11)
    resumed = make(tmp_path, accumulate=4)
    resumed.resume()
    assert resumed._batches_done == 4
    resumed.fit(EPOCHS - len(resumed.rows))
    assert_same(weights(undisturbed), weights(resumed))


@pytest.mark.parametrize("damage", ["cut", "flip", "gone", "other file"])
def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before(tmp_path, damage):
    """Truncated, one bit flipped, missing, or something else: one message, and the run goes on from the one before."""
    undisturbed = make()
    undisturbed.fit(EPOCHS)
    run_until(make(tmp_path, checkpoint_every=2), 9)
    newest = tmp_path / checkpoint.NEWEST
    content = bytearray(newest.read_bytes())
    if damage == "cut":
        newest.write_bytes(content[:-100])
    elif damage == "flip":
        content[-3] ^= 1
        newest.write_bytes(content)
    elif damage == "gone":
        newest.unlink()
    else:
        mc.save({"a": np.ones(3)}, newest)
    resumed = make(tmp_path)
    message = resumed.resume()
    assert checkpoint.NEWEST in message and f"going on from {checkpoint.BEFORE}" in message
    resumed.fit(EPOCHS - len(resumed.rows))
    assert_same(weights(undisturbed), weights(resumed))


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    make(tmp_path).fit(1)
    other = make(tmp_path)
    other.model[6] = nn.Linear(64, 7)
    with pytest.raises(mc.FileError, match=r"6.weight: the model has \(7, 64\), the file \(10, 64\)"):
        other.resume()


def test_ctrl_c_ends_the_batch_saves_and_says_how_to_go_on(tmp_path, capsys):
    """The first Ctrl-C never lands in the middle of an update; afterwards the old handler is back."""
    undisturbed = make()
    undisturbed.fit(EPOCHS)
    trainer = make(tmp_path, resume_command="do it again")
    step = trainer.step

    def step_and_signal(images, labels):
        result = step(images, labels)
        if trainer.schedule.t == 8:
            signal.raise_signal(signal.SIGINT)
        return result

    trainer.step, before = step_and_signal, signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(EPOCHS)
    assert signal.getsignal(signal.SIGINT) is before and "to go on: do it again" in capsys.readouterr().err
    resumed = make(tmp_path)
    resumed.resume()
    assert (len(resumed.rows), resumed._batches_done) == (1, 2)
    resumed.fit(EPOCHS - len(resumed.rows))
    assert_same(weights(undisturbed), weights(resumed))


TRAIN = [sys.executable, "-m", "minicnn", "train", "--model", "resnet20", "--epochs", "3", "--checkpoint-every", "3"]


def changes_once_more(path, process, since: int) -> int:
    """Wait until a file was written anew (its time is no longer ``since``); returns the new time."""
    while process.poll() is None:
        now = path.stat().st_mtime_ns if path.is_file() else since
        if now != since:
            return now
        time.sleep(0.001)
    raise AssertionError("the run ended before it could be killed")


@pytest.mark.compiled
def test_killed_ten_times_and_resumed(tmp_path):
    """SIGKILL at drawn moments, ten times: the last run's weights equal those of a run that nobody disturbed.

    A life lasts for none, one or two checkpoints and a drawn moment more, so that ten fit into a run on any machine.
    """
    environment = {**os.environ, "MINICNN_ROOM": "cpu"}
    subprocess.run([*TRAIN, "--out", str(tmp_path / "a")], check=True, capture_output=True, env=environment)
    draw, folder, resume = random.Random(0), tmp_path / "b", []
    newest = folder / checkpoint.NEWEST
    for _ in range(10):
        time_of_newest = newest.stat().st_mtime_ns if newest.is_file() else 0
        command = [*TRAIN, "--out", str(folder), *resume]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=environment)
        for _ in range(draw.choice([1, 2] if not resume else [0, 1, 2])):
            time_of_newest = changes_once_more(newest, process, time_of_newest)
        time.sleep(draw.uniform(0, 0.05) if resume else 0)
        process.kill()
        process.wait()
        resume = ["--resume"]
    subprocess.run([*TRAIN, "--out", str(folder), *resume], check=True, capture_output=True, env=environment)
    for name in ("last.safetensors", "best.safetensors"):
        assert_same(mc.load(tmp_path / "a" / name), mc.load(folder / name))
