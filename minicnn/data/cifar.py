"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009), read from the published archives of pickles without unpacking them."""

from __future__ import annotations

import functools
import os

import numpy as np

from ..errors import DataError
from .arrays import ArrayDataset
from .download import fetch
from .safe import BROKEN, members, unpickle
from .splits import check_split, last_tenth

URL = "https://www.cs.toronto.edu/~kriz/"
LARGEST = 2**29  # bytes of a pickle; the largest that is published has 155 million

#: what to read: published archive and checksum, files of the training and the test set, file and key of the names,
#: key of the labels
FORMATS = {
    "cifar10": {
        "archive": ("cifar-10-python.tar.gz", "md5:c58f30108f718f92721af3b95e74349a"),
        "train": [f"cifar-10-batches-py/data_batch_{i}" for i in range(1, 6)],
        "test": ["cifar-10-batches-py/test_batch"],
        "names": ("cifar-10-batches-py/batches.meta", b"label_names"),
        "labels": b"labels",
    },
    "cifar100": {
        "archive": ("cifar-100-python.tar.gz", "md5:eb9058c3a382ffc7106e4002c42a8d85"),
        "train": ["cifar-100-python/train"],
        "test": ["cifar-100-python/test"],
        "names": ("cifar-100-python/meta", b"fine_label_names"),
        "labels": b"fine_labels",
    },
}


def cifar10(split: str = "train") -> ArrayDataset:
    """CIFAR-10: 32x32 colour photographs of ten kinds of things.

    The published 10,000 test images; of the published 50,000 training images the last tenth of each class, in the
    files' order, is for validation.

    Parameters
    ----------
    split : {"train", "val", "test"}
    """
    return _load("cifar10", split)


def cifar100(split: str = "train") -> ArrayDataset:
    """CIFAR-100: as :func:`cifar10`, with a hundred (fine) classes of 500 training and 100 test images.

    Parameters
    ----------
    split : {"train", "val", "test"}
    """
    return _load("cifar100", split)


def _load(name: str, split: str) -> ArrayDataset:
    check_split(name, split)
    file, digest = FORMATS[name]["archive"]
    return read_cifar(fetch(file, [URL + file], digest, name), name, split)


def read_cifar(archive: str | os.PathLike, name: str, split: str) -> ArrayDataset:
    """Read a split of an archive in CIFAR's Python format.

    Parameters
    ----------
    archive : path-like
    name : {"cifar10", "cifar100"}
    split : {"train", "val", "test"}

    Raises
    ------
    DataError
        The archive is damaged, lacks a file, or has something in it that could run code.
    """
    try:
        found = os.stat(archive)
        classes, arrays = _read_whole(os.path.abspath(archive), name, found.st_size, found.st_mtime_ns)
    except BROKEN as error:
        raise DataError(f"{archive} cannot be read, it is cut off or no .tar.gz ({error}); fetch it again") from None
    return ArrayDataset(*arrays[split], classes, f"{name} ({split})")


# Decompressing 170 MB takes seconds, and training wants three splits: the last archive is kept (180 MB, which the data
# sets share). Size and time of change are there to read a file anew that was replaced.
@functools.lru_cache(maxsize=1)
def _read_whole(archive: str, name: str, size: int, changed: int):
    """Names of the classes, and the images and labels of each split."""
    layout = FORMATS[name]
    names_file, names_key = layout["names"]
    files = (*layout["train"], *layout["test"], names_file)
    found = {}
    for member, content in members(archive):
        if member.name in files and content is not None:
            if member.size > LARGEST:
                raise DataError(f"{archive}: {member.name} has {member.size} bytes; that is not the published file")
            found[member.name] = unpickle(content.read(), f"{archive}: {member.name}")
    for file in files:
        if file not in found:
            raise DataError(f"{archive} has no file {file}; is it {layout['archive'][0]}?")
    classes = _entry(found[names_file], names_key, list, f"{archive}: {names_file}")
    if not all(isinstance(entry, (bytes, str)) for entry in classes):
        raise DataError(f"{archive}: {names_file}: {names_key.decode()} must be text")
    classes = [entry.decode("utf-8", "replace") if isinstance(entry, bytes) else entry for entry in classes]

    def join(part: str) -> tuple[np.ndarray, np.ndarray]:
        batches = [_batch(found.pop(file), layout["labels"], f"{archive}: {file}") for file in layout[part]]
        return np.concatenate([images for images, _ in batches]), np.concatenate([labels for _, labels in batches])

    (images, labels), test = join("train"), join("test")
    held_out = last_tenth(labels)
    train, val = ((images[chosen], labels[chosen]) for chosen in (~held_out, held_out))
    for array in (*train, *val, *test):
        array.flags.writeable = False  # who changed one would change it for whoever asks next
    return classes, {"train": train, "val": val, "test": test}


def _batch(content, key: bytes, where: str) -> tuple[np.ndarray, np.ndarray]:
    """Images (N, 3, 32, 32) and labels (N,) of one file."""
    rows = _entry(content, b"data", np.ndarray, where)
    if rows.ndim != 2 or rows.shape[1] != 3072:
        raise DataError(f"{where}: data must be (N, 3072), 32x32 bytes of red, green and blue, got {rows.shape}")
    labels = _entry(content, key, list, where)
    if len(labels) != len(rows) or not all(type(label) is int and abs(label) < 2**31 for label in labels):
        raise DataError(f"{where}: {len(rows)} images must have as many whole numbers as {key.decode()}")
    return rows.reshape(-1, 3, 32, 32), np.asarray(labels, np.int64)


def _entry(content, key: bytes, kind: type, where: str):
    value = content.get(key) if isinstance(content, dict) else None
    if not isinstance(value, kind):
        raise DataError(f"{where} has no entry {key.decode()} that is a {kind.__name__}; that is not CIFAR's format")
    return value
