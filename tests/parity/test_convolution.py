"""conv2d against torch.nn.functional.conv2d."""

from __future__ import annotations

import pytest

import minicnn as mc

from .cases import CASES, conv2d_calls
from .helpers import assert_same_calls, drawn_configurations

torch = pytest.importorskip("torch")


@pytest.mark.parametrize(("room", "configurations"), [("cpu", 500), ("plain", 60)])
def test_drawn_convolutions(room, configurations):
    """Protects y, dx, dw and db of every drawn shape, stride, padding, dilation, grouping, dtype and memory layout."""
    with mc.use_room(room):
        drawn_configurations(CASES["conv2d"], configurations)


LAYERS = {  # (N, C, H), (O, K), options: layers whose sizes reach the fast paths of the CPU room
    "AlexNet conv1": ((2, 3, 63), (96, 11), {"stride": 4}),
    "AlexNet conv2": ((2, 16, 13), (64, 5), {"padding": 2, "groups": 2}),
    "VGG 3x3": ((2, 64, 14), (64, 3), {"padding": 1}),
    "VGG 3x3, wide": ((1, 128, 7), (256, 3), {"padding": 1}),
    "ResNet 7x7": ((1, 3, 64), (64, 7), {"stride": 2, "padding": 3}),
    "ResNet 3x3 stride 2": ((2, 32, 28), (64, 3), {"stride": 2, "padding": 1}),
    "ResNet 1x1 stride 2": ((2, 64, 14), (128, 1), {"stride": 2}),
    "1x1": ((2, 192, 7), (64, 1), {}),
    "ResNeXt": ((2, 64, 14), (64, 3), {"padding": 1, "groups": 8}),
    "MobileNet depthwise": ((2, 96, 14), (96, 3), {"padding": 1, "groups": 96}),
    "MobileNet depthwise stride 2": ((2, 96, 15), (96, 3), {"stride": 2, "padding": 1, "groups": 96}),
    "dilated": ((1, 32, 20), (32, 3), {"padding": 2, "dilation": 2}),
    "whole image": ((4, 16, 5), (120, 5), {}),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layer", LAYERS)
def test_layers_of_the_lecture(layer, dtype, rng):
    """Protects the sizes that real networks have, where blocks, pieces and partial sums are many."""
    (n, c, h), (o, k), options = LAYERS[layer]
    shapes = (n, c, h, h), (o, c // options.get("groups", 1), k, k), (o,)
    arrays = [rng.standard_normal(shape).astype(dtype) for shape in shapes]
    options = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1} | options
    calls = conv2d_calls(**options | {"padding": (options["padding"],) * 4})
    with mc.use_room("cpu"):
        assert_same_calls(*calls, arrays, rng)


@pytest.mark.filterwarnings("ignore:Using padding='same'")  # PyTorch tells that it copies
@pytest.mark.parametrize("padding", ["valid", "same", 1, (1, 2)])
def test_padding_by_name(padding, rng):
    """Protects the spellings of padding that PyTorch has too; an even kernel's "same" pads more behind than before."""
    arrays = [rng.standard_normal(shape) for shape in ((2, 3, 9, 8), (4, 3, 4, 3))]
    assert_same_calls(
        lambda x, w: mc.functional.conv2d(x, w, padding=padding),
        lambda x, w: torch.nn.functional.conv2d(x, w, padding=padding),
        arrays,
        rng,
    )
