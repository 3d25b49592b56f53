"""The training loop behind ``minicnn train``."""

from __future__ import annotations

import contextlib
import csv
import itertools
import os
import pathlib
import sys
import tempfile
import time
from collections.abc import Callable
from operator import length_hint
from typing import NamedTuple

import numpy as np

from . import checkpoint, plots, progress, weights
from . import functional as F
from .data import Loader
from .data.mixup import Mixed, MixUp
from .device import sending_once, to_numpy
from .errors import ArgumentError, DataError, DivergedError
from .evaluation import evaluate
from .files import remove_leftovers, replacing, writing
from .kernels.announce import announced_by
from .metrics import Average, Evaluation, judged
from .nn import Module
from .nn.modes import train_mode
from .ops import checks
from .optim import EMA, Optimizer
from .optim.clip import clip_grads_
from .optim.lr_scheduler import LRScheduler
from .profiling import Profile
from .profiling_memory import peak_mb
from .tensor import Tensor, as_array, as_tensor

COLUMNS = (
    "epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "val_top5", "lr", "images_per_second",
    "seconds", "peak_mb",
)  # fmt: skip
MIXING = 3  # keeps the stream of random numbers apart from the loader's


class Batch(NamedTuple):
    """What :meth:`Trainer.step` found.

    Attributes
    ----------
    logits : array, (N, classes)
        On the model's device.
    loss : float
    right : int
        How many labels have the largest logit.
    """

    logits: np.ndarray
    loss: float
    right: int


class Trainer:
    """Trains a classifier, keeps the best weights by validation accuracy, and writes down how it went.

    Parameters
    ----------
    model : Module
        (N, C, H, W) -> logits (N, classes); in training also an object with ``logits`` and ``loss(criterion, labels)``.
    optimizer : Optimizer
    train : Loader
    val : Loader, optional
        Decides which weights are best. Never pass the test set here: what is chosen by it is not tested by it.
    schedule : LRScheduler, optional
        Stepped after every update; one that looks at results (ReduceLROnPlateau) after every epoch, with the loss of
        ``val`` (mode "min") or its accuracy ("max").
    loss : callable(logits, labels) -> Tensor
    out : path, optional
        Folder for ``metrics.csv``, ``curves.png``, ``last.safetensors`` and ``best.safetensors``.
    metadata : dict of str to str, optional
        Written into the weights' headers.
    progress : bool
        Show a bar with time left, loss, accuracy, learning rate, images per second and the most memory used so far.
    accumulate : int
        Batches whose mean gradient makes one update: a large batch on a small machine. The schedule counts updates.
    clip_norm : float, optional
        Clip the gradients to this length before each update.
    mixup : float, optional
        Train on means of two images, see :class:`minicnn.data.MixUp`; the training accuracy then counts the label of
        the image that weighs more.
    ema : float, optional
        Keep a running mean of the weights with this decay, see :class:`minicnn.optim.EMA`; it is what is validated and
        saved as best and last weights.
    profile : Profile, optional
        ``mc.profile(model, skip=3, steps=10)``: measure where the time of the first steps goes; printed after training,
        and written to ``profile.csv``.
    checkpoint_every : int, optional
        Batches between checkpoints within an epoch; there is one after every epoch in any case. Needs ``out``.
    resume_command : str
        What to tell the user who stops a run with Ctrl-C.
    """

    def __init__(
        self, model: Module, optimizer: Optimizer, train: Loader, val: Loader | None = None, *,
        schedule: LRScheduler | None = None, loss: Callable = F.cross_entropy, out: str | os.PathLike | None = None,
        metadata: dict[str, str] | None = None, progress: bool = True, clip_norm: float | None = None,
        accumulate: int = 1, mixup: float | None = None, ema: float | None = None, profile: Profile | None = None,
        checkpoint_every: int | None = None,
        resume_command: str = "the same command with --resume",
    ) -> None:  # fmt: skip
        _check_parts(model, optimizer, train, val, schedule, profile)
        self.model, self.optimizer, self.train, self.val = model, optimizer, train, val
        self.schedule, self.loss, self.progress = schedule, loss, progress
        self.out = None if out is None else pathlib.Path(out)
        self.metadata = metadata or {}
        self.rows: list[dict] = []
        self.best_accuracy, self.clip_norm = -1.0, clip_norm
        if clip_norm is not None and checks.number("Trainer", "clip_norm", clip_norm) == 0:
            raise ArgumentError("Trainer: clip_norm must be > 0; 0 would stop all learning")
        if checkpoint_every is not None:
            checks.whole("Trainer", "checkpoint_every", checkpoint_every)
        self.checkpoint_every, self.resume_command = checkpoint_every, resume_command
        self._batches_done, self._average = 0, Average()  # of the epoch that is going on
        self.accumulate = checks.whole("Trainer", "accumulate", accumulate)
        self._waiting = 0  # batches whose gradients wait for an update
        self._rate = optimizer.param_groups[0]["lr"]  # of the last update
        self.mixup = None if mixup is None else MixUp(mixup)
        self.ema = None if ema is None else EMA(model, ema)
        self.profile = profile
        self._metric = getattr(schedule, "metric", None)  # what the schedule wants to be told after each epoch
        if self._metric is not None and val is None:
            raise ArgumentError(f"Trainer: {type(schedule).__name__} looks at validation results; pass val=")

    def fit(self, epochs: int) -> list[dict]:
        """Train for ``epochs`` more epochs; returns all rows of ``metrics.csv`` so far.

        Raises
        ------
        DivergedError
            When the loss is no longer finite. Weights and metrics of the finished epochs are on disk by then.
        """
        epochs = checks.whole("Trainer.fit", "epochs", epochs)
        if self.out is not None:
            with writing(self.out):  # complain before an hour of training, not after it
                self.out.mkdir(parents=True, exist_ok=True)
                tempfile.TemporaryFile(dir=self.out).close()
        done = len(self.rows)
        try:
            with checkpoint.stopping_politely() as stop:
                for epoch in range(done + 1, done + epochs + 1):
                    self._fit_epoch(epoch, done + epochs, stop)
        except KeyboardInterrupt:
            if self.out is not None:
                print(f"stopped; to go on: {self.resume_command}", file=sys.stderr, flush=True)
            raise
        finally:
            if self.out is not None and self.rows:
                plots.curves(self.rows, self.out / "curves.png")
            if self.profile is not None and self.profile.counted:
                print(self.profile)
                if self.out is not None:
                    self.profile.save(self.out / "profile.csv")
        return self.rows

    def resume(self) -> str:
        """Go on from the newest good checkpoint in ``out``; returns a message if that is not the newest one.

        The next ``fit`` first ends the epoch that was interrupted. Raises FileError if there is nothing to go on from.
        """
        if self.out is None:
            raise ArgumentError("Trainer.resume goes on from the folder out, and this trainer has none; pass out=")
        remove_leftovers(self.out)
        so_far, message = checkpoint.restore(self.out, self.model, self.optimizer, self.schedule, self.ema)
        self.rows, self.best_accuracy = so_far["rows"], so_far["best_accuracy"]
        self._batches_done, self._waiting = so_far["batches_done"], 0
        self._average.__dict__.update(so_far["average"])
        self._rate = so_far["rate"]
        return message

    def save_checkpoint(self) -> None:
        """Write everything needed to go on from here to ``out``."""
        if self.out is None:
            raise ArgumentError(
                "Trainer.save_checkpoint writes into the folder out, and this trainer has none; pass out="
            )
        so_far = {
            "rows": self.rows, "best_accuracy": self.best_accuracy, "batches_done": self._batches_done,
            "average": vars(self._average), "rate": self._rate,
        }  # fmt: skip
        checkpoint.save(self.out, self.model, self.optimizer, self.schedule, so_far, self.ema)

    def _batches(self, epoch: int):
        """What is left of an epoch: all of it, or the rest of an interrupted one."""
        if isinstance(self.train, Loader):
            return self.train.batches(epoch - 1, self._batches_done)
        return itertools.islice(self.train, self._batches_done, None)

    def _after_batch(self, stop: checkpoint.StopAsked) -> None:
        self._batches_done += 1
        if self._waiting:
            return  # gradients are not saved: wait for the update, at the latest that at the epoch's end
        due = self.checkpoint_every is not None and self._batches_done % self.checkpoint_every < self.accumulate
        if self.out is not None and (due or stop.asked):
            self.save_checkpoint()
        if stop.asked:
            raise KeyboardInterrupt

    def _fit_epoch(self, epoch: int, last: int, stop: checkpoint.StopAsked) -> None:
        start, average = time.perf_counter(), self._average
        seen_before = average.images
        train_mode(self.model)
        with (
            progress.bar(length_hint(self.train), f"epoch {epoch}/{last}", self.progress) as bar,
            announced_by(lambda line: bar.write(line, sys.stderr)),
        ):
            bar.update(self._batches_done)
            batches = self._batches(epoch)
            for images, labels in batches if self.profile is None else self.profile.steps(batches):
                batch = self.step(images, labels)
                self._check_finite("the loss", batch.loss, epoch)
                average.count(batch.loss, batch.right, len(labels))
                figures = self._figures(average, average.images - seen_before, time.perf_counter() - start)
                bar.set_postfix(figures, refresh=False)
                bar.update()
                self._after_batch(stop)
            if not average.images:
                raise DataError(
                    f"epoch {epoch}: the training loader gave no batch; a generator is used up after one epoch"
                )
            if self._waiting:  # the last update of an epoch may rest on fewer batches
                self._update()
            seconds = time.perf_counter() - start
            for name, size in _largest(self.model).items():  # the last step's doing; no loss has shown it yet
                self._check_finite(name, size, epoch)
            validation = self.evaluate(self.val) if self.val is not None else None
            if validation is not None:
                self._check_finite("the validation loss", validation.loss, epoch)
            new_images = average.images - seen_before
            figures = self._figures(average, new_images, seconds)
            if validation is not None:
                figures.update(val_loss=f"{validation.loss:.3f}", val_acc=f"{100 * validation.accuracy:.1f}%")
            bar.set_postfix(figures, refresh=False)  # closing the bar shows them
        if self._metric is not None:
            self.schedule.step(getattr(validation, self._metric))
        self._record(epoch, average, validation, new_images / seconds, seconds)
        self._batches_done, self._average = 0, Average()
        if self.out is not None:
            self.save_checkpoint()
        if stop.asked:
            raise KeyboardInterrupt

    def _check_finite(self, what: str, value: float, epoch: int) -> None:
        if not np.isfinite(value):
            lr = self.optimizer.param_groups[0]["lr"]
            raise DivergedError(
                f"{what} became {value} in epoch {epoch}, with a learning rate of {lr:g}; "
                f"try {lr / 10:g}, or look for NaN in the data"
            )

    def step(self, images: np.ndarray, labels: np.ndarray) -> Batch:
        """Forward and backward of one batch, and an update if it is due.

        Between CPU and GPU go the images, the labels, and at the end two numbers (16 bytes) back: only then is waited.
        """
        if self._waiting == 0:
            self.optimizer.zero_grad()
        mixed = self._mix(images, labels) if self.mixup is not None else None
        with sending_once():
            outputs = self.model(as_tensor(images if mixed is None else mixed.images).to(self.model.device))
            loss = self._loss(outputs, labels) if mixed is None else mixed.loss(self._loss, outputs)
            (loss if self.accumulate == 1 else loss / self.accumulate).backward()
            self._waiting += 1
            if self._waiting == self.accumulate:
                self._update()
            logits = getattr(outputs, "logits", outputs).data
            return Batch(logits, *judged(loss, logits, as_array(labels)))

    def _loss(self, outputs, labels):
        """A model that gives more than logits in training, as GoogLeNet does, weighs their losses itself."""
        if hasattr(outputs, "loss"):
            return outputs.loss(self.loss, labels)
        if not isinstance(outputs, Tensor):
            raise ArgumentError(
                f"{type(self.model).__name__}: forward must return logits (N, classes), but returned "
                f"{type(outputs).__name__}; to train on more, return an object with logits and loss(criterion, labels)"
            )
        return self.loss(outputs, labels)

    def _mix(self, images, labels) -> Mixed:
        """As all that is random in the data, a function of the seed and the place in the training."""
        place = (getattr(self.train, "seed", 0), len(self.rows), self._batches_done, MIXING)
        return self.mixup(as_array(images), as_array(labels), np.random.default_rng(place))

    def _update(self) -> None:
        """Clipping, optimiser, running mean of the weights, schedule."""
        if self._waiting < self.accumulate:  # the epoch's last update: each loss was divided by more batches than came
            for parameter in self.model.parameters():
                if parameter.grad is not None:
                    parameter.grad = parameter.grad * parameter.dtype.type(self.accumulate / self._waiting)
        self._rate = self.optimizer.param_groups[0]["lr"]
        if self.clip_norm is not None:
            clip_grads_(self.model.parameters(), self.clip_norm)
        self.optimizer.step()
        if self.ema is not None:
            self.ema.update()
        if self.schedule is not None and self._metric is None:
            self.schedule.step()
        self._waiting = 0

    def evaluate(self, loader: Loader) -> Evaluation:
        """Loss and accuracy on a loader, of the weights' running means if there are any."""
        with contextlib.nullcontext() if self.ema is None else self.ema.applied():
            return evaluate(self.model, loader, self.loss)

    def _figures(self, average: Average, images: int, seconds: float) -> dict[str, str]:
        return progress.figures(average, self.optimizer.param_groups[0]["lr"], images, seconds)

    def _record(
        self, epoch: int, average: Average, validation: Evaluation | None, images_per_second: float, seconds: float
    ) -> None:
        row = {
            "epoch": epoch, "train_loss": average.loss, "train_accuracy": average.accuracy,
            "val_loss": validation and validation.loss, "val_accuracy": validation and validation.accuracy,
            "val_top5": validation and validation.top5, "lr": self._rate,
            "images_per_second": images_per_second, "seconds": seconds, "peak_mb": peak_mb(),
        }  # fmt: skip
        self.rows.append(row)
        judged = average.accuracy if validation is None else validation.accuracy
        best = judged >= self.best_accuracy
        self.best_accuracy = max(self.best_accuracy, judged)
        if self.out is None:
            return
        metadata = {**self.metadata, "epoch": str(epoch), "accuracy": f"{judged:.6f}"}
        kept = self.model if self.ema is None else self.ema.averages
        weights.save(kept, self.out / "last.safetensors", metadata)
        if best:
            weights.save(kept, self.out / "best.safetensors", metadata)
        with replacing(self.out / "metrics.csv") as temporary, open(temporary, "w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows({k: "" if v is None else f"{v:.6g}" for k, v in r.items()} for r in self.rows)


def _largest(model: Module) -> dict[str, float]:
    """Each parameter's largest size, by name; those of a GPU come back together."""
    largest = {name: np.abs(parameter.data).max() for name, parameter in model.named_parameters()}
    sizes = list(largest.values())
    if model.device != "cpu" and len({size.dtype for size in sizes}) == 1:
        sizes = to_numpy(np.stack(sizes))
    return dict(zip(largest, map(float, sizes)))


def _check_parts(model, optimizer, train, val, schedule, profile) -> None:
    for name, part, kind in (("model", model, Module), ("optimizer", optimizer, Optimizer)):
        if not isinstance(part, kind):
            hint = f"; make one, {part.__name__}(...)" if isinstance(part, type) else ""
            raise ArgumentError(f"Trainer: {name} must be an instance of {kind.__name__}, got {part!r}{hint}")
    for name, loader in (("train", train), ("val", val)):
        if loader is not None and not hasattr(loader, "__iter__"):
            raise ArgumentError(
                f"Trainer: {name} must give batches, got {type(loader).__name__}; wrap it, data.Loader({name}, 64)"
            )
    if schedule is not None and not hasattr(schedule, "step"):
        raise ArgumentError(
            f"Trainer: schedule must be a schedule, got {type(schedule).__name__}; a function of the step goes into "
            "optim.lr_scheduler.LambdaLR(optimizer, function)"
        )
    if getattr(schedule, "optimizer", optimizer) is not optimizer:
        raise ArgumentError("Trainer: the schedule sets the rate of another optimiser; make it of this one")
    if profile is not None and not isinstance(profile, Profile):
        raise ArgumentError(f"Trainer: profile must be mc.profile(model), got {profile!r}")
    own = {id(p) for p in model.parameters()}
    if not any(id(p) in own for _, p, _ in optimizer.numbered()):
        raise ArgumentError(
            f"Trainer: this {type(optimizer).__name__} updates none of the {len(own)} parameters of the model, but "
            "another model's; build it from model.parameters()"
        )
