"""Mix-up: train on weighted means of two images."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..errors import ArgumentError, DtypeError
from ..ops import checks
from ..tensor import Tensor


class Mixed(NamedTuple):
    """A mixed batch.

    Attributes
    ----------
    images : array, (N, C, H, W)
        share * images + (1 - share) * images[others]
    labels, other_labels : array, (N,)
        Of the image that weighs at least half, and of the other one.
    share : float
        0.5 to 1
    """

    images: np.ndarray
    labels: np.ndarray
    other_labels: np.ndarray
    share: float

    def loss(self, loss: Callable, logits: Tensor) -> Tensor:
        """The same mean of the losses for both labels; for cross-entropy that is the loss of the mixed targets."""
        return self.share * loss(logits, self.labels) + (1 - self.share) * loss(logits, self.other_labels)


class MixUp:
    """Each image of a batch is mixed with another one of the batch (Zhang et al. 2018, equation 1).

        x = s x_i + (1 - s) x_j,   y = s y_i + (1 - s) y_j,   s from Beta(alpha, alpha)

    As in the authors' code, s is drawn once for a batch, and j is a permutation of the batch. Since i and j play the
    same part, the larger share is given to i, whose label then counts for the training accuracy.

    Parameters
    ----------
    alpha : float
        > 0; the paper uses 0.1 to 0.4 on ImageNet and 1 on CIFAR-10.

    Examples
    --------
    >>> import numpy as np
    >>> images, labels = np.zeros((4, 1, 2, 2), np.float32), np.array([0, 1, 2, 3])
    >>> mixed = MixUp(0.2)(images, labels, np.random.default_rng(0))
    >>> mixed.images.shape, bool(0.5 <= mixed.share <= 1)
    ((4, 1, 2, 2), True)
    """

    def __init__(self, alpha: float = 0.2) -> None:
        if checks.number("MixUp", "alpha", alpha) == 0:
            raise ArgumentError("MixUp: alpha must be > 0, such as 0.2; leave MixUp out to mix nothing")
        self.alpha = float(alpha)

    def __call__(self, images: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> Mixed:
        """Mix a batch: images (N, C, H, W), labels (N,)."""
        images, labels = np.asarray(images), np.asarray(labels)
        if images.dtype.kind != "f":
            raise DtypeError(f"MixUp mixes floats, got images of {images.dtype}; pixels of 0 to 255: images / 255")
        rng = np.random.default_rng(rng)  # a generator stays what it is
        share = float(rng.beta(self.alpha, self.alpha))
        share = max(share, 1 - share)
        others = rng.permutation(len(images))
        weight = images.dtype.type(share)
        return Mixed(weight * images + (1 - weight) * images[others], labels, labels[others], share)
