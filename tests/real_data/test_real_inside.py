"""Looking into trained weights: the maps lie on what is on the photograph."""

from __future__ import annotations

import data_packages
import numpy as np
import pytest

from minicnn import inside, recognition
from minicnn.data import opening

pytestmark = pytest.mark.compiled

#: (top, left, bottom, right) in the 224 pixels that the network is given
FACE = (40, 20, 215, 190)  # the cat's, from above the eyes to below the nose; the ears lie outside
CUP = (10, 25, 180, 185)
CATS = {281, 282, 285}  # tabby, tiger cat, Egyptian cat


@pytest.fixture(scope="module")
def network():
    return recognition.load(data_packages.efficientnet_lite0())


def prepared(network, name: str) -> np.ndarray:
    return network.prepare(opening.read(data_packages.file(f"skimage/data/{name}.png"), 3))


def centre(heat: np.ndarray) -> tuple[float, float]:
    """Centre of mass of a map of the whole image, in the network's pixels, (row, column)."""
    heat = np.maximum(heat, 0)
    rows, columns = (224 * (np.arange(n) + 0.5) / n for n in heat.shape)
    return float((heat.sum(1) @ rows) / heat.sum()), float((heat.sum(0) @ columns) / heat.sum())


def inside_box(heat: np.ndarray, box) -> float:
    """Share of a map that lies in a box, against the share that an even map would have there."""
    top, left, bottom, right = box
    fine = np.maximum(heat, 0).repeat(224 // len(heat), axis=0).repeat(224 // heat.shape[1], axis=1)
    even = (bottom - top) * (right - left) / fine.size
    return float(fine[top:bottom, left:right].sum() / fine.sum() / even)


@pytest.mark.parametrize("name, classes, box", [("chelsea", CATS, FACE), ("coffee", {967}, CUP)])
def test_maps_lie_on_the_face_and_on_the_cup(name, classes, box, network):
    image = prepared(network, name)
    assert inside.top_classes(network.model, image)[0][0] in classes
    heat, lost = inside.grad_cam(network.model, image), inside.occlusion(network.model, image, stride=16, size=48)
    assert heat.shape == (7, 7) and lost.shape == (14, 14)
    guided = np.abs(inside.guided_backprop(network.model, image)).sum(0)
    top, left, bottom, right = box
    for found in (heat, lost, guided):
        row, column = centre(found)
        assert top < row < bottom and left < column < right
        assert inside_box(found, box) > 1.1
    for coarse in (heat, lost):
        row, column = (
            224 * (i + 0.5) / n for i, n in zip(np.unravel_index(coarse.argmax(), coarse.shape), coarse.shape)
        )
        assert top < row < bottom and left < column < right


def test_another_class_is_seen_elsewhere(network):
    """Consomme, the third guess for the espresso, is lost when the spoon is covered, not the cup."""
    lost = inside.occlusion(network.model, prepared(network, "coffee"), 925, stride=16, size=48)
    row, column = 16 * (np.array(np.unravel_index(lost.argmax(), lost.shape)) + 0.5)
    assert row > 130 and column > 110
