"""How good is a classifier? Loss, top-1, top-5, and which class is taken for which."""

from __future__ import annotations

import numpy as np


class Average:
    """Mean loss and accuracy over the images seen so far."""

    def __init__(self) -> None:
        self.images, self.loss_sum, self.correct = 0, 0.0, 0

    def add(self, loss: float, logits: np.ndarray, labels: np.ndarray) -> None:
        """One batch: its mean loss, logits (N, K), labels (N,)."""
        self.images += len(labels)
        self.loss_sum += loss * len(labels)
        self.correct += int((logits.argmax(1) == labels).sum())

    @property
    def loss(self) -> float:
        return self.loss_sum / self.images

    @property
    def accuracy(self) -> float:
        """Top-1: the share of images whose largest logit is the right one."""
        return self.correct / self.images


class Evaluation(Average):
    """An :class:`Average` that also knows top-5 accuracy and the confusion matrix.

    Attributes
    ----------
    confusion : numpy.ndarray, (K, K), int64
        ``confusion[i, j]`` images of class i were taken for class j.
    """

    def __init__(self) -> None:
        super().__init__()
        self.correct5 = 0
        self.confusion = np.zeros((0, 0), np.int64)

    def add(self, loss: float, logits: np.ndarray, labels: np.ndarray) -> None:
        super().add(loss, logits, labels)
        if self.confusion.size == 0:
            self.confusion = np.zeros((logits.shape[1],) * 2, np.int64)
        np.add.at(self.confusion, (labels, logits.argmax(1)), 1)
        of_label = np.take_along_axis(logits, np.asarray(labels, np.int64)[:, None], axis=1)  # (N, 1)
        self.correct5 += int(((logits > of_label).sum(1) < 5).sum())  # fewer than five logits are larger

    @property
    def top5(self) -> float:
        """The share of images whose right class is among the five largest logits."""
        return self.correct5 / self.images

    @property
    def per_class(self) -> np.ndarray:
        """Accuracy of each class, (K,); NaN for a class without images."""
        images = self.confusion.sum(1)
        return np.where(images > 0, np.diag(self.confusion) / np.maximum(images, 1), np.nan)
