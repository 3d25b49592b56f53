"""Data sets: images and labels by index."""

from __future__ import annotations

import numpy as np

from ..errors import ArgumentError, DataError, suggest

SPLITS = ("train", "val", "test")


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
        images = self.images.astype(np.float64) / (255 if self.images.dtype == np.uint8 else 1)
        return tuple(images.mean((0, 2, 3)).tolist()), tuple(images.std((0, 2, 3)).tolist())


def digits(split: str = "train") -> ArrayDataset:
    """scikit-learn's handwritten digits: 1,797 scanned images of 8x8 pixels, in scikit-learn itself (offline).

    The split is fixed and stratified: of every ten images of a class, in the file's order, two are for testing, one for
    validation and seven for training (1,261, 181 and 355 images).

    Parameters
    ----------
    split : {"train", "val", "test"}
    """
    if split not in SPLITS:
        raise ArgumentError(f"digits: there is no split {split!r}; there are {', '.join(SPLITS)}")
    from sklearn.datasets import load_digits

    bunch = load_digits()
    place = np.empty(len(bunch.target), int)  # 0 to 9: the image's place among ten of its class
    for label in range(10):
        of_class = np.flatnonzero(bunch.target == label)
        place[of_class] = np.arange(len(of_class)) % 10
    chosen = {"test": (place == 4) | (place == 9), "val": place == 2}
    chosen["train"] = ~(chosen["test"] | chosen["val"])
    images = bunch.images[chosen[split], None].astype(np.float32) / 16  # (N, 1, 8, 8), 0 to 1
    return ArrayDataset(images, bunch.target[chosen[split]], range(10), f"digits ({split})")


#: name -> function of a split
DATASETS = {"digits": digits}


def get_dataset(name: str, split: str = "train") -> ArrayDataset:
    """A data set by name."""
    if name not in DATASETS:
        raise ArgumentError(f"there is no data set {name!r}; {suggest(name, DATASETS)}")
    return DATASETS[name](split)
