"""Tests of what can be known about the GPU path without a GPU: NVIDIA's compiler, and what it makes of our kernels."""

from __future__ import annotations

import pytest

from minicnn.kernels.nvrtc import library


def pytest_collection_modifyitems(items):
    """Without NVRTC there is nothing to test; what needs none is marked `no_compiler`."""
    why = library.why_not()
    for item in items:
        if why and "tests/gpu/" in item.path.as_posix() and not item.get_closest_marker("no_compiler"):
            item.add_marker(pytest.mark.skip(reason=why))
