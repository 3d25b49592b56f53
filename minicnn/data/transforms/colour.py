"""Transforms of colour. They take pixels of 0 to 1, so they stand before Normalize."""

from __future__ import annotations

import numpy as np

from ...errors import ArgumentError, DataError, ShapeError
from ...ops import checks
from . import checking

# How bright red, green and blue look (ITU-R BT.601, as in Pillow; torchvision rounds the first to 0.2989).
LUMA = np.array([0.299, 0.587, 0.114], np.float32).reshape(3, 1, 1)

# Covariance of ImageNet's RGB pixels of 0 to 1: eigenvalues, and eigenvectors in columns. Krizhevsky et al. do not
# print theirs; these come with fb.resnet.torch and are what most reimplementations use.
IMAGENET_EIGENVALUES = (0.2175, 0.0188, 0.0045)
IMAGENET_EIGENVECTORS = (
    (-0.5675, 0.7192, 0.4009),
    (-0.5808, -0.0045, -0.8140),
    (-0.5836, -0.6948, 0.4203),
)


def grey(image: np.ndarray) -> np.ndarray:
    """(3, H, W) -> (1, H, W): the brightness of each pixel."""
    return (image * LUMA).sum(0, keepdims=True)


class Grayscale(checking.Described):
    """Brightness instead of colour: one channel, or the same one three times (``channels=3``)."""

    def __init__(self, channels: int = 1) -> None:
        if channels not in (1, 3):
            raise ArgumentError(f"Grayscale: channels must be 1 or 3, got {channels!r}")
        self.channels = channels

    def __call__(self, image: np.ndarray, rng: np.random.Generator | None = None) -> np.ndarray:
        image = checking.floats("Grayscale", image, (1, 3))
        return (grey(image) if len(image) == 3 else image).repeat(self.channels, axis=0)


class ToRGB(checking.Described):
    """Three channels of one: for networks that want colour; pictures in colour stay as they are."""

    def __call__(self, image: np.ndarray, rng: np.random.Generator | None = None) -> np.ndarray:
        image = checking.image("ToRGB", image, (1, 3))
        return image.repeat(3 // len(image), axis=0)


class ColorJitter(checking.Described):
    """Random brightness, contrast, saturation and hue, in random order (Howard 2013, section 2; torchvision's
    definitions).

    Brightness mixes the image with black, contrast with its mean grey, saturation with its own grey version:
    ``factor * image + (1 - factor) * other``, clipped to 0..1 each time. Hue turns the colour circle.

    Parameters
    ----------
    brightness, contrast, saturation : float or (low, high)
        The factor is uniform in the range; a number d means (max(0, 1 - d), 1 + d).
    hue : float or (low, high)
        Share of a full turn, -0.5 to 0.5; a number d means (-d, d).
    """

    def __init__(self, brightness=0, contrast=0, saturation=0, hue=0) -> None:
        self.brightness = factors("brightness", brightness)
        self.contrast = factors("contrast", contrast)
        self.saturation = factors("saturation", saturation)
        if not isinstance(hue, (tuple, list)):
            hue = checks.number("ColorJitter", "hue", hue, 0, 0.5)
            hue = (-hue, hue)
        self.hue = checking.interval("ColorJitter", "hue", hue, -0.5, 0.5)

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        coloured = self.saturation != (1, 1) or self.hue != (0, 0)
        image = checking.unit("ColorJitter", image, (3,) if coloured else (1, 3))
        rng = checking.generator("ColorJitter", rng)
        steps = ((brighten, self.brightness), (change_contrast, self.contrast), (saturate, self.saturation),
                 (turn_hue, self.hue))  # fmt: skip
        drawn = [np.float32(rng.uniform(low, high)) for _, (low, high) in steps]
        for i in rng.permutation(len(steps)):
            step, (low, high) = steps[i]
            if not low == high == (0 if step is turn_hue else 1):  # what was not asked for changes nothing
                image = step(image, drawn[i])
        return np.clip(image, 0, 1)


def factors(name: str, value) -> tuple[float, float]:
    """The range of a factor."""
    if isinstance(value, (tuple, list)):
        return checking.interval("ColorJitter", name, value, 0)
    value = checks.number("ColorJitter", name, value)
    return max(0.0, 1 - value), 1 + value


def brighten(image: np.ndarray, factor: np.float32) -> np.ndarray:
    return np.clip(factor * image, 0, 1)


def change_contrast(image: np.ndarray, factor: np.float32) -> np.ndarray:
    mean = (grey(image) if len(image) == 3 else image).mean(dtype=np.float64).astype(np.float32)
    return np.clip(factor * image + (1 - factor) * mean, 0, 1)


def saturate(image: np.ndarray, factor: np.float32) -> np.ndarray:
    return np.clip(factor * image + (1 - factor) * grey(image), 0, 1)


def turn_hue(image: np.ndarray, turn: np.float32) -> np.ndarray:
    """Turn the colour circle: red, yellow, green, cyan, blue, magenta lie at 0, 1/6, ... 5/6 of a turn."""
    image = np.clip(image, 0, 1)
    r, g, b = image
    value, chroma = image.max(0), image.max(0) - image.min(0)
    safe = np.where(chroma > 0, chroma, 1)  # greys have no hue, and any hue gives them back
    sixth = np.where(value == r, (g - b) / safe, np.where(value == g, (b - r) / safe + 2, (r - g) / safe + 4))
    turned = sixth + 6 * turn
    k = np.stack([(n + turned) % 6 for n in (5, 3, 1)])  # how far each of R, G, B is from its place on the circle
    return value - chroma * np.clip(np.minimum(k, 4 - k), 0, 1)


class PCALighting(checking.Described):
    """Change the light as it changes in photographs (Krizhevsky et al. 2012, section 4.1).

    To every pixel of the image one colour is added: p1 a1 l1 + p2 a2 l2 + p3 a3 l3, with p and l the eigenvectors and
    eigenvalues of the covariance of RGB, and a drawn from a normal distribution, once per image. The default values
    are for pixels of 0 to 1; the result is not clipped and may go a little beyond.

    Parameters
    ----------
    sigma : float
        Standard deviation of a.
    eigenvalues : (3,)
    eigenvectors : (3, 3)
        In columns. Both together: :func:`pca_of` computes them for another data set.
    """

    def __init__(self, sigma: float = 0.1, eigenvalues=None, eigenvectors=None) -> None:
        self.sigma = checks.number("PCALighting", "sigma", sigma)
        if (eigenvalues is None) != (eigenvectors is None):
            raise ArgumentError("PCALighting takes eigenvalues and eigenvectors together; pca_of(images) computes both")
        if eigenvalues is None:
            eigenvalues, eigenvectors = IMAGENET_EIGENVALUES, IMAGENET_EIGENVECTORS
        self.eigenvalues = checking.numbers("PCALighting", "eigenvalues", eigenvalues)
        self.eigenvectors = checking.numbers("PCALighting", "eigenvectors", eigenvectors)
        if self.eigenvalues.shape != (3,) or self.eigenvectors.shape != (3, 3):
            raise ShapeError(
                "PCALighting takes eigenvalues (3,) and eigenvectors (3, 3), got shapes "
                f"{self.eigenvalues.shape} and {self.eigenvectors.shape}"
            )

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        image, rng = checking.unit("PCALighting", image, (3,)), checking.generator("PCALighting", rng)
        colour = self.eigenvectors @ (rng.normal(0, self.sigma, 3) * self.eigenvalues)  # (3,)
        return image + colour.astype(np.float32).reshape(3, 1, 1)


def pca_of(images) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues, largest first, and eigenvectors (columns) of the covariance of the RGB pixels of ``images``.

    Parameters
    ----------
    images : array, (N, 3, H, W)
        Floats in 0 to 1, or uint8, which is divided by 255.

    Returns
    -------
    eigenvalues : array, (3,)
    eigenvectors : array, (3, 3)
        The largest entry of each is positive.
    """
    images = np.asarray(images)
    if images.ndim != 4 or images.shape[1] != 3:
        raise ShapeError(f"pca_of takes images (N, 3, H, W), got shape {images.shape}")
    if images.size < 6:
        raise DataError(f"pca_of: the covariance needs at least two pixels, got images of shape {images.shape}")
    pixels = images.transpose(1, 0, 2, 3).reshape(3, -1).astype(np.float64)
    values, vectors = np.linalg.eigh(np.cov(pixels / 255 if images.dtype == np.uint8 else pixels))
    values, vectors = np.maximum(values[::-1], 0), vectors[:, ::-1]
    return values, vectors * np.sign(vectors[np.abs(vectors).argmax(0), range(3)])
