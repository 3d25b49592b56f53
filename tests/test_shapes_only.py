"""Running a model for its shapes alone: kernels give the right shapes and compute nothing."""

from __future__ import annotations

import threading
import tracemalloc

import numpy as np
import pytest

import minicnn as mc
from minicnn import kernels, models
from minicnn.kernels import samples, shapes

KERNELS = kernels.KERNELS


def results(out) -> list[np.ndarray]:
    return [] if out is None else list(out) if isinstance(out, tuple) else [out]


@pytest.mark.parametrize("name", KERNELS)
def test_rules_give_what_the_kernel_gives(name):
    """For every kernel's samples in both dtypes: as many results, of the same shapes and dtypes as the plain room's."""
    tried = 0
    for dtype in (np.float32, np.float64):
        for arguments in (a for n, a in samples.samples(dtype) if n == name):
            with kernels.shapes_only():
                blank = results(KERNELS[name](*arguments))
            with kernels.use_room("plain"):
                real = results(KERNELS[name](*arguments))
            assert [(a.shape, a.dtype) for a in blank] == [(a.shape, a.dtype) for a in real]
            assert all(not any(a.strides) or a.size <= 1 for a in blank)
            tried += 1
    assert tried >= 2


def test_mistakes_are_found_without_computing():
    """A wrong size gives the same message as in earnest."""
    model = models.get_model("lenet5")
    with kernels.shapes_only(), pytest.raises(mc.ShapeError, match="3"):
        model(mc.tensor(np.zeros((1, 3, 32, 32), np.float32)))


def test_a_large_model_takes_no_memory():
    """110 layers on a 512x512 image: real outputs would be 1.5 GB; what is allocated stays below 40 MB."""
    tracemalloc.start()
    with kernels.shapes_only(), mc.no_grad():
        model = models.get_model("resnet110").eval()
        out = model(mc.Tensor(shapes.blank((1, 3, 512, 512), np.float32)))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert out.shape == (1, 10) and most < 40e6


def test_only_this_thread_and_only_this_block():
    """Another thread computes at the same time, and so does this one afterwards, also after an error."""
    x = np.full((1, 1, 2, 2), 3.0, np.float32)
    seen = []
    with pytest.raises(KeyError), kernels.shapes_only():
        thread = threading.Thread(target=lambda: seen.append(kernels.relu(x)))
        thread.start(), thread.join()
        assert not kernels.relu(x).any()
        raise KeyError
    assert seen[0].all() and kernels.relu(x).all()
