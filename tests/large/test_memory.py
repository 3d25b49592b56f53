"""Large networks fit: building one and running one image takes little more than its weights and activations."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

import minicnn as mc
from minicnn import models


@pytest.mark.compiled
@pytest.mark.parametrize("name", ["resnet152", "vgg19"])
def test_building_and_running_one_image(name):
    """At most 1.5 times the parameters and the table's activations, from the first allocation to the last."""
    table = mc.summary(models.get_model(name), (3, 224, 224), show=False)
    allowed = 1.5 * (4 * table.total_params + table.total_memory)
    tracemalloc.start()
    model = models.get_model(name).eval()
    with mc.no_grad():
        model(np.zeros((1, 3, 224, 224), np.float32))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 4 * table.total_params < most < allowed
