"""How good is a classifier? Loss, top-1, top-5, and which class is taken for which."""

from __future__ import annotations

import numpy as np

from .device import device_of, sent, to_numpy
from .tensor import Tensor


def judged(loss: Tensor, logits: np.ndarray, labels: np.ndarray) -> tuple[float, int]:
    """A batch's loss and how many of its images are right, as numbers.

    Those of a GPU come back together: each copy to the host waits for all that was launched before it.

    Parameters
    ----------
    loss : Tensor
        One number.
    logits : array, (N, K)
        On the device of ``loss``.
    labels : array, (N,)
    """
    if isinstance(logits, np.ndarray):
        return loss.item(), _right(logits, labels)
    if isinstance(labels, np.ndarray) and labels.dtype.kind in "iub":
        labels = labels.astype(np.int64)  # as cross_entropy sent them
    both = np.empty_like(logits, np.float64, shape=2)
    both[0] = loss.data.reshape(())
    both[1] = (logits.argmax(1) == sent(labels, device_of(logits))).sum()
    found, right = to_numpy(both).tolist()
    return found, int(right)


def _right(logits: np.ndarray, labels: np.ndarray) -> int:
    return int((logits.argmax(1) == labels).sum())


class Average:
    """Mean loss and accuracy over the images seen so far."""

    def __init__(self) -> None:
        self.images, self.loss_sum, self.correct = 0, 0.0, 0

    def add(self, loss: float, logits: np.ndarray, labels: np.ndarray) -> None:
        """One batch: its mean loss, logits (N, K), labels (N,)."""
        self.count(loss, _right(logits, labels), len(labels))

    def count(self, loss: float, right: int, images: int) -> None:
        """One batch: its mean loss, and how many of its images are right."""
        self.images += images
        self.loss_sum += loss * images
        self.correct += right

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
