"""Transforms that resample: Pillow's filters, which widen when the image shrinks, so that fine stripes turn grey
instead of into coarse ones (antialiasing)."""

from __future__ import annotations

import math

import numpy as np

from ...errors import ArgumentError, DataError
from ...ops import checks
from . import checking
from .crops import cut

MOST_PIXELS = 2**26  # of a resized image: more comes of pictures that are thousands of times longer than high
INTERPOLATIONS = ("bilinear", "bicubic")


def resize(image: np.ndarray, size: tuple[int, int], interpolation: str = "bilinear") -> np.ndarray:
    """Resample an image (C, H, W) of floats to (C, *size).

    Each channel is a Pillow image of mode "F", float32: nothing is rounded to 8 bits. Bicubic goes a little below the
    darkest and above the brightest pixel beside sharp edges; it is not clipped here.
    """
    from PIL import Image

    method = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}[interpolation]
    planes = (Image.fromarray(np.ascontiguousarray(plane)) for plane in image)
    return np.stack([np.asarray(plane.resize(size[::-1], method)) for plane in planes])  # Pillow says (w, h)


def shorter_side(length: int, h: int, w: int) -> tuple[int, int]:
    """(h, w) scaled so that the shorter side is ``length``; the longer one is rounded down, as torchvision does."""
    return (length, length * w // h) if h <= w else (length * h // w, length)


class Resize(checking.Described):
    """Resample to a new size, with antialiasing.

    Parameters
    ----------
    size : int or (height, width)
        A whole number is the new length of the shorter side; the aspect ratio is kept.
    interpolation : {"bilinear", "bicubic"}
    """

    def __init__(self, size: int | tuple[int, int], interpolation: str = "bilinear") -> None:
        checks.pair("Resize", "size", size)
        self.size = int(size) if isinstance(size, (int, np.integer)) else tuple(map(int, size))
        self.interpolation = method("Resize", interpolation)

    def __call__(self, image: np.ndarray, rng: np.random.Generator | None = None) -> np.ndarray:
        image = checking.floats("Resize", image)
        size = shorter_side(self.size, *image.shape[1:]) if isinstance(self.size, int) else self.size
        if size[0] * size[1] > MOST_PIXELS:
            h, w = image.shape[1:]
            raise DataError(
                f"Resize: an image {h} high and {w} wide, its shorter side made {self.size}, would be {size[0]} high "
                f"and {size[1]} wide; cut a piece out of it first"
            )
        return resize(image, size, self.interpolation)


class RandomShorterSide(checking.Described):
    """Resize so that the shorter side has a random length from ``low`` to ``high``, both included: scale jitter.

    VGG: 256 to 512 (Simonyan & Zisserman 2014, section 3.1); ResNet: 256 to 480 (He et al. 2016, section 3.4).
    RandomCrop(224) follows it.
    """

    def __init__(self, low: int, high: int, interpolation: str = "bilinear") -> None:
        self.low = checks.whole("RandomShorterSide", "low", low)
        self.high = checks.whole("RandomShorterSide", "high", high)
        if low > high:
            raise ArgumentError(f"RandomShorterSide: low {low} to high {high} is an empty range; swap them")
        self.interpolation = method("RandomShorterSide", interpolation)

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        image, rng = checking.floats("RandomShorterSide", image), checking.generator("RandomShorterSide", rng)
        length = int(rng.integers(self.low, self.high + 1))
        return resize(image, shorter_side(length, *image.shape[1:]), self.interpolation)


class RandomResizedCrop(checking.Described):
    """A window of random area and aspect ratio, resized to ``size`` (Szegedy et al. 2014, section 6).

    Parameters
    ----------
    size : int or (height, width)
        Of the result; a whole number makes a square.
    scale : (low, high)
        Area of the window as a share of the image's.
    ratio : (low, high)
        Width / height of the window; its logarithm is uniform.
    interpolation : {"bilinear", "bicubic"}
    """

    def __init__(
        self, size: int | tuple[int, int], scale: tuple[float, float] = (0.08, 1.0),
        ratio: tuple[float, float] = (3 / 4, 4 / 3), interpolation: str = "bilinear",
    ) -> None:  # fmt: skip
        self.size = checks.pair("RandomResizedCrop", "size", size)
        self.scale = checking.interval("RandomResizedCrop", "scale", scale, 0, 1)
        self.ratio = checking.interval("RandomResizedCrop", "ratio", ratio, 0)
        for name, (low, _) in (("scale", self.scale), ("ratio", self.ratio)):
            if low == 0:
                raise ArgumentError(f"RandomResizedCrop: {name} must begin above 0, got {getattr(self, name)}")
        self.interpolation = method("RandomResizedCrop", interpolation)

    def window(self, h: int, w: int, rng: np.random.Generator) -> tuple[int, int, int, int]:
        """Top, left, height and width of a random window in an image (h, w): torchvision's rule.

        Ten tries; if none fits into the image, the largest centred window that the ratios allow.
        """
        low, high = self.ratio
        for _ in range(10):
            area = h * w * rng.uniform(*self.scale)
            ratio = math.exp(rng.uniform(math.log(low), math.log(high)))
            ch, cw = round(math.sqrt(area / ratio)), round(math.sqrt(area * ratio))
            if 0 < ch <= h and 0 < cw <= w:
                return int(rng.integers(0, h - ch + 1)), int(rng.integers(0, w - cw + 1)), ch, cw
        ch = max(1, round(w / low)) if w / h < low else h
        cw = max(1, round(h * high)) if w / h > high else w
        return (h - ch) // 2, (w - cw) // 2, ch, cw

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        image, rng = checking.floats("RandomResizedCrop", image), checking.generator("RandomResizedCrop", rng)
        # cut first: the filter must not see pixels beyond the window, as it would with Pillow's box=
        return resize(cut(image, *self.window(*image.shape[1:], rng)), self.size, self.interpolation)


def method(op: str, interpolation: str) -> str:
    """The name of a filter."""
    if interpolation not in INTERPOLATIONS:
        raise ArgumentError(f"{op}: interpolation must be {' or '.join(INTERPOLATIONS)}, got {interpolation!r}")
    return interpolation
