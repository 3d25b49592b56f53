"""Published data sets that a package of the operating system carries (apt install dataset-fashion-mnist)."""

from __future__ import annotations

import numpy as np
import pytest

from minicnn import data
from minicnn.data import download


@pytest.mark.skipif(not download.SYSTEM["fashion-mnist"].is_dir(), reason="apt install dataset-fashion-mnist")
def test_fashion_mnist(tmp_path, monkeypatch):
    """All 70,000 images, offline; the mean grey that is known of the training images; ten equal classes."""
    monkeypatch.setenv("MINICNN_OFFLINE", "1")
    monkeypatch.setenv("MINICNN_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    by_split = {split: data.get_dataset("fashion-mnist", split) for split in ("train", "val", "test")}
    assert {split: np.bincount(d.labels).tolist() for split, d in by_split.items()} == {
        "train": 10 * [5400], "val": 10 * [600], "test": 10 * [1000],
    }  # fmt: skip
    means = [by_split[split].statistics()[0][0] for split in ("train", "val")]
    assert abs(0.9 * means[0] + 0.1 * means[1] - 0.2860) < 5e-5
    image, label = by_split["test"][0]
    assert image.shape == (1, 28, 28) and by_split["test"].classes[label] == "Ankle boot"
    assert list(tmp_path.iterdir()) == []
