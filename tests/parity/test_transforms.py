"""Resizing against PyTorch's antialiased interpolation, which states the same filters."""

from __future__ import annotations

import numpy as np
import pytest

from minicnn.data import transforms

torch = pytest.importorskip("torch")

SIZES = [(7, 11), (16, 16), (20, 9), (45, 31), (1, 1), (37, 53), (100, 3)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_resize(size, interpolation, rng):
    """Both shrink with a filter as wide as the step and enlarge between pixel centres."""
    image = rng.random((3, 37, 53), dtype=np.float32)
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(image)[None], size, mode=interpolation, antialias=True, align_corners=False
    )[0]
    result = transforms.Resize(size, interpolation)(image)
    assert np.abs(result - expected.numpy()).max() < 1e-5
