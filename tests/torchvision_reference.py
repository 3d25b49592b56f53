"""What torchvision's networks compute, for tests to compare with.

``tests/data/torchvision.json`` was computed by torchvision 0.29.1 in float64 with weights that are a function of the
parameters' names, so that anybody can draw them again.
"""

from __future__ import annotations

import json
import pathlib
import zlib

import numpy as np

import minicnn as mc
from minicnn import functional as F
from minicnn import models, nn
from minicnn.kernels import shapes_only

FACTS = json.loads((pathlib.Path(__file__).parent / "data" / "torchvision.json").read_text())
NAMES = {"shufflenet_v2_x1_0": "shufflenet_v2"}
LABELS = np.array([3, 977])


def drawn(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The reference's values of one array."""
    rng, leaf = np.random.default_rng(zlib.crc32(name.encode())), name.rsplit(".", 1)[1]
    if leaf == "running_var" or (leaf == "weight" and len(shape) == 1):
        return rng.uniform(0.5, 1.5, shape)
    if len(shape) >= 2:
        return rng.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))
    return 0.1 * rng.standard_normal(shape)


def norm(array: np.ndarray) -> float:
    return float(np.linalg.norm(np.ravel(array)))


def reference_model(name: str, mode: str) -> nn.Module:
    with shapes_only():  # the weights come from elsewhere
        model = models.get_model(NAMES.get(name, name), variant="torchvision")
    for parameter in model.parameters():
        parameter.data = np.zeros(parameter.shape)
    model.to("float64").train(mode == "train")
    state = model.state_dict()
    model.load_state_dict({k: drawn(k, a.shape) if a.dtype.kind == "f" else np.zeros_like(a) for k, a in state.items()})
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return model


def check(name: str, mode: str) -> None:
    """Two images, no dropout; the norm of every parameter's gradient, and in training of every running variance.

    GoogLeNet's loss in training includes both auxiliary heads.
    """
    facts, model = FACTS[name][mode], reference_model(name, mode)
    x = mc.tensor(np.random.default_rng(0).standard_normal((2, 3, 224, 224)), requires_grad=True)
    out = model(x)
    loss = out.loss(F.cross_entropy, LABELS) if isinstance(out, tuple) else F.cross_entropy(out, LABELS)
    loss.backward()
    np.testing.assert_allclose(loss.item(), facts["loss"], rtol=1e-9)
    np.testing.assert_allclose(norm(x.grad), facts["input_grad_norm"], rtol=1e-9)
    gradients = {key: norm(p.grad) for key, p in model.named_parameters() if p.grad is not None}
    total = norm([*gradients.values()])
    np.testing.assert_allclose(total, facts["all_grad_norm"], rtol=1e-9)
    for key, expected in facts["grad_norms"].items():  # a shift that the next batch-norm takes out has gradient 0
        np.testing.assert_allclose(gradients[key], expected, rtol=1e-9, atol=1e-12 * total, err_msg=key)
    for key, expected in facts.get("running_var_norms", {}).items():
        np.testing.assert_allclose(norm(model.state_dict()[key]), expected, rtol=1e-9, err_msg=key)
    if mode == "eval":
        np.testing.assert_allclose(out.data[0, :8], facts["logits_first8"], rtol=1e-9)
        assert [*np.argsort(-out.data[1])[:5]] == facts["top5_of_image1"]
    elif isinstance(out, tuple):
        heads = FACTS[name]["train_aux"]
        for logits, key in zip(out, ("logits_first4", "aux2_first4", "aux1_first4"), strict=True):
            np.testing.assert_allclose(logits.data[0, :4], heads[key], rtol=1e-9)
