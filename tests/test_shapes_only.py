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


PAIR = np.random.default_rng(0).random((2, 2, 4, 3, 3)).astype(np.float32) + 0.5
OPERATIONS = {
    "add": lambda a, b: a + b[:, :1], "div": lambda a, b: a / b, "pow": lambda a, b: a**b, "number": lambda a, b: 2 * a,
    "sigmoid": lambda a, b: mc.functional.sigmoid(a), "softmax": lambda a, b: mc.functional.softmax(a, 1),
    "mean": lambda a, b: a.mean((2, 3), keepdims=True) * b, "max": lambda a, b: a.max(1) + b.sum(),
    "var": lambda a, b: a.var((0, 2)), "cat": lambda a, b: mc.cat([a, b], axis=-3), "clip": lambda a, b: a.clip(0, 1),
    "pad": lambda a, b: mc.functional.pad(a, (1, 2, 0, 1)), "slice": lambda a, b: a[:, 1:, ::2] * b[0, 0, 0, 0],
    "pick": lambda a, b: a[:, [0, 2, 2]], "shuffle": lambda a, b: mc.functional.channel_shuffle(a, 2) + b,
    "maximum": lambda a, b: mc.functional.maximum(a, b), "cast": lambda a, b: a.to("float64"),
}  # fmt: skip


@pytest.mark.parametrize("name", OPERATIONS)
def test_numpy_operations_give_the_shapes_they_give_in_earnest(name):
    """Results and gradients: the shapes and dtypes of a real run, and no numbers."""

    def run(arrays):
        leaves = [mc.Tensor(array, requires_grad=True) for array in arrays]
        out = OPERATIONS[name](*leaves)
        out.backward(np.ones(out.shape, out.dtype))
        return [None if a is None else (a.shape, a.dtype) for a in (out.data, *(leaf.grad for leaf in leaves))], out

    real, _ = run(PAIR)
    with kernels.shapes_only():
        blank, out = run([shapes.blank(a.shape, a.dtype) for a in PAIR])
        assert not any(out.data.strides)
    assert blank == real


def test_shapes_that_do_not_fit_are_found_without_computing():
    a, b = (mc.Tensor(shapes.blank(shape, np.float32)) for shape in ((2, 3), (2, 4)))
    with kernels.shapes_only(), pytest.raises(mc.ShapeError, match="do not fit together"):
        a + b
