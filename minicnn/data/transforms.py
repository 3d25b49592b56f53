"""Transforms of one image (C, H, W). Each is called with the image and a generator that is a function of (seed, epoch,
index): the same picture is augmented in the same way whoever loads it, in whatever order."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..errors import ArgumentError, ShapeError
from ..ops import checks

Transform = Callable[[np.ndarray, np.random.Generator], np.ndarray]


class Compose:
    """One transform after another."""

    def __init__(self, transforms: Sequence[Transform]) -> None:
        if not isinstance(transforms, (list, tuple)):
            raise ArgumentError(
                f"Compose takes a list of transforms, got {type(transforms).__name__}; put it into brackets"
            )
        self.transforms = tuple(transforms)

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        for transform in self.transforms:
            image = transform(image, rng)
        return image


class Normalize:
    """(image - mean) / std, channel by channel."""

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        self.mean = np.asarray(mean, np.float32).reshape(-1, 1, 1)  # (C, 1, 1)
        self.std = np.asarray(std, np.float32).reshape(-1, 1, 1)
        if len(self.mean) != len(self.std):
            raise ShapeError(
                f"Normalize: {len(self.mean)} means, but {len(self.std)} standard deviations; one of each per channel"
            )
        if not (self.std > 0).all():
            raise ArgumentError(
                f"Normalize: standard deviations must be > 0, got {self.std.ravel().tolist()}; images of one grey?"
            )

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        if len(image) != len(self.mean):
            raise ShapeError(f"Normalize: {len(self.mean)} means for an image of {len(image)} channels")
        return (image - self.mean) / self.std


class PadCrop:
    """Pad by ``pixels`` zeros on every side, and cut out a window of the old size at random (He et al. 2016, 4.2)."""

    def __init__(self, pixels: int) -> None:
        self.pixels = checks.whole("PadCrop", "pixels", pixels, least=0)

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        p = self.pixels
        _, h, w = image.shape
        top, left = rng.integers(0, 2 * p + 1, 2)
        return np.pad(image, ((0, 0), (p, p), (p, p)))[:, top : top + h, left : left + w]


class Enlarge:
    """Every pixel ``factor`` times in both directions: for networks that want larger images than the data set has."""

    def __init__(self, factor: int) -> None:
        self.factor = checks.whole("Enlarge", "factor", factor)

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return image.repeat(self.factor, axis=1).repeat(self.factor, axis=2)
