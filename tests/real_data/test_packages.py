"""Real images that packages carry (tests/data/packages.txt): a folder of photographs."""

from __future__ import annotations

import data_packages
import numpy as np
import pytest

from minicnn import data
from minicnn.data import splits


@pytest.mark.parametrize("options, shape", [({}, (1, 112, 92)), ({"size": 32, "channels": 3}, (3, 32, 32))])
def test_orl_faces(options, shape):
    """Forty people, ten photographs of each, as they are and resized; each in one split; the stray is ignored."""
    folder = data_packages.orl_faces()
    by_split = {s: data.get_dataset(f"folder:{folder}", s, pattern="*.pgm", **options) for s in splits.SPLITS}
    assert {s: np.bincount(d.labels).tolist() for s, d in by_split.items()} == {
        "train": 40 * [7], "val": 40 * [1], "test": 40 * [2],
    }  # fmt: skip
    assert len({path for d in by_split.values() for path in d.paths}) == 400
    for dataset in by_split.values():
        assert sorted(dataset.classes) == sorted(f"s{i}" for i in range(1, 41)) and dataset.image_shape == shape
        assert dataset.ignored == [folder / "s10" / "target.jpg"] and dataset.skipped == []
        seen = [images for images, _ in data.Loader(dataset, 40, workers=1)]
        assert sum(map(len, seen)) == len(dataset) and {images.shape[1:] for images in seen} == {shape}
        assert all(0 <= images.min() and 0.2 < images.mean() < 0.7 and images.max() <= 1 for images in seen)


def test_orl_faces_without_a_pattern():
    """The stray counts as an eleventh photograph."""
    assert len(data.get_dataset(f"folder:{data_packages.orl_faces()}")) == 281


def test_mnist_5k():
    by_split = {split: data_packages.mnist_5k(split) for split in splits.SPLITS}
    assert {s: np.bincount(d.labels).tolist() for s, d in by_split.items()} == {
        "train": 10 * [350], "val": 10 * [50], "test": 10 * [100],
    }  # fmt: skip
    mean, std = by_split["train"].statistics()
    assert abs(mean[0] - 0.1307) < 0.01 and abs(std[0] - 0.3081) < 0.01  # what is known of all 60,000
