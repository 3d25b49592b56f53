"""The torchvision variants are torchvision's networks: names and shapes of parameters, outputs, losses, gradients."""

from __future__ import annotations

import pytest
import torchvision_reference
from torchvision_reference import FACTS, NAMES

from minicnn import models
from minicnn.kernels import shapes_only

SMALL = ("alexnet", "googlenet", "mobilenet_v2", "resnet18", "shufflenet_v2_x1_0")  # the others: tests/large


@pytest.mark.parametrize("name", FACTS)
def test_names_and_shapes(name):
    with shapes_only():
        state = models.get_model(NAMES.get(name, name), variant="torchvision").state_dict()
    assert [(key, [*array.shape]) for key, array in state.items()] == [*FACTS[name]["state_dict"].items()]


@pytest.mark.compiled
@pytest.mark.parametrize("mode", ["eval", "train"])
@pytest.mark.parametrize("name", SMALL)
def test_outputs_losses_and_gradients(name, mode):
    torchvision_reference.check(name, mode)
