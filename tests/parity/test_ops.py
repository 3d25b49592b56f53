"""All other operations against PyTorch's."""

from __future__ import annotations

import numpy as np
import pytest

import minicnn as mc
from minicnn import functional as F

from .cases import CASES, INDICES, index_for_torch
from .helpers import assert_close, assert_same_calls, drawn

torch = pytest.importorskip("torch")

OTHERS = [name for name in CASES if name != "conv2d" and "pool" not in name]
KERNEL_OPS = [
    "batch_norm_train", "batch_norm_eval", "local_response_norm", "linear", "matmul", "relu", "relu6", "leaky_relu",
    "cross_entropy",
]  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_drawn_calls(name):
    """Protects value and all gradients of the operation on drawn shapes, dtypes and memory layouts."""

    def one(draw):
        assert_same_calls(*CASES[name](draw), draw.rng)

    with mc.use_room("cpu"):
        drawn(one, 60 if name in KERNEL_OPS else 30)


@pytest.mark.parametrize("name", KERNEL_OPS)
def test_drawn_calls_in_the_plain_room(name):
    """Protects the NumPy definitions that students read and edit."""

    def one(draw):
        assert_same_calls(*CASES[name](draw), draw.rng)

    with mc.use_room("plain"):
        drawn(one, 20)


@pytest.mark.parametrize("name", INDICES)
def test_every_kind_of_index(name, rng):
    """Protects basic, advanced and boolean indexing, and that an element picked twice gets both gradients."""
    index = INDICES[name]
    theirs = index_for_torch(index)
    assert_same_calls(lambda x: x[index], lambda x: x[theirs], [rng.standard_normal((3, 4, 3, 2))], rng)


def test_gradients_accumulate_while_the_graph_is_kept(rng):
    """Protects retain_graph: three walks over one graph, and a leaf used by two of its branches, add up."""
    array, upstream = rng.standard_normal((3, 4)), rng.standard_normal((3, 4))
    x, t = mc.tensor(array, requires_grad=True), torch.tensor(array, requires_grad=True)
    y, u = F.tanh(x * x) + x, torch.tanh(t * t) + t
    for factor in (1, -3, 0.5):
        y.backward(factor * upstream, retain_graph=True)
        u.backward(torch.tensor(factor * upstream), retain_graph=True)
        assert_close(x.grad, t.grad, f"after adding {factor} times")


def test_gradient_of_an_intermediate_result(rng):
    """Protects retain_grad: the gradient at a result that two branches use."""
    array = rng.standard_normal((2, 5))
    x, t = mc.tensor(array, requires_grad=True), torch.tensor(array, requires_grad=True)
    h, g = x * 2, t * 2
    h.retain_grad(), g.retain_grad()
    (h * h + h.exp()).sum().backward(), (g * g + g.exp()).sum().backward()
    assert_close(h.grad, g.grad)


def test_argmax(rng):
    """Protects the index of the largest element over an axis and over all."""
    array = rng.standard_normal((3, 4, 5))
    for axis in (None, 0, 1, -1):
        got, want = mc.tensor(array).argmax(axis).data, torch.tensor(array).argmax(axis)
        np.testing.assert_array_equal(got, want.numpy())


@pytest.mark.parametrize("room", ["cpu", "plain"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_running_statistics(room, dtype, rng):
    """Protects what training leaves behind: the momentum average, with the unbiased variance, over several batches."""
    ours = [np.zeros(3, dtype), np.ones(3, dtype)]
    theirs = [torch.tensor(a) for a in ours]
    with mc.use_room(room):
        for step in range(5):
            x = (rng.standard_normal((4, 3, 2, 3)) * (step + 1) + step).astype(dtype)
            momentum = (0.1, 0.5)[step % 2]
            y = F.batch_norm(mc.tensor(x), *ours, training=True, momentum=momentum)
            u = torch.nn.functional.batch_norm(torch.tensor(x), *theirs, training=True, momentum=momentum)
            assert_close(y.data, u, f"step {step}")
            for mine, their in zip(ours, theirs):
                assert_close(mine, their, f"running statistics, step {step}")
