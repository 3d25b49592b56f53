"""Data sets, transforms and the loader."""

from __future__ import annotations

from . import transforms
from .datasets import DATASETS, ArrayDataset, digits, get_dataset
from .loader import Loader
from .pictures import show

__all__ = ["DATASETS", "ArrayDataset", "Loader", "digits", "get_dataset", "show", "transforms"]
