"""Architectures are exact: parameter counts, shapes, multiply-adds against the reference tables."""

from __future__ import annotations

import numpy as np
import pytest

import minicnn as mc
from minicnn import models, nn


def test_residual_block_with_zero_weights_is_the_identity():
    """F = 0 leaves relu(x) = x for x >= 0, and hands the gradient through unchanged: the point of the design."""
    block = models.residual.BasicBlock(4, 4, 1, "A")
    for parameter in block.parameters():
        nn.init.zeros_(parameter)
    x = mc.tensor(np.random.default_rng(0).uniform(0.1, 1, (2, 4, 5, 5)).astype(np.float32), requires_grad=True)
    y = block(x)
    upstream = np.random.default_rng(1).standard_normal(x.shape).astype(np.float32)
    y.backward(upstream)
    np.testing.assert_array_equal(y.data, x.data)
    np.testing.assert_array_equal(x.grad, upstream)


def test_shortcut_a_pads_new_channels_with_zeros():
    x = np.random.default_rng(0).standard_normal((2, 4, 6, 6)).astype(np.float32)
    y = models.residual.ShortcutA(4, 8, 2)(mc.Tensor(x)).data
    np.testing.assert_array_equal(y[:, :4], x[:, :, ::2, ::2])
    assert y.shape == (2, 8, 3, 3) and not y[:, 4:].any()


def test_lenet5_counts_equal_the_paper():
    """LeCun et al. 1998: C1 156, S2 12, C3 1,516, S4 32, C5 48,120, F6 10,164; 60,000 up to F6."""
    model = models.get_model("lenet5")
    counts = {name: sum(p.size for p in m.parameters()) for name, m in model.named_children()}
    assert counts == {
        "c1": 156, "s2": 12, "c3": 1516, "s4": 32, "c5": 48120, "f6": 10164, "output": 850, "act": 0, "act_pooled": 0,
    }  # fmt: skip
    assert models.get_model("lenet5", variant="modern").num_parameters() == 61706


def test_lenet5_c3_sees_only_its_maps():
    """Map 0 of C3 sees S2's maps 0, 1, 2 (table I): the gradient by the others is zero."""
    c3 = models.get_model("lenet5").c3
    x = mc.tensor(np.random.default_rng(0).standard_normal((1, 6, 14, 14)).astype(np.float32), requires_grad=True)
    c3(x)[:, 0].sum().backward()
    assert [bool(np.any(x.grad[0, c])) for c in range(6)] == [True, True, True, False, False, False]


@pytest.mark.parametrize("variant", ["paper", "modern"])
def test_lenet5_takes_28_and_32_pixels(variant):
    model = models.get_model("lenet5", variant=variant)
    for size in (28, 32):
        assert model(np.zeros((2, 1, size, size), np.float32)).shape == (2, 10)


@pytest.mark.compiled
def test_lenet5_gradients():
    """The sparse convolution and the learned subsampling, through the whole network."""
    model = models.get_model("lenet5").to("float64")
    x = np.random.default_rng(0).standard_normal((1, 1, 32, 32))
    assert mc.gradcheck(lambda w: mc.functional.conv2d(x[:, :, :10, :10], w), [model.c1.weight.data])
    assert mc.gradcheck(model, [x])


def test_register_model_makes_a_students_own_available():
    @models.register_model("tiny-test-net", num_classes=3, variants=("small", "large"))
    def tiny(num_classes, variant, width=2):
        return nn.Linear(width * (10 if variant == "large" else 1), num_classes)

    assert "tiny-test-net" in models.list_models()
    assert models.get_model("tiny-test-net").weight.shape == (3, 2)
    assert models.get_model("tiny-test-net", 5, "large", width=3).weight.shape == (5, 30)
    del models.registry._MODELS["tiny-test-net"]


def test_get_model_loads_weights(tmp_path):
    model = models.get_model("lenet5")
    mc.save(model, tmp_path / "w.safetensors")
    mc.manual_seed(9)
    other = models.get_model("lenet5", weights=tmp_path / "w.safetensors")
    np.testing.assert_array_equal(other.c5.weight.data, model.c5.weight.data)
