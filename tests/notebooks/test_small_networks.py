"""What chapters 02 and 03 train and count with."""

from __future__ import annotations

import numpy as np
import pytest
import small_networks

import minicnn as mc
from minicnn import nn


@pytest.mark.parametrize(("kernel", "stride"), [(7, 2), (5, 1)])
def test_the_mini_alexnet_takes_large_digits(kernel, stride):
    """Both shapes of conv1 lead to ten logits, so fc6 has the inputs that conv5's maps make."""
    summary = mc.summary(small_networks.mini_alexnet(kernel, stride), (1, 32, 32), show=False)
    assert summary.rows[-1].output_shape == (10,)


def test_large_digits_are_the_digits_enlarged():
    """Same labels, 32x32 pixels, about mean 0 and deviation 1; each block's mean is near the small pixel."""
    small, large = mc.data.get_dataset("digits", "val"), small_networks.large_digits("val")
    assert large.images.shape == (len(small), 1, 32, 32) and np.array_equal(small.labels, large.labels)
    assert abs(large.images.mean()) < 0.1 and abs(large.images.std() - 1) < 0.15
    blocks = large.images.reshape(-1, 8, 4, 8, 4).mean((2, 4))  # (N, 8, 8)
    assert np.corrcoef(blocks.ravel(), small.images.ravel())[0, 1] > 0.97


def test_rescaling_holds_filters_at_a_tenth():
    """Only filters over 0.1 are scaled, each by itself and without turning it; matrices and biases are left alone."""
    conv, linear = nn.Conv2d(1, 3, 3), nn.Linear(4, 2)
    conv.weight.data[...] = np.array([0.05, 0.1, -0.4], "float32").reshape(3, 1, 1, 1)
    linear.weight.data[...], conv.bias.data[...] = 5.0, 7.0
    optimizer = small_networks.Rescaling([*conv.parameters(), *linear.parameters()], lr=0.1)
    for parameter in (*conv.parameters(), *linear.parameters()):
        parameter.grad = np.zeros_like(parameter.data)
    optimizer.step()
    assert np.allclose(conv.weight.data[:, 0, 0, 0], [0.05, 0.1, -0.1])
    assert (linear.weight.data == 5).all() and (conv.bias.data == 7).all()


def test_dead_maps_are_those_that_are_zero_everywhere():
    """A filter whose bias is far below zero is counted in its own layer; the others still answer."""
    mc.manual_seed(0)
    model = small_networks.mini_alexnet()
    small_networks.start(model)
    data = small_networks.large_digits("val")
    alive = small_networks.dead_maps(model, data)
    assert alive[0] == 0
    model.conv1.bias.data[[2, 5]] = -1000.0
    assert small_networks.dead_maps(model, data)[0] == 2


def test_outputs_leaves_no_hooks():
    """A second look at another layer gives that layer alone, as large as it is."""
    model, data = small_networks.mini_alexnet(), small_networks.large_digits("val")
    small_networks.outputs(model, data, ["relu1"])
    assert not any(layer._forward_hooks for layer in model.modules())
    ((name, array),) = small_networks.outputs(model, data, ["fc8"]).items()
    assert name == "fc8" and array.shape == (len(data), 10)
