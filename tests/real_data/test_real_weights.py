"""Trained weights that packages carry (tests/data/packages.txt): loaded, and put to use on photographs."""

from __future__ import annotations

import data_packages
import numpy as np
import pytest
from sklearn.datasets import load_sample_image

import minicnn as mc
from minicnn import functional as F
from minicnn import models


def photograph(name: str) -> np.ndarray:
    """A photograph of scikit-learn's as (3, H, W) from 0 to 1."""
    return np.ascontiguousarray(load_sample_image(name).transpose(2, 0, 1), np.float32) / 255


def test_efficientnet_lite0_key_by_key():
    """A legacy file, known by its name: every name, every number; 4,652,008 parameters and 42,016 statistics."""
    path = data_packages.efficientnet_lite0()
    state, model = mc.load(path), models.get_model("efficientnet_lite0", weights=path)
    own = model.state_dict()
    assert list(state) == list(own) and len(state) == 296
    for name, array in own.items():
        np.testing.assert_array_equal(array, state[name], err_msg=name, strict=True)
    assert model.num_parameters() == 4_652_008
    assert sum(a.size for name, a in state.items() if "running" in name) == 42_016
    loaded = model.loaded_weights
    assert (loaded.path, loaded.left_out, loaded.fresh) == (path, [], [])
    assert loaded.published.preprocessing.interpolation == "bicubic"


@pytest.mark.parametrize("name, expected, least", [("china.jpg", 698, 0.25), ("flower.jpg", 985, 0.25)])
def test_efficientnet_lite0_sees(name, expected, least):
    """A palace and a daisy, of 1000 classes; probabilities 0.29 and 0.31."""
    model = models.get_model("efficientnet_lite0", weights=data_packages.efficientnet_lite0()).eval()
    x = model.loaded_weights.published.preprocessing.transform()(photograph(name))
    with mc.no_grad():
        probabilities = F.softmax(model(x[None]), axis=1).data[0]
    assert probabilities.argmax() == expected and probabilities[expected] > least


def test_a_new_head_on_efficientnet_lite0():
    path = data_packages.efficientnet_lite0()
    model = models.get_model("efficientnet_lite0", num_classes=5, weights=path)
    assert model.loaded_weights.left_out == model.loaded_weights.fresh == ["_fc.weight", "_fc.bias"]
    state = mc.load(path)
    for name, array in model.state_dict().items():
        assert name.startswith("_fc") or np.array_equal(array, state[name]), name


def test_mobilenet_v2_backbone():
    """Old names, no classifier: its 2,223,872 parameters stand in the model's order, which names do not enter."""
    path = data_packages.mobilenet_v2_backbone()
    state = mc.load(path)
    model = models.get_model("mobilenet_v2", num_classes=2, weights=path)
    own = {name: a for name, a in model.state_dict().items() if name.startswith("features.")}
    assert sum(p.size for p in model.features.parameters()) == 2_223_872
    assert "features.2.conv.7.weight" in state and "features.2.conv.3.weight" in own
    for (old, array), (name, got) in zip(state.items(), own.items(), strict=True):
        np.testing.assert_array_equal(got, array, err_msg=f"{old} as {name}")
    assert model.loaded_weights.fresh == ["classifier.1.weight", "classifier.1.bias"]
    with pytest.raises(mc.FileError, match="missing: classifier.1.weight, classifier.1.bias; give num_classes"):
        models.get_model("mobilenet_v2", weights=path)


def test_mobilenet_v2_backbone_sees():
    """Features of a photograph and its mirror image have cosines of 0.97 and 0.99, of two photographs 0.53 at most."""
    model = models.get_model("mobilenet_v2", num_classes=2, weights=data_packages.mobilenet_v2_backbone()).eval()
    prepare = models.pretrained.find("mobilenet_v2").preprocessing.transform()
    china, flower = (prepare(photograph(name)) for name in ("china.jpg", "flower.jpg"))
    with mc.no_grad():
        features = model.features(np.stack([china, china[:, :, ::-1], flower, flower[:, :, ::-1]])).data.mean((2, 3))
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    cosines = features @ features.T
    assert cosines[0, 1] > 0.95 and cosines[2, 3] > 0.95 and cosines[:2, 2:].max() < 0.6
