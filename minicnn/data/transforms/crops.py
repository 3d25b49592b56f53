"""Transforms that move pixels without computing: crops, mirror images, whole enlargements."""

from __future__ import annotations

import numpy as np

from ...ops import checks
from . import checking


class PadCrop(checking.Described):
    """Pad by ``pixels`` zeros on every side, and cut out a window of the old size at random (He et al. 2016, 4.2)."""

    def __init__(self, pixels: int) -> None:
        self.pixels = checks.whole("PadCrop", "pixels", pixels, least=0)

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        image, rng = checking.image("PadCrop", image), checking.generator("PadCrop", rng)
        p = self.pixels
        _, h, w = image.shape
        top, left = rng.integers(0, 2 * p + 1, 2)
        return np.pad(image, ((0, 0), (p, p), (p, p)))[:, top : top + h, left : left + w]


class RandomFlip(checking.Described):
    """Left and right change places with probability ``p`` (Krizhevsky et al. 2012, section 4.1)."""

    def __init__(self, p: float = 0.5) -> None:
        self.p = checks.number("RandomFlip", "p", p, 0, 1, "a probability")

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        image, rng = checking.image("RandomFlip", image), checking.generator("RandomFlip", rng)
        return (image[:, :, ::-1] if rng.random() < self.p else image).copy()


class CenterCrop(checking.Described):
    """The middle of the image, ``size`` pixels: a whole number, or (height, width).

    An odd number of pixels left over is halved as torchvision halves it (to the even number), so that its published
    accuracies can be reproduced.
    """

    def __init__(self, size: int | tuple[int, int]) -> None:
        self.size = checks.pair("CenterCrop", "size", size)

    def __call__(self, image: np.ndarray, rng: np.random.Generator | None = None) -> np.ndarray:
        image = checking.image("CenterCrop", image)
        down, right = checking.fits("CenterCrop", self.size, image.shape)
        return cut(image, round(down / 2), round(right / 2), *self.size)


class RandomCrop(checking.Described):
    """A window of ``size`` pixels, a whole number or (height, width); every place is as likely as any other.

    Krizhevsky et al. 2012, section 4.1: windows of 224 in images of 256.
    """

    def __init__(self, size: int | tuple[int, int]) -> None:
        self.size = checks.pair("RandomCrop", "size", size)

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        image, rng = checking.image("RandomCrop", image), checking.generator("RandomCrop", rng)
        down, right = checking.fits("RandomCrop", self.size, image.shape)
        top, left = rng.integers(0, down + 1), rng.integers(0, right + 1)
        return cut(image, top, left, *self.size)


def ten_crops(image: np.ndarray, size: int | tuple[int, int]) -> np.ndarray:
    """Four corners and the centre, then the mirror image of each (Krizhevsky et al. 2012, section 4.1).

    The paper's prediction for an image is the mean of the ten crops' softmax outputs::

        x = mc.tensor(ten_crops(image, 224))
        probabilities = F.softmax(model(x), axis=1).mean(0)

    Parameters
    ----------
    image : array, (C, H, W)
    size : int or (height, width)

    Returns
    -------
    array, (10, C, height, width)
        Top left, top right, bottom left, bottom right, centre; then these five mirrored, in the same order.
        (torchvision mirrors the image first and so swaps left and right among the last five.)

    Examples
    --------
    >>> import numpy as np
    >>> ten_crops(np.arange(9.0).reshape(1, 3, 3), 1).ravel().tolist()
    [0.0, 2.0, 6.0, 8.0, 4.0, 0.0, 2.0, 6.0, 8.0, 4.0]
    """
    image, (h, w) = checking.image("ten_crops", image), checks.pair("ten_crops", "size", size)
    down, right = checking.fits("ten_crops", (h, w), image.shape)
    corners = [(0, 0), (0, right), (down, 0), (down, right), (round(down / 2), round(right / 2))]
    crops = np.stack([cut(image, top, left, h, w) for top, left in corners])  # (5, C, h, w)
    return np.concatenate([crops, crops[..., ::-1]])


class TenCrop(checking.Described):
    """:func:`ten_crops` as a transform of one image: (C, H, W) becomes (10, C, h, w).

    The loader's batches hold one picture per image, so this is for single images, as the last step of a chain. To test
    on a whole data set, call :func:`ten_crops` on each image and average the ten predictions.
    """

    def __init__(self, size: int | tuple[int, int]) -> None:
        self.size = checks.pair("TenCrop", "size", size)

    def __call__(self, image: np.ndarray, rng: np.random.Generator | None = None) -> np.ndarray:
        return ten_crops(image, self.size)


class Enlarge(checking.Described):
    """Every pixel ``factor`` times in both directions: for networks that want larger images than the data set has."""

    def __init__(self, factor: int) -> None:
        self.factor = checks.whole("Enlarge", "factor", factor)

    def __call__(self, image: np.ndarray, rng: np.random.Generator | None = None) -> np.ndarray:
        return checking.image("Enlarge", image).repeat(self.factor, axis=1).repeat(self.factor, axis=2)


def cut(image: np.ndarray, top: int, left: int, h: int, w: int) -> np.ndarray:
    """A window as an array of its own: whoever writes into it does not write into the data set."""
    return image[:, top : top + h, left : left + w].copy()
