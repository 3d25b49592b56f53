"""Chaining and normalising."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ...errors import ArgumentError, ShapeError
from . import checking

Transform = Callable[[np.ndarray, np.random.Generator], np.ndarray]


class Compose(checking.Described):
    """One transform after another."""

    def __init__(self, transforms: Sequence[Transform]) -> None:
        if not isinstance(transforms, (list, tuple)):
            raise ArgumentError(
                f"Compose takes a list of transforms, got {type(transforms).__name__}; put it into brackets"
            )
        for transform in transforms:
            if isinstance(transform, type):
                name = transform.__name__
                raise ArgumentError(f"Compose takes transforms, got the class {name}; make one: {name}(...)")
            if not callable(transform):
                raise ArgumentError(f"Compose: a transform is called with (image, rng), got {transform!r}")
        self.transforms = tuple(transforms)

    def __call__(self, image: np.ndarray, rng: np.random.Generator | None = None) -> np.ndarray:
        for transform in self.transforms:
            image = transform(image, rng)
        return image


class Normalize(checking.Described):
    """(image - mean) / std, channel by channel.

    >>> Normalize([0.5], [0.25])(np.ones((1, 1, 2), np.float32)).tolist()
    [[[2.0, 2.0]]]
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        self.mean = checking.numbers("Normalize", "mean", mean).astype(np.float32).reshape(-1, 1, 1)  # (C, 1, 1)
        self.std = checking.numbers("Normalize", "std", std).astype(np.float32).reshape(-1, 1, 1)
        if len(self.mean) != len(self.std):
            raise ShapeError(
                f"Normalize: {len(self.mean)} means, but {len(self.std)} standard deviations; one of each per channel"
            )
        if not (self.std > 0).all():
            raise ArgumentError(
                f"Normalize: standard deviations must be > 0, got {self.std.ravel().tolist()}; images of one grey?"
            )

    def __call__(self, image: np.ndarray, rng: np.random.Generator | None = None) -> np.ndarray:
        image = checking.floats("Normalize", image)
        if len(image) != len(self.mean):
            raise ShapeError(f"Normalize: {len(self.mean)} means for an image of {len(image)} channels")
        return (image - self.mean) / self.std
