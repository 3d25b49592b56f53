"""A folder of pictures: one subfolder for each class."""

from __future__ import annotations

import contextlib
import fnmatch
import os
import pathlib

import numpy as np

from ..errors import ArgumentError, DataError
from ..files import kind_of, named
from ..ops import checks
from . import opening
from .splits import by_tens, check_split, last_tenth

#: what the folder of a split may be called
CALLED = {"train": ("train",), "val": ("val", "valid", "validation"), "test": ("test",)}

REMEDY = "; remove it, or on_error='skip' leaves such pictures out"


class FolderDataset:
    """Pictures in ``DIR/<class>/``, at any depth below, loaded when they are asked for.

    If ``DIR`` has a folder ``train`` of class folders, and ``val`` or ``test`` beside it, these are the splits. Where
    there are only two, as ImageNet has, the other one is for testing and the last tenth of each class of ``train`` for
    validation. Without such folders, or with ``train`` alone, the split is fixed: of every ten pictures of a class, in
    the order of their paths, two are for testing, one is for validation and seven are for training.

    Pictures are turned as their EXIF orientation says. Files that are no pictures by their ending, that are hidden,
    that ``pattern`` does not fit, or that lie outside the class folders are left out.

    Parameters
    ----------
    folder : path-like
    split : {"train", "val", "test"}
    size : int, optional
        Resize the shorter side to this, and cut the centre out. Left out: all pictures must have one size.
    channels : {1, 3}, optional
        Grey or RGB. Left out: as the first picture.
    on_error : {"raise", "skip"}
        A picture that cannot be read is an error that names it, or is left out; to know them beforehand, "skip" reads
        every picture once at the start.
    name : str, optional
    pattern : str
        Which pictures to take, by the file's name as a shell would match it, such as ``"*.pgm"``; case counts. The
        others are ignored, and so is a class without any.
    least_classes : int
        Fewer are an error. With one class nothing is learnt, but a trained network can be judged on it.

    Attributes
    ----------
    classes : tuple of str
    paths : list of pathlib.Path
    labels : int array, (N,)
    ignored, skipped : list of pathlib.Path
        Files that are no pictures or that ``pattern`` does not fit; pictures that cannot be read.
    image_shape : (C, H, W)
    """

    def __init__(
        self, folder: str | os.PathLike, split: str = "train", size: int | None = None, channels: int | None = None,
        on_error: str = "raise", name: str | None = None, pattern: str = "*",
        least_classes: int = 2,
    ) -> None:  # fmt: skip
        check_split("FolderDataset", split)
        if size is not None:
            checks.whole("FolderDataset", "size", size)
        if channels not in (None, 1, 3):
            raise ArgumentError(f"FolderDataset: channels must be 1 (grey) or 3 (RGB), got {channels!r}")
        if on_error not in ("raise", "skip"):
            raise ArgumentError(f"FolderDataset: on_error must be 'raise' or 'skip', got {on_error!r}")
        if not isinstance(pattern, str):
            raise ArgumentError(f"FolderDataset: pattern must be text, such as '*.png', got {pattern!r}")
        self.folder, self.size = _home(folder), size
        self.least_classes = checks.whole("FolderDataset", "least_classes", least_classes)
        self.pattern = pattern
        self.name = name or f"{self.folder.name or self.folder} ({split})"
        self.ignored: list[pathlib.Path] = []
        self.skipped: list[pathlib.Path] = []
        if not os.fspath(folder) or kind_of(self.folder) != "folder":
            raise DataError(
                f"there is no folder {named(folder)}; it should have a subfolder of pictures for each class"
            )
        self.classes, self.paths, self.labels = self._choose(split)
        sizes = self._look_at_all(on_error)
        if not self.paths:
            raise DataError(f"{self.folder}: no picture for {split} is left; unreadable are {len(self.skipped)}")
        with opening.naming(self.paths[0], REMEDY):
            self.channels = channels or opening.channels(self.paths[0])
        if size is None:
            other = next((i for i, s in enumerate(sizes) if s != sizes[0]), None)
            if other is not None:
                raise DataError(
                    f"the pictures have different sizes: {self.paths[0]} is {_by(sizes[0])}, {self.paths[other]} is "
                    f"{_by(sizes[other])}; size={min(sizes[0])} resizes the shorter side and cuts the centre out"
                )
        self.image_shape = (self.channels, *((size, size) if size else sizes[0][::-1]))

    def _choose(self, split: str) -> tuple[tuple[str, ...], list[pathlib.Path], np.ndarray]:
        """Classes, and the split's paths and labels."""
        parts = self._split_folders()
        if len(parts) < 2:
            classes, paths, labels = self._list(parts.get("train", self.folder))
            chosen = by_tens(labels, split)
        else:
            classes, paths, labels = self._list(parts["train"])
            chosen = np.full(len(labels), True)
            if "val" not in parts or "test" not in parts:
                held_out = last_tenth(labels)
                chosen = held_out if split == "val" else ~held_out
                parts = {"train": parts["train"], "test": parts.get("test", parts.get("val"))}
            if split in parts and split != "train":
                self.ignored = []  # those of the training folder are not this split's
                _, paths, labels = self._list(parts[split], classes)
                chosen = np.full(len(labels), True)
        if not chosen.any():
            raise DataError(f"{self.folder}: {len(labels)} pictures, too few for any to be in the split {split!r}")
        return classes, [paths[i] for i in np.flatnonzero(chosen)], labels[chosen]

    def _split_folders(self) -> dict[str, pathlib.Path]:
        """The folders of the splits: train and one or two more, train alone, or none."""
        parts = {}
        for split, names in CALLED.items():
            for folder in (self.folder / name for name in names):
                if split not in parts and _subfolders(folder):
                    parts[split] = folder
        alone = _subfolders(self.folder) == ["train"]  # beside others, it is a class that is called train
        return parts if "train" in parts and (len(parts) > 1 or alone) else {}

    def _list(self, folder: pathlib.Path, classes: tuple[str, ...] | None = None):
        """All pictures below a folder of class folders: names, paths, labels; in the order of paths."""
        found = _subfolders(folder)
        self.ignored += sorted(p for p in folder.iterdir() if p.is_file())
        endings, by_class, unfit = opening.endings(), {}, []
        for name in found:
            files = sorted(pathlib.Path(at) / file for at, _, inside in os.walk(folder / name) for file in inside)
            pictures = [p for p in files if p.suffix.lower() in endings and not p.name.startswith(".")]
            by_class[name] = [p for p in pictures if fnmatch.fnmatchcase(p.name, self.pattern)]
            unfit += [] if by_class[name] else pictures
            self.ignored += sorted(set(files) - set(by_class[name]))
        by_class = {name: paths for name, paths in by_class.items() if paths}
        if not by_class and unfit:
            raise DataError(
                f"{folder}: the pattern {self.pattern!r} fits none of the names of its {len(unfit)} pictures, such as "
                f"{unfit[0]}"
            )
        if not by_class:
            raise DataError(f"{folder} has no pictures; each class should have a subfolder of them, {folder}/cat/1.png")
        classes = tuple(by_class) if classes is None else classes
        if len(classes) < self.least_classes:
            few = f"one class only, {classes[0]}" if len(classes) == 1 else f"only {len(classes)} classes"
            hint = (
                "with nothing to tell apart, nothing is learnt" if len(classes) == 1 else f"{self.least_classes} wanted"
            )
            raise DataError(f"{folder} has {few}: {hint}")
        for name in by_class:
            if name not in classes:
                raise DataError(f"{folder / name} is none of the training classes, {', '.join(classes)}")
        labels = [classes.index(name) for name, paths in by_class.items() for _ in paths]
        return classes, [path for paths in by_class.values() for path in paths], np.asarray(labels, np.int64)

    def _look_at_all(self, on_error: str) -> list[tuple[int, int]]:
        """Sizes (width, height); leaves out what cannot be read if it shall."""
        sizes, good = [], []
        for i, path in enumerate(self.paths):
            try:
                with opening.naming(path, REMEDY):
                    sizes.append(opening.size(path, whole=on_error == "skip"))
                    good.append(i)
            except DataError:
                if on_error == "raise":
                    raise
                self.skipped.append(path)
        self.paths, self.labels = [self.paths[i] for i in good], self.labels[good]
        return sizes

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        """Image (C, H, W) as float32 in 0 to 1, and its label."""
        path = self.paths[index]
        with opening.naming(path, REMEDY):
            return opening.read(path, self.channels, self.size), int(self.labels[index])

    def statistics(self, most: int = 1000) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and standard deviation of each channel, of at most ``most`` pictures at even distances."""
        chosen = np.unique(np.linspace(0, len(self) - 1, min(len(self), most)).astype(int))
        total, squares = np.zeros(self.channels), np.zeros(self.channels)
        for i in chosen:
            image = self[i][0].astype(np.float64)
            total, squares = total + image.mean((1, 2)), squares + (image**2).mean((1, 2))
        mean = total / len(chosen)
        return tuple(mean.tolist()), tuple(np.sqrt(np.maximum(squares / len(chosen) - mean**2, 0)).tolist())


def _home(folder: str | os.PathLike) -> pathlib.Path:
    """The folder, whose ``~`` is the user's home; that of nobody stays as it is written."""
    with contextlib.suppress(RuntimeError):
        return pathlib.Path(folder).expanduser()
    return pathlib.Path(folder)


def _subfolders(folder: pathlib.Path) -> list[str]:
    """Names of the folders in a folder, sorted."""
    if not folder.is_dir():
        return []
    return sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def _by(size: tuple[int, int]) -> str:
    return "x".join(map(str, size))
