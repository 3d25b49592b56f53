"""Which images are for training, validating and testing: fixed rules, the same for everybody, no random numbers."""

from __future__ import annotations

import numpy as np

from ..errors import ArgumentError

SPLITS = ("train", "val", "test")


def check_split(name: str, split: str) -> None:
    """Complain about a split that there is not."""
    if split not in SPLITS:
        raise ArgumentError(f"{name}: there is no split {split!r}; there are {', '.join(SPLITS)}")


def by_tens(labels: np.ndarray, split: str) -> np.ndarray:
    """Choose a split of data that comes in one piece; every class is split in the same way.

    Of every ten images of a class, in the given order, two are for testing, one for validation and seven for training.
    Of three or four images one is tested and one validated, of two one is tested, a single one trains.

    Returns
    -------
    array of bool, (N,)

    >>> by_tens(np.zeros(10, int), "test").nonzero()[0].tolist()
    [4, 9]
    """
    labels = np.asarray(labels)
    chosen = np.full(len(labels), "train", dtype="<U5")
    for label in np.unique(labels):
        of_class = np.flatnonzero(labels == label)
        n, place = len(of_class), np.arange(len(of_class)) % 10
        if n < 5:
            chosen[of_class[n - 1 :]] = "test" if n > 1 else "train"
            chosen[of_class[n - 2 : n - 1]] = "val" if n > 2 else "train"
        else:
            chosen[of_class[(place == 4) | (place == 9)]] = "test"
            chosen[of_class[place == 2]] = "val"
    return chosen == split


def last_tenth(labels: np.ndarray) -> np.ndarray:
    """Choose the validation images of a published training set: the last tenth of each class, in the given order.

    Rounded down, but at least one image of a class that has two.

    Returns
    -------
    array of bool, (N,)

    >>> last_tenth(np.zeros(20, int)).nonzero()[0].tolist()
    [18, 19]
    """
    labels = np.asarray(labels)
    chosen = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        of_class = np.flatnonzero(labels == label)
        if len(of_class) > 1:
            chosen[of_class[-max(1, len(of_class) // 10) :]] = True
    return chosen
