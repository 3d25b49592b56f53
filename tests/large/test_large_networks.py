"""The large networks, which take more time and memory than a quick test should: run by `make check`."""

from __future__ import annotations

import pytest
import torchvision_reference

LARGE = ("resnet50", "resnext50_32x4d", "vgg11", "vgg16_bn")


@pytest.mark.compiled
@pytest.mark.parametrize("mode", ["eval", "train"])
@pytest.mark.parametrize("name", LARGE)
def test_outputs_losses_and_gradients_are_torchvisions(name, mode):
    torchvision_reference.check(name, mode)


def test_no_network_of_the_reference_is_left_out():
    from test_torchvision_outputs import SMALL

    assert sorted([*SMALL, *LARGE]) == sorted(torchvision_reference.FACTS)
