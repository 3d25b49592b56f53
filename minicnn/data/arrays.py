"""Images and labels held in memory."""

from __future__ import annotations

import numpy as np

from ..errors import DataError


class ArrayDataset:
    """Images and labels held in memory.

    Parameters
    ----------
    images : array, (N, C, H, W)
        float32, or uint8 (0 to 255), which the loader's batches hold as float32 in 0 to 1.
    labels : integers, (N,)
    classes : sequence of str
        Names of the classes 0, 1, ...
    name : str
    """

    def __init__(self, images, labels, classes, name: str = "data") -> None:
        if isinstance(classes, (int, str)):
            raise DataError(
                f"{name}: classes are a list of names, one for each label, got {classes!r}; numbers will do: range(10)"
            )
        try:
            self.images, self.labels = np.asarray(images), np.asarray(labels)
        except ValueError:
            shapes = sorted({np.shape(image) for image in images})
            raise DataError(
                f"{name}: all images must have one shape, got {' and '.join(map(str, shapes[:3]))}"
            ) from None
        self.classes, self.name = tuple(map(str, classes)), name
        if self.images.size == 0:
            raise DataError(f"{name}: the data set is empty, images of shape {self.images.shape}")
        if self.images.ndim != 4:
            raise DataError(f"{name}: images must be (N, C, H, W), got shape {self.images.shape}")
        if self.labels.shape != (len(self.images),):
            raise DataError(f"{name}: {len(self.images)} images, but labels of shape {self.labels.shape}")
        if self.labels.dtype.kind not in "iu":
            raise DataError(f"{name}: labels must be whole numbers, got {self.labels.dtype}; convert with .astype(int)")
        wrong = np.flatnonzero((self.labels < 0) | (self.labels >= len(self.classes)))
        if len(wrong):
            raise DataError(
                f"{name}: label {self.labels[wrong[0]]} of image {wrong[0]} is none of the "
                f"{len(self.classes)} classes, 0 to {len(self.classes) - 1}"
            )
        if self.images.dtype != np.uint8 and self.images.dtype.kind != "f":
            raise DataError(
                f"{name}: images must be float32, or uint8 from 0 to 255, got {self.images.dtype}; convert with "
                ".astype('uint8') or .astype('float32')"
            )
        if self.images.dtype.kind == "f":
            with np.errstate(over="ignore"):  # what does not fit into float32 becomes infinite
                self.images = self.images.astype(np.float32, copy=False)
        if self.images.dtype.kind == "f" and not np.isfinite(self.images).all():
            bad = np.flatnonzero(~np.isfinite(self.images).all((1, 2, 3)))
            raise DataError(
                f"{name}: {len(bad)} images hold NaN or infinity, the first is image {bad[0]}; leave them out, "
                f"images[np.isfinite(images).all((1, 2, 3))]"
            )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        """Image (C, H, W) as float32, and its label."""
        image = self.images[index]
        return (image.astype(np.float32) / 255 if image.dtype == np.uint8 else image), int(self.labels[index])

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W)"""
        return self.images.shape[1:]

    def statistics(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and standard deviation of each channel, of images in 0 to 1."""
        if self.images.dtype == np.uint8:
            return _statistics_of_bytes(self.images)
        images = self.images.astype(np.float64)
        return tuple(images.mean((0, 2, 3)).tolist()), tuple(images.std((0, 2, 3)).tolist())


def _statistics_of_bytes(images: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    # Counting the 256 values is exact, and takes no float64 copy of the images (CIFAR's would be 1.3 GB).
    values, means, stds = np.arange(256) / 255, [], []
    for channel in range(images.shape[1]):
        counts = np.zeros(256)
        for first in range(0, len(images), 1000):
            counts += np.bincount(images[first : first + 1000, channel].ravel(), minlength=256)
        share = counts / counts.sum()
        means.append(float(share @ values))
        stds.append(float(np.sqrt(share @ (values - means[-1]) ** 2)))
    return tuple(means), tuple(stds)
