"""The training loop behind ``minicnn train``."""

from __future__ import annotations

import csv
import os
import pathlib
import sys
import time
from collections.abc import Callable
from operator import length_hint

import numpy as np
from tqdm.auto import tqdm

from . import functional as F
from . import plots, weights
from .autograd import no_grad
from .data import Loader
from .errors import ArgumentError, DataError, DivergedError
from .files import replacing, writing
from .kernels.announce import announced_by
from .nn import Module
from .nn.module import evaluating
from .ops import checks
from .optim import Optimizer
from .optim.lr_scheduler import LRScheduler
from .tensor import as_array, as_tensor

COLUMNS = ("epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "lr", "images_per_second", "seconds")


class Average:
    """Mean loss and accuracy over the images seen so far."""

    def __init__(self) -> None:
        self.images, self.loss_sum, self.correct = 0, 0.0, 0

    def add(self, loss: float, logits: np.ndarray, labels: np.ndarray) -> None:
        self.images += len(labels)
        self.loss_sum += loss * len(labels)
        self.correct += int((logits.argmax(1) == labels).sum())

    @property
    def loss(self) -> float:
        return self.loss_sum / self.images

    @property
    def accuracy(self) -> float:
        return self.correct / self.images


class Trainer:
    """Trains a classifier, keeps the best weights by validation accuracy, and writes down how it went.

    Parameters
    ----------
    model : Module
        (N, C, H, W) -> logits (N, classes).
    optimizer : Optimizer
    train : Loader
    val : Loader, optional
        Decides which weights are best. Never pass the test set here: what is chosen by it is not tested by it.
    schedule : LRScheduler, optional
        Stepped after every batch.
    loss : callable(logits, labels) -> Tensor
    out : path, optional
        Folder for ``metrics.csv``, ``curves.png``, ``last.safetensors`` and ``best.safetensors``.
    metadata : dict of str to str, optional
        Written into the weights' headers.
    progress : bool
        Show a bar with loss, accuracy and images per second.
    """

    def __init__(
        self, model: Module, optimizer: Optimizer, train: Loader, val: Loader | None = None, *,
        schedule: LRScheduler | None = None, loss: Callable = F.cross_entropy, out: str | os.PathLike | None = None,
        metadata: dict[str, str] | None = None, progress: bool = True,
    ) -> None:  # fmt: skip
        _check_parts(model, optimizer, train, val)
        self.model, self.optimizer, self.train, self.val = model, optimizer, train, val
        self.schedule, self.loss, self.progress = schedule, loss, progress
        self.out = None if out is None else pathlib.Path(out)
        self.metadata = metadata or {}
        self.rows: list[dict] = []
        self.best_accuracy = -1.0

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
        done = len(self.rows)
        try:
            for epoch in range(done + 1, done + epochs + 1):
                self._fit_epoch(epoch, done + epochs)
        finally:
            if self.out is not None and self.rows:
                plots.curves(self.rows, self.out / "curves.png")
        return self.rows

    def _fit_epoch(self, epoch: int, last: int) -> None:
        start, average = time.perf_counter(), Average()
        self.model.train()
        with (
            self._bar(length_hint(self.train), f"epoch {epoch}/{last}") as bar,
            announced_by(lambda line: bar.write(line, sys.stderr)),
        ):
            for images, labels in self.train:
                logits, loss = self.step(images, labels)
                self._check_finite("the loss", loss, epoch)
                average.add(loss, logits, as_array(labels))
                bar.set_postfix(self._figures(average, start), refresh=False)
                bar.update()
            if not average.images:
                raise DataError(
                    f"epoch {epoch}: the training loader gave no batch; a generator is used up after one epoch"
                )
            seconds = time.perf_counter() - start
            for name, parameter in self.model.named_parameters():  # the last step's doing; no loss has shown it yet
                self._check_finite(name, float(np.abs(parameter.data).max()), epoch)
            validation = self.evaluate(self.val) if self.val is not None else None
            if validation is not None:
                self._check_finite("the validation loss", validation.loss, epoch)
            figures = self._figures(average, start, seconds)
            if validation is not None:
                figures.update(val_loss=f"{validation.loss:.3f}", val_acc=f"{100 * validation.accuracy:.1f}%")
            bar.set_postfix(figures, refresh=False)  # closing the bar shows them
        self._record(epoch, average, validation, seconds)

    def _check_finite(self, what: str, value: float, epoch: int) -> None:
        if not np.isfinite(value):
            lr = self.optimizer.param_groups[0]["lr"]
            raise DivergedError(
                f"{what} became {value} in epoch {epoch}, with a learning rate of {lr:g}; "
                f"try {lr / 10:g}, or look for NaN in the data"
            )

    def step(self, images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, float]:
        """One update: forward, backward, optimiser, schedule. Returns the logits and the loss."""
        self.optimizer.zero_grad()
        logits = self.model(as_tensor(images))
        loss = self.loss(logits, labels)
        loss.backward()
        self.optimizer.step()
        if self.schedule is not None:
            self.schedule.step()
        return logits.data, loss.item()

    def evaluate(self, loader: Loader) -> Average:
        """Loss and accuracy on a loader, in evaluation mode, which is left as it was."""
        return evaluate(self.model, loader, self.loss)

    def _bar(self, batches: int, label: str) -> tqdm:
        often = 0.1 if sys.stderr.isatty() else 5  # a log file does not want ten lines a second
        return tqdm(total=batches or None, desc=label, unit="batch", disable=not self.progress, mininterval=often)

    @staticmethod
    def _figures(average: Average, start: float, seconds: float | None = None) -> dict[str, str]:
        speed = average.images / (seconds or time.perf_counter() - start)
        return {"loss": f"{average.loss:.3f}", "acc": f"{100 * average.accuracy:.1f}%", "images/s": f"{speed:.0f}"}

    def _record(self, epoch: int, average: Average, validation: Average | None, seconds: float) -> None:
        row = {
            "epoch": epoch, "train_loss": average.loss, "train_accuracy": average.accuracy,
            "val_loss": validation and validation.loss, "val_accuracy": validation and validation.accuracy,
            "lr": self.optimizer.param_groups[0]["lr"],
            "images_per_second": average.images / seconds, "seconds": seconds,
        }  # fmt: skip
        self.rows.append(row)
        judged = average.accuracy if validation is None else validation.accuracy
        best = judged >= self.best_accuracy
        self.best_accuracy = max(self.best_accuracy, judged)
        if self.out is None:
            return
        metadata = {**self.metadata, "epoch": str(epoch), "accuracy": f"{judged:.6f}"}
        weights.save(self.model, self.out / "last.safetensors", metadata)
        if best:
            weights.save(self.model, self.out / "best.safetensors", metadata)
        with replacing(self.out / "metrics.csv") as temporary, open(temporary, "w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows({k: "" if v is None else f"{v:.6g}" for k, v in r.items()} for r in self.rows)


@no_grad()
def evaluate(model: Module, loader: Loader, loss: Callable = F.cross_entropy) -> Average:
    """Mean loss and accuracy of a model on a loader; the model's mode is restored afterwards."""
    average = Average()
    with evaluating(model):
        for images, labels in loader:
            logits = model(as_tensor(images))
            average.add(loss(logits, labels).item(), logits.data, as_array(labels))
    if not average.images:
        raise DataError("evaluate: the loader gave no batch, so there is no mean; a generator can be used once only")
    return average


def _check_parts(model, optimizer, train, val) -> None:
    for name, part, kind in (("model", model, Module), ("optimizer", optimizer, Optimizer)):
        if not isinstance(part, kind):
            hint = f"; make one, {part.__name__}(...)" if isinstance(part, type) else ""
            raise ArgumentError(f"Trainer: {name} must be an instance of {kind.__name__}, got {part!r}{hint}")
    for name, loader in (("train", train), ("val", val)):
        if loader is not None and not hasattr(loader, "__iter__"):
            raise ArgumentError(
                f"Trainer: {name} must give batches, got {type(loader).__name__}; wrap it, data.Loader({name}, 64)"
            )
    own = {id(p) for p in model.parameters()}
    if not any(id(p) in own for _, p, _ in optimizer.numbered()):
        raise ArgumentError(
            f"Trainer: this {type(optimizer).__name__} updates none of the {len(own)} parameters of the model, but "
            "another model's; build it from model.parameters()"
        )
