"""Whole networks on another device: full training steps that equal the CPU's, and training under the checker."""

from __future__ import annotations

import numpy as np
import pytest

import minicnn as mc
from minicnn import functional as F
from minicnn import models, optim
from minicnn.device import to_numpy
from minicnn.kernels import sim

#: name, options, side of the images: residual, inception with auxiliary heads and LRN, depthwise, shuffled groups
NETWORKS = {
    "resnet20": ({}, 32),
    "googlenet": ({"width": 0.125, "variant": "paper"}, 224),  # what its auxiliary heads take
    "mobilenet_v1": ({"width": 0.125}, 64),
    "mobilenet_v2": ({"width": 0.1}, 64),
    "shufflenet_v1": ({"groups": 3, "width": 0.25}, 64),
    "shufflenet_v2": ({"width": 0.5}, 64),
}
TOLERANCE = {"float32": 1e-4, "float64": 1e-9}  # of the norm


def steps(name: str, device: str, dtype: str, count: int) -> dict[str, np.ndarray]:
    """Losses, gradients of the last step, weights and running statistics after it."""
    options, side = NETWORKS[name]
    mc.manual_seed(0)
    model = models.get_model(name, num_classes=4, **options).to(dtype).to(device)
    optimizer = optim.SGD(model.parameters(), 0.01, momentum=0.9, weight_decay=1e-4)
    rng = np.random.default_rng(1)
    found, batch = {}, 4 if side < 100 else 2
    for step in range(count):
        images, labels = rng.standard_normal((batch, 3, side, side)).astype(dtype), rng.integers(0, 4, batch)
        optimizer.zero_grad()
        outputs = model(mc.tensor(images).to(device))
        loss = outputs.loss(F.cross_entropy, labels) if hasattr(outputs, "loss") else F.cross_entropy(outputs, labels)
        loss.backward()
        optimizer.step()
        found[f"loss {step}"] = np.array(loss.item())
    found.update({f"gradient {key}": to_numpy(p.grad) for key, p in model.named_parameters() if p.grad is not None})
    return found | {key: to_numpy(array) for key, array in model.state_dict().items()}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NETWORKS)
def test_full_steps(device, name, dtype):
    """Losses, every gradient, every weight, every running statistic; measured by the norm of all of its kind.

    In float32 one step: a second one begins from weights that differ by rounding, and a ReLU that flips is no rounding.
    """
    count = 1 if dtype == "float32" or name == "googlenet" else 2
    ours, theirs = steps(name, "cpu", dtype, count), steps(name, device, dtype, count)
    assert ours.keys() == theirs.keys()
    gradients = np.sqrt(sum(float((a.astype(float) ** 2).sum()) for k, a in ours.items() if k.startswith("gradient")))
    for key, wanted in ours.items():
        scale = gradients if key.startswith("gradient") else max(float(np.linalg.norm(wanted)), 1e-3)
        error = float(np.linalg.norm(wanted.astype(float) - theirs[key])) / scale
        assert error < TOLERANCE[dtype], (key, error)


def test_lenet_trains_under_the_checker():
    """Twenty steps in which every access to memory of every kernel is looked at, without a finding; the loss falls."""
    mc.manual_seed(0)
    from minicnn import data

    with sim.checking():
        model = models.get_model("lenet5", variant="modern").to("sim")
        optimizer = optim.SGD(model.parameters(), 0.05, momentum=0.9)
        digits = data.digits("train")
        images = np.stack([digits[i][0] for i in range(8)]).repeat(4, axis=2).repeat(4, axis=3)  # (8, 1, 32, 32)
        labels = digits.labels[:8]
        losses = []
        for _ in range(20):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(mc.tensor(images.astype(np.float32)).to("sim")), labels)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0], losses
