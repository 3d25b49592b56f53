"""Data sets, transforms and the loader."""

from __future__ import annotations

from . import transforms
from .arrays import ArrayDataset
from .datasets import DATASETS, digits, get_dataset
from .folder import FolderDataset
from .loader import Loader
from .mixup import MixUp
from .pictures import show

__all__ = [
    "DATASETS", "ArrayDataset", "FolderDataset", "Loader", "MixUp", "digits", "get_dataset", "show", "transforms",
]  # fmt: skip
