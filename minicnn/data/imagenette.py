"""Imagenette: ten classes of ImageNet that are easy to tell apart, as photographs."""

from __future__ import annotations

import os
import pathlib

from ..errors import DataError
from . import download
from .folder import FolderDataset
from .safe import extract
from .splits import check_split

URL = "https://s3.amazonaws.com/fast-ai-imageclas/"
DIGESTS = {160: "md5:e793b78cc4c9e9a4ccc0c1155377a412", 320: "md5:3df6f0d01a2c9592104656642f5e78a3"}
NAMES = {
    "n01440764": "tench",
    "n02102040": "English springer",
    "n02979186": "cassette player",
    "n03000684": "chain saw",
    "n03028079": "church",
    "n03394916": "French horn",
    "n03417042": "garbage truck",
    "n03425413": "gas pump",
    "n03445777": "golf ball",
    "n03888257": "parachute",
}


def imagenette160(split: str = "train", size: int = 160) -> FolderDataset:
    """Imagenette, shorter side 160 pixels: 9,469 photographs to train, 3,925 to test.

    To test: the published "val" folder. To validate: the last tenth of each class of the published "train" folder.

    Parameters
    ----------
    split : {"train", "val", "test"}
    size : int
        Shorter side resized to this, then the centre cut out.
    """
    return _load(160, split, size)


def imagenette320(split: str = "train", size: int = 320) -> FolderDataset:
    """As :func:`imagenette160`, shorter side 320 pixels.

    Parameters
    ----------
    split : {"train", "val", "test"}
    size : int
    """
    return _load(320, split, size)


def _load(pixels: int, split: str, size: int) -> FolderDataset:
    name, top = f"imagenette{pixels}", f"imagenette2-{pixels}"
    check_split(name, split)
    folder = next((place / top for place in download.places(name) if (place / top).is_dir()), None)
    if folder is None:
        archive = download.fetch(f"{top}.tgz", [f"{URL}{top}.tgz"], DIGESTS[pixels], name)
        folder = unpack(archive, download.home(name) / top)
    return read_imagenette(folder, split, size, name)


def unpack(archive: str | os.PathLike, folder: str | os.PathLike) -> pathlib.Path:
    """Unpack Imagenette's archive, whose files all lie in a folder of the target's name."""
    folder = pathlib.Path(folder)
    extract(archive, folder, inner=folder.name)
    return folder


def read_imagenette(folder: str | os.PathLike, split: str, size: int | None, name: str) -> FolderDataset:
    """A split of an unpacked Imagenette, with words for classes."""
    dataset = FolderDataset(folder, split, size=size, channels=3, name=f"{name} ({split})")
    unknown = [wnid for wnid in dataset.classes if wnid not in NAMES]
    if unknown:
        raise DataError(f"{folder}: the folder {unknown[0]} is none of Imagenette's ten classes, {', '.join(NAMES)}")
    dataset.classes = tuple(NAMES[wnid] for wnid in dataset.classes)
    return dataset
