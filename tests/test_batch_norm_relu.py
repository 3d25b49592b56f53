"""Batch-norm, a shortcut's addition and ReLU in one pass: the same numbers as three operations, and nobody notices."""

from __future__ import annotations

import numpy as np
import pytest

import minicnn as mc
from minicnn import functional as F
from minicnn import gradcheck, kernels, models, nn, running


def drawn(rng, *shape, dtype=np.float64):
    return rng.standard_normal(shape).astype(dtype)


def three_steps(x, residual, relu, **options):
    y = F.batch_norm(x, **options)
    y = y if residual is None else y + residual
    return F.relu6(y) if relu == 6 else F.relu(y)


def outcome(make, x, weight, bias, residual):
    """The result and all gradients, of fresh tensors."""
    tensors = [None if a is None else mc.tensor(a, requires_grad=True) for a in (x, weight, bias, residual)]
    means, variances = np.zeros(x.shape[1], x.dtype), np.ones(x.shape[1], x.dtype)
    y = make(tensors[0], means, variances, *tensors[1:])
    y.backward(np.sin(np.arange(y.size, dtype=x.dtype)).reshape(y.shape))
    return [y.data, means, variances, *(t.grad for t in tensors if t is not None)]


@pytest.mark.parametrize("room", ["plain", "cpu"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("relu", [True, 6])
@pytest.mark.parametrize("added", [True, False])
def test_equals_three_operations(rng, room, dtype, training, relu, added):
    """Result, running statistics and gradients, with and without a shortcut."""
    x, weight, bias = drawn(rng, 3, 5, 4, 6, dtype=dtype), drawn(rng, 5, dtype=dtype) * 4, drawn(rng, 5, dtype=dtype)
    residual = drawn(rng, *x.shape, dtype=dtype) if added else None

    def at_once(x, mean, var, weight, bias, residual):
        return F.batch_norm(x, mean, var, weight, bias, training, relu=relu, residual=residual)

    def apart(x, mean, var, weight, bias, residual):
        options = {"running_mean": mean, "running_var": var, "weight": weight, "bias": bias, "training": training}
        return three_steps(x, residual, relu, **options)

    tolerance = {"rtol": 1e-5, "atol": 1e-6} if dtype == np.float32 else {"rtol": 1e-12, "atol": 1e-12}
    with kernels.use_room(room):
        found, wanted = (outcome(make, x, weight, bias, residual) for make in (at_once, apart))
    for got, want in zip(found, wanted, strict=True):
        assert got.dtype == want.dtype
        np.testing.assert_allclose(got, want, **tolerance)


@pytest.mark.parametrize("relu", [True, 6])
@pytest.mark.parametrize("added", [True, False])
@pytest.mark.parametrize("training", [True, False])
def test_gradients_by_differences(rng, relu, added, training):
    """gradcheck, in float64, of the operation as models use it."""
    x, weight, bias = drawn(rng, 2, 3, 3, 2), drawn(rng, 3) * 5, drawn(rng, 3)
    residual = [drawn(rng, *x.shape)] if added else []

    def function(x, weight, bias, *residual):
        mean, var = np.zeros(3), np.ones(3)
        return F.batch_norm(x, mean, var, weight, bias, training, relu=relu, residual=residual[0] if residual else None)

    gradcheck(function, (x, weight, bias, *residual))


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"relu": "yes"}, mc.ArgumentError, "relu must be True, False, or 6"),
        ({"relu": 5}, mc.ArgumentError, "got 5"),
        ({"residual": np.ones((1, 3, 4, 4), np.float32)}, mc.ShapeError, r"\(2, 3, 4, 4\), got \(1, 3"),
    ],
)
def test_bad_options(options, error, words):
    """Each in one sentence that says what would fit."""
    with pytest.raises(error, match=words):
        F.batch_norm(mc.tensor(np.ones((2, 3, 4, 4), np.float32)), None, None, training=True, **options)


def test_features_by_rows_too():
    """(N, C): as with images of one pixel."""
    x = np.random.default_rng(0).standard_normal((8, 3)).astype(np.float32)
    y = F.batch_norm(x, None, None, training=True, relu=True, residual=x)
    want = F.relu(F.batch_norm(x, None, None, training=True) + mc.tensor(x))
    np.testing.assert_allclose(y.data, want.data, rtol=1e-6)


class Ops(running.Watcher):
    def __init__(self):
        self.names = []

    def forward_ends(self, ctx, inputs, out):
        self.names.append(ctx.function.__name__)


def test_who_looks_on_sees_three_operations():
    """Diagrams, summaries and profiles show batch-norm, sum and ReLU; a student's own ReLU is taken."""
    x = mc.tensor(np.random.default_rng(0).standard_normal((2, 3, 4, 4)).astype(np.float32), requires_grad=True)
    alone = F.batch_norm(x, None, None, training=True, relu=True, residual=x)
    assert alone.node.function.__name__ == "BatchNormReLU"
    watcher = Ops()
    with running.watched_by(watcher):
        F.batch_norm(x, None, None, training=True, relu=True, residual=x)
        F.batch_norm(x, None, None, training=True, relu=6)
    assert watcher.names == ["BatchNorm", "Add", "ReLU", "BatchNorm", "ReLU6"]

    class Doubling(mc.Function):
        @staticmethod
        def forward(ctx, x):
            return 2 * np.maximum(x, 0)

        @staticmethod
        def backward(ctx, grad):
            return 2 * grad

    with mc.replace("relu", Doubling):
        np.testing.assert_allclose(
            F.batch_norm(x, None, None, training=True, relu=True, residual=x).data, 2 * alone.data
        )


def test_sequential_joins_what_stands_side_by_side():
    """Batch-norm and ReLU next to each other run as one, unless a hook wants to see what lies between them."""
    rng = np.random.default_rng(0)
    x = mc.tensor(rng.standard_normal((2, 3, 5, 5)).astype(np.float32))
    relu = nn.ReLU()
    model = nn.Sequential(nn.BatchNorm2d(3), relu, relu, nn.Conv2d(3, 4, 1), relu, nn.BatchNorm2d(4), nn.ReLU6())
    calls = []
    real = kernels.KERNELS["batch_norm_relu"].__class__.__call__

    def counted(self, *args, **options):
        calls.append(self.name)
        return real(self, *args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels.rooms.Kernel, "__call__", counted)
        joined = model(x)
        assert calls == [
            "channel_stats",
            "batch_norm_relu",
            "relu",
            "conv2d",
            "relu",
            "channel_stats",
            "batch_norm_relu",
        ]
        calls.clear()
        seen = []
        with model[0].register_forward_hook(lambda module, inputs, output: seen.append(output)):
            apart = model(x)
        assert calls[:3] == ["channel_stats", "batch_norm", "relu"] and (seen[0].data < 0).any()
    np.testing.assert_allclose(joined.data, apart.data, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["resnet20", "mobilenet_v1", "shufflenet_v1", "preact_resnet20"])
def test_models_give_the_same_alone_and_watched(name):
    """A network's outputs and gradients, fused, equal those of separate operations."""
    mc.manual_seed(0)
    x = np.random.default_rng(1).standard_normal((2, 3, 32, 32)).astype(np.float32)
    results = []
    for watched in (False, True):
        mc.manual_seed(0)
        model = models.get_model(name, num_classes=4)
        with running.watched_by(Ops()) if watched else mc.enable_grad():
            y = model(mc.tensor(x))
            F.cross_entropy(y, np.array([0, 3])).backward()
        results.append([y.data, *(p.grad for p in model.parameters())])
    for alone, watched in zip(*results, strict=True):
        np.testing.assert_allclose(alone, watched, rtol=1e-3, atol=1e-4)
